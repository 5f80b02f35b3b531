"""
Pods and containers that an operator adds of its own, for the kinds of which no template tells.

The submitter of a RayJob, the job servers of Alluxio, the pods of a SparkConnect without templates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from policies.patch import lookup
from policies.workloads import counters, requests
from policies.workloads.catalogue import Kind
from policies.workloads.counts import Range, whole
from policies.workloads.requests import PodRequest
from policies.workloads.shares import RoleDemand, role_demand, share_of

# kuberay: the submitter's pod where none is written, and the autoscaler beside the head
_SUBMITTER = {"cpu": "500m", "memory": "200Mi"}
_APART = "seldon.io/engine-separate-pod"
_AUTOSCALER = {"cpu": "500m", "memory": "512Mi"}


def of(obj: Any, kind: Kind, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    """Give the roles that no template tells of; containers beside others are added to theirs."""
    extra = _EXTRAS.get(kind.name)
    return extra(obj, roles, held) if extra else []


def _submitter(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    """Add the pod that submits a RayJob, and the autoscaler beside the head."""
    _autoscaler(obj, roles, held)
    mode = lookup(obj, ("spec", "submissionMode")) or "K8sJobMode"
    if mode == "SidecarMode":
        _beside_head(roles, _SUBMITTER)
    if mode != "K8sJobMode" or any(role.name == "submitter" for role in roles):
        return []
    return [role_demand("submitter", _request(_SUBMITTER), Range(1, 1), held=held)]


def _autoscaler(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    for members in ((), ("rayClusterSpec",), ("rayClusterConfig",)):
        if lookup(obj, ("spec", *members, "enableInTreeAutoscaling")) is True:
            _beside_head(roles, _AUTOSCALER)
    return []


def _beside_head(roles: list[RoleDemand], quantities: Mapping[str, str]) -> None:
    for role in roles:
        if role.name == "head":
            _beside(role, _request(quantities))


def _suggestion(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    """Add the pod that suggests an Experiment's parameters; its resources are Katib's."""
    if lookup(obj, ("spec", "trialTemplate")) is None:
        return []
    return [role_demand("suggestion", PodRequest(), Range(1, 1), held=held)]


def _initializers(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    initializer = lookup(obj, ("spec", "initializer"))
    return [
        role_demand(f"{name}-initializer", PodRequest(), Range(1, 1), held=held)
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
        role_demand(name, PodRequest(), Range(pods, pods), held=held)
        for name, pods in found.items()
        if pods and name not in there
    ]
    if "fuse" not in there:
        missing.append(role_demand("fuse", PodRequest(), Range(0, None), held=held))
    return missing


def _alluxio(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    """Add the job servers, which Alluxio runs beside its masters and workers, in their pods."""
    found = [*roles, *_components(obj, roles, held)]
    for role in found:
        member = {"master": "jobMaster", "worker": "jobWorker"}.get(role.name, "")
        if member:
            beside = lookup(obj, ("spec", member))
            _beside(role, requests.of_container(beside) if isinstance(beside, dict) else None)
    return found[len(roles) :]


def _beside(role: RoleDemand, other: PodRequest | None) -> None:
    """Count one more container in each pod of a role."""
    if other is not None:
        role.request.amounts.add(other.amounts)
        role.steady = share_of(role.request, role.range.steady)
        role.peak = share_of(role.request, role.range.peak)


def _connect(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    """Add the pods of a SparkConnect that are made without a template."""
    there = {role.name for role in roles}
    instances = whole(lookup(obj, ("spec", "executor", "instances"))) or 0
    return [
        role_demand(name, requests.of_jvm(lookup(obj, ("spec", name)) or {}), extent, held=held)
        for name, extent in (
            ("executor", _executors(obj, instances)),
            ("server", Range(1, 1)),
        )
        if name not in there
    ]


def _executors(obj: Any, instances: int) -> Range:
    dynamic = lookup(obj, ("spec", "dynamicAllocation"))
    if not isinstance(dynamic, dict) or dynamic.get("enabled") is not True:
        return Range(instances, instances)
    numbers = [whole(dynamic.get(name)) or 0 for name in ("initialExecutors", "minExecutors")]
    steady = max(*numbers, instances)
    most = whole(dynamic.get("maxExecutors"))
    return Range(steady, None if most is None else max(most, steady))


def _seldon(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    """Add Seldon's own servers, and the orchestrator in or beside each predictor's pods."""
    servers = _prepackaged(obj, roles, held)
    apart = lookup(obj, ("spec", "annotations", _APART)) == "true"
    components = iter([one for one in roles if one.name == "predictor"])
    without = iter(servers)
    found = []
    predictors = lookup(obj, ("spec", "predictors"))
    for one in predictors if isinstance(predictors, list) else ():
        specs = lookup(one, ("componentSpecs",))
        listed = specs if isinstance(specs, list) else ()
        own = [next(components, None) for _ in listed] or [next(without, None)]
        request = _orchestrator(one)
        if apart and own[0] is not None:
            pods = whole(lookup(one, ("svcOrchSpec", "replicas")))
            extent = own[0].range if pods is None else Range(pods, pods)
            found.append(role_demand("orchestrator", request, extent, held=held))
        elif own[0] is not None:
            _beside(own[0], request)
    return [*servers, *found]


def _orchestrator(predictor: Any) -> PodRequest:
    written = lookup(predictor, ("svcOrchSpec", "resources"))
    return requests.of_container({"resources": written} if isinstance(written, dict) else {})


def _prepackaged(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    """Add Seldon's own servers: one for a predictor without components, as its graph names it."""
    predictors = lookup(obj, ("spec", "predictors"))
    everywhere = whole(lookup(obj, ("spec", "replicas")))
    found = []
    for one in predictors if isinstance(predictors, list) else ():
        if isinstance(one, dict) and not one.get("componentSpecs"):
            own = whole(one.get("replicas"))
            pods = next(number for number in (own, everywhere, 1) if number is not None)
            found.append(role_demand("predictor", PodRequest(), Range(pods, pods), held=held))
    return found


def _flagd(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    """Add the servers of feature flags."""
    written = whole(lookup(obj, ("spec", "replicas")))
    pods = 1 if written is None else written
    return [role_demand("flagd", PodRequest(), Range(pods, pods), held=held)]


def _workspace(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    """Add the one pod of a Workspace."""
    return [role_demand("workspace", PodRequest(), Range(1, 1), held=held)]


def _referring(obj: Any, roles: list[RoleDemand], held: bool) -> list[RoleDemand]:
    """Add the pods of a Rollout whose template is a Deployment's."""
    if roles or lookup(obj, ("spec", "workloadRef")) is None:
        return []
    return [role_demand("pod", PodRequest(), counters.rollout(obj), held=held)]


def notes(obj: Any, kind: Kind) -> list[str]:
    """Say which pods, or what of those that are counted, others tell."""
    if kind.name == "Experiment.kubeflow.org":
        name = lookup(obj, ("spec", "trialTemplate", "configMap", "configMapName"))
        where = "spec.trialTemplate.configMap"
        lost = f'{where}: the trials are in the ConfigMap "{name}"; their pods aren\'t counted'
        return [lost] if name else []
    if kind.name == "Workspace.kubeflow.org":
        name = lookup(obj, ("spec", "kind"))
        return [
            f'spec.kind: the WorkspaceKind "{name}" says what its pod asks for; it isn\'t counted'
        ]
    reference = lookup(obj, ("spec", "workloadRef")) if kind.kind == "Rollout" else None
    if not isinstance(reference, dict):
        return []
    named = f'{reference.get("kind") or "Deployment"} "{reference.get("name")}"'
    return [f"spec.workloadRef: the template is the {named}'s; what its pods ask for isn't counted"]


_EXTRAS: dict[str, Callable[[Any, list[RoleDemand], bool], list[RoleDemand]]] = {
    **{
        f"{name}Runtime.data.fluid.io": _components
        for name in ("EFC", "Jindo", "JuiceFS", "Thin", "Vineyard")
    },
    "AlluxioRuntime.data.fluid.io": _alluxio,
    "Experiment.kubeflow.org": _suggestion,
    "RayCluster.ray.io": _autoscaler,
    "RayJob.ray.io": _submitter,
    "RayService.ray.io": _autoscaler,
    "Flagd.core.openfeature.dev": _flagd,
    "Rollout.argoproj.io": _referring,
    "SeldonDeployment.machinelearning.seldon.io": _seldon,
    "SparkConnect.sparkoperator.k8s.io": _connect,
    "TrainJob.trainer.kubeflow.org": _initializers,
    "Workspace.kubeflow.org": _workspace,
}


def _request(quantities: Mapping[str, str]) -> PodRequest:
    request = PodRequest()
    for name, text in quantities.items():
        request.amounts.put(name, text)
    return request
