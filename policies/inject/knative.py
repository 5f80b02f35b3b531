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
_SHORT = {PREFIX + NAMES[key]: key for key in FIELDS}
MARKS = (
    "/autoScaling",
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
    if kind.autoscaling == "kserve":
        wanted = _in_kserves_words(pod, author, wanted)
    elif wanted.get("metric") in BY_RESOURCES:
        wanted = {PREFIX + "class": HPA, **wanted}
    for key, value in wanted.items():
        if key in LIMITS["knative"]:
            name, unset = LIMITS[kind.autoscaling][key]
            pod.put(author, (*pod.spec, name), _number(value), unset=unset, quiet=True)
        elif autoscaling.is_of_object(key):
            _of_object(pod, author, key, value, kind)
        elif kind.autoscaling == "kserve" and key in FIELDS:
            _field(pod, author, key, value)
        else:
            _annotate(pod, author, key, value, kind)


def _in_kserves_words(pod: PodDraft, author: Author, wanted: Mapping[str, str]) -> dict[str, str]:
    """Say as fields what KServe has fields for, and as KEDA reads it where that scales."""
    found = {_SHORT.get(autoscaling.modern(key), key): value for key, value in wanted.items()}
    target = found.get("target", "")
    if wrong := kserve.is_no_target(pod, target):
        found.pop("target")
        if not _is_left_out(pod, author, "target", target, [wrong]):
            _refuse(pod, wrong)
    elif target and not target.isdigit():  # a field holds whole numbers alone
        found[PREFIX + NAMES["target"]] = found.pop("target")
    if kserve.by_keda(pod) and kserve.is_for_keda(found):
        if pod.get("autoScaling") is None and pod.get("scaleMetric") is None:
            pod.put(author, (*pod.spec, "autoScaling"), kserve.for_keda(found), quiet=True)
        found = {key: found[key] for key in found if key not in ("metric", "target")}
    if found.get("metric") in BY_RESOURCES and not kserve.is_raw(pod):
        found = {kserve.CLASS: HPA, **found}
    return found


def _field(pod: PodDraft, author: Author, key: str, value: str) -> None:
    field = FIELDS[key]
    if pod.get(field) is None:
        known = {*kserve.contradictions(pod)}
        new = [
            one for one in kserve.contradictions(pod, {field: _number(value)}) if one not in known
        ]
        if _is_left_out(pod, author, key, value, new):
            return
    pod.put(author, (*pod.spec, field), _number(value), quiet=author.name != POLICY)


def _annotate(pod: PodDraft, author: Author, key: str, value: str, kind: Kind) -> None:
    present = _annotations(pod, kind)
    full = autoscaling.spelled(key if "/" in key else PREFIX + NAMES[key], present)
    if full not in present:
        if author.name != POLICY and autoscaling.is_idle(full, present):
            return
        known = set(autoscaling.faults(present))
        new = [one for one in autoscaling.faults({**present, full: value}) if one not in known]
        if kind.autoscaling == "kserve" and (full, value) == (kserve.CLASS, HPA):
            new += kserve.counted_by_requests(pod)
        if _is_left_out(pod, author, key, value, new):
            return
    at = pod.metadata or ()
    if kind.autoscaling == "kserve" and _is_the_objects(pod, full):
        at = _OBJECT
    pod.put(author, (*at, "annotations", full), value, quiet=author.name != POLICY)


def _is_the_objects(pod: PodDraft, key: str) -> bool:
    """Tell whether KServe reads a key at the object, or the user wrote it there for all."""
    own = pod.draft.get((*(pod.metadata or ()), "annotations")) or {}
    return key == kserve.CLASS or (
        key not in own and key in (pod.draft.get((*_OBJECT, "annotations")) or {})
    )


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
        present = pod.draft.get((*_OBJECT, "annotations"))
        written = autoscaling.spelled(key, present)
        pod.put(author, (*_OBJECT, "annotations", written), value, quiet=True)


def _refuse_contradictions(pod: PodDraft, kind: Kind) -> None:
    """Refuse an intent that doesn't go with what the user set beside it."""
    found = [*autoscaling.faults(_annotations(pod, kind))]
    if kind.autoscaling == "kserve":
        found += kserve.contradictions(pod)
    for sentence in found:
        _refuse(pod, sentence)


def _refuse(pod: PodDraft, sentence: str) -> None:
    pod.refuse(
        POLICY,
        f"kubectl-ml.io/{INTENT} and what is set beside it don't go together: {sentence}; "
        "change one of them",
        code=422,
    )


def warn_of_own(pod: PodDraft, kind: Kind) -> None:
    """Warn of what Knative refuses of the user's own: it says so itself, after us and in paths."""
    if pod.metadata is None or not kind.autoscaling:
        return
    if kind.autoscaling == "kserve":
        for sentence in (*kserve.contradictions(pod), *kserve.refused(pod)):
            pod.warn(f"{kserve.POLICY}: {sentence}; KServe refuses it")
        if kserve.is_raw(pod):
            return
        for sentence in kserve.unread(pod):
            pod.warn(f"{kserve.POLICY}: {sentence}")
    present = _annotations(pod, kind)
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


def _warn_of_idle(pod: PodDraft, intents: Intents, kind: Kind) -> None:
    present = _annotations(pod, kind)
    if kind.autoscaling == "kserve":
        for sentence in kserve.idle(pod, intents.scale):
            pod.warn(f"{POLICY}: {sentence}")
        for sentence in kserve.refused(pod):
            pod.warn(f"{kserve.POLICY}: {sentence}; KServe refuses it")
    for sentence in autoscaling.idle(present):
        pod.warn(f"{POLICY}: {sentence}")
    _warn_of_unknown(pod, present)
    written = intents.scale.get("initial") == "0"
    _warn_of_zero(pod, "initial=0" if written else f"{PREFIX}initial-scale=0", present)


def _annotations(pod: PodDraft, kind: Kind) -> Mapping[str, Any]:
    """Give the annotations that Knative sees on the template."""
    if kind.autoscaling == "kserve":
        return kserve.told(pod)
    return pod.draft.get((*(pod.metadata or ()), "annotations")) or {}


def _number(text: str) -> Any:
    return int(text) if text.isascii() and text.isdigit() else text
