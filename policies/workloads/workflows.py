"""
What a workflow asks for: the pods of its plan, and the objects that its templates make.

Not all of a workflow runs at once, so its sum is not that of its roles. An Argo template with a
`resource.manifest` runs a pod that makes an object; where it waits for that (`successCondition`),
the object is there as long as the pod is, else it stays beside whatever comes after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from policies.patch import Path, lookup
from policies.workloads import locate, paths, steps, sums
from policies.workloads.catalogue import Catalogue, Kind
from policies.workloads.counts import Pods, Range
from policies.workloads.shares import Demand, RoleDemand, Share
from policies.workloads.steps import Plan

_ON_SCHEDULE = frozenset({"cronworkflow", "scheduledworkflow"})
_OF_ARGO = _ON_SCHEDULE | {"workflow"}
PLANNED = _OF_ARGO | {"pipelinerun"}  # the counters of these kinds
_MAKES = ("create", "apply", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An object that a template makes, each time that it runs."""

    template: str
    kind: Kind
    object: Any
    stays: bool  # nothing waits for its end


@dataclass(frozen=True, slots=True)
class Counted:
    """A made object, and what it asks for."""

    made: Made
    demand: Demand


def opened(obj: Any, kind: Kind) -> Any:
    """Give an object whose workflow is written as a string (Kubeflow Pipelines) with it read."""
    if kind.counter != "scheduledworkflow" or not isinstance(obj, dict):
        return obj
    for one in locate.hidden(obj, kind):
        if isinstance(lookup(obj, one.path), str) and one.path == steps.workflow_spec(kind):
            spec = one.objects[0] if one.objects else None
            workflow = {**lookup(obj, one.path[:-1]), "spec": spec}
            return obj if spec is None else {**obj, "spec": {**obj["spec"], "workflow": workflow}}
    return obj


def _plan(obj: Any, kind: Kind) -> Plan:
    if kind.counter in _OF_ARGO:
        return steps.of_workflow(obj, kind)
    return steps.of_pipeline(obj, ("spec", "pipelineSpec"))


def planned(obj: Any, kind: Kind) -> dict[str, Range]:
    """Count the pods of a workflow by their templates' names; empty for other kinds."""
    if kind.counter not in PLANNED:
        return {}
    plan = _plan(obj, kind)
    found, all_runs = steps.counts(plan), steps.runs(plan)
    found.update({name: all_runs[name] for name in _daemons(obj, kind) if name in found})
    return {name: _range(obj, kind, pods) for name, pods in found.items()}


def _range(obj: Any, kind: Kind, pods: Pods) -> Range:
    if kind.counter not in _ON_SCHEDULE:
        return Range(pods, pods)
    return Range(0, pods if _runs_apart(obj) else None)


def _runs_apart(obj: Any) -> bool:
    return (
        lookup(obj, ("spec", "concurrencyPolicy")) in ("Forbid", "Replace")
        or lookup(obj, ("spec", "maxConcurrency")) == 1
    )


def _daemons(obj: Any, kind: Kind) -> set[str]:
    """Name the templates whose pods go on while others run."""
    if kind.counter not in _OF_ARGO:
        return set()
    found = lookup(obj, (*steps.workflow_spec(kind), "templates"))
    return {
        str(one.get("name"))
        for one in (found if isinstance(found, list) else ())
        if isinstance(one, dict) and one.get("daemon") is True
    }


# --- what templates make -----------------------------------------------------------------------


def made(obj: Any, kind: Kind, known: Catalogue) -> list[Made]:
    """Find the objects that a workflow's templates make, where their kind is known."""
    if kind.counter not in _OF_ARGO:
        return []
    return [
        Made(
            template=_name(obj, one.path[:-2]),
            kind=found,
            object=inner,
            stays=not _is_waited_for(lookup(obj, one.path[:-1])),
        )
        for one in locate.hidden(obj, kind)
        if one.path[-2:] == ("resource", "manifest") and _makes(obj, one.path[:-1])
        for inner in one.objects
        if (found := known.of(inner)) is not None
    ]


def _name(obj: Any, template: Path) -> str:
    """Name a template; one that stands in a step has the step's name."""
    at = template[:-1] if template[-1] == "inline" else template
    return str(lookup(obj, (*at, "name")) or "")


def _makes(obj: Any, resource: Path) -> bool:
    return (lookup(obj, (*resource, "action")) or "create") in _MAKES


def _is_waited_for(resource: Any) -> bool:
    return any(lookup(resource, (name,)) for name in ("successCondition", "failureCondition"))


def roles_of(obj: Any, kind: Kind, counted: list[Counted], *, held: bool) -> list[RoleDemand]:
    """Give the roles of what templates make, as often as they run."""
    if not counted:
        return []
    plan = _plan(obj, kind)
    at_once, all_runs = steps.counts(plan), steps.runs(plan)
    roles = []
    for one in counted:
        times = (all_runs if one.made.stays else at_once).get(one.made.template, 0)
        extent = _range(obj, kind, times)
        for role in one.demand.roles:
            steady, peak = Share(), Share()
            steady.add(role.steady, 0 if held else extent.steady)
            peak.add(role.peak, extent.peak)
            role.steady, role.peak = steady, peak
            roles.append(role)
    return roles


# --- sums --------------------------------------------------------------------------------------


def add(
    obj: Any,
    kind: Kind,
    roles: list[RoleDemand],
    counted: list[Counted],
    *,
    steady: Share,
    peak: Share,
) -> None:
    """Add up a workflow's own roles and what its templates make: not all of it runs at once."""
    if any(role.range.steady != 0 for role in roles):
        steady.add(_total(obj, kind, roles, counted, lambda demand: demand.steady))
    total = _total(obj, kind, roles, counted, lambda demand: demand.peak)
    apart = kind.counter not in _ON_SCHEDULE or _runs_apart(obj)
    peak.add(total, 1 if apart else None)


def _total(
    obj: Any,
    kind: Kind,
    roles: list[RoleDemand],
    counted: list[Counted],
    when: Callable[[Demand], Share],
) -> Share:
    plan = _plan(obj, kind)
    units = {role.name: Share(pods=1, amounts=role.request.amounts) for role in roles}
    stay: list[tuple[str, Share]] = []
    for name in _daemons(obj, kind) & units.keys():
        stay.append((name, units[name]))
        units[name] = Share()
    for one in counted:
        if one.made.stays:
            stay.append((one.made.template, when(one.demand)))
        else:
            unit = Share()
            unit.add(units.get(one.made.template, Share(pods=1)))
            unit.add(when(one.demand))
            units[one.made.template] = unit
    total = sums.at_once(plan, units)
    all_runs = steps.runs(plan)
    for name, share in stay:
        total.add(share, all_runs.get(name, 0))
    return total


# --- what can't be known -----------------------------------------------------------------------


def notes(obj: Any, kind: Kind) -> list[str]:
    """Say which parts of a workflow are in objects elsewhere."""
    if kind.name == "TaskRun.tekton.dev":
        return _task_elsewhere(obj, ("spec", "taskRef"))
    if kind.counter == "pipelinerun":
        found = _elsewhere("spec.pipelineRef", lookup(obj, ("spec", "pipelineRef")), "pipeline")
        for member in ("tasks", "finally"):
            for at in paths.expand(obj, ("spec", "pipelineSpec", member, "*", "taskRef")):
                found += _task_elsewhere(obj, at)
        return found
    if kind.counter not in _OF_ARGO:
        return []
    at = steps.workflow_spec(kind)
    where = locate.written((*at, "workflowTemplateRef"))
    found = _elsewhere(where, lookup(obj, (*at, "workflowTemplateRef")), "workflow")
    for path, step in steps.steps_of(obj, (*at, "templates")):
        where = locate.written((*path, "templateRef"))
        found += _elsewhere(where, step.get("templateRef"), "template")
    return found


def _task_elsewhere(obj: Any, at: Path) -> list[str]:
    """Say of a task whose pod is counted that its steps aren't."""
    reference = lookup(obj, at)
    if not isinstance(reference, dict) or steps.is_custom(lookup(obj, at[:-1])):
        return []
    return _elsewhere(locate.written(at), reference, "task", "what its pod asks for isn't counted")


def _elsewhere(
    where: str, reference: Any, what: str, lost: str = "its pods aren't counted"
) -> list[str]:
    if not isinstance(reference, dict):
        return []
    name = f' "{reference["name"]}"' if isinstance(reference.get("name"), str) else ""
    return [f"{where}: the {what}{name} is in another object; {lost}"]
