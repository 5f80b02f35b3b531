"""
Judging a workload before its pods exist: the refusal comes at `kubectl apply`, not in an event.

Each template is injected on trial, as its pods will be, and what that finds is reported. On an
UPDATE only what changed is judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from policies.inject import carry, knative, sidecars
from policies.inject.pod import PodDraft
from policies.inject.provenance import Claims
from policies.intents import COMPUTE_ONLY, PREFIX, Fault, Intents, nearest
from policies.model import Violation
from policies.patch import lookup
from policies.stages import guard
from policies.stages import pod as pod_stage
from policies.stages.work import METADATA, Outcome, Work
from policies.workloads import locate
from policies.workloads.locate import Hidden, Template

POLICY = "intents"


def whole(work: Work, outcome: Outcome) -> None:
    """Judge the workload's own intents, then each template."""
    _own(work, outcome)
    _scaling(work, outcome)
    templates(work, outcome)


def update(work: Work, before: Work, outcome: Outcome) -> None:
    """Judge what changed: what the old object had already is not refused again."""
    now, then = Outcome(draft=work.draft), Outcome(draft=before.draft)
    whole(work, now)
    before = before.trial()
    for template in before.templates:  # an object from before us carries nothing yet
        pod = before.at_workload(template, Claims(), Claims())
        carried, written = before.carried_to(template)
        carry.inject(pod, template, before.kind, carried, written)
    whole(before, then)
    outcome.violations += [one for one in now.violations if one not in then.violations]
    outcome.warnings += [one for one in now.warnings if one not in then.warnings]
    outcome.audits += [one for one in now.audits if one not in then.audits]


def templates(work: Work, outcome: Outcome) -> None:
    """Find out what would be refused or warned about when the pods are made, on trial."""
    trial = work.trial()
    for template in trial.templates:
        intents = trial.intents_of(template)
        pod = trial.receiving(template, intents)
        pod_stage.refuse_unfit(pod, intents, work.kind.uses, work.kind.kind)
        _refuse_faults(pod, [one for one in intents.faults if one not in work.intents.faults], work)
        if intents.inject:
            pod_stage.refuse_profiles(pod, work.context, intents)
            trial.run(pod, template, intents, trial.pod_rules(template, intents))
            _preview(trial, template, intents, outcome)
            warning = sidecars.failure_policy_warning(pod, trial.draft.object)
            if warning:
                pod.warn(warning)
        outcome.collect(pod)
        guard.by_namespace(trial, template, outcome)
        if work.context.prepared.guards:
            guard.template(trial, template, intents, outcome)


def _preview(work: Work, template: Template, intents: Intents, outcome: Outcome) -> None:
    """Find out what policies in mode Preview would add to a template's pods."""
    if not work.context.prepared.previews:
        return
    for rule in work.context.prepared.rules(work.target(template, intents), intents, "Preview"):
        trial = work.trial()
        pod = trial.receiving(template, intents)
        trial.run(pod, template, replace(intents, sidecars=()), [rule])
        added = pod.claims.pointers().get(rule.author.key, ())
        known = outcome.previews.get(rule.author.key, ())
        if added:
            outcome.previews[rule.author.key] = tuple(dict.fromkeys((*known, *added)))


def refuse_change(work: Work, before: Work, changed: frozenset[str], outcome: Outcome) -> None:
    """Refuse changed intents where the template can't change."""
    for key in sorted(changed):
        message = (
            f"{PREFIX}{key} changed from {_quoted(before.written.get(key))} to "
            f"{_quoted(work.written.get(key))}, but the pods of a {work.kind.kind} can't be "
            "changed; replace the object (kubectl replace --force)"
        )
        outcome.violations.append(Violation(policy=POLICY, message=message, code=422))


def _own(work: Work, outcome: Outcome) -> None:
    pod = work.whole()
    _refuse_faults(pod, work.intents.faults, work)
    pod_stage.refuse_unfit(pod, work.intents, work.kind.uses, work.kind.kind)
    pod_stage.warn_of_labels(pod, lookup(work.draft.object, (*METADATA, "labels")))
    if work.makes_no_pods:
        if work.intents.keys:
            pod.warn(f"intents: this {work.kind.kind} makes no pods: {work.kind.no_pods_why}")
    else:
        _judge_shape(work, pod)
    outcome.collect(pod)


def _judge_shape(work: Work, pod: PodDraft) -> None:
    """Refuse roles that aren't there, and warn of what the pods can't do or won't find."""
    names = {template.role for template in work.templates}
    if work.kind.propagates:  # the pods of what is written elsewhere have its annotations, too
        names |= set(locate.element_names(work.draft.object, work.kind))
    known = sorted(name.lower() for name in names)
    for role in work.intents.roles:
        if role not in known:
            hint = nearest(role, known) or "; it has " + ", ".join(known)
            message = f'{PREFIX}roles: this {work.kind.kind} has no role "{role}"{hint}'
            pod.refuse(POLICY, message, code=422)
    _refuse_unused(work, pod)
    if "placement" in work.kind.early:
        _warn_of_everywhere(work, pod)
    if work.intents.keys:
        _warn_of_unreached(work, pod)
    if work.kind.source:
        from policies.workloads import unmatched  # here, because few declare kinds of their own

        for sentence in unmatched.sentences(work.draft.object, work.kind, work.templates):
            pod.warn(sentence)
    pod_stage.warn_of_missing(pod, work.intents, work.context.facts, work.kind.autoscaling)


def _refuse_unused(work: Work, pod: PodDraft) -> None:
    """Refuse what only roles that compute receive where there is no such role."""
    unused = sorted(work.intents.keys & COMPUTE_ONLY)
    if not unused or work.intents.roles or work.kind.propagates or not work.templates:
        return
    if any(carry.selected(template, work.intents) for template in work.templates):
        return
    roles = list(dict.fromkeys(template.role for template in work.templates))
    for key in unused:
        message = (
            f"{PREFIX}{key} reaches no pod: of its roles this {work.kind.kind} has none that "
            f"computes, but {', '.join(roles)}; write {PREFIX}roles: {roles[0]}, or take it out"
        )
        path = f"/metadata/annotations/kubectl-ml.io~1{key}"
        pod.refuse(POLICY, message, code=422, path=path)


def _warn_of_unreached(work: Work, pod: PodDraft) -> None:
    """Warn where intents find no template that could carry them."""
    if not (work.templates or work.kind.source or work.kind.propagates or work.kind.template):
        pod.warn(
            f"intents: this {work.kind.kind} holds no pod template, so they don't reach its "
            "pods; write one, or write the intents where the template is"
        )
    obj = work.draft.object
    as_maps = locate.strings(obj, work.kind)
    for at in as_maps:
        pod.warn(
            f"intents: {locate.written(at)} is a string, to which nothing can be added; "
            "write it as a map"
        )
    for one in locate.hidden(obj, work.kind) if work.kind.embedded else ():
        if one.path not in as_maps and _holds_pods(obj, one, work):
            unread = f" ({one.opaque})" if one.opaque else ""
            pod.warn(
                f"intents: {locate.written(one.path)} is a string, to which nothing can be added"
                f"{unread}; write the intents into what it holds"
            )


def _holds_pods(obj: Any, hidden: Hidden, work: Work) -> bool:
    """Tell whether a string holds, or may hold, what makes pods."""
    if not isinstance(lookup(obj, hidden.path), str) or hidden.what in locate.NO_OBJECTS:
        return False
    known = work.context.catalogue
    return bool(hidden.opaque) or any(known.of(one) is not None for one in hidden.objects)


def _scaling(work: Work, outcome: Outcome) -> None:
    """Warn of the user's own scaling where no intent has had it refused already."""
    for template in work.templates if work.kind.autoscaling else ():
        if not (work.intents.scale or work.intents_of(template).scale):
            at = work.at_workload(template, Claims(), Claims())
            knative.warn_of_own(at, work.kind)
            outcome.collect(at)


def _warn_of_everywhere(work: Work, pod: PodDraft) -> None:
    """Warn of device classes that leave it open where a DaemonSet's pods go: to every node."""
    for template in work.templates:
        spec = lookup(work.draft.object, template.pod_spec)
        classes = work.context.prepared.policies.accelerators
        for device in work.intents.accelerator:
            found = classes.get(device.device_class)
            if found and not (
                found.node_selector or spec.get("nodeSelector") or spec.get("affinity")
            ):
                pod.warn(
                    f'devices: class "{found.name}" selects no nodes, so every node gets a pod, '
                    "which waits where there is no such device; give the template a nodeSelector"
                )


def _refuse_faults(pod: PodDraft, faults: Iterable[Fault], work: Work) -> None:
    """Refuse what can't be read; an intent that doesn't exist is refused on CREATE alone."""
    for fault in faults:
        if fault.unknown and work.context.request.operation != "CREATE":
            pod.warn(f"{POLICY}: {fault.message}")
        else:
            path = f"/metadata/annotations/kubectl-ml.io~1{fault.key}"
            pod.refuse(POLICY, fault.message, code=422, path=path)


def _quoted(value: Any) -> str:
    return "nothing" if value is None else f'"{value}"'
