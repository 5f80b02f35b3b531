"""Read GuardPolicies and PolicyExceptions, and find what a schema can't say of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from policies import conditions, digests, intents, matches, members
from policies.errors import UnusableIntent
from policies.guard import autoscaling, pod_security, required_intents
from policies.model import GuardPolicy, GuardRule, Manifest, PolicyException


def guard_policy(name: str, spec: Manifest) -> GuardPolicy:
    """Build a policy that refuses."""
    return GuardPolicy(
        name=name,
        digest=digests.digest("GuardPolicy", spec),
        match=matches.match(members.mapping(spec, "match")),
        enforcement=spec.get("enforcement", "Deny"),
        failure_policy=spec.get("failurePolicy", "Fail"),
        variables=tuple(
            (one["name"], one["expression"]) for one in members.items(spec, "variables")
        ),
        params=spec.get("params"),
        rules=tuple(
            GuardRule(
                name=one.get("name", ""),
                expression=one["expression"],
                message=one.get("message", ""),
                message_expression=one.get("messageExpression", ""),
                reason=one.get("reason", ""),
            )
            for one in members.items(spec, "rules")
        ),
        checks=members.mapping(spec, "checks"),
        description=spec.get("description", ""),
    )


def policy_exception(name: str, spec: Manifest) -> PolicyException:
    """Build an exception."""
    return PolicyException(
        name=name,
        digest=digests.digest("PolicyException", spec),
        policies=members.items(spec, "policies"),
        rules=members.items(spec, "rules"),
        match=matches.match(members.mapping(spec, "match")),
        reason=spec["reason"],
        expires=moment(spec["expires"]) if "expires" in spec else None,
    )


def moment(text: str) -> float:
    """Read a time with its zone, in seconds since 1970."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise UnusableIntent(f'"{text}" is not a time; write for example "2027-03-01T00:00:00Z"')
    return found.timestamp()


def faults(spec: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Find the expressions and versions of a guard that can't be used."""
    for path, expression, wanted in _expressions(spec):
        try:
            conditions.compiled(expression, wanted)
        except conditions.ExpressionError as error:
            yield path, str(error)
    checks = spec.get("checks")
    security = checks.get("podSecurity") if isinstance(checks, dict) else None
    version = security.get("version") if isinstance(security, dict) else None
    if isinstance(version, str):
        try:
            pod_security.minor(version)
        except ValueError as error:
            yield ("checks", "podSecurity", "version"), str(error)
    if isinstance(checks, dict):
        for path, message in _checks(checks):
            yield ("checks", *path), message
    if not spec.get("rules") and not checks:
        yield (), "there is nothing that it refuses; add rules or checks"


def _checks(checks: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Find intents, settings and lists of checks that can't be used."""
    if "requireIntents" in checks:
        try:
            every, some = required_intents.keys(checks["requireIntents"])
            if not every and not some:
                yield ("requireIntents",), "it names no intent; name one"
        except (UnusableIntent, AttributeError, TypeError) as error:
            if isinstance(error, UnusableIntent):
                yield ("requireIntents",), str(error)
    if checks.get("mounts") == {}:
        yield ("mounts",), "it says nothing of what may be mounted; add sources, deny or volumes"
    settings = checks.get("knativeAutoscaling")
    for key, value in settings.items() if isinstance(settings, dict) else ():
        for path, message in _setting(autoscaling.name(key), value):
            yield ("knativeAutoscaling", key, *path), message


def _setting(name: str, value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    known = autoscaling.settings()
    if name not in known:
        hint = intents.nearest(name, known) or "; known are " + ", ".join(known)
        yield (), f'Knative has no setting "{name}"{hint}'
        return
    bounds = {f: value[f] for f in ("min", "max") if f in value} if isinstance(value, dict) else {}
    if not isinstance(value, dict | list | bool) and name not in autoscaling.BY_WORD:
        bounds[""] = value
    for member, bound in bounds.items():
        if autoscaling.amount(name, bound) is None:
            at = (member,) if member else ()
            yield at, f'"{bound}" is no bound for {name}; write {autoscaling.example(name)}'


def _expressions(spec: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    for member, field, wanted in (
        ("variables", "expression", ""),
        ("rules", "expression", "BOOL"),
        ("rules", "messageExpression", "STRING"),
    ):
        listed = spec.get(member)
        for number, one in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(one, dict) and isinstance(one.get(field), str):
                yield (member, number, field), one[field], wanted
