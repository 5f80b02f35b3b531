"""Judging by guards: pods as they will be, templates as their pods will be, and whole objects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from policies import intents as known
from policies.errors import UnusableIntent
from policies.guard import rules
from policies.guard.rules import POD, Case, Verdict
from policies.guard.subject import CONNECTED, Given, Subject
from policies.inject.prepared import Rule
from policies.inject.sound import is_sound_metadata
from policies.match import Target
from policies.model import DOMAIN, ENFORCED, Decision, Facts, Manifest, Violation
from policies.patch import lookup
from policies.stages.context import Context
from policies.stages.work import Outcome, Work
from policies.workloads import pods
from policies.workloads.locate import Template

_NAMESPACE = "namespace"  # who speaks where no policy does
# Kinds of others whose templates are the pods' as they are written; those of Kubernetes are.
_PLAIN = ("JobSet.jobset.x-k8s.io", "LeaderWorkerSet.leaderworkerset.x-k8s.io")


def pod(context: Context, obj: Any) -> Verdict:
    """Judge a pod as it will be; on an UPDATE, what the old one had already is left out."""
    old = context.old
    found = _pod(context, obj, old)
    return found if old is None else _without(found, _pod(context, old, old))


def _pod(context: Context, obj: Any, old: Any) -> Verdict:
    metadata = _metadata(obj)
    origin = pods.origin(metadata, context.catalogue)
    read = known.read(metadata.get("annotations"))
    target = context.target(
        POD, metadata.get("labels"), origin.owner, read, seen=lambda: (obj, old)
    )
    subject = Subject(
        pod=obj,
        target=target,
        intents=read,
        asked=None if origin.kind else frozenset(known.written(metadata.get("annotations"))),
        kind=POD,
        given=lambda: _given(context, target, read),
    )
    return _judged(context, target, obj, old, subject=subject)


def template(work: Work, at: Template, intents: known.Intents, outcome: Outcome) -> None:
    """Judge the pod that a template makes, injected as it will be."""
    context = work.context
    if at.definition.container:
        return  # the workload overrides what another template says; there is no pod to judge
    obj, before = work.made(at) or {}, work.made(at, context.old)
    target = work.target(at, intents)
    written = known.written(obj["metadata"].get("annotations"))
    subject = Subject(
        pod=obj,
        target=target,
        intents=intents,
        asked=frozenset({*work.written, *written}),
        kind=work.kind.kind,
        uses=work.kind.uses | {"roles"},
        autoscaling=work.kind.autoscaling,
        passed_on=lookup(work.draft.object, ("metadata", "annotations")) or {},
        given=lambda: _given(context, target, intents, work.rules()),
        ranges=context.facts.limit_ranges.get(context.request.namespace, ()),
    )
    _collect(_judged(context, target, obj, before, subject=subject), outcome)
    if context.prepared.guards.of_objects:
        labels = lookup(work.draft.object, ("metadata", "labels"))
        whole = context.target(
            work.kind.name,
            labels,
            "",
            work.intents,
            seen=lambda: (work.draft.object, context.old),
        )
        verdict = _judged(context, whole, obj, before, subject=subject, templates=True)
        _collect(verdict, outcome)


def by_namespace(work: Work, at: Template, outcome: Outcome) -> None:
    """Judge what a template makes by what its namespace refuses of pods."""
    context, namespace = work.context, work.context.request.namespace
    if not _speaks(namespace, context.facts):
        return
    if work.kind.template or (work.kind.name not in _PLAIN and "." in work.kind.group):
        return  # it makes no pods, or an operator makes more of its template than is there
    if pods.origin(_metadata(work.draft.object), context.catalogue).owner:
        return  # which was judged
    made = work.made(at)
    if not isinstance(made, dict):
        return
    from policies.guard import namespaces  # here, because a terminal rarely knows of any bounds

    for message in namespaces.violations(made, namespace, context.facts):
        violation = Violation(policy=_NAMESPACE, message=message)
        outcome.violations += [violation] if violation not in outcome.violations else []
    for message in namespaces.shortages(made, namespace, context.facts):
        line = f"{_NAMESPACE}: {message}"
        outcome.warnings += [line] if line not in outcome.warnings else []


def _speaks(namespace: str, facts: Facts) -> bool:
    """Tell whether there is anything to judge by."""
    return (
        namespace in facts.limit_ranges
        or namespace in facts.resource_quotas
        or ENFORCED in facts.namespaces.get(namespace, {})
    )


def _collect(verdict: Verdict, outcome: Outcome) -> None:
    outcome.violations += [one for one in verdict.denied if one not in outcome.violations]
    outcome.warnings += [one for one in map(_line, verdict.warned) if one not in outcome.warnings]
    outcome.audits += [one for one in verdict.audited if one not in outcome.audits]


def _judged(context: Context, target: Target, obj: Any, old: Any, **more: Any) -> Verdict:
    case = Case(
        request=context.request,
        facts=context.facts,
        object=obj,
        old=old,
        reasons=context.reasons,
        **more,
    )
    return rules.judge(context.prepared.guards, target, case)


def _given(
    context: Context, target: Target, intents: known.Intents, own: Iterable[Rule] = ()
) -> Given:
    """Find out what intents and policies give to a pod; `own`: those of its workload's kind."""
    prepared = context.prepared
    matched = [*prepared.rules(target, intents), *own] if intents.inject else []
    devices = intents.accelerator
    if not devices and "accelerator" not in intents.keys:
        devices = next((rule.devices for rule in matched if rule.devices), ())
    volumes, made = _of_mounts(context, target, intents, matched)
    named = [volume for rule in matched for one in rule.sidecars for volume in one.volumes]
    made += [one.container for rule in matched for one in rule.sidecars]
    made += [one for rule in matched for one in rule.init_containers]
    return Given(
        devices=devices,
        volumes=tuple(volumes),
        named=tuple(named),
        containers=frozenset((one.get("name", ""), one.get("image", "")) for one in made),
    )


def _of_mounts(
    context: Context, target: Target, intents: known.Intents, matched: list[Rule]
) -> tuple[list[Manifest], list[Manifest]]:
    """List the volumes and the containers that mounts bring."""
    volumes: list[Manifest] = []
    containers: list[Manifest] = []
    for mount in (*intents.mounts, *(one for rule in matched for one in rule.mounts)):
        try:
            plan = context.prepared.plan(mount, target, context.facts)
        except UnusableIntent:
            continue  # which nobody mounts
        volumes.append(plan.volume)
        containers += [one for one in (plan.fetch, plan.beside) if one]
    return volumes, containers


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
    target = context.target(name, metadata.get("labels"), "", read, seen=lambda: (obj, old))
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
