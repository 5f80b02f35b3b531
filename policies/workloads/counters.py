"""
How many pods an object makes, for the kinds whose fields alone can't say it.

An entry of the catalogue names one of these functions as its `counter`. Each gets an `Asked` and
gives the pods of one template, at the steady state and at the peak: the kind's own maximum, and
what a rolling update adds where the object says so itself, or its API by default.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from policies.patch import Path, lookup
from policies.workloads import trainings
from policies.workloads.catalogue import Kind
from policies.workloads.counts import (
    MOST,
    Asked,
    Pods,
    Range,
    by_fields,
    evaluated,
    percentage,
    whole,
)
from policies.workloads.paths import path

_KNATIVE = "autoscaling.knative.dev/"
_KSERVE_BY_KNATIVE = ("Serverless", "Knative")
_KSERVE_SCALER = "serving.kserve.io/autoscalerClass"


def of(asked: Asked) -> Range:
    """Count the pods of one template, as if nothing held them back."""
    counter = COUNTERS.get(asked.kind.counter)
    return counter(asked) if counter else by_fields(asked)


# --- Kubernetes --------------------------------------------------------------------------------


def _deployment(asked: Asked) -> Range:
    replicas = asked.number("spec.replicas", 1)
    strategy = lookup(asked.obj, ("spec", "strategy")) or {}
    if not isinstance(strategy, dict) or strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return Range(replicas, replicas)
    surge = lookup(strategy, ("rollingUpdate", "maxSurge"))
    return Range(replicas, replicas + percentage(surge, replicas, default="25%"))


def _daemonset(asked: Asked) -> Range:
    """One on each node: only the cluster knows, and says so in the status."""
    known = asked.number("status.desiredNumberScheduled")
    strategy = lookup(asked.obj, ("spec", "updateStrategy"))
    if known is None or lookup(strategy, ("type",)) not in (None, "RollingUpdate"):
        return Range(known, known)
    surge = lookup(strategy, ("rollingUpdate", "maxSurge"))
    return Range(known, known + percentage(surge, known, default="0"))


def _parallel(asked: Asked, spec: Path) -> int:
    """Count the pods of a batch/v1 JobSpec that run at once."""
    parallelism = asked.count((*spec, "parallelism"))
    completions = asked.count((*spec, "completions"))
    at_once = 1 if parallelism is None else parallelism
    return at_once if completions is None else min(at_once, completions)


def _job(asked: Asked) -> Range:
    pods = _parallel(asked, ("spec",))
    return Range(pods, pods)


def _runs(asked: Asked, pods: int) -> Range:
    """Count what runs by a schedule: nothing at rest, and runs may overlap if they are let."""
    policy = lookup(asked.obj, ("spec", "concurrencyPolicy"))
    return Range(0, pods if policy in ("Forbid", "Replace") else None)


def _cronjob(asked: Asked) -> Range:
    if asked.kind.group != "batch":
        return _runs(asked, evaluated(asked, asked.template.definition.replicas))
    return _runs(asked, _parallel(asked, ("spec", "jobTemplate", "spec")))


def _jobset(asked: Asked) -> Range:
    spec = (*asked.template.element, "template", "spec")
    pods = min(asked.here("replicas", 1) * _parallel(asked, spec), MOST)
    return Range(pods, pods)


def _scaledjob(asked: Asked) -> Range:
    each = _parallel(asked, ("spec", "jobTargetRef"))
    least, most = asked.number("spec.minReplicaCount", 0), asked.number("spec.maxReplicaCount", 100)
    return Range(each * least, each * max(most, least))


def _rollout(asked: Asked) -> Range:
    return rollout(asked.obj)


def rollout(obj: Any) -> Range:
    """Count a Rollout, wherever its template is."""
    written = whole(lookup(obj, ("spec", "replicas")))
    replicas = 1 if written is None else written
    canary = lookup(obj, ("spec", "strategy", "canary"))
    if isinstance(lookup(obj, ("spec", "strategy", "blueGreen")), dict):
        preview = whole(lookup(obj, ("spec", "strategy", "blueGreen", "previewReplicaCount")))
        # what is promoted is scaled up to all of it before the old goes
        return Range(replicas, replicas + max(preview or 0, replicas))
    if canary is None:
        return Range(replicas, replicas)
    if lookup(canary, ("trafficRouting",)) is not None:
        return Range(replicas, replicas * 2)  # all of the old stays until the new has all traffic
    surge = lookup(canary, ("maxSurge",))
    return Range(replicas, replicas + percentage(surge, replicas, default="25%"))


def _groups(asked: Asked, at: Path, times: int = 1) -> Range:
    """Count a LeaderWorkerSet: groups of `size` pods, of which one is the leader."""
    spec = lookup(asked.obj, at)
    written = asked.count((*at, "replicas"))
    groups = 1 if written is None else written
    found = asked.count((*at, "leaderWorkerTemplate", "size"))
    size = 1 if found is None else found
    surge = lookup(spec, ("rolloutStrategy", "rollingUpdateConfiguration", "maxSurge"))
    most = groups + percentage(surge, groups, default="0")
    has_leader = isinstance(lookup(spec, ("leaderWorkerTemplate", "leaderTemplate")), dict)
    each = size  # without a template of its own, the leader is made of the workers'
    if has_leader:
        each = 1 if asked.template.role == "leader" else max(size - 1, 0)
    return Range(groups * each * times, most * each * times)


def _leaderworkerset(asked: Asked) -> Range:
    return _groups(asked, ("spec",))


def _disaggregatedset(asked: Asked) -> Range:
    return _groups(asked, (*asked.template.element, "spec"), asked.number("spec.slices", 1))


# --- training ----------------------------------------------------------------------------------


def _elastic(asked: Asked) -> Range:
    replicas = asked.here("replicas")
    least = asked.number("spec.elasticPolicy.minReplicas")
    most = asked.number("spec.elasticPolicy.maxReplicas")
    least = most if least is None else least  # the operator's own default
    if asked.template.role != "worker":
        least = most = None
    steady = next((one for one in (replicas, least, 1) if one is not None), 1)
    return Range(steady, max(steady, most or 0))


def _ray_spec(asked: Asked) -> Any:
    for member in ("jobTemplate", "rayClusterSpec", "rayClusterConfig"):
        if isinstance(lookup(asked.obj, ("spec", member)), dict):
            if member == "jobTemplate":
                return lookup(asked.obj, ("spec", member, "rayClusterSpec"))
            return lookup(asked.obj, ("spec", member))
    return lookup(asked.obj, ("spec",))


def _ray(asked: Asked) -> Range:
    found = _ray_cluster(asked)
    if asked.kind.kind != "RayService":
        return found
    upgrade = lookup(asked.obj, ("spec", "upgradeStrategy", "type"))
    if upgrade in ("None", "NewClusterWithIncrementalUpgrade"):
        return found
    # an upgrade without downtime runs a second cluster beside the first
    return Range(found.steady, None if found.peak is None else found.peak * 2)


def _ray_cluster(asked: Asked) -> Range:
    if asked.template.role == "submitter":
        mode = lookup(asked.obj, ("spec", "submissionMode")) or "K8sJobMode"
        pods = int(mode == "K8sJobMode")
        return Range(pods, pods)
    if lookup(asked.obj, ("spec", "clusterSelector")):
        return Range(0, 0)  # it runs in a cluster that is there already
    if asked.template.role == "head":
        return Range(1, 1)
    hosts = asked.here("numOfHosts", 1)
    least, most = asked.here("minReplicas", 0), asked.here("maxReplicas", MOST)
    written = asked.here("replicas", least)
    pods = min(max(written, least), most) * hosts
    held = lookup(asked.obj, (*asked.template.element, "suspend")) is True
    steady = 0 if held else pods
    if lookup(_ray_spec(asked), ("enableInTreeAutoscaling",)) is not True:
        return Range(steady, pods)
    return Range(steady, None if most >= MOST else max(most * hosts, pods))


def _raycronjob(asked: Asked) -> Range:
    return Range(0, None)  # nothing keeps its runs apart


def _spark(asked: Asked) -> Range:
    if asked.template.role != "executor":
        return Range(1, 1)
    spec = lookup(asked.obj, asked.template.pod_spec[: asked.template.pod_spec.index("executor")])
    instances = whole(lookup(spec, ("executor", "instances")))
    dynamic = lookup(spec, ("dynamicAllocation",))
    if not isinstance(dynamic, dict) or dynamic.get("enabled") is not True:
        default = 0 if asked.kind.kind == "SparkConnect" else 1
        pods = default if instances is None else instances
        return Range(pods, pods)
    numbers = [whole(dynamic.get(name)) for name in ("initialExecutors", "minExecutors")]
    steady = max([number or 0 for number in (*numbers, instances)])
    most = whole(dynamic.get("maxExecutors"))
    return Range(steady, None if most is None else max(most, steady))


def _scheduledspark(asked: Asked) -> Range:
    peak = _spark(asked).peak
    return Range(0, None) if peak is None else _runs(asked, peak)


# --- serving -----------------------------------------------------------------------------------


def _knative(asked: Asked) -> Range:
    annotations = lookup(asked.obj, (*(asked.template.metadata or ()), "annotations"))
    return _serverless(annotations if isinstance(annotations, dict) else {})


def _serverless(annotations: dict[str, Any]) -> Range:
    """Count by Knative's annotations; the first names are the ones of old."""

    def bound(*names: str) -> int | None:
        found = [whole(annotations.get(_KNATIVE + name)) for name in names]
        return next((one for one in found if one is not None), None)

    least, most = bound("min-scale", "minScale") or 0, bound("max-scale", "maxScale") or 0
    return Range(least, max(most, least) if most else None)


def _inferenceservice(asked: Asked) -> Range:
    role = asked.template.role
    if role.startswith("canary"):
        pods = asked.here("predictor.minReplicas", 1)
        return Range(pods * _nodes(asked), pods * _nodes(asked))
    component = "predictor" if role == "worker" else role
    least = asked.number(f"spec.{component}.minReplicas", 1)
    most = asked.number(f"spec.{component}.maxReplicas", 0)
    annotations = lookup(asked.obj, ("metadata", "annotations")) or {}
    mode = annotations.get("serving.kserve.io/deploymentMode", "Serverless")
    if mode not in _KSERVE_BY_KNATIVE and annotations.get(_KSERVE_SCALER) != "none":
        least = max(least, 1)  # its HorizontalPodAutoscaler keeps one, whatever is written
    if most:
        peak: Pods = max(most, least)
    else:
        peak = None if mode in _KSERVE_BY_KNATIVE else least
    if role == "worker":
        times = _nodes(asked)
        return Range(least * times, None if peak is None else peak * times)
    return Range(least, peak)


def _nodes(asked: Asked) -> int:
    """Count the workers beside the head of a predictor over several nodes; 1 for the head."""
    if not asked.template.role.endswith("worker"):
        return 1
    spec = lookup(asked.obj, asked.template.pod_spec)
    pipeline = whole(lookup(spec, ("pipelineParallelSize",))) or 1
    tensor = whole(lookup(spec, ("tensorParallelSize",))) or 1
    # kserve pkg/controller: with Ray, as many nodes as hold all of the ranks
    nodes = math.ceil(tensor * pipeline / max(asked.devices(), 1))
    return max(nodes - 1, 1 if pipeline > 1 else 0)


def _servingruntime(asked: Asked) -> Range:
    """Count the pods of ModelMesh; any other runtime is a template for InferenceServices."""
    if lookup(asked.obj, ("spec", "multiModel")) is not True:
        return Range(0, 0)
    pods = asked.number("spec.replicas", 2)  # ModelMesh's podsPerRuntime
    return Range(pods, pods)


def _llminferenceservice(asked: Asked) -> Range:
    role = asked.template.role
    if role in ("scheduler", "tokenizer"):
        pods = asked.number("spec.router.scheduler.replicas", 1)
        return Range(pods, pods)
    base = "spec.prefill" if role.startswith("prefill") else "spec"
    replicas = asked.number(f"{base}.replicas")
    least = asked.number(f"{base}.scaling.minReplicas")
    most = asked.number(f"{base}.scaling.maxReplicas")
    steady = next((one for one in (replicas, least, 1) if one is not None), 1)
    each = _group_size(lookup(asked.obj, path(f"{base}.parallelism"))) - 1
    times = max(each, 0) if role.endswith("worker") else 1
    return Range(steady * times, max(steady, most or 0) * times)


def _group_size(parallelism: Any) -> int:
    """Tell how many pods serve together: `ParallelismSpec.GetSize` of KServe."""
    data = whole(lookup(parallelism, ("data",)))
    local = whole(lookup(parallelism, ("dataLocal",)))
    if data or local:
        return max(1, (data or 1) // (local or 1))
    return whole(lookup(parallelism, ("pipeline",))) or 1


def _openfunction(asked: Asked) -> Range:
    base = "spec" if asked.kind.kind == "Serving" else "spec.serving"
    least = asked.number(f"{base}.scaleOptions.minReplicas", 0)
    most = asked.number(f"{base}.scaleOptions.maxReplicas", 0)
    return Range(least, max(most, least) if most else None)


def _seldondeployment(asked: Asked) -> Range:
    if asked.template.role == "explainer":
        pods = asked.here("explainer.replicas", 1)
        return Range(pods, pods)
    predictor = asked.template.element[:3]
    written = (
        asked.here("replicas"),
        whole(lookup(asked.obj, (*predictor, "replicas"))),
        asked.number("spec.replicas"),
    )
    least = asked.here("hpaSpec.minReplicas", asked.here("kedaSpec.minReplicaCount"))
    most = asked.here("hpaSpec.maxReplicas", asked.here("kedaSpec.maxReplicaCount"))
    steady = next((one for one in (*written, least) if one is not None), 1)
    return Range(steady, max(steady, most or 0))


def _dataload(asked: Asked) -> Range:
    policy = lookup(asked.obj, ("spec", "policy"))
    return Range(0 if policy in ("Cron", "OnEvent") else 1, 1)


def _on_event(asked: Asked) -> Range:
    return Range(0, None)  # a Job for each event


def _fluid(asked: Asked) -> Range:
    if asked.template.role == "fuse":
        return Range(0, None)  # one on each node where a pod mounts the dataset
    if asked.template.role == "worker":
        pods = asked.number("spec.replicas", asked.number("spec.worker.replicas", 0))
    else:
        pods = asked.number("spec.master.replicas", 0 if asked.kind.kind == "JuiceFSRuntime" else 1)
    return Range(pods, pods)


COUNTERS: dict[str, Callable[[Asked], Range]] = {
    "cronjob": _cronjob,
    "daemonset": _daemonset,
    "dataload": _dataload,
    "deployment": _deployment,
    "disaggregatedset": _disaggregatedset,
    "elastic": _elastic,
    "fluid": _fluid,
    "inferenceservice": _inferenceservice,
    "job": _job,
    "jobset": _jobset,
    "knative": _knative,
    "leaderworkerset": _leaderworkerset,
    "llminferenceservice": _llminferenceservice,
    "on_event": _on_event,
    "openfunction": _openfunction,
    "ray": _ray,
    "raycronjob": _raycronjob,
    "rollout": _rollout,
    "scaledjob": _scaledjob,
    "scheduledspark": _scheduledspark,
    "seldondeployment": _seldondeployment,
    "servingruntime": _servingruntime,
    "spark": _spark,
    "trainjob": trainings.count,
}

# How often an object makes what lies inside it.
_TIMES: dict[str, Callable[[Any], Pods]] = {
    "experiment": lambda obj: min(
        _or(obj, "spec.parallelTrialCount", 3), _or(obj, "spec.maxTrialCount", MOST)
    ),
    "optimizationjob": lambda obj: _or(obj, "spec.parallelTrials", 1),
}


def _or(obj: Any, text: str, default: int) -> int:
    found = whole(lookup(obj, path(text)))
    return default if found is None else found


def times(obj: Any, kind: Kind) -> Pods:
    """Tell how often at once an object makes the objects that lie inside it."""
    found = _TIMES.get(kind.counter)
    return found(obj) if found else 1
