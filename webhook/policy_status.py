"""
Tells admins what became of their policies: a `Ready` condition, and an event for one left out.

Only the leader writes, and only where what is written differs from what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from policies.model import API_VERSION, Manifest
from webhook.apiserver import Conflicting, NotFound
from webhook.definitions import KINDS
from webhook.leader import Api, Leader
from webhook.policy_objects import Held, Key

MAX_MESSAGE = 8192  # characters of a condition
MAX_NOTE = 1024  # bytes of an event, by its validation


class Objects(Protocol):
    """Holds the objects and what is wrong with them."""

    @property
    def held(self) -> Mapping[Key, Held]:
        """Give the objects as they are now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStatus:
    """Writes the status of all objects while we lead."""

    api: Api
    objects: Objects
    leader: Leader
    idle: Callable[[str, Manifest], tuple[str, ...]]  # what of a kind's policy does nothing

    def follow(self) -> Iterator[None]:
        """Write what isn't written yet, once."""
        for (kind, _), held in self.objects.held.items():
            if not self.leader.holds:
                break
            idle = () if held.faults else self.idle(kind, held.value)
            wanted = condition(held, datetime.now(UTC), idle)
            if wanted is not None:
                self._write(kind, held, wanted)
                yield

    def _write(self, kind: str, held: Held, wanted: Mapping[str, Any]) -> None:
        metadata = held.value["metadata"]
        path = f"/apis/{API_VERSION}/"
        if "namespace" in metadata:
            path += f"namespaces/{metadata['namespace']}/"
        path += f"{KINDS[kind].plural}/{metadata['name']}/status"
        status = {
            "observedGeneration": metadata.get("generation", 0),
            "conditions": [*_others(held), wanted],
        }
        # With the version that was judged: of two writes the one for the newer object stays.
        body = {
            "metadata": {"resourceVersion": metadata["resourceVersion"]},
            "status": status,
        }
        try:
            self.api.ask("PATCH", path, what=f"the status of a {kind}", body=body)
        except (Conflicting, NotFound):
            return  # changed or gone since: its next version is judged by itself
        if wanted["status"] == "False":
            self._report(kind, metadata, wanted["message"])

    def _report(self, kind: str, metadata: Mapping[str, Any], message: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        namespace = metadata.get("namespace", "default")  # as kubectl describe looks for them
        about = {
            "apiVersion": API_VERSION,
            "kind": kind,
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
        if "namespace" in metadata:
            about["namespace"] = namespace
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name'][:200]}.", "namespace": namespace},
            "involvedObject": about,
            "type": "Warning",
            "reason": "Unusable",
            "message": message.encode()[:MAX_NOTE].decode(errors="ignore"),
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "source": {"component": "kubectl-ml"},
            "reportingComponent": "kubectl-ml.io/webhook",
            "reportingInstance": self.leader.identity,
        }
        self.api.ask("POST", f"/api/v1/namespaces/{namespace}/events", what="an event", body=event)


def condition(held: Held, now: datetime, idle: tuple[str, ...] = ()) -> dict[str, Any] | None:
    """
    Make the `Ready` condition of an object; None where it says that already.

    One that is in force says what of it does nothing in this cluster.
    """
    generation = held.value["metadata"].get("generation", 0)
    wanted = {
        "type": "Ready",
        "status": "False" if held.faults else "True",
        "reason": "Unusable" if held.faults else "InForce",
        "message": "\n".join(held.faults or idle)[:MAX_MESSAGE],
        "observedGeneration": generation,
    }
    ready = [one for one in _conditions(held) if one.get("type") == "Ready"]
    there = ready[0] if ready else {}
    if {key: there.get(key) for key in wanted} == wanted:
        return None
    since = there.get("lastTransitionTime") if there.get("status") == wanted["status"] else None
    stamp = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {**wanted, "lastTransitionTime": since or stamp}


def _conditions(held: Held) -> list[Any]:
    status = held.value.get("status") or {}
    return list(status.get("conditions") or ())


def _others(held: Held) -> list[Any]:
    return [one for one in _conditions(held) if one.get("type") != "Ready"]
