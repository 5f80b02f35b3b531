"""
What an object asks for: pods, devices, cpu and memory, at the steady state and at its peak.

    of(job, kind, catalogue, policies.accelerators)
    -> Demand(steady=Share(4 pods, nvidia.com/gpu 32, …), peak=…, roles=(worker: …,))

The object is one whose templates were folded (`engine.render`), so that what intents ask for counts
as the devices that it becomes. The figures are absolute: what this object makes, whoever else does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from policies.intents import Intents, read
from policies.model import Accelerator
from policies.patch import lookup
from policies.workloads import (
    counters,
    extras,
    locate,
    requests,
    scaling,
    sums,
    trainings,
    triggers,
    unmatched,
    workflows,
)
from policies.workloads.catalogue import Catalogue, Kind
from policies.workloads.counts import Asked, Given, Range
from policies.workloads.locate import Template
from policies.workloads.requests import PodRequest
from policies.workloads.shares import Demand, RoleDemand, Share, role_demand

# What else a pod counts for: told its request (to add to), its spec, and classes by resource.
Also: TypeAlias = Callable[[PodRequest, Any, Mapping[str, str]], None]

MAX_DEPTH = 4
_OVER = frozenset({"Complete", "Completed", "Failed", "Succeeded", "Finished"})
_OVER_FOR_VOLCANO = frozenset({"Completed", "Failed", "Terminated"})
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
    Tell what an object asks for; `range_of` is the range that an autoscaler keeps its replicas in.

    `runtime` is the one that a TrainJob refers to, where it is known.

    Whatever can't be read (a template of a template, a quantity with a placeholder) is in `notes`.
    """
    if range_of is not None:
        ends = (range_of.steady or 0, range_of.peak or 0)
        least, most = (
            of(one, kind, known, accelerators, runtime=runtime, also=also, depth=depth)
            for one in (scaling.at(obj, kind, end) for end in ends)
        )
        return scaling.between(least, most)
    counting = _Counting(known=known, accelerators=accelerators, also=also, depth=depth)
    why = _makes_none(obj, kind)
    if why:
        return _summed(obj, kind, _Parts(notes=[why]))
    obj, held, parts = workflows.opened(obj, kind), is_held(obj, kind), _Parts()
    given = Given(runtime=runtime, also=also, held=held, unusable={})
    parts.roles += _own(obj, kind, counting, given)
    parts.unusable += [sums.no_count(at, value) for at, value in given.unusable.items()]
    if depth < MAX_DEPTH:
        _add_inner(obj, kind, counting, parts, held=held)
    parts.notes += _unread(obj, kind, [*parts.roles, *parts.made])
    parts.notes += workflows.notes(obj, kind) + extras.notes(obj, kind)
    if kind.name == trainings.NAME:
        parts.notes += trainings.notes(obj, runtime)
    if kind.source:
        parts.notes += unmatched.sentences(obj, kind, locate.templates(obj, kind, known))
    return _summed(obj, kind, parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counting:
    """What is known while an object is counted, and those inside it."""

    known: Catalogue
    accelerators: Mapping[str, Accelerator]
    also: Also | None
    depth: int

    def within(self, obj: Any, kind: Kind) -> Demand:
        """Count an object that lies in the one that is counted."""
        return of(obj, kind, self.known, self.accelerators, also=self.also, depth=self.depth + 1)


@dataclass(slots=True, kw_only=True)
class _Parts:
    """What was counted of an object so far. `made` are the roles of what its templates make."""

    roles: list[RoleDemand] = field(default_factory=list)
    made: list[RoleDemand] = field(default_factory=list)
    counted: list[workflows.Counted] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)  # why the API server would refuse it


def _makes_none(obj: Any, kind: Kind) -> str:
    """Tell why an object makes no pods of its own, if it doesn't."""
    if kind.makes_no_pods(obj):
        return f"this {kind.kind} makes no pods: {kind.no_pods_why}"
    if kind.template:
        article = "an" if kind.kind[0] in "AEIO" else "a"
        return f"{article} {kind.kind} makes no pods itself"
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
    return kind.finishes and (
        lookup(status, ("state", "phase")) in _OVER_FOR_VOLCANO
        or any(
            isinstance(one, dict) and _says_over(one)
            for one in (conditions if isinstance(conditions, list) else ())
        )
    )


def _says_over(condition: Mapping[str, Any]) -> bool:
    """Read a condition; of Tekton's runs one says both how they ended and that they did."""
    kind, status = condition.get("type"), condition.get("status")
    return kind in _OVER and (status == "True" or (kind == "Succeeded" and status == "False"))


def is_held(obj: Any, kind: Kind) -> bool:
    """Tell whether an object is suspended, stopped or gated: it runs nothing until that ends."""
    if not kind.group and kind.kind == "Pod":
        return bool(lookup(obj, ("spec", "schedulingGates")))
    return bool(kind.suspend and kind.suspend.holds(obj))


# --- roles -------------------------------------------------------------------------------------


def _own(obj: Any, kind: Kind, counting: _Counting, given: Given) -> list[RoleDemand]:
    planned = workflows.planned(obj, kind)
    roles = []
    for template in locate.templates(obj, kind, counting.known, depth=locate.MAX_DEPTH):
        request = requests.of_template(obj, template)
        classes = _devices(obj, template, counting.accelerators, request)
        if given.also:
            given.also(request, lookup(obj, template.pod_spec), classes)
        extent = planned.pop(template.role, None)
        if extent is None:
            extent = (
                _NOTHING
                if kind.counter in workflows.PLANNED
                else _range(obj, kind, template, request, given)
            )
        roles.append(role_demand(template.role, request, extent, held=given.held, classes=classes))
    # what runs a container that is written elsewhere
    if not roles and kind.name == "TaskRun.tekton.dev":
        planned = {"task": Range(1, 1)}
    for name, extent in planned.items():
        request, classes = _propagated(obj, kind, name, counting.accelerators)
        if given.also:
            given.also(request, {}, classes)
        roles.append(role_demand(name, request, extent, held=given.held, classes=classes))
    return roles + extras.of(obj, kind, roles, given.held)


def _propagated(
    obj: Any, kind: Kind, role: str, accelerators: Mapping[str, Accelerator]
) -> tuple[PodRequest, dict[str, str]]:
    """Count what pods without a template here get by the annotations that are copied to them."""
    request = PodRequest()
    intents = read(lookup(obj, ("metadata", "annotations"))) if kind.propagates else None
    if intents is None or (intents.roles and role.lower() not in intents.roles):
        return request, {}
    return request, _of_intents(intents, accelerators, request, requested=True, claimed=True)


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
    computes = template.definition.compute
    later = template.kind.accepts is not None and "resources" not in template.kind.accepts
    return _of_intents(
        intents, accelerators, request, requested=computes and later, claimed=computes
    )


def _of_intents(
    intents: Intents,
    accelerators: Mapping[str, Accelerator],
    request: PodRequest,
    *,
    requested: bool,
    claimed: bool,
) -> dict[str, str]:
    """Name the classes asked for by resource; add what a pod gets of them when it is made."""
    names = {}
    for device in intents.accelerator:
        found = accelerators.get(device.device_class)
        if found is None:
            continue
        resource = found.resource or f"deviceclass/{found.device_class_name}"
        if requested if found.resource else claimed:
            each = 1 if found.resource else max(len(intents.containers), 1)
            request.amounts.values.setdefault(resource, Decimal(device.count * each))
        names[resource] = found.name
    return names


def _add_inner(obj: Any, kind: Kind, counting: _Counting, parts: _Parts, *, held: bool) -> None:
    """Count what lies inside an object."""
    if kind.counter == triggers.COUNTER:
        parts.notes += triggers.notes(obj, kind, counting.known, counting.within)
        return
    for made in workflows.made(obj, kind, counting.known):
        parts.counted.append(workflows.Counted(made, counting.within(made.object, made.kind)))
    parts.made += workflows.roles_of(obj, kind, parts.counted, held=held)
    inner = [one.demand for one in parts.counted]
    if kind.counter not in workflows.PLANNED:
        inner += _inner(obj, kind, counting, held=held)
        parts.roles += [role for one in inner for role in one.roles]
    for one in inner:
        parts.notes += one.notes
        parts.unusable += one.unusable


def _inner(obj: Any, kind: Kind, counting: _Counting, *, held: bool) -> list[Demand]:
    """Count the objects inside an object, as often as it makes them."""
    times = counters.times(obj, kind)
    known = counting.known
    found = []
    in_it = locate.objects(obj, kind, known) + locate.in_strings(obj, kind, known)
    for _, inner, inner_kind in in_it:
        one = counting.within(inner, inner_kind)
        for role in one.roles:
            steady, peak = Share(), Share()
            steady.add(role.steady, 0 if held else times)
            peak.add(role.peak, times)
            role.steady, role.peak = steady, peak
        found.append(one)
    return found


# --- sums --------------------------------------------------------------------------------------


def _summed(obj: Any, kind: Kind, parts: _Parts) -> Demand:
    steady, peak = Share(), Share()
    if kind.counter in workflows.PLANNED and parts.roles:
        workflows.add(obj, kind, parts.roles, parts.counted, steady=steady, peak=peak)
    else:
        for role in parts.roles:
            steady.add(role.steady)
            peak.add(role.peak)
    return Demand(
        steady=steady,
        peak=peak,
        roles=(*parts.roles, *parts.made),
        notes=tuple(dict.fromkeys(parts.notes)),
        unusable=tuple(parts.unusable),
    )


def _unread(obj: Any, kind: Kind, roles: list[RoleDemand]) -> list[str]:
    notes = [
        f"{role.name}: {text} can't be read as a quantity and isn't counted"
        for role in roles
        for text in role.request.unreadable
    ]
    notes += [
        f"{role.name}: {text} is a part of a GPU whose size isn't known here, and isn't counted"
        for role in roles
        for text in role.request.parts
    ]
    notes += [
        f"{locate.written(one.path)}: {one.what}: {one.opaque}; it isn't counted"
        for one in locate.hidden(obj, kind)
        if one.opaque and one.what != "the configuration of Ray Serve"
    ]
    return notes
