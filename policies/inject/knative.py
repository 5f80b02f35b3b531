"""
Scaling: the `scale` intent in the words of what serves the workload.

    kubectl-ml.io/scale: min=0,max=5,target=10,metric=concurrency

A Knative Service gets `autoscaling.knative.dev/*` annotations on its template; an InferenceService
gets `minReplicas`, `maxReplicas`, `scaleTarget` and `scaleMetric`, and annotations for the rest.
A policy may give Knative's own annotations besides, `containerConcurrency` and `timeoutSeconds`,
and what belongs on the Service itself: `networking.knative.dev/visibility`,
`serving.knative.dev/rollout-duration`. What the user set stays, in whichever of Knative's two
spellings; a policy's default that doesn't go with it is left out. Source:
knative.dev/docs/serving/autoscaling, and KServe's ComponentExtensionSpec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies import autoscaling
from policies.autoscaling import BY_RESOURCES, HPA, NAMES, PREFIX
from policies.inject import kserve
from policies.inject.pod import Author, PodDraft, family_author
from policies.inject.prepared import Rule
from policies.intents import Intents, nearest
from policies.patch import Path
from policies.workloads.catalogue import Kind

POLICY = "knative"
DIGEST = "00000001"
INTENT = "scale"
SYSTEM = {"knative": "knative", "kserve": "kserve"}
FIELDS = {
    "min": "minReplicas",
    "max": "maxReplicas",
    "target": "scaleTarget",
    "metric": "scaleMetric",
}
# Fields beside the containers, by what serves: the name, and what a webhook of its own defaults.
LIMITS: Mapping[str, Mapping[str, tuple[str, int | None]]] = {
    "knative": {
        "containerConcurrency": ("containerConcurrency", 0),
        "timeoutSeconds": ("timeoutSeconds", 300),
    },
    "kserve": {
        "containerConcurrency": ("containerConcurrency", None),
        "timeoutSeconds": ("timeout", None),
    },
}
MARKS = (
    *(f"/{name}" for name in FIELDS.values()),
    *(f"/{name}" for fields in LIMITS.values() for name, _ in fields.values()),
)
_KSERVE_VISIBILITY = "networking.kserve.io/visibility"
_OBJECT: Path = ("metadata",)


def inject(pod: PodDraft, intents: Intents, rules: list[Rule], kind: Kind) -> None:
    """Set how this template scales from the intent, then from policies."""
    if pod.metadata is None or not kind.autoscaling:
        return
    if intents.scale:
        _scale(pod, family_author(POLICY, DIGEST), intents.scale, kind)
        _refuse_contradictions(pod, kind)
        _warn_of_idle(pod, intents, kind)
    for rule in rules:
        if rule.inject.knative:
            _scale(pod, rule.author, rule.inject.knative, kind)


def _scale(pod: PodDraft, author: Author, wanted: Mapping[str, str], kind: Kind) -> None:
    if wanted.get("metric") in BY_RESOURCES and not kserve.is_raw(pod):
        wanted = {PREFIX + "class": HPA, **wanted}
    for key, value in wanted.items():
        if key in LIMITS["knative"]:
            name, unset = LIMITS[kind.autoscaling][key]
            pod.put(author, (*pod.spec, name), _number(value), unset=unset, quiet=True)
        elif autoscaling.is_of_object(key):
            _of_object(pod, author, key, value, kind)
        elif kind.autoscaling == "kserve" and key in FIELDS:
            field = (*pod.spec, FIELDS[key])
            if not _is_left_out(pod, author, key, value, _replicas(pod, {key: _number(value)})):
                pod.put(author, field, _number(value), quiet=author.name != POLICY)
        else:
            _annotate(pod, author, key, value)


def _annotate(pod: PodDraft, author: Author, key: str, value: str) -> None:
    present = _annotations(pod)
    full = autoscaling.spelled(key if "/" in key else PREFIX + NAMES[key], present)
    if full not in present:
        if author.name != POLICY and autoscaling.is_idle(full, present):
            return
        known = set(autoscaling.faults(present))
        new = [one for one in autoscaling.faults({**present, full: value}) if one not in known]
        if _is_left_out(pod, author, key, value, new):
            return
    path = (*(pod.metadata or ()), "annotations", full)
    pod.put(author, path, value, quiet=author.name != POLICY)


def _is_left_out(
    pod: PodDraft, author: Author, key: str, value: str, contradictions: list[str]
) -> bool:
    """Leave a policy's default out where it doesn't go with what is there, and say so."""
    if author.name == POLICY or not contradictions:
        return False
    pod.warn(f'{author.name}: {key} "{value}" is left out, because {contradictions[0]}')
    return True


def _of_object(pod: PodDraft, author: Author, key: str, value: str, kind: Kind) -> None:
    """Put on the object what Knative reads there: a label, or an annotation."""
    if key == autoscaling.VISIBILITY:
        label = _KSERVE_VISIBILITY if kind.autoscaling == "kserve" else key
        pod.put(author, (*_OBJECT, "labels", label), value, quiet=True)
    else:
        pod.put(author, (*_OBJECT, "annotations", key), value, quiet=True)


def _refuse_contradictions(pod: PodDraft, kind: Kind) -> None:
    """Refuse an intent that doesn't go with what the user set beside it."""
    found = [*autoscaling.faults(_annotations(pod))]
    if kind.autoscaling == "kserve":
        found += _replicas(pod, {})
    for sentence in found:
        pod.refuse(
            POLICY,
            f"kubectl-ml.io/{INTENT} and what is set beside it don't go together: {sentence}; "
            "change one of them",
            code=422,
        )


def warn_of_own(pod: PodDraft, kind: Kind) -> None:
    """Warn of what Knative refuses of the user's own: it says so itself, after us and in paths."""
    if pod.metadata is None or not kind.autoscaling or kserve.is_raw(pod):
        return
    present = _annotations(pod)
    for sentence in autoscaling.faults(present):
        pod.warn(f"{POLICY}: {sentence}; Knative refuses it")
    _warn_of_unknown(pod, present)
    if kind.autoscaling == "knative" and pod.metadata != _OBJECT:
        _warn_of_misplaced(pod)
    _warn_of_zero(pod, autoscaling.PREFIX + "initial-scale=0", present)


def _warn_of_unknown(pod: PodDraft, present: Mapping[str, Any]) -> None:
    for name in autoscaling.unknown(present):
        pod.warn(f"{POLICY}: Knative knows no {PREFIX}{name}{nearest(name, autoscaling.known())}")


def _warn_of_misplaced(pod: PodDraft) -> None:
    """Warn of what stands on the object: Knative wants it on the template, and refuses it there."""
    present = pod.draft.get((*_OBJECT, "annotations")) or {}
    for key in sorted(one for one in present if one.startswith(PREFIX)):
        pod.warn(
            f"{POLICY}: {key} is on the object, where Knative refuses it; "
            "move it to spec.template.metadata.annotations"
        )
    on_object = {key: present[key] for key in present if autoscaling.is_of_object(key)}
    for sentence in autoscaling.faults(on_object):
        pod.warn(f"{POLICY}: {sentence}; Knative refuses it")


def _warn_of_zero(pod: PodDraft, said: str, present: Mapping[str, Any]) -> None:
    if present.get(autoscaling.spelled(PREFIX + NAMES["initial"], present)) == "0":
        pod.warn(
            f"{POLICY}: {said} is taken only where Knative's config-autoscaler has "
            'allow-zero-initial-scale: "true"'
        )


def _replicas(pod: PodDraft, more: Mapping[str, Any]) -> list[str]:
    low = more.get("min", pod.get("minReplicas"))
    high = more.get("max", pod.get("maxReplicas"))
    if isinstance(low, int) and isinstance(high, int) and 0 < high < low:
        return [f"maxReplicas={high} is less than minReplicas={low}"]
    return []


def _warn_of_idle(pod: PodDraft, intents: Intents, kind: Kind) -> None:
    present = _annotations(pod)
    for sentence in kserve.idle(pod, intents.scale) if kind.autoscaling == "kserve" else ():
        pod.warn(f"{POLICY}: {sentence}")
    for sentence in autoscaling.idle(present):
        pod.warn(f"{POLICY}: {sentence}")
    _warn_of_unknown(pod, present)
    written = intents.scale.get("initial") == "0"
    _warn_of_zero(pod, "initial=0" if written else f"{PREFIX}initial-scale=0", present)


def _annotations(pod: PodDraft) -> Mapping[str, Any]:
    return pod.draft.get((*(pod.metadata or ()), "annotations")) or {}


def _number(text: str) -> Any:
    return int(text) if text.isascii() and text.isdigit() else text
