"""What is wrong with a GuardPolicy that a schema can't say: expressions, versions, bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from policies import conditions, intents
from policies.errors import UnusableIntent
from policies.guard import autoscaling, pod_security, required_intents


def of(spec: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
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
