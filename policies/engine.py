"""
The one pipeline: a request, the policies and the facts in, a decision out.

    review   what the webhook answers: workloads carry intents, pods are injected
    render   what the pods will be, folded back into the templates of the object
    beside   what these pods need besides: ResourceClaimTemplates
    explain  the same as render, with what was not added and why
    account  what an object says was added to it
    charges  what quotas charge the object with, and to which group
    strip    the object without anything that was added to it, where none of that was edited
    bare     the same, edited or not: what it would be without us
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from policies.cost import budget
from policies.inject import claims
from policies.inject.prepared import POD
from policies.inject.sound import is_sound, is_sound_metadata
from policies.intents import PREFIX, read, written
from policies.model import DOMAIN, Decision, Facts, Manifest, PolicySet, Request, Skip
from policies.patch import lookup, pointer
from policies.stages import creator, edited, guard, own, undo
from policies.stages import pod as pod_stage
from policies.stages import workload as workload_stage
from policies.stages.context import Context
from policies.workloads import locate

if TYPE_CHECKING:
    from policies.quota.charges import Charge

UNTOUCHED = frozenset({"kube-system"})
MIRROR = "kubernetes.io/config.mirror"  # the kubelet's image of a static pod, which it compares


@budget.review()
def review(request: Request, policies: PolicySet, facts: Facts) -> Decision:
    """Decide what the webhook answers for `request`; the same input gives the same bytes."""
    context = Context.of(request, policies, facts)
    decision = _decide(context)
    if context.prepared.quotas_by_user and not _is_left_alone(context):
        decision = creator.mark(context, decision)
    if context.prepared.guards.of_objects and request.namespace not in UNTOUCHED:
        decision = guard.whole(context, decision)
    return _told(context, decision)


def _told(context: Context, decision: Decision) -> Decision:
    """Warn of what conditions left unknown."""
    if not context.faults:
        return decision
    warnings = (*decision.warnings, *context.faults)
    return replace(decision, warnings=tuple(dict.fromkeys(warnings)))


@budget.review()
def render(request: Request, policies: PolicySet, facts: Facts) -> Decision:
    """Decide what the pods of `request.object` will be, folded back into its templates."""
    context = Context.of(request, policies, facts, fold=True)
    return _told(context, _decide(context))


def beside(request: Request, policies: PolicySet) -> tuple[Manifest, ...]:
    """Make the objects that the pods of a rendered object need beside it, in its namespace."""
    if not any(one.device_class_name for one in policies.accelerators.values()):
        return ()
    context = Context.of(request, policies, Facts())
    if context.kind is None or not isinstance(request.object, dict):
        return ()
    found = locate.templates(request.object, context.kind, context.catalogue)
    specs = [lookup(request.object, one.pod_spec) for one in found]
    sound = [spec for spec in specs if is_sound(spec, None)]
    return tuple(claims.templates(sound, policies.accelerators))


@budget.review()
def explain(request: Request, policies: PolicySet, facts: Facts, *, fold: bool = True) -> Decision:
    """Decide as `render` (or `review`), and say too what was not added and why."""
    context = Context.of(request, policies, facts, fold=fold)
    context.skips, context.reasons = [], []
    decision = _decide(context)
    if not fold and context.prepared.guards.of_objects and request.namespace not in UNTOUCHED:
        decision = guard.whole(context, decision)
    if not read(context.metadata.get("annotations")).inject:
        at = pointer(("metadata", "annotations", f"{PREFIX}inject"))
        context.skips.append(Skip(policy="intents", path=at, why="opted out, so nothing is added"))
    return replace(
        _told(context, decision),
        skipped=tuple(dict.fromkeys(context.skips)),
        reasons=tuple(dict.fromkeys(context.reasons)),
    )


def account(request: Request, policies: PolicySet) -> tuple[undo.Added, ...]:
    """Tell what an object's provenance says was added to it, and by which policy."""
    context = Context.of(request, policies, Facts())
    if not isinstance(request.object, dict) or not is_sound_metadata(context.metadata):
        return ()
    return undo.account(context)


@budget.review()
def charges(request: Request, policies: PolicySet, facts: Facts) -> tuple[Charge, ...]:
    """
    Tell what each quota that covers `request.object` charges it with, at its peak.

    A Pod that is there is charged with what it asks for, all else with what its pods will be.
    """
    from policies.stages import quota  # here, because a terminal hardly ever has quotas

    # As if it came new: an UPDATE adds nothing to templates that were there before us.
    request = replace(request, operation="CREATE", subresource="", old_object=None)
    context = Context.of(request, policies, facts, fold=True)
    covering = quota.covering(context)
    if not covering:
        return ()
    is_there = "uid" in context.metadata and context.kind is not None and context.kind.name == POD
    rendered = request.object if is_there else _decide(context).object
    return quota.charges(context, covering, rendered)


@budget.review()
def strip(request: Request, policies: PolicySet, facts: Facts | None = None) -> undo.Stripped:
    """Take out of `request.object` what was added, unedited, and put back what was overridden."""
    stripped = bare(request, policies)
    if stripped.left or stripped.object is request.object:
        return stripped
    anew = replace(request, operation="CREATE", object=stripped.object)
    facts = _as_shown(request, policies, facts or Facts())
    again = [explain(anew, policies, facts, fold=fold) for fold in (False, True)]
    return edited.judge(
        request.object,
        stripped,
        account(request, policies),
        [(one, account(replace(anew, object=one.object), policies)) for one in again],
        frozenset(f"{one.name}@{one.digest}" for one in policies.injections),
    )


def _as_shown(request: Request, policies: PolicySet, facts: Facts) -> Facts:
    """Add what an object tells of the cluster that it comes from, where nothing else does."""
    from policies.workloads import generations, trainings  # here, because only strip needs them

    context = Context.of(request, policies, Facts())
    if context.kind is None:
        return facts
    found = locate.templates(request.object, context.kind, context.catalogue)
    return replace(
        facts,
        fields=facts.fields or generations.shown(request.object, found),
        launchers=facts.launchers | trainings.shown(request.object, found),
    )


def bare(request: Request, policies: PolicySet) -> undo.Stripped:
    """Take out all that provenance claims, edited or not, to see what an object was without us."""
    context = Context.of(request, policies, Facts())
    if not isinstance(request.object, dict) or not is_sound_metadata(context.metadata):
        return undo.Stripped(object=request.object)
    return undo.strip(context)


def _decide(context: Context) -> Decision:
    if _is_left_alone(context):
        return Decision(object=context.request.object)
    if context.kind is None:
        if context.request.group == DOMAIN:
            return _of_our_own(context)
        return _of_no_pods(context)
    if context.kind.name == POD:
        return _of_pod(context)
    return _of_workload(context)


def _is_left_alone(context: Context) -> bool:
    """Tell whether a request is none of our business: no object, a sub-resource, on its way out."""
    request = context.request
    return (
        request.operation not in ("CREATE", "UPDATE")
        or bool(request.subresource)
        or request.namespace in UNTOUCHED
        or not isinstance(request.object, dict)
        or not is_sound_metadata(request.object.get("metadata"))
        or bool(context.metadata.get("deletionTimestamp"))
        or MIRROR in (context.metadata.get("annotations") or ())
    )


def _of_pod(context: Context) -> Decision:
    created = context.request.operation == "CREATE"
    pod = pod_stage.create(context) if created else pod_stage.update(context)
    if pod is None:
        return Decision(object=context.request.object)
    decision = Decision(
        object=pod.draft.object,
        patch=pod.draft.patch(),
        warnings=tuple(pod.warnings),
        violations=tuple(sorted(pod.violations)),
        missed=pod_stage.missed(pod),
        unheard=pod.unheard,
        provenance=pod.claims.pointers(),
        preview=pod_stage.preview(context, pod) if created else {},
    )
    if context.prepared.guards:
        return guard.with_verdict(decision, guard.pod(context, decision.object))
    return decision


def _of_workload(context: Context) -> Decision:
    assert context.kind is not None  # noqa: S101 -- the caller asked
    stage = (
        workload_stage.create if context.request.operation == "CREATE" else workload_stage.update
    )
    outcome = stage(context, context.kind)
    if outcome is None:
        return Decision(object=context.request.object)
    return Decision(
        object=outcome.draft.object,
        patch=outcome.draft.patch(),
        warnings=tuple(dict.fromkeys(outcome.warnings)),
        violations=tuple(sorted(set(outcome.violations))),
        provenance=outcome.claims.pointers(),
        preview=outcome.previews,
        audits=tuple(sorted(set(outcome.audits))),
    )


def _of_our_own(context: Context) -> Decision:
    request = context.request
    violations = own.judge(request)
    warnings = () if violations else own.noted(request, context)
    return Decision(object=request.object, violations=violations, warnings=warnings)


def _of_no_pods(context: Context) -> Decision:
    keys = sorted(written(context.metadata.get("annotations")))
    warnings = tuple(
        f"intents: {PREFIX}{key} changes nothing here: a {context.request.kind} makes no pods"
        for key in keys
    )
    return Decision(object=context.request.object, warnings=warnings)
