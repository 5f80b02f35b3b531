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
from typing import Any

from policies.intents import read
from policies.model import Accelerator
from policies.patch import Path, lookup
from policies.workloads import counters, locate, requests, steps, sums, trainings
from policies.workloads.catalogue import Catalogue, Kind
from policies.workloads.counts import Asked, Given, Pods, Range, whole
from policies.workloads.locate import Template
from policies.workloads.requests import PodRequest
from policies.workloads.shares import Demand, RoleDemand, Share
from policies.workloads.steps import Plan

MAX_DEPTH = 4
_OVER = frozenset({"Complete", "Completed", "Failed", "Succeeded", "Finished"})
_NOTHING = Range(0, 0)
# kuberay: the submitter's pod where none is written, and the autoscaler beside the head
_SUBMITTER = {"cpu": "500m", "memory": "200Mi"}
_AUTOSCALER = {"cpu": "500m", "memory": "512Mi"}


def of(
    obj: Any,
    kind: Kind,
    known: Catalogue,
    accelerators: Mapping[str, Accelerator],
    *,
    range_of: Range | None = None,
    runtime: Any = None,
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
        held = _is_held(obj, kind)
        counts: dict[Path, Any] = {}
        given = Given(range_of=range_of, runtime=runtime, held=held, unusable=counts)
        roles += _own(obj, kind, known, accelerators, given)
        unusable += [sums.no_count(at, value) for at, value in counts.items()]
        if depth < MAX_DEPTH:
            for inner in _inner(obj, kind, known, accelerators, depth=depth, held=held):
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


def _is_held(obj: Any, kind: Kind) -> bool:
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
        extent = given.range_of or planned.pop(template.role, None)
        if extent is None:
            extent = (
                _NOTHING
                if kind.counter in _PLANNED
                else _range(obj, kind, template, request, given)
            )
        roles.append(_role(template.role, request, extent, held=given.held, classes=classes))
    # what runs a container that is written elsewhere
    held = given.held
    roles += [_role(name, PodRequest(), extent, held=held) for name, extent in planned.items()]
    extra = _EXTRAS.get(kind.name)
    if extra:
        roles += extra(obj, roles, held)
    return roles


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


def _role(
    name: str,
    request: PodRequest,
    extent: Range,
    *,
    held: bool = False,
    classes: Mapping[str, str] | None = None,
) -> RoleDemand:
    extent = Range(0, extent.peak) if held else extent
    return RoleDemand(
        name=name,
        steady=_share(request, extent.steady),
        peak=_share(request, extent.peak),
        request=request,
        range=extent,
        classes=classes or {},
    )


def _share(request: PodRequest, pods: Pods) -> Share:
    share = Share()
    share.add(Share(pods=1, amounts=request.amounts), pods)
    return share


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
    depth: int,
    held: bool,
) -> list[Demand]:
    """Count what lies inside an object, as often as the object makes it."""
    times = counters.times(obj, kind)
    found = []
    for _, inner, inner_kind in locate.objects(obj, kind, known):
        if kind.category == "workflow":
            continue  # made when something triggers it
        one = of(inner, inner_kind, known, accelerators, depth=depth + 1)
        for role in one.roles:
            steady, peak = Share(), Share()
            steady.add(role.steady, 0 if held else times)
            peak.add(role.peak, times)
            role.steady, role.peak = steady, peak
        found.append(one)
    return found


def _submitter(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    """Add the pod that submits a RayJob, and the autoscaler beside the head."""
    _autoscaler(obj, roles, held)
    mode = lookup(obj, ("spec", "submissionMode")) or "K8sJobMode"
    if mode != "K8sJobMode" or any(role.name == "submitter" for role in roles):
        return []
    return [_role("submitter", _request(_SUBMITTER), Range(1, 1), held=held)]


def _autoscaler(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    for members in ((), ("rayClusterSpec",), ("rayClusterConfig",)):
        if lookup(obj, ("spec", *members, "enableInTreeAutoscaling")) is True:
            for role in roles:
                if role.name == "head":
                    role.request.amounts.add(_request(_AUTOSCALER).amounts)
                    role.steady = _share(role.request, role.range.steady)
                    role.peak = _share(role.request, role.range.peak)
    return []


def _suggestion(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    """Add the pod that suggests an Experiment's parameters; its resources are Katib's."""
    if lookup(obj, ("spec", "trialTemplate")) is None:
        return []
    return [_role("suggestion", PodRequest(), Range(1, 1), held=held)]


def _initializers(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    initializer = lookup(obj, ("spec", "initializer"))
    return [
        _role(f"{name}-initializer", PodRequest(), Range(1, 1), held=held)
        for name in ("dataset", "model")
        if isinstance(initializer, dict) and initializer.get(name) is not None
    ]


def _components(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    """Add what a Fluid runtime runs without a word about it: a master, workers, a fuse a node."""
    there = {role.name for role in roles}
    kind = obj.get("kind")
    masters = 0 if kind in ("JuiceFSRuntime", "ThinRuntime") else 1
    found = {"master": masters, "worker": whole(lookup(obj, ("spec", "replicas"))) or 0}
    missing = [
        _role(name, PodRequest(), Range(pods, pods), held=held)
        for name, pods in found.items()
        if pods and name not in there
    ]
    if "fuse" not in there:
        missing.append(_role("fuse", PodRequest(), Range(0, None), held=held))
    return missing


def _task(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    return [] if roles else [_role("task", PodRequest(), Range(1, 1), held=held)]


_EXTRAS: dict[str, Callable[[Any, list[RoleDemand], bool], list[RoleDemand]]] = {
    **{
        f"{name}Runtime.data.fluid.io": _components
        for name in ("Alluxio", "EFC", "Jindo", "JuiceFS", "Thin", "Vineyard")
    },
    "Experiment.kubeflow.org": _suggestion,
    "RayCluster.ray.io": _autoscaler,
    "RayJob.ray.io": _submitter,
    "RayService.ray.io": _autoscaler,
    "TaskRun.tekton.dev": _task,
    "TrainJob.trainer.kubeflow.org": _initializers,
}


def _request(quantities: Mapping[str, str]) -> PodRequest:
    request = PodRequest()
    for name, text in quantities.items():
        request.amounts.put(name, text)
    return request


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
