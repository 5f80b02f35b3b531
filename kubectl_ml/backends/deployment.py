"""
Serving with what every cluster has: a Deployment, a Service, and something that scales them.

    --scale min=1,max=5,metric=cpu,target=70    a HorizontalPodAutoscaler
    --scale min=3,max=3                         three replicas
    --scale min=0,max=5 --trigger {type: …}     a ScaledObject of KEDA
    --expose iris.example.com                   an Ingress of the default class

Plain Kubernetes counts no requests, so `concurrency` and `rps` can't be scaled on here, and only a
trigger that looks outside the pods can wake what has none.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubectl_ml.backends import predictor
from kubectl_ml.backends.backend import Backend, Phase, State, condition
from kubectl_ml.errors import PluginError
from kubectl_ml.serving import ServeSpec, intent_annotations
from policies import intents
from policies.model import Manifest

_METRICS = ("cpu", "memory")
_DEFAULT_CPU_PERCENT = "80"
_PROGRESS_DEADLINE_SECONDS = 3600  # fetching a large model takes its time before any probe runs
_TRIGGER = (
    "name what wakes it, --trigger '{type: prometheus, metadata: {serverAddress: …, query: …, "
    'threshold: "10"}}\', or let Knative count requests: --backend knative'
)


def objects(spec: ServeSpec) -> list[Manifest]:
    """Write the objects; raise where something can't be had on this backend."""
    _check(spec, spec.around.keda)
    found = [_deployment(spec), _service(spec)]
    if spec.triggers:
        found.append(_scaled_object(spec))
    elif spec.scale and _replicas(spec) is None:
        found.append(_autoscaler(spec))
    if spec.expose:
        found.append(_ingress(spec))
    return found


# --- what can't be had ------------------------------------------------------------------------


def _check(spec: ServeSpec, keda: bool | None) -> None:
    if spec.canary:
        raise PluginError(
            "--canary needs a backend that splits traffic between revisions; a Deployment can't",
            hint="ask an admin for Knative, which isn't installed here; or leave --canary out"
            if spec.around.knative is False
            else "--backend knative or --backend kserve",
        )
    predictor.refuse_extras(spec, requests=False, kserve=False)
    if spec.model and spec.model.scheme == "https":
        raise PluginError(
            f'--model "{spec.model.text}": only KServe fetches from https',
            hint="--backend kserve, or put the model into a bucket or on a volume",
        )
    if spec.triggers and keda is False:
        raise PluginError(
            "--trigger needs KEDA, which isn't installed in this cluster",
            hint="install KEDA, or scale by cpu: --scale min=1,max=5,metric=cpu,target=70",
        )
    if spec.triggers and "max" not in spec.scale:
        raise PluginError("--trigger needs to know how far to scale", hint="--scale min=0,max=5")
    if spec.scale:
        _check_scale(spec, keda)


def _check_scale(spec: ServeSpec, keda: bool | None) -> None:
    scale = spec.scale
    for key in ("initial", "retention"):
        if key in scale and not (key == "retention" and spec.triggers):
            raise PluginError(
                f"--scale {key}={scale[key]}: a Deployment has nothing that does that",
                hint=f"leave {key} out, or --backend knative",
            )
    if spec.triggers:
        return
    if _minimum(scale) == 0:
        _refuse_zero(spec, keda)
    if "max" not in scale:
        raise PluginError(
            "--scale doesn't say how far: a Deployment needs max", hint="--scale min=1,max=5"
        )
    if _replicas(spec) is None:
        _check_metric(spec)


def _refuse_zero(spec: ServeSpec, keda: bool | None) -> None:
    if keda is False:
        raise PluginError(
            "--scale min=0 on a Deployment needs KEDA, which isn't installed in this cluster",
            hint=_one_at_least(spec),
        )
    raise PluginError(
        "--scale min=0 on a Deployment needs a trigger: with no pod there is no load to measure",
        hint=_TRIGGER,
    )


def _one_at_least(spec: ServeSpec) -> str:
    """Write what works instead of none, whole."""
    most = spec.scale.get("max", "5")
    cpus = "" if spec.cpus else " --cpus 2"
    works = f"--scale min=1,max={most},metric=cpu{cpus}"
    if spec.around.knative is False:
        return f"{works}; or ask an admin for KEDA or Knative"
    return f"{works}; or --backend knative"


def _check_metric(spec: ServeSpec) -> None:
    metric = spec.scale.get("metric") or ("concurrency" if "target" in spec.scale else "cpu")
    if metric not in _METRICS:
        shown = "metric" if "metric" in spec.scale else "target without a metric means"
        sentence = (
            f"--scale metric={metric}: nothing in plain Kubernetes counts requests"
            if shown == "metric"
            else f"--scale target={spec.scale['target']} means {metric}, and nothing in plain "
            "Kubernetes counts requests"
        )
        raise PluginError(
            sentence, hint="add metric=cpu (percent) or metric=memory (MiB), or --backend knative"
        )
    if metric == "memory" and "target" not in spec.scale:
        raise PluginError(
            "--scale metric=memory needs a target, in MiB a pod", hint="--scale …,target=2048"
        )
    if metric == "cpu" and not spec.cpus:
        raise PluginError(
            "--scale by cpu needs --cpus: load is measured against what was asked for",
            hint="--cpus 2",
        )


def _minimum(scale: Mapping[str, str]) -> int:
    return int(scale.get("min", 1))


def _replicas(spec: ServeSpec) -> int | None:
    """Give the number of replicas where `--scale` leaves no choice."""
    if not spec.scale or spec.triggers or "max" not in spec.scale:
        return None
    low, high = _minimum(spec.scale), int(spec.scale["max"])
    return low if low == high else None


# --- the objects ------------------------------------------------------------------------------


def _deployment(spec: ServeSpec) -> Manifest:
    container = predictor.container(spec, name=predictor.COMPONENT, port_name="http")
    fixed = _replicas(spec)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": predictor.metadata(spec, _intents(spec)),
        "spec": {
            # Without a number it stays what `kubectl scale` or an autoscaler made it.
            **({"replicas": fixed} if fixed is not None else {}),
            "progressDeadlineSeconds": _PROGRESS_DEADLINE_SECONDS,
            "selector": {"matchLabels": predictor.labels(spec)},
            "template": {
                "metadata": {"labels": predictor.labels(spec)},
                "spec": {"containers": [container | predictor.probes(spec)]},
            },
        },
    }


def _intents(spec: ServeSpec) -> dict[str, str]:
    """Give the intents that a Deployment can use: how it scales, other objects say."""
    found = intent_annotations(spec, mount_model=True)
    found.pop(f"{intents.PREFIX}scale", None)
    return found


def _service(spec: ServeSpec) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": predictor.metadata(spec),
        "spec": {
            "selector": predictor.labels(spec),
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}],
        },
    }


def _autoscaler(spec: ServeSpec) -> Manifest:
    metric = spec.scale.get("metric", "cpu")
    target = spec.scale.get("target", _DEFAULT_CPU_PERCENT)
    aim: Manifest = (
        {"type": "Utilization", "averageUtilization": _whole(target)}
        if metric == "cpu"
        else {"type": "AverageValue", "averageValue": f"{target}Mi"}
    )
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": predictor.metadata(spec),
        "spec": {
            "scaleTargetRef": _target(spec),
            "minReplicas": _minimum(spec.scale),
            "maxReplicas": int(spec.scale["max"]),
            "metrics": [{"type": "Resource", "resource": {"name": metric, "target": aim}}],
            **_behavior(spec),
        },
    }


def _whole(text: str) -> int:
    if not text.isdigit():
        raise PluginError(
            f"--scale target={text}: a percentage of the processors is a whole number",
            hint="--scale …,metric=cpu,target=70",
        )
    return int(text)


def _scaled_object(spec: ServeSpec) -> Manifest:
    for trigger in spec.triggers:
        if trigger["type"] in _METRICS and _minimum(spec.scale) == 0 and len(spec.triggers) == 1:
            raise PluginError(
                f"--trigger {trigger['type']} can't wake what has no pod: KEDA measures it in pods",
                hint=_TRIGGER,
            )
    behavior = _behavior(spec)
    retention = intents.seconds(spec.scale.get("retention", ""))
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": predictor.metadata(spec),
        "spec": {
            "scaleTargetRef": _target(spec),
            "minReplicaCount": _minimum(spec.scale),
            "maxReplicaCount": int(spec.scale["max"]),
            **({"cooldownPeriod": retention} if retention is not None else {}),
            **({"advanced": {"horizontalPodAutoscalerConfig": behavior}} if behavior else {}),
            "triggers": [dict(trigger) for trigger in spec.triggers],
        },
    }


def _target(spec: ServeSpec) -> Manifest:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": spec.name}


def _behavior(spec: ServeSpec) -> Manifest:
    """Give `window` in the words of an autoscaler: how long it looks back before it scales down."""
    window = intents.seconds(spec.scale.get("window", ""))
    if window is None:
        return {}
    return {"behavior": {"scaleDown": {"stabilizationWindowSeconds": window}}}


def _ingress(spec: ServeSpec) -> Manifest:
    backend = {"service": {"name": spec.name, "port": {"name": "http"}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": predictor.metadata(spec),
        "spec": {"rules": [{"host": spec.expose, "http": {"paths": [path]}}]},
    }


# --- what it says of itself -------------------------------------------------------------------


def state(found: Manifest) -> State:
    """Read how far the Deployment is; scaled to zero it is as ready as it was asked to be."""
    if found["metadata"].get("deletionTimestamp"):
        return State(phase=Phase.DELETING)
    status, pods = found.get("status") or {}, found["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < found["metadata"].get("generation", 0):
        return State(phase=Phase.PENDING, pods=pods)
    if pods == 0:
        return State(phase=Phase.READY, reason="ScaledToZero")
    counts = (status.get(key, 0) for key in ("updatedReplicas", "readyReplicas", "replicas"))
    if all(count == pods for count in counts):
        return State(phase=Phase.READY, pods=pods)
    return _why_not(found, status, pods)


def _why_not(found: Manifest, status: Manifest, pods: int) -> State:
    late = _condition(status, "Progressing", "False")
    refused = condition(found, "ReplicaFailure")
    missing = _condition(status, "Available", "False")
    why = refused or late or missing
    return State(
        phase=Phase.NOT_READY if why else Phase.PENDING,
        pods=pods,
        reason=str(why.get("reason") or ""),
        message=str(why.get("message") or ""),
    )


def _condition(status: Manifest, type_: str, value: str) -> Mapping[str, str]:
    for each in status.get("conditions") or ():
        if each.get("type") == type_ and each.get("status") == value:
            return dict(each)
    return {}


BACKEND: Backend[ServeSpec] = Backend(
    name="deployment",
    api_version="apps/v1",
    kind="Deployment",
    objects=objects,
    state=state,
    cannot=predictor.refusals(objects),
)
