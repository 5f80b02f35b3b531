"""
What an autoscaler's range makes of an object: its scale subresource at the least and at the most.

    at(deployment, kind, 8) -> the Deployment with spec.replicas: 8

An autoscaler writes replicas and nothing else, so the kind's own rules hold on top of its range: a
rolling update of eight runs two more for a while, a replica of a LeaderWorkerSet is a whole group.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies.patch import Path
from policies.workloads.catalogue import Kind
from policies.workloads.counts import Range
from policies.workloads.shares import Demand, RoleDemand, Share
from policies.workloads.written_counts import Count, PathCount

_REPLICAS: Path = ("spec", "replicas")
_OF_WORKERS = {
    f"{kind}Job.kubeflow.org": ("spec", f"{kind.lower()}ReplicaSpecs", "Worker", "replicas")
    for kind in ("JAX", "Paddle", "PyTorch")
}


def path(kind: Kind) -> Path:
    """
    Tell which field of a kind its scale subresource writes.

    It is in the kind's definition (`specReplicasPath`); here it is the number of pods that the
    catalogue or the WorkloadKind reads, which is `spec.replicas` if any role reads that.
    """
    if kind.name in _OF_WORKERS:
        return _OF_WORKERS[kind.name]
    read = [found for role in kind.roles for found in _paths(role.replicas)]
    return read[0] if read and _REPLICAS not in read else _REPLICAS


def _paths(count: Count) -> Iterator[Path]:
    if isinstance(count, PathCount):
        if not count.up and all(isinstance(step, str) for step in count.path):
            yield count.path
    elif not isinstance(count, int):
        for one in count:
            yield from _paths(one)


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
