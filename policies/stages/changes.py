"""
What an UPDATE changed, and what becomes of what we had added to the old object.

Intents that stay as they were leave everything as it was: what the request dropped is given back.
Where intents changed, what follows them is taken out, to be set anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies.inject import knative, provenance, queue, restore
from policies.inject.pod import annotation
from policies.inject.provenance import Claims
from policies.intents import INJECTED, PREFIX, USED_UP, written
from policies.patch import Path, lookup
from policies.stages.work import Work
from policies.workloads.locate import Template

ALL = frozenset({"carry", "dapr", "mesh", "knative", "queue", "early"})
TEMPLATE_FREE = USED_UP - {"roles"}  # intents that leave templates as they are
_FOREIGN = (
    "kueue.x-k8s.io/", "scheduling.volcano.sh/", "kai.scheduler/", "dapr.io/",
    "autoscaling.knative.dev/", "serving.knative.dev/", "networking.knative.dev/",
    "sidecar.istio.io/", "traffic.sidecar.istio.io/", "proxy.istio.io/", "istio.io/",
    "networking.kserve.io/",
)  # fmt: skip
_MARKS = {
    "carry": ("/kubectl-ml.io~1",),
    "dapr": ("/dapr.io~1",),
    "mesh": (".istio.io~1", "/istio.io~1"),
    "knative": (".knative.dev~1", ".kserve.io~1visibility", *knative.MARKS),
    "queue": (
        "/kueue.x-k8s.io~1",
        "/scheduling.volcano.sh~1",
        "/volcano.sh~1queue-name",
        "/kai.scheduler~1",
        "/schedulerName",
        "/spec/queue",
        "/schedulingPolicy/queue",
        "/batchSchedulerOptions/queue",
    ),
}


def of_intents(work: Work, before: Work, claims: Claims) -> frozenset[str]:
    """Tell which intents the user changed, at the workload or at a template."""
    changed = _differences(before.written, work.written)
    carried = {at for _, at, _ in claims}
    olds = {template.pod_spec: template for template in before.templates}
    for template in work.templates:
        if template.pod_spec in olds and template.metadata:
            changed |= _of_template(work, before, template.metadata, template, carried)
    return frozenset(changed)


def families(changed: frozenset[str]) -> frozenset[str]:
    """Tell which families follow the intents that changed."""
    found: set[str] = set()
    if changed - TEMPLATE_FREE:
        found |= {"carry", "dapr", "mesh", "early"}
    if changed & {"scale", "inject"}:
        found.add("knative")
    if changed & {"queue", "inject"}:
        found |= {"queue", "early"}
    return frozenset(found)


def known(work: Work, before: Work) -> dict[Path, Claims]:
    """
    Collect what was claimed before this UPDATE, and what an earlier review of it has claimed.

    The API server asks again where another webhook changed the object after us: what we set the
    first time is as wanted now, and ours.
    """
    places: list[tuple[Path, Path]] = [((), ("metadata",))]
    places += [
        (one.pod_spec, one.metadata)
        for one in work.templates
        if one.metadata and work.signs_itself(one)
    ]
    return {
        place: work.context.recorded(work.draft.object, metadata).joined(
            provenance.read(annotation(before.draft.object, metadata, INJECTED))
        )
        for place, metadata in places
    }


def forget_carried(work: Work) -> None:
    """Take out of a trial what carrying sets: intents in templates, labels and annotations."""
    for template in work.templates:
        if template.metadata and template.metadata != ("metadata",):
            _forget(work, (*template.metadata, "annotations"), work.carried_to(template)[1])
    for place in _own_places(work):
        for member in ("labels", "annotations"):
            for name in [*(lookup(work.draft.object, (*place, member)) or {})]:
                if name.startswith(_FOREIGN):
                    work.draft.remove((*place, member, name))


def _forget(work: Work, annotations: Path, carried: Mapping[str, Any]) -> None:
    for name, value in [*(lookup(work.draft.object, annotations) or {}).items()]:
        if carried.get(name.removeprefix(PREFIX)) == value or name == INJECTED:
            work.draft.remove((*annotations, name))


def _own_places(work: Work) -> list[Path]:
    places: list[Path] = [("metadata",), ("spec", "jobTemplate", "metadata")]
    return places + [one.metadata for one in work.templates if one.metadata]


def forget_unknown_early(work: Work) -> None:
    """Drop what a new object's templates claim in the name of policies that aren't in force."""
    for template in work.templates:
        text = annotation(work.draft.object, template.metadata, INJECTED)
        if text is not None and work.signs_itself(template):
            pod = work.as_pod(template)
            if pod.prior.by_policy.keys() != provenance.read(text).by_policy.keys():
                pod.sign()


def forget_unknown(work: Work, before: Work) -> None:
    """Drop what this UPDATE claims in the name of policies that nobody has in force."""
    obj, metadata = work.draft.object, ("metadata",)
    text = annotation(obj, metadata, INJECTED)
    if text is None or text == annotation(before.draft.object, metadata, INJECTED):
        return
    found = work.context.recorded(obj, metadata)
    if found.by_policy.keys() != provenance.read(text).by_policy.keys():
        work.sign(Claims(), found)


def settle(work: Work, before: Work, claims: Claims, anew: frozenset[str]) -> Claims:
    """Take out what is to be set anew and give back the rest; tell which claims still hold."""
    old = before.draft.object
    whole = work.whole()
    out = Claims(was=claims.was)
    back = Claims(revisions={} if "early" in anew else claims.revisions, was=claims.was)
    for policy, at, value in claims:
        if not queue.is_kueues(at) or queue.is_dropped(work.draft.object, old, at):
            (out if _family(at) in anew else back).add(policy, at, value)
        elif "queue" not in anew and whole.where(at) is not None:  # Kueue's by now: left as it is
            whole.claims.add(policy, at, value)
    restore.withdraw(whole, old, out, old_base=before.whole())
    restore.give_back(whole, old, back, old_base=before.whole())
    olds = {template.identity: template for template in before.templates}
    for template in work.templates:
        then = olds.get(template.identity)
        if then is not None and before.signs_itself(then):
            _settle_template(work, before, template, then, anew)
    return whole.claims


def _settle_template(
    work: Work, before: Work, template: Template, then: Template, anew: frozenset[str]
) -> None:
    """Do the same for what went into a template before its pods."""
    old = before.draft.object
    base, pod = before.as_pod(then), work.as_pod(template)
    early = restore.claims_of(base, annotation(old, then.metadata, INJECTED))
    if not early.by_policy:
        return
    pod.prior = Claims()
    if "early" in anew:
        restore.withdraw(pod, old, early, old_base=base)
    else:
        restore.give_back(pod, old, early, old_base=base)
    pod.sign()


def _of_template(
    work: Work, before: Work, metadata: Path, template: Template, carried: set[str]
) -> set[str]:
    """Compare a template's own intents: those that we carried there are not the user's."""
    annotations = (*metadata, "annotations")
    then = written(lookup(before.draft.object, annotations))
    now = written(lookup(work.draft.object, annotations))
    pod = before.at_workload(template, Claims(), Claims())
    for key in [*then]:
        is_ours = pod.pointer((*annotations, PREFIX + key)) in carried
        if is_ours and now.get(key, then[key]) == then[key]:
            del then[key]
            now.pop(key, None)
    return _differences(then, now)


def _differences(then: Any, now: Any) -> set[str]:
    return {key for key in then.keys() | now.keys() if then.get(key) != now.get(key)}


def _family(at: str) -> str:
    """Tell from a pointer which family of the workload stage added what it points at."""
    for family, marks in _MARKS.items():
        if any(mark in at for mark in marks):
            return family
    return "early"


def claims_of(obj: Any) -> Claims:
    """Read what a workload's provenance claims."""
    return provenance.read(annotation(obj, ("metadata",), INJECTED))
