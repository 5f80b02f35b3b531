"""
An object of our own, as it is applied: what can't be used is refused, with every fault.

On an UPDATE only a changed spec is judged, so that labels and finalizers of an object from before
a rule became stricter can still be written.
"""

from __future__ import annotations

from policies import asked, guarding, load
from policies.model import Facts, Request, Violation
from policies.workloads.catalogue import Catalogue


def judge(request: Request) -> tuple[Violation, ...]:
    """Find what is wrong with the object of `request`."""
    obj, old = request.object, request.old_object
    if isinstance(old, dict) and old.get("spec") == obj.get("spec"):
        return ()
    name = f'{request.kind} "{request.name or _name(obj)}"'
    return tuple(
        sorted(
            Violation(policy=name, message=fault.sentence, code=422) for fault in load.judged(obj)
        )
    )


def unsent(request: Request, facts: Facts, catalogue: Catalogue) -> tuple[str, ...]:
    """Say what a guard of the cluster names that nothing sends to the webhook."""
    if request.kind != "GuardPolicy":
        return ()
    guard = guarding.guard_policy(request.name or _name(request.object), request.object["spec"])
    named = f'GuardPolicy "{guard.name}"'
    return tuple(f"{named}: {one}" for one in asked.unsent(guard, facts, catalogue))


def _name(obj: object) -> str:
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""
