"""
An object of our own, as it is applied: what can't be used is refused, with every fault.

On an UPDATE only a changed spec is judged, so that labels and finalizers of an object from before
a rule became stricter can still be written.
"""

from __future__ import annotations

from policies import load
from policies.model import Request, Violation
from policies.stages.context import Context


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


def noted(request: Request, context: Context) -> tuple[str, ...]:
    """Say what of a policy that can be used does nothing in this cluster."""
    from policies import idle  # here, because a terminal hardly ever has such an object

    name = request.name or _name(request.object)
    spec = request.object["spec"]
    found: tuple[str, ...] = ()
    if request.kind == "GuardPolicy":
        found = idle.of_guard(name, spec, context.facts, context.catalogue)
    elif request.kind == "QuotaPolicy":
        found = idle.of_quota(spec, context.prepared.policies)
    return tuple(f'{request.kind} "{name}": {one}' for one in found)


def _name(obj: object) -> str:
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""
