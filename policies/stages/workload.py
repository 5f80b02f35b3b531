"""
The workload stage: intents travel to the templates, and what only the workload can carry is set.

What is read before pods exist goes into the template already: all of it where a queue counts the
template, placement where the controller picks nodes by it. An UPDATE that leaves the intents as
they were adds nothing; one that changes them takes ours out and sets it anew.
"""

from __future__ import annotations

from dataclasses import replace

from policies.inject import carry, dapr, knative, kserve, queue, receive
from policies.inject.pod import PodDraft
from policies.inject.prepared import Rule
from policies.inject.provenance import Claims
from policies.inject.sound import is_sound_metadata
from policies.intents import KEYS, PREFIX, Intents
from policies.patch import Draft, Path, lookup
from policies.stages import changes, judge
from policies.stages import pod as pod_stage
from policies.stages.context import Context
from policies.stages.work import METADATA, Outcome, Work
from policies.workloads import pods
from policies.workloads.catalogue import Kind
from policies.workloads.locate import Template

PLACEMENT = frozenset({"nodeSelector", "affinity", "tolerations"})
_OPTED_OUT = "opted out by the template's own inject: false"
JOB_TEMPLATE = ("spec", "jobTemplate", "metadata")


def create(context: Context, kind: Kind) -> Outcome | None:
    """Carry the intents of a new workload; None where its owner's carrying has done it."""
    if _is_owned(context):
        return None
    work = Work.of(context, kind, Draft(context.request.object))
    outcome = Outcome(draft=work.draft)
    changes.forget_unknown_early(work)
    prior = context.recorded(work.draft.object, METADATA)
    _carry(work, outcome, prior, changes.ALL | {"suspend"})
    judge.whole(work, outcome)
    return outcome


def update(context: Context, kind: Kind) -> Outcome | None:
    """Follow changed intents, and give back what we had added and the request dropped."""
    old = context.request.old_object
    if _is_owned(context) or not isinstance(old, dict):
        return None
    if not is_sound_metadata(old.get("metadata")):
        return None
    work = Work.of(context, kind, Draft(context.request.object))
    before = Work.of(context, kind, Draft(old))
    outcome = Outcome(draft=work.draft)
    changed = changes.of_intents(work, before, changes.claims_of(old))
    if changed:
        work = replace(work, known=changes.known(work, before))
    _follow(work, before, changed, outcome)
    if changed or _templates_differ(work, before):
        judge.update(work, before, outcome)
    return outcome


def _follow(work: Work, before: Work, changed: frozenset[str], outcome: Outcome) -> None:
    """Set anew what follows the changed intents; the rest stays as it was."""
    fixed = (changed & frozenset(KEYS)) - changes.TEMPLATE_FREE
    if "queue" in changed and queue.system_of(work.context.facts) != "kueue":
        fixed |= {"queue"}  # it stands in the templates
    if work.kind.immutable and fixed:
        judge.refuse_change(work, before, fixed, outcome)
        changed = changed & changes.TEMPLATE_FREE - fixed
    anew = changes.families(changed)
    if work.kind.immutable:
        anew -= {"carry", "dapr", "mesh", "early"}
    claims = _claims(before)
    kept = changes.settle(work, before, claims, anew)
    if anew:
        _carry(work, outcome, kept, anew)
    elif claims.by_policy:
        work.sign(kept, Claims())
    else:
        changes.forget_unknown(work, before)


def _claims(before: Work) -> Claims:
    """
    Tell what of the old object was ours.

    Its provenance says so, unless it was too large to be written out. Then it is what we would
    set if it weren't there: found out on the old object without its intents' traces.
    """
    claims = changes.claims_of(before.draft.object)
    if all(claims.by_policy.values()):
        return claims
    trial = before.trial()
    changes.forget_carried(trial)
    return _carry(trial, Outcome(draft=trial.draft), Claims(), changes.ALL)


def _carry(work: Work, outcome: Outcome, prior: Claims, families: frozenset[str]) -> Claims:
    """
    Set what the workload carries, then what must be in its templates before pods exist.

    Gives what was claimed at the workload.
    """
    claims, own = Claims(), work.rules()
    if "queue" in families and work.intents.inject and not work.makes_no_pods:
        _queue(work, own, claims=claims, prior=prior, outcome=outcome)
        if "suspend" in families and not work.context.fold:  # a manifest with the label needs none
            queue.suspend(work.whole(claims, prior), work.kind, work.context.facts)
    for template in work.templates:
        _carry_to(work, template, own, families, claims=claims, prior=prior, outcome=outcome)
    if "early" in families:
        for template in work.templates:
            _early(work, template, own, claims=claims, prior=prior, outcome=outcome)
        if work.kind.autoscaling == "kserve":
            pod = work.whole(claims, prior)
            kserve.name_devices(pod)
            outcome.collect(pod)
    work.sign(claims, prior)
    outcome.claim(claims)
    return claims


def _carry_to(
    work: Work,
    template: Template,
    own: list[Rule],
    families: frozenset[str],
    *,
    claims: Claims,
    prior: Claims,
    outcome: Outcome,
) -> None:
    """Carry intents to one template, and set there what injectors of others read early."""
    pod = work.at_workload(template, claims, prior)
    if "carry" in families:
        carried, written = work.carried_to(template)
        carry.inject(pod, template, work.kind, carried, written)
    intents = work.intents_of(template)
    if intents.inject:
        rules = work.pod_rules(template, intents, own)
        if "knative" in families:
            knative.inject(pod, intents if intents.scale else work.intents, rules, work.kind)
        if "dapr" in families:
            dapr.inject(pod, intents, rules, name=work.name, facts=work.context.facts)
        if "mesh" in families:
            target = work.target(template, intents)
            pod_stage.run_mesh(pod, work.context, target, intents, rules)
    outcome.collect(pod)


def _early(
    work: Work,
    template: Template,
    own: list[Rule],
    *,
    claims: Claims,
    prior: Claims,
    outcome: Outcome,
) -> None:
    """Put into a template what must be there before its pods are."""
    intents, accepts = work.intents_of(template), template.kind.accepts
    if not intents.inject:
        if template.metadata and work.intents.inject:
            at = (*template.metadata, "annotations", f"{PREFIX}inject")
            work.as_pod(template).skip("intents", at, _OPTED_OUT)
        return
    rules = work.pod_rules(template, intents, own)

    def inject(
        wanted: Intents, chosen: list[Rule], accepted: frozenset[str] | None = accepts
    ) -> None:
        signs = work.signs_itself(template)
        pod = (
            work.receiving(template, wanted)
            if signs
            else work.receiving_at_workload(template, wanted, claims, prior)
        )
        _inject(work, template, wanted, chosen, pod=pod, accepts=accepted, outcome=outcome)
        if signs:
            pod.sign()
            outcome.claim(pod.claims)

    early = template.kind.early
    if work.context.fold or _all_is_early(work, template) or _queue_of(work) in work.kind.counted:
        inject(intents, rules)
        return
    if "placement" in early:
        inject(intents, rules, PLACEMENT)
    if own:  # the policies that name this kind, and no intents
        bare = replace(intents, accelerator=(), shm="", mounts=(), sidecars=(), dapr=None)
        inject(bare, own)


def _all_is_early(work: Work, template: Template) -> bool:
    """Tell whether an operator reads all of a template, or drops what its pods need to get it."""
    kind = template.kind
    if template.definition.early:
        return True
    if "all" in kind.early or kind.early_where is None:
        return "all" in kind.early
    return kind.early_where.holds(lookup(work.draft.object, template.base))


def _inject(
    work: Work,
    template: Template,
    intents: Intents,
    rules: list[Rule],
    *,
    pod: PodDraft,
    accepts: frozenset[str] | None,
    outcome: Outcome,
) -> None:
    """Inject a template in place, within what its kind accepts."""
    if not pod.containers and not template.definition.flat:
        return
    pod.accepts, pod.rejects = accepts, _rejected(work, template)
    if not pod.containers and accepts is None:
        pod.accepts = PLACEMENT
    work.run(pod, template, intents, rules)
    if pod.skipped and (work.context.fold or template.definition.early):
        fields = sorted({field.partition(".")[0] for field in pod.skipped})
        then = (
            "its pods go without, for a Trainer of this age hands nothing on to them; "
            "write it into the template of its runtime"
            if template.definition.early
            else "what needs them is added to its pods when they are created"
        )
        lost = f"the template of a {template.kind.name} can't hold {', '.join(fields)}"
        pod.warn(f"intents: {lost}; {then}")
    outcome.collect(pod)


def _rejected(work: Work, template: Template) -> frozenset[str]:
    """Tell what a template's own webhook refuses, by what can be known of the object."""
    return template.definition.rejects | _rejected_by_kind(work, template)


def _rejected_by_kind(work: Work, template: Template) -> frozenset[str]:
    kind = template.kind
    if not kind.rejects:
        return kind.rejects
    if kind.autoscaling == "kserve" and not work.context.facts.has("knative"):
        return frozenset()
    inner = lookup(work.draft.object, template.base)
    if kind.rejects_unless and kind.rejects_unless.holds(inner):
        return frozenset()
    return kind.rejects if _has_ports(work, template) else kind.rejects | {"containers"}


def _has_ports(work: Work, template: Template) -> bool:
    """Tell whether a container says its port: beside others, Knative asks one of them to."""
    found = lookup(work.draft.object, (*template.pod_spec, "containers"))
    return any(isinstance(one, dict) and one.get("ports") for one in found or ())


def _queue(work: Work, own: list[Rule], *, claims: Claims, prior: Claims, outcome: Outcome) -> None:
    """Put the object, or what of it the queue manages, into its queue."""
    named = [work.intents.queue, *(work.intents_of(one).queue for one in work.templates)]
    wanted = replace(work.intents, queue=next(filter(None, named), ""))
    given, facts = pod_stage.queue_default(own), work.context.facts
    if not wanted.queue and not given.queue and not given.priority:
        return
    pod, kind = work.whole(claims, prior), work.kind.name

    def walkable(paths: list[Path]) -> list[Path]:
        members = ("labels", "annotations")
        obj = work.draft.object
        return [
            one for one in paths if all(receive.walkable(obj, (*one, each)) for each in members)
        ]

    places = walkable(_queue_places(work))
    templates = walkable([one.metadata for one in work.templates if one.metadata])
    queue.inject(pod, wanted, given, facts=facts, places=places, templates=templates, kind=kind)
    outcome.collect(pod)
    for template in work.templates:
        pod = work.at_workload(template, claims, prior)
        pod.accepts, pod.rejects = template.kind.accepts, _rejected(work, template)
        queue.inject_pods(pod, wanted, given, facts=facts, kind=kind)
        outcome.collect(pod)


def _queue_places(work: Work) -> list[Path]:
    """Give the metadata on which a queue that manages objects finds its label."""
    if work.kind.queue == "jobTemplate":
        return [JOB_TEMPLATE]
    pods = [one.metadata for one in work.templates if one.metadata]
    if work.kind.queue == "template":
        return pods
    return [METADATA, *pods] if work.kind.queue == "pods" else [METADATA]


def _queue_of(work: Work) -> str:
    places = [METADATA, *_queue_places(work)]
    places += [one.metadata for one in work.templates if one.metadata]
    return queue.queued_by(work.draft.object, places, work.kind.name)


def _templates_differ(work: Work, before: Work) -> bool:
    now, then = work.draft.object, before.draft.object
    guarded = bool(work.context.prepared.guards)  # which look at labels too
    return work.templates != before.templates or any(
        lookup(now, one.pod_spec) != lookup(then, one.pod_spec)
        or (guarded and one.metadata and lookup(now, one.metadata) != lookup(then, one.metadata))
        for one in work.templates
    )


def _is_owned(context: Context) -> bool:
    """
    Tell whether a workload belongs to one that the catalogue knows, whose carrying reached it.

    Its controller compares it with what it made: a change here would be undone, or repeated.
    """
    kind, group, _ = pods.controller(context.metadata)
    return bool(kind) and group in context.catalogue.groups
