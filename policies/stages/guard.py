"""Judging by guards: pods as they will be, templates as their pods will be, and whole objects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from policies import intents as known
from policies.asked import CONNECTED
from policies.guard import rules
from policies.guard.rules import POD, Verdict
from policies.inject.sound import is_sound_metadata
from policies.match import Target
from policies.model import DOMAIN, Decision, Violation
from policies.patch import lookup
from policies.stages.context import Context
from policies.stages.work import Outcome, Work
from policies.workloads import pods
from policies.workloads.locate import Template


def pod(context: Context, obj: Any) -> Verdict:
    """Judge a pod as it will be; on an UPDATE, what the old one had already is left out."""
    old = context.request.old_object if context.request.operation == "UPDATE" else None
    found = _pod(context, obj, old)
    return found if old is None else _without(found, _pod(context, old, old))


def _pod(context: Context, obj: Any, old: Any) -> Verdict:
    metadata = _metadata(obj)
    origin = pods.origin(metadata, context.catalogue)
    read = known.read(metadata.get("annotations"))
    target = context.target(POD, metadata.get("labels"), origin.owner, read)
    return _judged(context, target, obj, old)


def template(work: Work, at: Template, intents: known.Intents, outcome: Outcome) -> None:
    """Judge the pod that a template makes, injected as it will be."""
    context = work.context
    if at.definition.container:
        return  # the workload overrides what another template says; there is no pod to judge
    obj = _made(work.draft.object, at, context.request.namespace)
    old = context.request.old_object if context.request.operation == "UPDATE" else None
    before = _made(old, at, context.request.namespace) if old is not None else None
    target = work.target(at, intents)
    verdict = _judged(context, target, obj, before)
    outcome.violations += [one for one in verdict.denied if one not in outcome.violations]
    outcome.warnings += [one for one in map(_line, verdict.warned) if one not in outcome.warnings]
    outcome.audits += [one for one in verdict.audited if one not in outcome.audits]


def _judged(context: Context, target: Target, obj: Any, old: Any) -> Verdict:
    guards, request, facts = context.prepared.guards, context.request, context.facts
    return rules.judge(guards, target, request, facts, obj, old, reasons=context.reasons)


def _made(obj: Any, at: Template, namespace: str) -> dict[str, Any]:
    metadata = lookup(obj, at.metadata) if at.metadata else None
    return {
        "apiVersion": "v1",
        "kind": POD,
        "metadata": {**(metadata if isinstance(metadata, dict) else {}), "namespace": namespace},
        "spec": lookup(obj, at.pod_spec) or {},
    }


def whole(context: Context, decision: Decision) -> Decision:
    """Judge the object itself by the guards that name its kind; a pod's own stage has judged it."""
    request = context.request
    created = request.operation in ("CREATE", "UPDATE")
    name = f"{request.kind}.{request.group}" if request.group else request.kind
    if request.group == DOMAIN or (created and (name == POD or request.subresource)):
        return decision
    obj = decision.object if created else request.object
    found = _object(context, name, obj, request.old_object)
    if request.operation == "UPDATE":
        old = request.old_object
        found = _without(found, _object(context, name, old, old))
    if request.operation == "CONNECT" and name in CONNECTED:  # by guards for what is connected to
        decision = with_verdict(decision, _object(context, CONNECTED[name][0], obj, None))
    return with_verdict(decision, found)


def _object(context: Context, name: str, obj: Any, old: Any) -> Verdict:
    metadata = _metadata(obj if obj is not None else old)
    read = known.read(metadata.get("annotations"))
    target = context.target(name, metadata.get("labels"), "", read)
    return _judged(context, target, obj, old)


def with_verdict(decision: Decision, verdict: Verdict) -> Decision:
    """Add what guards found to a decision."""
    if not (verdict.denied or verdict.warned or verdict.audited):
        return decision
    warnings = (*decision.warnings, *map(_line, verdict.warned))
    return replace(
        decision,
        violations=tuple(sorted({*decision.violations, *verdict.denied})),
        warnings=tuple(dict.fromkeys(warnings)),
        audits=tuple(sorted({*decision.audits, *verdict.audited})),
    )


def _without(now: Verdict, then: Verdict) -> Verdict:
    return Verdict(
        denied=[one for one in now.denied if one not in then.denied],
        warned=[one for one in now.warned if one not in then.warned],
        audited=[one for one in now.audited if one not in then.audited],
    )


def _metadata(obj: Any) -> dict[str, Any]:
    found = obj.get("metadata") if isinstance(obj, dict) else None
    return found if isinstance(found, dict) and is_sound_metadata(found) else {}


def _line(violation: Violation) -> str:
    return f"{violation.policy}: {violation.message}"
