"""
How many pods a TrainJob makes: its runtime says how its nodes are laid out.

    TrainJob of 3 nodes, runtime with `mlPolicy.mpi.runLauncherAsNode`
    -> launcher 1, trainer 2

A runtime for MPI may run its launcher as one of the nodes; the others are at least one. Which of
the shipped runtimes do is in the catalogue; of others only the object itself tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policies.patch import lookup
from policies.workloads.catalogue import Kind
from policies.workloads.counts import Asked, Range, whole

GROUP = "trainer.kubeflow.org"
NAME = f"TrainJob.{GROUP}"
RUNTIMES = ("ClusterTrainingRuntime", "TrainingRuntime")
LAUNCHER = "launcher"
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
    return any(
        all(one.holds(obj) for one in role.only)
        and not any(lookup(obj, one) is not None for one in role.unless)
        for role in kind.roles
        if role.name == LAUNCHER
    )
