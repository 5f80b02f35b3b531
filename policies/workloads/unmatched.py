"""
Paths of custom kinds that match nothing in an object, and where each stopped matching.

    unmatched.sentences(obj, kind, templates)
    -> [WorkloadKind "bert": role "worker": the path spec.worker.template stopped matching at
        "spec", which has driver, workers]

A role may be absent from an object. Where another role is there, its path is told only where it
may be wrong: the object holds pods that no role finds, or a member that is spelled alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from policies.patch import Path
from policies.workloads import paths
from policies.workloads.catalogue import Kind, Role
from policies.workloads.locate import Template, written

_CONTAINERS = "containers"
_ALIKE = 0.75  # how much of a name is the same


def sentences(obj: Any, kind: Kind, templates: Iterable[Template]) -> list[str]:
    """Say of each path of a custom kind that may be wrong where it stopped matching."""
    if not kind.source:
        return []
    own = [one for one in templates if not one.base]
    found = {id(one.definition) for one in own}
    missing = [role for role in kind.roles if id(role) not in found]
    if not missing:
        return []
    lost = not own or _has_others(obj, {one.pod_spec for one in own})
    return [_sentence(obj, kind, role) for role in missing if lost or _is_alike(obj, role)]


def _sentence(obj: Any, kind: Kind, role: Role) -> str:
    end, members = _stopped(obj, role)
    where = written(role.pod_spec[:end])
    there = ", ".join(members) if members else "nothing below it"
    at = f'"{where}"' if where else "the object"
    return (
        f'WorkloadKind "{kind.source}": role "{role.name}": the path {role.text} stopped '
        f"matching at {at}, which has {there}"
    )


def _stopped(obj: Any, role: Role) -> tuple[int, list[str]]:
    """Tell how many steps of a role's path match, and which members are there instead."""
    at = role.pod_spec
    for end in range(1, len(at) + 1):
        if not any(one is not None for one in paths.each(obj, at[:end])):
            parents = paths.each(obj, at[: end - 1]) if end > 1 else [obj]
            members = {str(key) for one in parents if isinstance(one, Mapping) for key in one}
            return end - 1, sorted(members)
    return len(at), []


def _is_alike(obj: Any, role: Role) -> bool:
    """Tell whether a path names a member that is there under nearly the same name."""
    import difflib  # here, because only mistakes need it

    end, members = _stopped(obj, role)
    step = role.pod_spec[end] if end < len(role.pod_spec) else None
    return isinstance(step, str) and bool(difflib.get_close_matches(step, members, 1, _ALIKE))


def _has_others(obj: Any, known: set[Path]) -> bool:
    """Tell whether an object holds a pod's spec where no role has found one."""
    return any(at not in known for at in _pod_specs(obj, ()))


def _pod_specs(node: Any, at: Path) -> Iterator[Path]:
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _pod_specs(item, (*at, index))
    elif isinstance(node, Mapping):
        found = node.get(_CONTAINERS)
        if isinstance(found, list) and found and all(isinstance(one, Mapping) for one in found):
            yield at
            return
        for key, value in node.items():
            if at or key not in ("metadata", "status"):
                yield from _pod_specs(value, (*at, str(key)))
