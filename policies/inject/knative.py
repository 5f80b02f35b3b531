"""
Scaling: the `scale` intent in the words of what serves the workload.

    kubectl-ml.io/scale: min=0,max=5,target=10,metric=concurrency

A Knative Service gets `autoscaling.knative.dev/*` annotations on its template; an InferenceService
gets `minReplicas`, `maxReplicas`, `scaleTarget` and `scaleMetric`, and annotations for the rest.
What the user set stays. Source: knative.dev/docs/serving/autoscaling, and KServe's
ComponentExtensionSpec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies.inject.pod import Author, PodDraft, family_author
from policies.inject.prepared import Rule
from policies.intents import Intents
from policies.workloads.catalogue import Kind

POLICY = "knative"
DIGEST = "00000001"
INTENT = "scale"
SYSTEM = {"knative": "knative", "kserve": "kserve"}
PREFIX = "autoscaling.knative.dev/"
HPA = "hpa.autoscaling.knative.dev"
_ANNOTATIONS = {
    "min": "min-scale", "max": "max-scale", "initial": "initial-scale", "target": "target",
    "metric": "metric", "window": "window", "retention": "scale-to-zero-pod-retention-period",
}  # fmt: skip
FIELDS = {
    "min": "minReplicas",
    "max": "maxReplicas",
    "target": "scaleTarget",
    "metric": "scaleMetric",
}
_BY_RESOURCES = ("cpu", "memory")  # metrics that only the class of the HPA knows


def inject(pod: PodDraft, intents: Intents, rules: list[Rule], kind: Kind) -> None:
    """Set how this template scales from the intent, then from policies."""
    if pod.metadata is None or not kind.autoscaling:
        return
    _scale(pod, family_author(POLICY, DIGEST), intents.scale, kind)
    for rule in rules:
        if rule.inject.knative:
            _scale(pod, rule.author, rule.inject.knative, kind)


def _scale(pod: PodDraft, author: Author, wanted: Mapping[str, str], kind: Kind) -> None:
    annotations = dict(wanted)
    if kind.autoscaling == "kserve":
        for key, name in FIELDS.items():
            if key in annotations:
                pod.put(
                    author,
                    (*pod.spec, name),
                    _number(annotations.pop(key)),
                    quiet=author.name != POLICY,
                )
    elif wanted.get("metric") in _BY_RESOURCES:
        annotations.setdefault(PREFIX + "class", HPA)
    for key, value in annotations.items():
        path = (
            *(pod.metadata or ()),
            "annotations",
            key if "/" in key else PREFIX + _ANNOTATIONS.get(key, key),
        )
        pod.put(author, path, value, quiet=author.name != POLICY)


def _number(text: str) -> Any:
    return int(text) if text.isascii() and text.isdigit() else text
