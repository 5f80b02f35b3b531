"""
What every backend is: how one system is asked to train or serve, and how its objects are read.

A backend knows no cluster. `objects` turns a spec into manifests, the workload first; `state`
reads one of its workloads as the API server gave it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar

from policies.model import DOMAIN, Manifest

NAME_LABEL = f"{DOMAIN}/name"  # on every object and every pod template that the plugin makes

S = TypeVar("S", contravariant=True)


class Phase(Enum):
    """How far a workload is; the value is what the table shows."""

    QUEUED = "Queued"  # waits for its queue
    PENDING = "Pending"  # its pods don't run yet
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    READY = "Ready"  # serves
    NOT_READY = "NotReady"
    SUSPENDED = "Suspended"
    DELETING = "Deleting"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """
    What a workload says of itself.

    `pods` is how many it wants; `reason` and `message` come from the condition that decided.
    """

    phase: Phase
    pods: int = 0
    reason: str = ""
    message: str = ""

    @property
    def done(self) -> bool:
        """Tell whether waiting for it ends well: it finished, or it serves."""
        return self.phase in (Phase.SUCCEEDED, Phase.READY)

    @property
    def failed(self) -> bool:
        """Tell whether waiting for it is in vain."""
        return self.phase is Phase.FAILED


def _says_all(spec: Any) -> tuple[str, ...]:
    return ()


def _uses_nothing(spec: Any) -> tuple[tuple[str, str, str], ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend(Generic[S]):
    """
    One system that runs what a spec says.

    `api_version` and `kind` are the workload's. `needs` are further kinds that must be served.
    `uses` gives apiVersion, kind and name of what is in the whole cluster and must be there.
    `cannot` gives a sentence for each part of a spec that the system can't be told.
    `pod_labels` are what the system's pods carry besides our label, for those that lose ours: a
    value may hold `{name}`.
    """

    name: str
    api_version: str
    kind: str
    objects: Callable[[S], list[Manifest]]
    state: Callable[[Manifest], State]
    needs: tuple[tuple[str, str], ...] = ()
    uses: Callable[[S], tuple[tuple[str, str, str], ...]] = _uses_nothing
    cannot: Callable[[S], tuple[str, ...]] = _says_all
    pod_labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """Name the API group, empty for the core."""
        return self.api_version.rpartition("/")[0]

    def made(self, found: Manifest) -> bool:
        """Tell whether a workload is of this backend's kind."""
        return (found["apiVersion"], found["kind"]) == (self.api_version, self.kind)


def condition(found: Manifest, *types: str) -> Mapping[str, str]:
    """Give the first of these conditions that is True, or nothing."""
    status = found.get("status") or {}
    for type_ in types:
        for each in status.get("conditions") or ():
            if each.get("type") == type_ and each.get("status") == "True":
                return dict(each)
    return {}
