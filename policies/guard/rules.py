"""GuardPolicies made ready, and one pod or object judged by those that match it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policies import conditions, match
from policies.guard import images, pod_security, seen
from policies.index import ANY_KIND, Index
from policies.match import Predicate, Target
from policies.model import (
    Facts,
    GuardPolicy,
    GuardRule,
    Manifest,
    Match,
    PolicyException,
    Reason,
    Request,
    Violation,
)

POD = "Pod"


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Exemption:
    """One PolicyException, ready to be asked."""

    exception: PolicyException
    matches: Predicate

    def holds(self, target: Target, facts: Facts) -> bool:
        """Tell whether it lets a target off now; without a clock nothing has expired."""
        return not self.expired(facts) and self.matches(target)

    def expired(self, facts: Facts) -> bool:
        """Tell whether its time is over."""
        expires = self.exception.expires
        return expires is not None and facts.now is not None and facts.now >= expires


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Guard:
    """One GuardPolicy, ready to be asked."""

    policy: GuardPolicy
    matches: Predicate
    exemptions: Index[Exemption]


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What guards found: what is refused, warned about and left to the audit log."""

    denied: list[Violation]
    warned: list[Violation]
    audited: list[Violation]

    @classmethod
    def none(cls) -> Verdict:
        """Make one that found nothing."""
        return cls(denied=[], warned=[], audited=[])

    def add(self, enforcement: str, violation: Violation) -> None:
        """Put a violation where its policy wants it, once."""
        place = {"Warn": self.warned, "Audit": self.audited}.get(enforcement, self.denied)
        if violation not in place:
            place.append(violation)


class Guards:
    """Every guard of a policy set, by the kinds that it is for."""

    def __init__(
        self, policies: Iterable[GuardPolicy], exceptions: Iterable[PolicyException]
    ) -> None:
        exemptions: dict[str, list[tuple[Match, Exemption]]] = {}
        for one in exceptions:
            exemption = Exemption(exception=one, matches=match.compiled(one.match))
            for name in dict.fromkeys(one.policies):
                exemptions.setdefault(name, []).append((one.match, exemption))
        self._of_objects = False
        found: list[tuple[Match, Guard]] = []
        for policy in policies:
            guard = Guard(
                policy=policy,
                matches=match.compiled(policy.match),
                exemptions=Index(exemptions.get(policy.name, ()), default=ANY_KIND),
            )
            asked = {"DELETE", "CONNECT", "*"} & {*policy.match.operations}
            self._of_objects |= bool(asked) or any(kind != POD for kind in policy.match.kinds)
            found.append((policy.match, guard))
        self._index = Index(found, default=POD)

    @property
    def of_objects(self) -> bool:
        """Tell whether some guard is for more than pods that come or change."""
        return self._of_objects

    def __bool__(self) -> bool:
        return bool(self._index)

    def of(self, target: Target) -> list[Guard]:
        """Find the guards of one target."""
        found = self._index.candidates(target)
        if target.operation in ("DELETE", "CONNECT"):  # where asked for alone
            found = [guard for guard in found if _asks(guard, target.operation)]
        return [guard for guard in found if guard.matches(target)]


def _asks(guard: Guard, operation: str) -> bool:
    return bool({operation, "*"} & {*guard.policy.match.operations})


def judge(
    guards: Guards,
    target: Target,
    request: Request,
    facts: Facts,
    obj: Any,
    old: Any = None,
    *,
    reasons: list[Reason] | None = None,
) -> Verdict:
    """Judge one pod or object by every guard that matches it; `reasons` get what rules saw."""
    verdict = Verdict.none()
    for guard in guards.of(target):
        held = [
            one.exception for one in guard.exemptions.candidates(target) if one.holds(target, facts)
        ]
        if any(not one.rules for one in held):
            continue
        off = frozenset(name for one in held for name in one.rules)
        for name, message, code in _found(guard.policy, target, request, facts, obj, old, reasons):
            if name not in off:
                violation = Violation(policy=guard.policy.name, message=message, code=code)
                verdict.add(guard.policy.enforcement, violation)
                _report_expired(guard, target, facts, verdict)
    return verdict


def _report_expired(guard: Guard, target: Target, facts: Facts, verdict: Verdict) -> None:
    """Warn whom an exception would have let off that its time is over."""
    for one in guard.exemptions.candidates(target):
        if one.expired(facts) and one.matches(target):
            message = f'the exception "{one.exception.name}" has expired; renew it or delete it'
            verdict.add("Warn", Violation(policy=guard.policy.name, message=message))


def _found(
    policy: GuardPolicy,
    target: Target,
    request: Request,
    facts: Facts,
    obj: Any,
    old: Any,
    reasons: list[Reason] | None,
) -> Iterator[tuple[str, str, int]]:
    """Find what an object has against a policy: the name of the rule, a sentence, a code."""
    judged = target.kind == POD and request.operation != "CONNECT" and isinstance(obj, dict)
    if policy.checks and judged:
        for name, message in _checked(policy.checks, obj):
            yield name, message, 403
    if policy.rules:
        values = _values(target, request, obj, old, policy)
        bound = conditions.bind(values)
        if policy.variables:
            values = {**values, "variables": _variables(policy, values)}
            bound = conditions.bind(values)
        for rule in policy.rules:
            message = _broken(policy, rule, bound)
            if message:
                if reasons is not None:
                    reasons.append(_reason(policy, rule, message, values))
                yield rule.name, message, 403


def _reason(
    policy: GuardPolicy, rule: GuardRule, message: str, values: Mapping[str, Any]
) -> Reason:
    return Reason(
        policy=policy.name,
        message=message,
        rule=rule.name,
        expression=" ".join(rule.expression.split()),
        saw=seen.of(rule.expression, values, dict(policy.variables)),
    )


def _checked(checks: Mapping[str, Any], pod: Manifest) -> Iterator[tuple[str, str]]:
    if "podSecurity" in checks:
        check = checks["podSecurity"]
        level, version = check["level"], check.get("version", pod_security.LATEST)
        for message in pod_security.violations(
            level, version, pod.get("metadata"), pod.get("spec")
        ):
            yield "podSecurity", f"{level} ({version}): {message}"
    if "images" in checks:
        for message in images.violations(checks["images"], pod.get("spec")):
            yield "images", message


def _broken(policy: GuardPolicy, rule: GuardRule, bound: Any) -> str:
    """Say how a rule is broken; nothing where it isn't."""
    try:
        value = conditions.compiled(rule.expression).truth(bound)
    except conditions.EvaluationError as error:
        if policy.failure_policy == "Ignore":
            return ""
        failed = f"`{rule.expression}` can't be evaluated: {error}"
        return f"{rule.message} ({failed})" if rule.message else failed
    return "" if value else _message(rule, bound)


def _message(rule: GuardRule, bound: Any) -> str:
    if rule.message_expression:
        try:
            text = conditions.compiled(rule.message_expression).value(bound)
        except conditions.EvaluationError:
            text = ""  # as the API server does: then the message, then the expression
        if isinstance(text, str) and text.strip() and "\n" not in text:
            return text.strip()
    return rule.message or f"failed expression: {rule.expression}"


def _values(
    target: Target, request: Request, obj: Any, old: Any, policy: GuardPolicy
) -> dict[str, Any]:
    namespace = {"metadata": {"name": target.namespace, "labels": dict(target.namespace_labels)}}
    return {
        "object": obj,
        "oldObject": old,
        "request": _request(request),
        "namespaceObject": namespace if target.namespace else None,
        "params": dict(policy.params) if policy.params is not None else None,
        "variables": {},
    }


def _request(request: Request) -> Manifest:
    kind = {"group": request.group, "version": request.version, "kind": request.kind}
    return {
        "operation": request.operation,
        "kind": kind,
        "requestKind": kind,
        "namespace": request.namespace,
        "name": request.name,
        "subResource": request.subresource,
        "userInfo": {"username": request.user.username, "groups": list(request.user.groups)},
        "dryRun": request.dry_run,
    }


def _variables(policy: GuardPolicy, values: Mapping[str, Any]) -> dict[str, Any]:
    """Work out variables in their order; one that fails is missing, so that its users fail."""
    found: dict[str, Any] = {}
    for name, expression in policy.variables:
        bound = conditions.bind({**values, "variables": found})
        try:
            found[name] = conditions.compiled(expression).value(bound)
        except conditions.EvaluationError:
            continue
    return found
