"""
The workload stage: intents travel to the templates, and what only the workload can carry is set.

What is read before pods exist goes into the template already: all of it where a queue counts the
template, placement where the controller picks nodes by it. An UPDATE that leaves the intents as
they were adds nothing; one that changes them takes ours out and sets it anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from policies import pod_stage
from policies.context import Context
from policies.inject import (
    carry,
    dapr,
    knative,
    mesh,
    provenance,
    queue,
    receive,
    restore,
    sidecars,
)
from policies.inject.pod import (
    LIMIT_RANGER,
    PodDraft,
    annotation,
    is_sound,
    is_sound_container,
    is_sound_resources,
    limit_ranged,
)
from policies.inject.prepared import POD, Rule
from policies.inject.provenance import Claims
from policies.intents import INJECTED, PREFIX, USED_UP, Intents, nearest, read, written
from policies.match import Target
from policies.model import Violation
from policies.patch import Draft, lookup
from policies.workloads import locate, pods
from policies.workloads.catalogue import Kind
from policies.workloads.locate import Template

POLICY = "intents"
METADATA = ("metadata",)
PLACEMENT = frozenset({"nodeSelector", "affinity", "tolerations"})
TEMPLATE_FREE = USED_UP - {"roles"}  # intents that leave templates as they are


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of a workload."""

    draft: Draft
    warnings: list[str] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    claims: Claims = field(default_factory=Claims)
    previews: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One workload being worked on."""

    context: Context
    kind: Kind
    draft: Draft
    intents: Intents  # of the workload itself
    written: dict[str, Any]
    templates: tuple[Template, ...]

    @classmethod
    def of(cls, context: Context, kind: Kind, draft: Draft) -> Work:
        """Open a workload; templates of an unsound shape are left to the API server to refuse."""
        obj = draft.object
        annotations = lookup(obj, (*METADATA, "annotations"))
        return cls(
            context=context,
            kind=kind,
            draft=draft,
            intents=read(annotations),
            written=written(annotations),
            templates=tuple(one for one in locate.templates(obj, kind) if _is_sound(obj, one)),
        )

    @property
    def name(self) -> str:
        """The workload's name, as far as it is known."""
        metadata = lookup(self.draft.object, METADATA) or {}
        name = metadata.get("name") or str(metadata.get("generateName") or "").rstrip("-")
        return name if isinstance(name, str) else ""

    def whole(self) -> PodDraft:
        """Open the object itself, for what is written at the workload."""
        keyed = any(template.keyed for template in self.templates)
        return PodDraft(
            draft=self.draft, spec=("spec",), metadata=METADATA, whole=True, keyed=keyed
        )

    def at_workload(self, template: Template, claims: Claims, prior: Claims) -> PodDraft:
        """Open a template for what the workload carries; its claims are the workload's."""
        return PodDraft(
            draft=self.draft,
            spec=template.pod_spec,
            metadata=template.metadata,
            whole=True,
            keyed=template.keyed,
            claims=claims,
            prior=prior,
        )

    def as_pod(self, template: Template) -> PodDraft:
        """Open a template as the pod it will be; its claims are the pod's."""
        obj = self.draft.object
        return PodDraft(
            draft=self.draft,
            spec=template.pod_spec,
            metadata=template.metadata,
            keyed=template.keyed,
            prior=provenance.read(annotation(obj, template.metadata, INJECTED)),
            defaulted=limit_ranged(annotation(obj, template.metadata, LIMIT_RANGER)),
        )


def create(context: Context, kind: Kind) -> Outcome | None:
    """Carry the intents of a new workload; None where its owner's carrying has done it."""
    if _is_owned(context):
        return None
    work = Work.of(context, kind, Draft(context.request.object))
    outcome = Outcome(draft=work.draft)
    _refuse_unusable(work, outcome)
    prior = provenance.read(annotation(work.draft.object, METADATA, INJECTED))
    _carry(work, outcome, prior, frozenset({"carry", "dapr", "mesh", "knative", "queue", "early"}))
    _judge(work, outcome)
    return outcome


def update(context: Context, kind: Kind) -> Outcome | None:
    """Follow changed intents, and give back what we had added and the request dropped."""
    old = context.request.old_object
    if _is_owned(context) or not isinstance(old, dict):
        return None
    work = Work.of(context, kind, Draft(context.request.object))
    before = Work.of(context, kind, Draft(old))
    outcome = Outcome(draft=work.draft)
    claims = provenance.read(annotation(old, METADATA, INJECTED))
    changed = _changed(work, before, claims)
    if kind.immutable and changed - TEMPLATE_FREE:
        _refuse_change(work, before, changed - TEMPLATE_FREE, outcome)
        changed = changed & TEMPLATE_FREE
    anew = _families(changed)
    kept = _settle(work, before, claims, anew)
    if anew:
        _carry(work, outcome, kept, anew)
    elif claims.by_policy:
        _sign(work, kept)
    if changed or _templates_differ(work, before):
        _judge_update(work, before, changed, outcome)
    return outcome


def _carry(work: Work, outcome: Outcome, prior: Claims, families: frozenset[str]) -> None:
    """Set what the workload carries, then what must be in its templates before pods exist."""
    context, kind = work.context, work.kind
    claims = Claims()
    own = _target(work, kind.name, work.intents)
    own_rules = context.prepared.rules(own, work.intents)
    if work.intents.inject:
        _queue(work, own_rules, claims, prior, families)
    for template in work.templates:
        pod = work.at_workload(template, claims, prior)
        if "carry" in families:
            carry.inject(pod, template, kind, work.intents, work.written)
        intents = _of_template(work, template)
        if not intents.inject:
            continue
        rules = _merged(_rules(work, template, intents), own_rules)
        if "knative" in families:
            knative.inject(pod, work.intents if work.intents.inject else intents, rules, kind)
        if "dapr" in families:
            dapr.inject(pod, intents, rules, name=work.name)
        if "mesh" in families:
            mesh.inject(pod, intents, rules)
        outcome.warnings += pod.warnings
    if "early" in families:
        for template in work.templates:
            _early(work, template, outcome, own_rules)
    outcome.claims = claims
    _sign(work, claims, prior)


def _early(work: Work, template: Template, outcome: Outcome, own_rules: list[Rule]) -> None:
    """Put into a template what must be there before its pods are."""
    intents = _of_template(work, template)
    if not intents.inject:
        return
    system = queue.queued_by(work.draft.object, METADATA) or _job_template_queue(work)
    if work.context.fold or system in work.kind.counted:
        _inject(work, template, intents, outcome, accepts=work.kind.accepts)
    elif "placement" in work.kind.early:
        _inject(work, template, intents, outcome, accepts=PLACEMENT)
    elif own_rules:
        pod = _open(work, template, intents, accepts=work.kind.accepts)
        _run(
            work,
            template,
            pod,
            replace(intents, accelerator=(), mounts=(), shm="", sidecars=()),
            own_rules,
        )
        pod.sign()
        _collect(pod, outcome)


def _inject(
    work: Work,
    template: Template,
    intents: Intents,
    outcome: Outcome,
    *,
    accepts: frozenset[str] | None,
) -> None:
    own = work.context.prepared.rules(_target(work, work.kind.name, work.intents), work.intents)
    pod = _open(work, template, intents, accepts=accepts)
    if not pod.containers:
        return
    _run(work, template, pod, intents, _merged(_rules(work, template, intents), own))
    pod.sign()
    _collect(pod, outcome)
    for policy, at, before in pod.claims:
        outcome.claims.add(policy, at, before)


def _open(
    work: Work, template: Template, intents: Intents, *, accepts: frozenset[str] | None
) -> PodDraft:
    pod = work.as_pod(template)
    pod.accepts, pod.rejects = accepts, work.kind.rejects
    role = template.definition
    pod.containers = receive.containers(pod, intents, role, role.primary)
    pod.finishes = work.kind.finishes or pod.get("restartPolicy") in ("Never", "OnFailure")
    return pod


def _run(
    work: Work, template: Template, pod: PodDraft, intents: Intents, rules: list[Rule]
) -> None:
    labels = (
        lookup(work.draft.object, (*(template.metadata or ()), "labels"))
        if template.metadata
        else None
    )
    target = work.context.target(POD, labels, work.kind.pod_owner or work.kind.name, intents)
    pod_stage.run_families(pod, work.context, target, intents, rules, name=work.name)


def _judge(work: Work, outcome: Outcome) -> None:
    """Find out what would be refused or warned about when the pods are made, without making them."""
    trial = Work(
        context=work.context,
        kind=work.kind,
        draft=work.draft.fork(),
        intents=work.intents,
        written=work.written,
        templates=work.templates,
    )
    for template in trial.templates:
        intents = _of_template(trial, template)
        where = f" in role {template.role}" if len(trial.templates) > 1 else ""
        for fault in intents.faults:
            if fault not in work.intents.faults:
                outcome.violations.append(
                    Violation(policy=POLICY, message=fault.message + where, code=422)
                )
        if not intents.inject:
            continue
        pod = _open(trial, template, intents, accepts=None)
        pod.rejects = frozenset()
        pod_stage.refuse_profiles(pod, work.context, intents)
        _run(trial, template, pod, intents, _rules(trial, template, intents))
        _collect(pod, outcome)
        _warn_of_failure_policy(trial, pod, outcome)


def _judge_update(work: Work, before: Work, changed: frozenset[str], outcome: Outcome) -> None:
    """Judge only what changed: what the old object had already is not refused again."""
    now, then = Outcome(draft=work.draft), Outcome(draft=before.draft)
    for one, found in ((work, now), (before, then)):
        _refuse_unusable(one, found)
        _judge(one, found)
    outcome.violations += [one for one in now.violations if one not in then.violations]
    outcome.warnings += [one for one in now.warnings if one not in then.warnings]


def _refuse_unusable(work: Work, outcome: Outcome) -> None:
    pod = work.whole()
    for fault in work.intents.faults:
        pod.refuse(
            POLICY,
            fault.message,
            code=422,
            path=f"/metadata/annotations/kubectl-ml.io~1{fault.key}",
        )
    pod_stage.refuse_unfit(pod, work.intents, work.kind.uses, work.kind.kind)
    pod_stage.warn_of_labels(pod, lookup(work.draft.object, (*METADATA, "labels")))
    known = sorted({template.role.lower() for template in work.templates})
    for role in work.intents.roles:
        if role not in known:
            hint = nearest(role, known) or "; it has " + ", ".join(known)
            pod.refuse(
                POLICY, f'{PREFIX}roles: this {work.kind.kind} has no role "{role}"{hint}', code=422
            )
    for key, system in _needs(work):
        if key in work.intents.keys and not any(map(work.context.facts.has, system)):
            pod.warn(
                f"intents: {PREFIX}{key} needs {' or '.join(system)}, which isn't installed here"
            )
    _collect(pod, outcome)


def _needs(work: Work) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "dapr", (dapr.SYSTEM,)
    yield "mesh", (mesh.SYSTEM,)
    yield "queue", ("kueue", "volcano")
    if work.kind.autoscaling:
        yield "scale", (knative.SYSTEM[work.kind.autoscaling],)


def _refuse_change(work: Work, before: Work, changed: frozenset[str], outcome: Outcome) -> None:
    for key in sorted(changed):
        then, now = before.written.get(key), work.written.get(key)
        outcome.violations.append(
            Violation(
                policy=POLICY,
                message=(
                    f"{PREFIX}{key} changed from {_quoted(then)} to {_quoted(now)}, but the pods of a "
                    f"{work.kind.kind} can't be changed; replace the object (kubectl replace --force)"
                ),
                code=422,
            )
        )


def _changed(work: Work, before: Work, claims: Claims) -> frozenset[str]:
    """Tell which intents the user changed, at the workload or at a template."""
    changed = _differences(before.written, work.written)
    carried = {at for _, at, _ in claims}
    olds = {template.pod_spec: template for template in before.templates}
    for template in work.templates:
        old = olds.get(template.pod_spec)
        if old is None or template.metadata is None:
            continue
        then, now = (
            written(lookup(one.draft.object, (*template.metadata, "annotations")))
            for one in (before, work)
        )
        pod = work.at_workload(template, Claims(), Claims())
        for key in [*then]:
            at = (
                pod.pointer((*template.metadata, "annotations", PREFIX + key))
                if not template.keyed
                else ""
            )
            ours = at in carried or _is_carried(template, key, carried)
            if ours and now.get(key, then[key]) == then[key]:
                then.pop(key)
                now.pop(key, None)
        changed |= _differences(then, now)
    return frozenset(changed)


def _is_carried(template: Template, key: str, carried: set[str]) -> bool:
    if not template.keyed:
        return False
    suffix = f"/metadata/annotations/kubectl-ml.io~1{key}"
    return any(at.endswith(suffix) for at in carried)


def _differences(then: dict[str, Any], now: dict[str, Any]) -> set[str]:
    return {key for key in then.keys() | now.keys() if then.get(key) != now.get(key)}


def _families(changed: frozenset[str]) -> frozenset[str]:
    """Tell which families follow the intents that changed."""
    found: set[str] = set()
    if changed - TEMPLATE_FREE:
        found |= {"carry", "dapr", "mesh", "early"}
    if "scale" in changed:
        found.add("knative")
    if "queue" in changed:
        found |= {"queue", "early"}
    return frozenset(found)


def _family(at: str) -> str:
    """Tell from a pointer which family of the workload stage added what it points at."""
    for family, marks in (
        ("carry", ("/kubectl-ml.io~1",)),
        ("dapr", ("/dapr.io~1",)),
        ("mesh", ("/sidecar.istio.io~1",)),
        ("knative", ("/autoscaling.knative.dev~1", *(f"/{name}" for name in knative.FIELDS))),
        ("queue", ("/kueue.x-k8s.io~1", "/scheduling.volcano.sh~1", "/kai.scheduler~1")),
    ):
        if any(mark in at for mark in marks):
            return family
    return "early"


def _settle(work: Work, before: Work, claims: Claims, anew: frozenset[str]) -> Claims:
    """Take out what is to be set anew, give back the rest; tell which claims still hold."""
    old = before.draft.object
    whole = work.whole()
    out, back = _split(claims, anew)
    restore.withdraw(whole, old, out, old_base=before.whole())
    restore.give_back(whole, old, back, old_base=before.whole())
    olds = {template.role: template for template in before.templates}
    for template in work.templates:
        if template.role not in olds:
            continue
        then = before.as_pod(olds[template.role])
        pod = work.as_pod(template)
        early = restore.claims_of(then, annotation(old, then.metadata, INJECTED))
        if not early.by_policy:
            continue
        pod.prior = Claims()
        if "early" in anew:
            restore.withdraw(pod, old, early, old_base=then)
        else:
            restore.give_back(pod, old, early, old_base=then)
        pod.sign()
    return whole.claims


def _split(claims: Claims, anew: frozenset[str]) -> tuple[Claims, Claims]:
    out, back = Claims(), Claims()
    for policy, at, value in claims:
        (out if _family(at) in anew else back).add(policy, at, value)
    return out, back


def _sign(work: Work, claims: Claims, prior: Claims | None = None) -> None:
    whole = work.whole()
    whole.claims = claims
    whole.prior = prior or Claims()
    whole.sign()


def _queue(
    work: Work, rules: list[Rule], claims: Claims, prior: Claims, families: frozenset[str]
) -> None:
    if "queue" not in families:
        return
    places = [METADATA]
    if work.kind.queue == "jobTemplate":
        places = [("spec", "jobTemplate", "metadata")]
    elif work.kind.queue == "template":
        places = [one.metadata for one in work.templates if one.metadata]
    for place in places:
        if not receive.walkable(work.draft.object, (*place, "labels")):
            continue
        pod = PodDraft(
            draft=work.draft,
            spec=("spec",),
            metadata=METADATA,
            whole=True,
            claims=claims,
            prior=prior,
        )
        queue.inject(
            pod,
            work.intents,
            pod_stage.queue_policy(rules),
            metadata=place,
            facts=work.context.facts,
        )


def _job_template_queue(work: Work) -> str:
    if work.kind.queue != "jobTemplate":
        return ""
    return queue.queued_by(work.draft.object, ("spec", "jobTemplate", "metadata"))


def _of_template(work: Work, template: Template) -> Intents:
    """Read the intents that a template's pods will have."""
    if template.metadata is None:
        return replace(
            work.intents, keys=frozenset(), accelerator=(), mounts=(), shm="", sidecars=()
        )
    return read(lookup(work.draft.object, (*template.metadata, "annotations")))


def _rules(work: Work, template: Template, intents: Intents) -> list[Rule]:
    labels = (
        lookup(work.draft.object, (*template.metadata, "labels")) if template.metadata else None
    )
    target = work.context.target(POD, labels, work.kind.pod_owner or work.kind.name, intents)
    return work.context.prepared.rules(target, intents)


def _merged(first: list[Rule], second: list[Rule]) -> list[Rule]:
    if not second:
        return first
    return sorted({*first, *second}, key=lambda rule: (rule.policy.order, rule.policy.name))


def _target(work: Work, kind: str, intents: Intents) -> Target:
    labels = lookup(work.draft.object, (*METADATA, "labels"))
    return work.context.target(kind, labels, "", intents)


def _collect(pod: PodDraft, outcome: Outcome) -> None:
    outcome.warnings += [one for one in pod.warnings if one not in outcome.warnings]
    outcome.violations += [one for one in pod.violations if one not in outcome.violations]


def _warn_of_failure_policy(work: Work, pod: PodDraft, outcome: Outcome) -> None:
    warning = sidecars.failure_policy_warning(pod, work.draft.object)
    if warning and warning not in outcome.warnings:
        outcome.warnings.append(warning)


def _templates_differ(work: Work, before: Work) -> bool:
    return work.templates != before.templates or any(
        lookup(work.draft.object, one.pod_spec) != lookup(before.draft.object, one.pod_spec)
        for one in work.templates
    )


def _is_owned(context: Context) -> bool:
    """
    Tell whether a workload belongs to one that the catalogue knows, whose carrying reached it.

    Its controller compares it with what it made: a change here would be undone, or repeated.
    """
    kind, group, _ = pods.controller(context.metadata)
    return bool(kind) and group in context.catalogue.groups


def _is_sound(obj: Any, template: Template) -> bool:
    metadata = lookup(obj, template.metadata) if template.metadata else None
    overrides = template.definition.container
    if overrides:
        trainer = lookup(obj, overrides.env[:-1])
        return (
            receive.walkable(obj, (*template.pod_spec,))
            and receive.walkable(obj, (*(template.metadata or ()), "annotations"))
            and receive.walkable(obj, overrides.env[:-1])
            and is_sound(lookup(obj, template.pod_spec) or {}, metadata)
            and is_sound_container({"env": (trainer or {}).get("env")})
            and is_sound_resources(lookup(obj, overrides.resources) or {})
        )
    pod_spec = lookup(obj, template.pod_spec)
    return is_sound(pod_spec, metadata) and all(
        pod_spec.get(member) is None or is_sound_container(pod_spec[member])
        for member in template.definition.inline
    )


def _quoted(value: Any) -> str:
    return "nothing" if value is None else f'"{value}"'
