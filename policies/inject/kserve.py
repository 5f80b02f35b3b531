"""
What KServe makes of the `scale` intent: on Knative all of it, as plain Deployments a part.

    serving.kserve.io/deploymentMode: RawDeployment, scale: min=0,metric=cpu  ->  a warning

Scaling by cpu or memory on Knative needs the class of the HPA, which KServe passes on. A predictor
that spreads over nodes (`workerSpec`) isn't scaled at all. Source: KServe's ksvc_reconciler.go and
its page on multi-node inference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policies.autoscaling import BY_RESOURCES
from policies.inject.pod import PodDraft

MODE = "serving.kserve.io/deploymentMode"
_RAW = ("RawDeployment", "Standard")
_ONLY_KNATIVE = ("window", "initial", "retention")
_BY_REQUESTS = ("concurrency", "rps")


def is_raw(pod: PodDraft) -> bool:
    """Tell whether the object asks for plain Deployments instead of Knative."""
    return pod.draft.get(("metadata", "annotations", MODE)) in _RAW


def idle(pod: PodDraft, scale: Mapping[str, str]) -> Iterator[str]:
    """Find what of the intent KServe doesn't act on."""
    if pod.get("workerSpec") is not None and scale.get("min", "1") != scale.get("max", "1"):
        yield "KServe doesn't scale a predictor with a workerSpec, which spreads over nodes"
    if not is_raw(pod):
        if scale.get("metric") in BY_RESOURCES and scale.get("min") == "0":
            yield "min=0 keeps one pod: scaling by cpu or memory never goes to zero"
        return
    if scale.get("min") == "0":
        yield "min=0 keeps one pod: KServe scales to zero only on Knative"
    if scale.get("metric") in _BY_REQUESTS:
        yield f"metric={scale['metric']} does nothing: KServe counts requests only on Knative"
    for key in _ONLY_KNATIVE:
        if key in scale:
            yield f"{key} does nothing: KServe reads it only on Knative"
