"""
How many pods of a workflow run at once: Argo's steps and DAGs, Tekton's tasks.

A workflow is read as a plan: what runs side by side, what runs in turn, what waits for what, what
is repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias, TypeGuard

from policies.patch import Path, lookup
from policies.workloads import antichains, paths
from policies.workloads.catalogue import Kind
from policies.workloads.counts import Pods, whole

MAX_DEPTH = 32
_RUNS = ("container", "script", "containerSet", "resource", "data")
Plan: TypeAlias = "Pod | Together | InTurn | Graph | Repeated | Bounded"
# Tekton: a task that uses another's results waits for it
_RESULT = re.compile(r"\$\(tasks\.([^.)]+)\.(?:results|outputs)")
_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z]+)?")


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of a template."""

    name: str


@dataclass(frozen=True, slots=True)
class Together:
    """What may run side by side."""

    plans: tuple[Plan, ...]


@dataclass(frozen=True, slots=True)
class InTurn:
    """What runs one after another."""

    plans: tuple[Plan, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """What waits for others: by its place, the places of all that are over when it starts."""

    plans: tuple[Plan, ...]
    after: tuple[frozenset[int], ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """What runs so many times side by side; None: nobody knows how many."""

    plan: Plan
    times: Pods


@dataclass(frozen=True, slots=True)
class Bounded:
    """What runs so many pods at once, and no more."""

    plan: Plan
    most: int


def counts(plan: Plan) -> dict[str, Pods]:
    """Count the pods of each template, at most."""
    if isinstance(plan, Pod):
        return {plan.name: 1}
    if isinstance(plan, Bounded):
        found = counts(plan.plan)
        return {
            name: plan.most if pods is None else min(pods, plan.most)
            for name, pods in found.items()
        }
    if isinstance(plan, Repeated):
        return {name: _product(pods, plan.times) for name, pods in counts(plan.plan).items()}
    each = [counts(one) for one in plan.plans]
    names = dict.fromkeys(name for found in each for name in found)
    return {name: most(plan, [found.get(name, 0) for found in each]) for name in names}


def most(plan: Together | InTurn | Graph, pods: list[Pods]) -> Pods:
    """Tell how many of the pods of its parts run at once, at most."""
    if None in pods:
        return None
    known = [one for one in pods if one is not None]
    if isinstance(plan, Together):
        return sum(known)
    if isinstance(plan, InTurn):
        return max(known, default=0)
    return int(antichains.heaviest([Decimal(one) for one in known], plan.after))


def runs(plan: Plan) -> dict[str, Pods]:
    """Count how often each template runs in all."""
    if isinstance(plan, Pod):
        return {plan.name: 1}
    if isinstance(plan, Repeated):
        return {name: _product(pods, plan.times) for name, pods in runs(plan.plan).items()}
    if isinstance(plan, Bounded):
        return runs(plan.plan)
    found: dict[str, Pods] = {}
    for one in plan.plans:
        for name, pods in runs(one).items():
            known = found.get(name, 0)
            found[name] = None if pods is None or known is None else known + pods
    return found


def _product(pods: Pods, times: Pods) -> Pods:
    if pods == 0 or times == 0:
        return 0
    return None if pods is None or times is None else pods * times


# --- Argo --------------------------------------------------------------------------------------


def of_workflow(obj: Any, kind: Kind) -> Plan:
    """Read the plan of an Argo workflow."""
    spec = lookup(obj, workflow_spec(kind))
    templates = {
        one["name"]: one
        for one in _maps(lookup(spec, ("templates",)))
        if isinstance(one.get("name"), str)
    }
    entry = lookup(spec, ("entrypoint",))
    plan: Plan
    if isinstance(entry, str) and entry in templates:
        plan = _template(templates[entry], templates, frozenset())
    else:  # it is in a template elsewhere
        plan = Together(tuple(Pod(name) for name, one in templates.items() if _runs(one)))
    handler = lookup(spec, ("onExit",))
    if isinstance(handler, str) and handler in templates:
        plan = InTurn((plan, _template(templates[handler], templates, frozenset())))
    return _bounded(plan, spec)


def _bounded(plan: Plan, of_what: Any) -> Plan:
    """Bound a workflow or a template by the pods that its `parallelism` lets run at once."""
    at_once = whole(lookup(of_what, ("parallelism",)))
    return Bounded(plan, at_once) if at_once else plan


def workflow_spec(kind: Kind) -> Path:
    """Tell where a kind has its WorkflowSpec."""
    at = kind.roles[0].pod_spec
    return at[: at.index("templates")]


def _template(
    template: Mapping[str, Any], templates: Mapping[str, Any], above: frozenset[str]
) -> Plan:
    name = str(template.get("name", ""))
    if name in above or len(above) > MAX_DEPTH:
        return Together(())  # a loop, which its conditions end
    above = above | {name}
    if _runs(template):
        return Pod(name)
    groups = template.get("steps")
    if isinstance(groups, list):
        in_turn = InTurn(
            tuple(
                Together(tuple(_step(step, templates, above) for step in _maps(group)))
                for group in groups
            )
        )
        return _bounded(in_turn, template)
    dag = template.get("dag")
    tasks = _maps(dag.get("tasks")) if isinstance(dag, dict) else []
    graph = _graph(
        [_step(task, templates, above) for task in tasks],
        [str(task.get("name", "")) for task in tasks],
        [_waits_for(task) for task in tasks],
    )
    return _bounded(graph, template)


def _graph(plans: list[Plan], names: list[str], waits: list[Iterable[str]]) -> Plan:
    places = {name: place for place, name in enumerate(names)}
    after = antichains.closed(
        [frozenset(places[name] for name in wait if name in places) for wait in waits]
    )
    return Graph(tuple(plans), after) if any(after) else Together(tuple(plans))


def _waits_for(task: Mapping[str, Any]) -> list[str]:
    """Tell which tasks are over when a task of a DAG starts; an `or` leaves that open."""
    depends = task.get("depends")
    if isinstance(depends, str):
        if "||" in depends or "!" in depends:
            return []
        parts = [found.partition(".") for found in _NAME.findall(depends)]
        return [name for name, _, state in parts if state != "Daemoned"]
    dependencies = task.get("dependencies")
    return [one for one in dependencies if isinstance(one, str)] if _is_list(dependencies) else []


def _is_list(found: Any) -> TypeGuard[list[Any]]:
    return isinstance(found, list)


def _step(step: Mapping[str, Any], templates: Mapping[str, Any], above: frozenset[str]) -> Plan:
    inline, wanted = step.get("inline"), step.get("template")
    plan: Plan = Together(())
    if isinstance(inline, dict):
        named = {**inline, "name": str(step.get("name", ""))}
        plan = _template(named, templates, above)
    elif isinstance(wanted, str) and wanted in templates:
        plan = _template(templates[wanted], templates, above)
    times = _times(step)
    plan = plan if times == 1 else Repeated(plan, times)
    return _with_hooks(plan, step, templates, above)


def _with_hooks(
    plan: Plan, step: Mapping[str, Any], templates: Mapping[str, Any], above: frozenset[str]
) -> Plan:
    """Add what runs when a step is over, and what runs beside it."""
    hooks = step.get("hooks")
    hooks = hooks if isinstance(hooks, dict) else {}
    found = {
        name: _template(templates[one["template"]], templates, above)
        for name, one in hooks.items()
        if isinstance(one, dict) and one.get("template") in templates
    }
    if step.get("onExit") in templates:
        found["exit"] = _template(templates[step["onExit"]], templates, above)
    last = found.pop("exit", None)
    plan = Together((plan, *found.values())) if found else plan
    return InTurn((plan, last)) if last else plan


def steps_of(obj: Any, templates: Path) -> list[tuple[Path, dict[str, Any]]]:
    """List the steps and tasks of a workflow's templates, and where they are."""
    places = ((*templates, "*", "steps", "*", "*"), (*templates, "*", "dag", "tasks", "*"))
    found = [(at, lookup(obj, at)) for place in places for at in paths.expand(obj, place)]
    return [(at, step) for at, step in found if isinstance(step, dict)]


def _times(step: Mapping[str, Any]) -> Pods:
    if isinstance(step.get("withItems"), list):
        return len(step["withItems"])
    sequence = step.get("withSequence")
    if isinstance(sequence, dict):
        if sequence.get("count") is not None:
            return whole(sequence["count"])
        start, end = whole(sequence.get("start", 0)), whole(sequence.get("end"))
        return None if start is None or end is None else abs(end - start) + 1
    return None if step.get("withParam") is not None else 1


def _runs(template: Mapping[str, Any]) -> bool:
    return any(template.get(member) is not None for member in _RUNS)


# --- Tekton ------------------------------------------------------------------------------------


def of_pipeline(obj: Any, base: Path) -> Plan:
    """Read the plan of a Tekton pipeline: the tasks of `finally` come after the others."""
    return InTurn(tuple(_tasks(lookup(obj, (*base, member))) for member in ("tasks", "finally")))


def _tasks(found: Any) -> Plan:
    tasks = _maps(found)
    names = [str(task.get("name", "")) for task in tasks]
    return _graph([_task(task) for task in tasks], names, [_runs_after(task) for task in tasks])


def _runs_after(task: Mapping[str, Any]) -> list[str]:
    written = task.get("runAfter")
    named = [one for one in written if isinstance(one, str)] if _is_list(written) else []
    uses = [task.get(member) for member in ("params", "when", "matrix")]
    return [*named, *_RESULT.findall(str(uses))]


def _task(task: Mapping[str, Any]) -> Plan:
    plan: Plan = Pod(str(task.get("name", "")))
    if isinstance(task.get("pipelineSpec"), dict):
        plan = of_pipeline(task, ("pipelineSpec",))
    elif is_custom(task):
        plan = Together(())
    matrix = task.get("matrix")
    return Repeated(plan, _combinations(matrix)) if isinstance(matrix, dict) else plan


def is_custom(task: Mapping[str, Any]) -> bool:
    """Tell whether something else than Tekton runs a task: it makes no pod of it."""
    versions = [lookup(task, (one, "apiVersion")) for one in ("taskRef", "taskSpec")]
    return any(isinstance(one, str) and not one.startswith("tekton.dev/") for one in versions)


def _combinations(matrix: Mapping[str, Any]) -> Pods:
    pods = 1
    for parameter in _maps(matrix.get("params")):
        if not isinstance(parameter.get("value"), list):
            return None
        pods *= len(parameter["value"])
    return pods + len(_maps(matrix.get("include")))


def _maps(found: Any) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
