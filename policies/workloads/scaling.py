"""
What an autoscaler's range makes of an object: its scale subresource at the least and at the most.

    at(deployment, kind, 8) -> the Deployment with spec.replicas: 8

An autoscaler writes replicas and nothing else, so the kind's own rules hold on top of its range: a
rolling update of eight runs two more for a while, a replica of a LeaderWorkerSet is a whole group.
"""

from __future__ import annotations

from typing import Any

from policies.patch import Path
from policies.workloads.catalogue import Kind
from policies.workloads.counts import Range
from policies.workloads.shares import Demand, RoleDemand, Share

_REPLICAS = ("spec", "replicas")
_OF_WORKERS = {
    f"{kind}Job.kubeflow.org": ("spec", f"{kind.lower()}ReplicaSpecs", "Worker", "replicas")
    for kind in ("JAX", "Paddle", "PyTorch")
}


def path(kind: Kind) -> Path:
    """Tell which field of a kind its scale subresource writes."""
    return _OF_WORKERS.get(kind.name, _REPLICAS)


def at(obj: Any, kind: Kind, replicas: int) -> Any:
    """Give the object as its scale subresource makes it; the object itself stays as it is."""
    *members, last = path(kind)
    scaled = dict(obj)
    node = scaled
    for member in members:
        below = node.get(member)
        if not isinstance(below, dict):
            return obj  # without workers, say, there is nothing to scale
        node[member] = node = dict(below)
    node[last] = replicas
    return scaled


def between(least: Demand, most: Demand) -> Demand:
    """Join what an object asks for at both ends of its range."""
    few = list(least.roles)
    return Demand(
        steady=least.steady,
        peak=most.peak,
        roles=tuple(_joined(few, role) for role in most.roles),
        notes=most.notes,
        unusable=most.unusable,
    )


def _joined(few: list[RoleDemand], role: RoleDemand) -> RoleDemand:
    found = next((one for one in few if one.name == role.name), None)
    if found is not None:
        few.remove(found)
    return RoleDemand(
        name=role.name,
        steady=found.steady if found else Share(),
        peak=role.peak,
        request=role.request,
        range=Range(found.range.steady if found else 0, role.range.peak),
        classes=role.classes,
    )
