"""
What KServe makes of how an InferenceService is to scale: on Knative all of it, else a part.

    serving.kserve.io/deploymentMode: RawDeployment, scale: min=0,metric=cpu  ->  a warning

Knative's annotations reach the pods from the object and from the component, whose own win; but for
the class of the autoscaler KServe's webhook looks at the object alone. As plain Deployments they
are scaled by the HPA, or by KEDA, which has no `scaleMetric` but `autoScaling`. A predictor that
spreads over nodes (`workerSpec`) isn't scaled at all. Source: KServe 0.15,
inference_service_validation.go, ksvc_reconciler.go and its page on multi-node inference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from policies import autoscaling
from policies.autoscaling import BY_RESOURCES, HPA, KSERVES_FIELDS, PREFIX
from policies.inject.pod import PodDraft, family_author
from policies.model import Manifest

POLICY = "kserve"
DIGEST = "00000001"
DEVICES = "serving.kserve.io/gpu-resource-types"
MODE = "serving.kserve.io/deploymentMode"
AUTOSCALER = "serving.kserve.io/autoscalerClass"
CLASS = PREFIX + "class"
KEDA = "keda"
_AUTOSCALERS = ("hpa", KEDA, "external", "none")
_RAW = ("RawDeployment", "Standard")
_ONLY_KNATIVE = ("window", "initial", "retention")
_BY_REQUESTS = ("concurrency", "rps")
_PREDICTOR = ("spec", "predictor")
_KNOWN_RESOURCES = (
    "cpu", "memory", "storage", "ephemeral-storage",
    "nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu", "habana.ai/gaudi",
)  # fmt: skip
_COMPONENTS = ("predictor", "transformer", "explainer")
_PERCENT, _DEFAULT_PERCENT = 100, "80"


def is_raw(pod: PodDraft) -> bool:
    """Tell whether the object asks for plain Deployments instead of Knative."""
    return _of_object(pod).get(MODE) in _RAW


def by_keda(pod: PodDraft) -> bool:
    """Tell whether KEDA is to scale it."""
    return is_raw(pod) and _of_object(pod).get(AUTOSCALER) == KEDA


def told(pod: PodDraft) -> dict[str, Any]:
    """Give the annotations that its pods get: the object's, and over them the component's."""
    return autoscaling.passed_on(_of_object(pod), _of_component(pod))


def is_no_target(pod: PodDraft, text: str) -> str:
    """Say why a target can't be had of plain Deployments; on Knative any number can."""
    if not text or not is_raw(pod):
        return ""
    if by_keda(pod) and not (text.isdigit() and 1 <= int(text) <= _PERCENT):
        return f"target={text} is not a percentage from 1 to {_PERCENT}, which KServe gives to KEDA"
    return "" if text.isdigit() else f"target={text} is not a whole number, which {MODE} needs"


def is_for_keda(scale: Mapping[str, str]) -> bool:
    """Tell whether KEDA can scale so: it needs something to measure, and is given cpu or memory."""
    return scale.get("metric", "cpu") in BY_RESOURCES and bool(
        {*scale} & {"min", "max", "metric", "target"}
    )


def for_keda(scale: Mapping[str, str]) -> Manifest:
    """Write what KEDA measures, in percent of what is asked for."""
    percent = int(scale.get("target", _DEFAULT_PERCENT))
    target = {"type": "Utilization", "averageUtilization": percent}
    name = scale.get("metric", BY_RESOURCES[0])
    return {"metrics": [{"type": "Resource", "resource": {"name": name, "target": target}}]}


def counted_by_requests(pod: PodDraft) -> list[str]:
    """Find the components whose own metric the HPA doesn't count: its class is for them all."""
    return [
        f'spec.{name}.scaleMetric "{metric}" is not one of {", ".join(BY_RESOURCES)}'
        for name in _COMPONENTS
        if (metric := pod.draft.get(("spec", name, "scaleMetric"))) in _BY_REQUESTS
    ]


def contradictions(pod: PodDraft, more: Mapping[str, Any] | None = None) -> Iterator[str]:
    """Find what KServe would refuse of how a component scales, with `more` of its fields set."""
    fields = {
        name: pod.get(name) for name in ("minReplicas", "maxReplicas", "scaleTarget", "scaleMetric")
    } | dict(more or {})
    low, high = fields["minReplicas"], fields["maxReplicas"]
    if isinstance(low, int) and isinstance(high, int) and 0 < high < low:
        yield f"maxReplicas={high} is less than minReplicas={low}"
    yield from _of_metric(pod, fields["scaleMetric"], fields["scaleTarget"])


def _of_metric(pod: PodDraft, metric: Any, target: Any) -> Iterator[str]:
    """Find what doesn't go with what scales: KEDA, the HPA, or Knative's own autoscaler."""
    scaler = _of_object(pod).get(AUTOSCALER)
    if is_raw(pod) and scaler == KEDA and metric is not None:
        yield f'scaleMetric "{metric}" is not for KEDA, which reads autoScaling.metrics'
    elif is_raw(pod) and scaler == "hpa":
        yield from _of_hpa(metric, target, f'the annotation {AUTOSCALER}: "hpa"')
    elif not is_raw(pod) and _of_object(pod).get(CLASS) == HPA:
        yield from _of_hpa(metric, target, f'the annotation {CLASS}: "{HPA}"')
    elif not is_raw(pod) and metric in BY_RESOURCES:
        yield (
            f'scaleMetric "{metric}" is not one of {", ".join(_BY_REQUESTS)}; add the annotation '
            f'{CLASS}: "{HPA}" to the InferenceService'
        )


def _of_hpa(metric: Any, target: Any, why: str) -> Iterator[str]:
    if metric is not None and metric not in BY_RESOURCES:
        yield f'scaleMetric "{metric}" is not one of {", ".join(BY_RESOURCES)}, for {why}'
    if isinstance(target, int) and not 1 <= target <= _PERCENT:
        yield f"scaleTarget={target} is not a percentage from 1 to {_PERCENT}"


def refused(pod: PodDraft) -> Iterator[str]:
    """Find what KServe would refuse of the user's own, whatever is scaled."""
    scaler = _of_object(pod).get(AUTOSCALER)
    if scaler is not None and scaler not in _AUTOSCALERS:
        yield f'{AUTOSCALER} "{scaler}" is not one of {", ".join(_AUTOSCALERS)}'
    elif pod.get("workerSpec") is not None and pod.get("model") is not None and scaler != "none":
        yield f'a predictor with a workerSpec needs the annotation {AUTOSCALER}: "none"'


def name_devices(pod: PodDraft) -> None:
    """Name what the containers over nodes ask for and KServe would refuse as unknown devices."""
    if pod.draft.get((*_PREDICTOR, "workerSpec")) is None:
        return
    asked = [pod.draft.get((*_PREDICTOR, "model", "resources"))]
    workers = pod.draft.get((*_PREDICTOR, "workerSpec", "containers")) or ()
    asked += [worker.get("resources") for worker in workers if isinstance(worker, dict)]
    names = {
        name: None
        for resources in asked
        for kind in ("limits", "requests")
        for name in (resources or {}).get(kind) or ()
        if name not in _KNOWN_RESOURCES
    }
    written = _listed(_of_object(pod).get(DEVICES))
    missing = [name for name in names if name not in (written or ())]
    if names and written in (None, [*names]):
        path = ("metadata", "annotations", DEVICES)
        pod.put(family_author(POLICY, DIGEST), path, json.dumps([*names]))
    elif missing:
        pod.refuse(
            POLICY,
            f"{DEVICES} doesn't name {', '.join(missing)}, which the pods over nodes ask for, and "
            "KServe refuses devices that it doesn't know; add that to the list, or take the "
            "annotation out",
            code=422,
        )


def _is_woken(pod: PodDraft) -> bool:
    """Tell whether KEDA measures something besides the pods."""
    metrics = pod.get("autoScaling", "metrics") or ()
    return any(isinstance(one, dict) and one.get("type") == "External" for one in metrics)


def _listed(text: Any) -> list[Any] | None:
    """Read a list in JSON; None where nothing is written, and nothing where it is no list."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return found if isinstance(found, list) else []


def idle(pod: PodDraft, scale: Mapping[str, str]) -> Iterator[str]:
    """Find what of the intent KServe doesn't act on."""
    if pod.get("workerSpec") is not None and scale.get("min", "1") != scale.get("max", "1"):
        yield "KServe doesn't scale a predictor with a workerSpec, which spreads over nodes"
    if is_raw(pod):
        yield from _idle_as_deployments(pod, scale)
    elif scale.get("metric") in BY_RESOURCES and scale.get("min") == "0":
        yield "min=0 keeps one pod: scaling by cpu or memory never goes to zero"


def _idle_as_deployments(pod: PodDraft, scale: Mapping[str, str]) -> Iterator[str]:
    if scale.get("min") == "0" and not by_keda(pod):
        yield "min=0 keeps one pod: KServe scales to zero only on Knative"
    elif scale.get("min") == "0" and not _is_woken(pod):
        yield "KEDA refuses min=0 by cpu or memory: with no pod there is nothing to measure"
    target = scale.get("target", "")
    if scale.get("metric") == "memory" and target.isdigit() and int(target) > _PERCENT:
        yield f"target={target} is in percent of the memory that is asked for, not in MiB"
    if scale.get("metric") in _BY_REQUESTS:
        yield f"metric={scale['metric']} does nothing: KServe counts requests only on Knative"
    for key in _ONLY_KNATIVE:
        if key in scale:
            yield f"{key} does nothing: KServe reads it only on Knative"


def unread(pod: PodDraft) -> Iterator[str]:
    """Find annotations of the user's that KServe leaves out: it has fields for them."""
    for where in (_of_object(pod), _of_component(pod)):
        for key in sorted(where):
            if field := KSERVES_FIELDS.get(autoscaling.modern(key)):
                yield f"KServe leaves {key} out; write {field}: {where[key]}"


def _of_object(pod: PodDraft) -> Mapping[str, Any]:
    return pod.draft.get(("metadata", "annotations")) or {}


def _of_component(pod: PodDraft) -> Mapping[str, Any]:
    return pod.draft.get((*(pod.metadata or ()), "annotations")) or {}
