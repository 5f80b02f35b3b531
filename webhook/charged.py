"""
What objects are charged with: counted once for a review and what the watch then brings of it.

A review is a moment ahead of the watch, which brings the same object again, and again with each
change of its status. Who asks for what is there gets what was counted of the same object before.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from policies import engine
from policies.model import Facts, PolicySet, Request
from policies.quota.charges import Charge
from policies.workloads.catalogue import Kind
from webhook.unchanged import Unchanged

MOST = 4096  # objects that are remembered; the oldest go first

Charges: TypeAlias = tuple[Charge, ...]


class Charged:
    """Charges objects, and remembers what it charged last; any thread may ask."""

    def __init__(self) -> None:
        self._unchanged = Unchanged()
        self._last: dict[str, tuple[bytes, Charges]] = {}  # by uid

    def reviewed(self, request: Request, kind: Kind, policies: PolicySet, facts: Facts) -> Charges:
        """Charge an object as it will be, and with what holds now: exceptions, schedules."""
        found = engine.charges(request, policies, facts)
        metadata = request.object["metadata"]
        uid = str(metadata.get("uid") or "")
        # Anybody may send us a review, and what it says apart from its object isn't remembered.
        said = (metadata.get("namespace"), metadata.get("name"))
        if not uid or said != (request.namespace, request.name):
            return found
        essence = self.essence(request.object, kind, policies, facts)
        if essence:
            self._last.pop(uid, None)
            self._last[uid] = (essence, found)
            if len(self._last) > MOST:
                self._last.pop(next(iter(self._last)), None)
        return found

    def essence(self, obj: Any, kind: Kind, policies: PolicySet, facts: Facts) -> bytes:
        """Digest what an object is charged by; empty: who knows, so it is charged anew."""
        return self._unchanged.essence(kind, obj, policies, facts)

    def there(
        self, obj: Any, kind: Kind, policies: PolicySet, facts: Facts, *, essence: bytes
    ) -> Charges:
        """Charge an object that is there, as it is."""
        metadata = obj["metadata"]
        known = self._last.get(str(metadata["uid"])) if essence else None
        if known and known[0] == essence:
            return known[1]
        typed = {"kind": kind.kind, "apiVersion": _api_version(kind), **obj}
        request = Request(
            operation="CREATE",
            group=kind.group,
            version=typed["apiVersion"].rpartition("/")[2],
            kind=kind.kind,
            namespace=metadata.get("namespace") or "",
            name=metadata["name"],
            object=typed,
        )
        return engine.charges(request, policies, facts)


def _api_version(kind: Kind) -> str:
    return f"{kind.group}/{kind.versions[-1]}" if kind.group else kind.versions[-1]
