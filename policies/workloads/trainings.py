"""
How many pods a TrainJob makes: its runtime says how its nodes are laid out.

    TrainJob of 3 nodes, runtime with `mlPolicy.mpi.runLauncherAsNode`
    -> launcher 1, trainer 2

A runtime for MPI may run its launcher as one of the nodes; the others are at least one. Which of
the shipped runtimes do is in the catalogue; of others the runtimes that are at hand tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from policies.patch import lookup
from policies.workloads import locate
from policies.workloads.catalogue import Catalogue, Condition, Kind, Role, assemble
from policies.workloads.counts import Asked, Range, whole
from policies.workloads.locate import Template

GROUP = "trainer.kubeflow.org"
NAME = f"TrainJob.{GROUP}"
RUNTIMES = ("ClusterTrainingRuntime", "TrainingRuntime")
LAUNCHER = "launcher"
_REFERENCE = ("spec", "runtimeRef")
# those that come with Kubeflow's Trainer, all of one node unless the TrainJob says more
_SHIPPED = frozenset(
    f"{one}-distributed" for one in ("deepspeed", "jax", "mlx", "torch", "xgboost")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """How a runtime lays out its nodes."""

    launcher_is_node: bool
    nodes: int = 1  # where the TrainJob doesn't say
    workers: int = 1  # beside a launcher, where the TrainJob doesn't say


def runtime_of(obj: Any) -> tuple[str, str]:
    """Give the kind and the name of the runtime that a TrainJob refers to."""
    kind = lookup(obj, ("spec", "runtimeRef", "kind")) or RUNTIMES[0]
    return str(kind), str(lookup(obj, ("spec", "runtimeRef", "name")))


def launcher_of(runtime: Any) -> tuple[str, str, str] | None:
    """Name a runtime as `Facts.launchers` does, where its launcher is one of the nodes."""
    kind, group = lookup(runtime, ("kind",)), str(lookup(runtime, ("apiVersion",)))
    name = lookup(runtime, ("metadata", "name"))
    if kind not in RUNTIMES or group.partition("/")[0] != GROUP or not isinstance(name, str):
        return None
    if not _layout(runtime, has_launcher=False).launcher_is_node:
        return None
    namespace = lookup(runtime, ("metadata", "namespace")) if kind == RUNTIMES[1] else ""
    return str(kind), str(namespace or ""), name


def reference(kind: str, name: str, namespace: str) -> tuple[str, str, str]:
    """Name a runtime as `Facts.launchers` does, as it is meant in a namespace."""
    return kind, "" if kind == RUNTIMES[0] else namespace, name


def shown(obj: Any, templates: Iterable[Template]) -> frozenset[tuple[str, str, str]]:
    """Tell by the templates of an object which runtimes run their launcher as a node."""
    return frozenset(
        (kind, "", name)
        for one in templates
        if one.kind.name == NAME and one.role == LAUNCHER
        for kind, name in [runtime_of(lookup(obj, one.base))]
    )


def near(launchers: Iterable[tuple[str, str, str]], namespace: str) -> frozenset[tuple[str, str]]:
    """Pick the runtimes, by kind and name, that a TrainJob of a namespace can refer to."""
    return frozenset((kind, name) for kind, where, name in launchers if where in ("", namespace))


@lru_cache(maxsize=64)
def with_launchers(known: Catalogue, runtimes: frozenset[tuple[str, str]]) -> Catalogue:
    """Give the catalogue where the launchers of these runtimes, too, are one of the nodes."""
    kind = known.named(NAME)
    if kind is None or not runtimes:
        return known
    roles = tuple(_with(role, runtimes) if role.name == LAUNCHER else role for role in kind.roles)
    kinds = {**known.kinds, (kind.group, kind.kind): replace(kind, roles=roles)}
    return assemble(kinds.values())


def _with(role: Role, runtimes: frozenset[tuple[str, str]]) -> Role:
    of_runtime = tuple(one for one in role.only if one.path[:2] == _REFERENCE)
    others = tuple(one for one in role.only if one not in of_runtime)
    refers = _Refers(path=_REFERENCE, runtimes=runtimes, shipped=of_runtime)
    return replace(role, only=(*others, refers))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refers(Condition):
    """What holds of TrainJobs that refer to one of these runtimes, or to one that is shipped."""

    runtimes: frozenset[tuple[str, str]]
    shipped: tuple[Condition, ...]

    def holds(self, obj: Any) -> bool:
        """Tell whether it holds of `obj`."""
        return runtime_of(obj) in self.runtimes or all(one.holds(obj) for one in self.shipped)


def count(asked: Asked) -> Range:
    """Count the pods of one role of a TrainJob."""
    layout = _layout(asked.given.runtime, has_launcher=_has_launcher(asked.obj, asked.kind))
    written = asked.number("spec.trainer.numNodes")
    nodes = layout.nodes if written is None else written
    launchers = 0
    if layout.launcher_is_node:
        launchers = layout.nodes
        nodes = layout.workers if written is None else max(written - 1, 1)
    if asked.template.role == LAUNCHER:
        nodes = launchers
    elif not _has_launcher(asked.obj, asked.kind):
        nodes += launchers  # it has no template of its own here, and asks for the same
    return Range(nodes, nodes)


def notes(obj: Any, runtime: Any) -> list[str]:
    """Say what couldn't be known about a TrainJob's pods."""
    kind, name = runtime_of(obj)
    if runtime is not None or (kind == RUNTIMES[0] and name in _SHIPPED):
        return []
    return [
        f'spec.runtimeRef: the {kind} "{name}" isn\'t among the manifests, so its nodes are '
        "counted by spec.trainer.numNodes alone; give its manifest too"
    ]


def _layout(runtime: Any, *, has_launcher: bool) -> _Layout:
    if runtime is None:
        return _Layout(launcher_is_node=has_launcher)
    policy = lookup(runtime, ("spec", "mlPolicy"))
    default = whole(lookup(policy, ("numNodes",)))
    jobs = lookup(runtime, ("spec", "template", "spec", "replicatedJobs"))
    named = {
        one["name"]: one
        for one in (jobs if isinstance(jobs, list) else ())
        if isinstance(one, dict) and isinstance(one.get("name"), str)
    }
    workers = whole(lookup(named.get("node"), ("template", "spec", "parallelism")))
    return _Layout(
        launcher_is_node=lookup(policy, ("mpi", "runLauncherAsNode")) is True
        and {"node", LAUNCHER} <= named.keys(),
        nodes=1 if default is None else default,
        workers=1 if workers is None else workers,
    )


def _has_launcher(obj: Any, kind: Kind) -> bool:
    """Tell whether the launcher has a template of its own."""
    return any(one.role == LAUNCHER for one in locate.templates(obj, kind))
