"""
What an object asks for: pods, devices, cpu and memory, at the steady state and at its peak.

    of(job, kind, catalogue, policies.accelerators)
    -> Demand(steady=Share(4 pods, nvidia.com/gpu 32, …), peak=…, roles=(worker: …,))

The object is one whose templates were folded (`engine.render`), so that what intents ask for counts
as the devices that it becomes. The figures are absolute: what this object makes, whoever else does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeAlias

from policies.intents import read
from policies.model import Accelerator
from policies.patch import Path, lookup
from policies.workloads import counters, extras, locate, requests, steps, sums, trainings
from policies.workloads.catalogue import Catalogue, Kind
from policies.workloads.counts import Asked, Given, Range
from policies.workloads.locate import Template
from policies.workloads.requests import PodRequest
from policies.workloads.shares import Demand, RoleDemand, Share, role_demand
from policies.workloads.steps import Plan

# What else a pod counts for: told its request (to add to), its spec, and classes by resource.
Also: TypeAlias = Callable[[PodRequest, Any, Mapping[str, str]], None]

MAX_DEPTH = 4
_OVER = frozenset({"Complete", "Completed", "Failed", "Succeeded", "Finished"})
_NOTHING = Range(0, 0)


def of(
    obj: Any,
    kind: Kind,
    known: Catalogue,
    accelerators: Mapping[str, Accelerator],
    *,
    range_of: Range | None = None,
    runtime: Any = None,
    also: Also | None = None,
    depth: int = 0,
) -> Demand:
    """
    Tell what an object asks for; `range_of` is the range that an autoscaler keeps its pods in.

    `runtime` is the one that a TrainJob refers to, where it is known.

    Whatever can't be read (a template of a template, a quantity with a placeholder) is in `notes`.
    """
    roles: list[RoleDemand] = []
    notes: list[str] = []
    unusable: list[str] = []
    why = _makes_none(obj, kind)
    if why:
        notes.append(why)
    else:
        held = is_held(obj, kind)
        counts: dict[Path, Any] = {}
        given = Given(range_of=range_of, runtime=runtime, also=also, held=held, unusable=counts)
        roles += _own(obj, kind, known, accelerators, given)
        unusable += [sums.no_count(at, value) for at, value in counts.items()]
        if depth < MAX_DEPTH:
            for inner in _inner(obj, kind, known, accelerators, also=also, depth=depth, held=held):
                roles += inner.roles
                notes += inner.notes
                unusable += inner.unusable
        notes += _unread(obj, kind, roles)
        if kind.name == trainings.NAME:
            notes += trainings.notes(obj, runtime)
        if kind.source and not roles:
            notes += locate.unmatched(obj, kind)
    found = _summed(obj, kind, roles, notes)
    return replace(found, unusable=tuple(unusable)) if unusable else found


def _makes_none(obj: Any, kind: Kind) -> str:
    """Tell why an object makes no pods of its own, if it doesn't."""
    if kind.makes_no_pods(obj):
        return f"this {kind.kind} makes no pods: {kind.no_pods_why}"
    if kind.template:
        return f"a {kind.kind} makes no pods itself"
    if not kind.is_ours(obj):
        manager = lookup(obj, kind.managed_by)
        return f'its pods are made elsewhere: {locate.written(kind.managed_by)} is "{manager}"'
    if _is_over(obj, kind):
        return "it is over"
    return ""


def _is_over(obj: Any, kind: Kind) -> bool:
    status = lookup(obj, ("status",))
    if not isinstance(status, dict):
        return False
    if not kind.group and kind.kind == "Pod":
        return status.get("phase") in ("Succeeded", "Failed")
    conditions = status.get("conditions")
    return kind.finishes and any(
        isinstance(one, dict) and one.get("type") in _OVER and one.get("status") == "True"
        for one in (conditions if isinstance(conditions, list) else ())
    )


def is_held(obj: Any, kind: Kind) -> bool:
    """Tell whether an object is suspended, stopped or gated: it runs nothing until that ends."""
    if not kind.group and kind.kind == "Pod":
        return bool(lookup(obj, ("spec", "schedulingGates")))
    return bool(kind.suspend and kind.suspend.holds(obj))


# --- roles -------------------------------------------------------------------------------------


def _own(
    obj: Any,
    kind: Kind,
    known: Catalogue,
    accelerators: Mapping[str, Accelerator],
    given: Given,
) -> list[RoleDemand]:
    planned = _planned(obj, kind)
    roles = []
    for template in locate.templates(obj, kind, known, depth=locate.MAX_DEPTH):
        request = requests.of_template(obj, template)
        classes = _devices(obj, template, accelerators, request)
        if given.also:
            given.also(request, lookup(obj, template.pod_spec), classes)
        extent = given.range_of or planned.pop(template.role, None)
        if extent is None:
            extent = (
                _NOTHING
                if kind.counter in _PLANNED
                else _range(obj, kind, template, request, given)
            )
        roles.append(role_demand(template.role, request, extent, held=given.held, classes=classes))
    # what runs a container that is written elsewhere
    held = given.held
    roles += [
        role_demand(name, PodRequest(), extent, held=held) for name, extent in planned.items()
    ]
    return roles + extras.of(obj, kind, roles, held)


_ON_SCHEDULE = frozenset({"cronworkflow", "scheduledworkflow"})
_WORKFLOWS = _ON_SCHEDULE | {"workflow"}
_PLANNED = _WORKFLOWS | {"pipelinerun"}


def _plan(obj: Any, kind: Kind) -> tuple[Plan, int | None]:
    if kind.counter in _WORKFLOWS:
        return steps.of_workflow(obj, kind)
    return steps.of_pipeline(obj, ("spec", "pipelineSpec")), None


def _planned(obj: Any, kind: Kind) -> dict[str, Range]:
    """Count the pods of workflows by their templates' names; empty for other kinds."""
    if kind.counter not in _PLANNED:
        return {}
    found = steps.counts(_plan(obj, kind)[0])
    if kind.counter not in _ON_SCHEDULE:
        return {name: Range(pods, pods) for name, pods in found.items()}
    apart = _runs_apart(obj)
    return {name: Range(0, pods if apart else None) for name, pods in found.items()}


def _runs_apart(obj: Any) -> bool:
    return (
        lookup(obj, ("spec", "concurrencyPolicy")) in ("Forbid", "Replace")
        or lookup(obj, ("spec", "maxConcurrency")) == 1
    )


def _range(
    obj: Any,
    kind: Kind,
    template: Template,
    request: PodRequest,
    given: Given,
) -> Range:
    def devices() -> int:
        amounts = request.amounts.values
        return int(sum(value for name, value in amounts.items() if requests.is_device(name)))

    asked = Asked(obj=obj, kind=kind, template=template, devices=devices, given=given)
    return counters.of(asked)


def _devices(
    obj: Any, template: Template, accelerators: Mapping[str, Accelerator], request: PodRequest
) -> dict[str, str]:
    """
    Name the classes that a template's intent asks for, by resource.

    Where the template can't hold resources, its pods get them when they are made: they count too.
    So do devices that are claimed rather than requested.
    """
    metadata = template.metadata or ("metadata",)
    intents = read(lookup(obj, (*metadata, "annotations")))
    if not intents.accelerator:
        return {}
    later = template.kind.accepts is not None and "resources" not in template.kind.accepts
    names = {}
    for device in intents.accelerator:
        found = accelerators.get(device.device_class)
        if found is None:
            continue
        resource = found.resource or f"deviceclass/{found.device_class_name}"
        if template.definition.compute and (later or not found.resource):
            each = 1 if found.resource else max(len(intents.containers), 1)
            request.amounts.values.setdefault(resource, Decimal(device.count * each))
        names[resource] = found.name
    return names


def _inner(
    obj: Any,
    kind: Kind,
    known: Catalogue,
    accelerators: Mapping[str, Accelerator],
    *,
    also: Also | None,
    depth: int,
    held: bool,
) -> list[Demand]:
    """Count what lies inside an object, as often as the object makes it."""
    times = counters.times(obj, kind)
    found = []
    in_it = locate.objects(obj, kind, known) + locate.in_strings(obj, kind, known)
    for _, inner, inner_kind in in_it:
        if kind.category == "workflow":
            continue  # made when something triggers it
        one = of(inner, inner_kind, known, accelerators, also=also, depth=depth + 1)
        for role in one.roles:
            steady, peak = Share(), Share()
            steady.add(role.steady, 0 if held else times)
            peak.add(role.peak, times)
            role.steady, role.peak = steady, peak
        found.append(one)
    return found


# --- sums --------------------------------------------------------------------------------------


def _summed(obj: Any, kind: Kind, roles: list[RoleDemand], notes: list[str]) -> Demand:
    steady, peak = Share(), Share()
    if kind.counter in _PLANNED and roles:
        _add_planned(obj, kind, roles, steady=steady, peak=peak)
    else:
        for role in roles:
            steady.add(role.steady)
            peak.add(role.peak)
    return Demand(steady=steady, peak=peak, roles=tuple(roles), notes=tuple(dict.fromkeys(notes)))


def _add_planned(
    obj: Any, kind: Kind, roles: list[RoleDemand], *, steady: Share, peak: Share
) -> None:
    """Add up a workflow: not all of its templates run at once."""
    plan, most = _plan(obj, kind)
    one = {role.name: Share(pods=1, amounts=role.request.amounts) for role in roles}
    total = sums.at_once(plan, one)
    if most:
        sums.bound(total, roles, most)
    if any(role.range.steady != 0 for role in roles):
        steady.add(total)
    if kind.counter in _ON_SCHEDULE and not _runs_apart(obj):
        peak.add(total, None)
    else:
        peak.add(total)


def _unread(obj: Any, kind: Kind, roles: list[RoleDemand]) -> list[str]:
    notes = [
        f"{role.name}: {text} can't be read as a quantity and isn't counted"
        for role in roles
        for text in role.request.unreadable
    ]
    notes += [
        f"{locate.written(one.path)}: {one.what}: {one.opaque}; it isn't counted"
        for one in locate.hidden(obj, kind)
        if one.opaque and one.what != "the configuration of Ray Serve"
    ]
    return notes
