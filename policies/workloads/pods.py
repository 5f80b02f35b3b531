"""
What a Pod tells of the workload that it belongs to: its controller, its kind, its role.

A pod's kind is its controller's where the catalogue knows that, else the one whose operator put
its labels on the pod.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policies.workloads.catalogue import Catalogue, Kind, Role
from policies.workloads.paths import WILDCARD

_ALONE = "Pod"  # the catalogue's kind of pods without a controller
_GENERATED = re.compile(r"-[a-z0-9]{1,10}$")


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Origin:
    """Where a pod comes from. `owner` is KIND.GROUP; empty: no controller."""

    owner: str = ""
    owner_group: str = ""
    owner_name: str = ""
    kind: Kind | None = None  # of the workload; None: not known
    role: Role | None = None


def controller(metadata: Mapping[str, Any]) -> tuple[str, str, str]:
    """Find an object's controller: kind, group, name; empty where there is none."""
    owners = metadata.get("ownerReferences")
    for owner in owners if isinstance(owners, list) else ():
        if isinstance(owner, dict) and owner.get("controller") is True:
            group, slash, _ = str(owner.get("apiVersion")).partition("/")
            return str(owner.get("kind")), group if slash else "", str(owner.get("name"))
    return "", "", ""


def origin(metadata: Mapping[str, Any], catalogue: Catalogue) -> Origin:
    """Tell where a pod comes from."""
    kind, group, name = controller(metadata)
    owner = f"{kind}.{group}" if group else kind
    labels = metadata.get("labels")
    found, role = catalogue.find(group, kind) if kind else None, None
    if isinstance(labels, dict):
        for candidate, one in catalogue.pod_roles.get(owner or _ALONE, ()):
            if _is_labelled(labels, one):
                found, role = candidate if kind else None, one
                break
    return Origin(owner=owner, owner_group=group, owner_name=name, kind=found, role=role)


def workload_name(metadata: Mapping[str, Any], found: Origin) -> str:
    """Name the workload that a pod belongs to, as well as the pod alone can tell."""
    if found.owner.startswith("ReplicaSet."):
        return _GENERATED.sub("", found.owner_name)
    generated = metadata.get("generateName")
    name = found.owner_name or metadata.get("name") or (generated or "").rstrip("-")
    return name if isinstance(name, str) else ""


def role_name(metadata: Mapping[str, Any], role: Role) -> str:
    """Name the role of a pod; where each template is a role, the pod's label names it."""
    labels = metadata.get("labels")
    if role.name != WILDCARD or not isinstance(labels, dict):
        return role.name
    marks = (labels.get(key) for key, value in role.pod_labels.items() if value == "*")
    return next((one for one in marks if isinstance(one, str)), role.name).lower()


def _is_labelled(labels: Mapping[str, Any], role: Role) -> bool:
    return all(
        key in labels and _is_like(labels[key], value) for key, value in role.pod_labels.items()
    )


def _is_like(value: Any, wanted: str) -> bool:
    """Compare a label with what the catalogue says, where one `*` stands for any text."""
    start, star, end = wanted.partition("*")
    if not star:
        return bool(value == wanted)
    text = value if isinstance(value, str) else ""
    return len(text) >= len(start) + len(end) and text.startswith(start) and text.endswith(end)
