"""
Where pods hide: every pod template of a workload, with its role.

    locate.templates(deployment, kind)
    -> (Template(role="pod", pod_spec=("spec", "template", "spec"), …),)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policies.patch import Path, Step, lookup
from policies.workloads.catalogue import WILDCARD, Kind, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One pod template of one object: paths from the object's root."""

    role: str
    pod_spec: Path
    metadata: Path | None
    definition: Role

    @property
    def keyed(self) -> bool:
        """Tell whether its paths have (key, value) steps."""
        return self.definition.container is not None


def templates(obj: Any, kind: Kind) -> tuple[Template, ...]:
    """Find the pod templates that `obj` holds, in the catalogue's order."""
    found: list[Template] = []
    for role in kind.roles:
        if WILDCARD in role.pod_spec:
            found.extend(_each(obj, role))
        elif role.container or isinstance(lookup(obj, role.pod_spec), dict):
            found.append(
                Template(
                    role=role.name, pod_spec=role.pod_spec, metadata=role.metadata, definition=role
                )
            )
    return tuple(found)


def _each(obj: Any, role: Role) -> list[Template]:
    at = role.pod_spec.index(WILDCARD)
    parent = lookup(obj, role.pod_spec[:at])
    members: list[tuple[Step, Any]] = []
    if isinstance(parent, dict):
        members = list(parent.items())
    elif isinstance(parent, list):
        members = list(enumerate(parent))
    found = []
    for step, member in members:
        pod_spec = (*role.pod_spec[:at], step, *role.pod_spec[at + 1 :])
        if not isinstance(lookup(obj, pod_spec), dict):
            continue
        metadata = role.metadata and (*role.metadata[:at], step, *role.metadata[at + 1 :])
        found.append(
            Template(
                role=_role_name(role, step, member),
                pod_spec=pod_spec,
                metadata=metadata,
                definition=role,
            )
        )
    return found


def _role_name(role: Role, step: Step, member: Any) -> str:
    if role.name != WILDCARD:
        return role.name
    if isinstance(step, str):
        return step.lower()
    name = member.get("name") if isinstance(member, dict) else None
    return name if isinstance(name, str) else str(step)
