"""Requests for a Scale, made requests for the object that is scaled: a Scale tells but a number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from policies.model import Request
from policies.patch import Path
from policies.workloads.catalogue import Kind
from policies.workloads.written_counts import Count, PathCount

_REPLICAS: Path = ("spec", "replicas")
# `specReplicasPath` in the definitions of Kubeflow's training operator.
_WORKERS: Mapping[str, Path] = {
    "JAXJob.kubeflow.org": ("spec", "jaxReplicaSpecs", "Worker", "replicas"),
    "PaddleJob.kubeflow.org": ("spec", "paddleReplicaSpecs", "Worker", "replicas"),
    "PyTorchJob.kubeflow.org": ("spec", "pytorchReplicaSpecs", "Worker", "replicas"),
}

Parent: TypeAlias = Mapping[str, Any]


def of(request: Request, kind: Kind, parent: Parent) -> Request:
    """Give the request that changes `parent`, the object that is scaled, as the Scale would."""
    at = replicas_path(kind)
    return replace(
        request,
        group=kind.group,
        version=parent["apiVersion"].rpartition("/")[2],
        kind=kind.kind,
        subresource="",
        object=_with(parent, at, _replicas(request.object)),
        old_object=_with(parent, at, _replicas(request.old_object)),
    )


def replicas_path(kind: Kind) -> Path:
    """
    Say which field of a kind its Scale sets.

    It is in the kind's definition (`specReplicasPath`); here it is the number of pods that the
    catalogue or the WorkloadKind reads, which is `spec.replicas` if any role reads that.
    """
    known = _WORKERS.get(kind.name)
    if known is not None:
        return known
    read = list(dict.fromkeys(path for role in kind.roles for path in _paths(role.replicas)))
    return read[0] if read and _REPLICAS not in read else _REPLICAS


def _paths(count: Count) -> Iterator[Path]:
    if isinstance(count, PathCount):
        if not count.up and all(isinstance(step, str) for step in count.path):
            yield count.path
    elif not isinstance(count, int):
        for one in count:
            yield from _paths(one)


def _replicas(scale: Any) -> int:
    spec = scale.get("spec") if isinstance(scale, dict) else None
    found = spec.get("replicas") if isinstance(spec, dict) else None
    return found if isinstance(found, int) else 0


def _with(obj: Any, path: Path, value: Any) -> Any:
    """Copy an object with another value at a path."""
    if not path:
        return value
    there = obj if isinstance(obj, dict) else {}
    return {**there, path[0]: _with(there.get(path[0]), path[1:], value)}
