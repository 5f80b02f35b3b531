"""What a ready-made check judges: a pod as it will be, and what is known of it besides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from policies.intents import Device, Intents
from policies.match import Target
from policies.model import Manifest

# What a CONNECT is of: its object is of a kind of its own.
CONNECTED: Mapping[str, tuple[str, str]] = {
    "PodAttachOptions": ("Pod", "pods/attach"),
    "PodExecOptions": ("Pod", "pods/exec"),
    "PodPortForwardOptions": ("Pod", "pods/portforward"),
    "PodProxyOptions": ("Pod", "pods/proxy"),
    "ServiceProxyOptions": ("Service", "services/proxy"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What this pod is given by its intents and by policies: what we add is not refused."""

    devices: tuple[Device, ...] = ()  # asked for by the intent, else by a policy's default
    volumes: tuple[Manifest, ...] = ()  # of mounts, without their names
    named: tuple[Manifest, ...] = ()  # volumes of policies, with their names
    containers: frozenset[tuple[str, str]] = frozenset()  # name and image


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Subject:
    """One pod, or what a template makes."""

    pod: Any  # injected, as far as it will be
    target: Target
    intents: Intents  # that the pod has
    asked: frozenset[str] | None  # keys at the pod or its workload; None: judged with that
    kind: str  # that the user wrote: Pod, Job
    uses: frozenset[str] = frozenset()  # the intents that not every kind can use and this one can
    autoscaling: str = ""  # knative, kserve
    passed_on: Mapping[str, Any] = field(default_factory=dict)  # annotations of the object
    given: Callable[[], Given]
    ranges: Sequence[Manifest] = ()  # LimitRanges, whose defaults the pod has yet to get

    @property
    def spec(self) -> Any:
        """The pod's spec."""
        return self.pod.get("spec") if isinstance(self.pod, dict) else None

    @property
    def metadata(self) -> Any:
        """The pod's metadata."""
        return self.pod.get("metadata") if isinstance(self.pod, dict) else None


Check: TypeAlias = Callable[[Subject], Iterable[str]]
