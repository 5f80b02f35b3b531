"""What names nothing: exceptions, budgets, variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kubectl_ml import celtext, findings, policy_words
from kubectl_ml.findings import ERROR, WARNING
from kubectl_ml.lint_output import Found
from kubectl_ml.policy_objects import Held
from kubectl_ml.policylint import samples
from kubectl_ml.policylint.subjects import About, Subjects, at
from kubectl_ml.suggest import did_you_mean
from policies.model import GuardPolicy, Match, PolicyException, PolicySet
from policies.quota import contradictions, reading


def find(subjects: Subjects) -> Iterator[Found]:
    """Find all of these."""
    for held in subjects.held:
        if not subjects.linted(held):
            continue
        if held.kind == "PolicyException":
            yield from _exception(held, subjects)
        elif held.kind == "GuardPolicy":
            yield from _undeclared(held)
        elif held.kind == "QuotaPolicy":
            yield from _bounded(held, subjects)


# --- exceptions -------------------------------------------------------------------------------


def _exception(held: Held, subjects: Subjects) -> Iterator[Found]:
    about = About(held=held, rule="exception")
    guards = {one.name: one for one in subjects.policies.guards}
    named = list(held.spec.get("policies") or ())
    there = {*guards, *(one.name for one in subjects.policies.quotas)}
    for number, name in enumerate(named):
        if name not in there:
            near = did_you_mean(name, there) if there else ""
            message = f'spec.policies: there is no GuardPolicy or QuotaPolicy "{name}"{near}'
            yield about(ERROR, message, at("spec", "policies", number))
    known = {rule for name in named if name in guards for rule in _rules(guards[name])}
    whole = all(name in there for name in named)
    for number, rule in enumerate(held.spec.get("rules") or ()):
        if whole and rule not in known:
            message = (
                f'spec.rules: no rule or check of {", ".join(named)} is named "{rule}"'
                f"{did_you_mean(rule, known) if known else ''}"
            )
            yield about(ERROR, message, at("spec", "rules", number))
    policy = next(one for one in subjects.policies.exceptions if one.name == held.name)
    if whole and not any(_meets(policy, each) for each in _matches(policy, subjects.policies)):
        message = (
            f"spec.match has nothing in common with that of {', '.join(named)}, so it lets nobody "
            "off; mend it or take it out"
        )
        yield about(ERROR, message, at("spec", "match"))
    if policy_words.is_expired(held.spec, subjects.now):
        message = f"it has {policy_words.until(held.spec, subjects.now)}; renew it or delete it"
        yield about(WARNING, message, at("spec", "expires"))


def _matches(policy: PolicyException, policies: PolicySet) -> Iterator[tuple[Match, Sequence[str]]]:
    """Give the matches of what is let off, and of what they are where they name no kind."""
    for guard in policies.guards:
        if guard.name in policy.policies:
            yield guard.match, ("Pod",)
    for quota in policies.quotas:
        if quota.name in policy.policies:
            yield quota.match, samples.ANY_KIND


def _meets(policy: PolicyException, other: tuple[Match, Sequence[str]]) -> bool:
    match, default = other
    kinds = match.kinds or default
    return samples.of([policy.match, replace(match, kinds=tuple(kinds))], kinds) is not None


def _rules(guard: GuardPolicy) -> set[str]:
    return {rule.name for rule in guard.rules if rule.name} | {*guard.checks}


# --- expressions ------------------------------------------------------------------------------


def _undeclared(held: Held) -> Iterator[Found]:
    """Find members of `variables` and `params` that an expression reads and nobody gives."""
    params = held.spec.get("params")
    declared: list[str] = []
    variables = held.spec.get("variables") or ()
    about = About(held=held, rule="expression")
    for number, one in enumerate(variables):
        given = {"variables": list(declared), "params": params}
        yield from _reads(about, one, given, ("spec", "variables", number))
        declared.append(str(one["name"]))
    for number, rule in enumerate(held.spec.get("rules") or ()):
        given = {"variables": declared, "params": params}
        yield from _reads(about, rule, given, ("spec", "rules", number))


def _reads(
    about: About, one: Mapping[str, Any], given: Mapping[str, Any], steps: tuple[Any, ...]
) -> Iterator[Found]:
    for field in ("expression", "messageExpression"):
        for root, member in celtext.members(str(one.get(field, ""))):
            known = given.get(root)
            if root not in given or (known is not None and member in known):
                continue
            where = "spec.params" if root == "params" else "spec.variables above it"
            near = did_you_mean(member, list(known)) if known else ""
            written = findings.field_path(at(*steps, field))
            message = f"{written}: {root}.{member} is nowhere in {where}{near}"
            yield about(ERROR, message, at(*steps, field))


# --- budgets ----------------------------------------------------------------------------------


def _bounded(held: Held, subjects: Subjects) -> Iterator[Found]:
    """Find budgets of classes that nothing can be of, and schedules that never count."""
    about = About(held=held, rule="budget")
    classes = subjects.policies.accelerators
    for path, name in reading.of_no_class(held.spec, classes):
        written = findings.field_path(at("spec", *path))
        message = f'{written}: there is no device class "{name}", so this bounds nothing'
        yield about(ERROR, message + did_you_mean(name, classes), at("spec", *path))
    for number in contradictions.never_counting(reading.schedules(held.spec)):
        pointer = at("spec", "schedules", number)
        yield about(ERROR, f"{findings.field_path(pointer)}: {contradictions.NEVER}", pointer)
