"""Read GuardPolicies and PolicyExceptions."""

from __future__ import annotations

from datetime import datetime

from policies import digests, matches, members
from policies.errors import UnusableIntent
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
