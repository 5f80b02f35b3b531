"""GuardPolicies made ready, and one pod or object judged by those that match it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policies import conditions, match, variables
from policies.conditions import Bound, EvaluationError
from policies.cost import budget
from policies.guard import seen
from policies.guard.subject import Check, Subject
from policies.index import ANY_KIND, Index
from policies.match import Predicate, Target
from policies.model import (
    Accelerator,
    Facts,
    GuardPolicy,
    GuardRule,
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
        return not self.expired(facts) and self.covers(target)

    def covers(self, target: Target) -> bool:
        """Tell whether it is for a target; it isn't where that can't be found out."""
        try:
            return self.matches(target)
        except EvaluationError as error:
            name = self.exception.name
            target.faults.append(f"{name}: this exception lets nobody off: spec.{error}")
            return False

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
    checks: tuple[tuple[str, Check], ...]


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
        self,
        policies: Iterable[GuardPolicy],
        exceptions: Iterable[PolicyException],
        classes: Mapping[str, Accelerator],
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
                checks=_checks(policy, classes),
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

    def of(self, target: Target) -> Iterator[tuple[Guard, str]]:
        """Find the guards of one target, or why that can't be found out."""
        found = self._index.candidates(target)
        if target.operation in ("DELETE", "CONNECT"):  # where asked for alone
            found = [guard for guard in found if _asks(guard, target.operation)]
        for guard in found:
            try:
                if guard.matches(target):
                    yield guard, ""
            except EvaluationError as error:
                if guard.policy.failure_policy != "Ignore":
                    yield guard, f"spec.{error}"


def _checks(
    policy: GuardPolicy, classes: Mapping[str, Accelerator]
) -> tuple[tuple[str, Check], ...]:
    if not policy.checks:
        return ()
    from policies.guard import checks  # here, because many a start has no check

    return checks.compiled(policy.checks, classes)


def _asks(guard: Guard, operation: str) -> bool:
    return bool({operation, "*"} & {*guard.policy.match.operations})


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Case:
    """
    What guards judge: an object as it will be, and as it was.

    `subject`: the pod that it is, or makes. `templates`: it is a workload, of which policies that
    name its kind judge the pods by their checks and not by their rules.
    """

    request: Request
    facts: Facts
    object: Any
    old: Any = None
    subject: Subject | None = None
    templates: bool = False
    reasons: list[Reason] | None = None  # get what rules saw
    _values: dict[str, Any] | None = None
    _bound: Bound | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The variables that are the same for every policy."""
        if self._values is None:
            self._values = variables.of(self.request, self.facts, self.object, self.old)
        return self._values

    @property
    def bound(self) -> Bound:
        """The same, bound once."""
        if self._bound is None:
            self._bound = conditions.bind(self.values)
        return self._bound


def judge(guards: Guards, target: Target, case: Case) -> Verdict:
    """Judge one pod or object by every guard that matches it."""
    verdict = Verdict.none()
    for guard, failed in guards.of(target):
        held = [
            one.exception
            for one in guard.exemptions.candidates(target)
            if one.holds(target, case.facts)
        ]
        if any(not one.rules for one in held):
            continue
        off = frozenset(name for one in held for name in one.rules)
        with budget.policy():
            found = [("match", failed, "")] if failed else list(_found(guard, case))
        for name, message, reason in found:
            if name not in off:
                violation = Violation(policy=guard.policy.name, message=message, reason=reason)
                verdict.add(guard.policy.enforcement, violation)
                _report_expired(guard, target, case.facts, verdict)
    return verdict


def _report_expired(guard: Guard, target: Target, facts: Facts, verdict: Verdict) -> None:
    """Warn whom an exception would have let off that its time is over."""
    for one in guard.exemptions.candidates(target):
        if one.expired(facts) and one.covers(target):
            message = f'the exception "{one.exception.name}" has expired; renew it or delete it'
            verdict.add("Warn", Violation(policy=guard.policy.name, message=message))


def _found(guard: Guard, case: Case) -> Iterator[tuple[str, str, str]]:
    """Find what an object has against a policy: the rule's name, a sentence, its reason."""
    if case.subject is not None and isinstance(case.subject.pod, dict):
        for name, check in guard.checks:
            for message in check(case.subject):
                yield name, message, ""
    if guard.policy.rules and not case.templates:
        yield from _of_rules(guard.policy, case)


def _of_rules(policy: GuardPolicy, case: Case) -> Iterator[tuple[str, str, str]]:
    bound = case.bound
    if policy.params is not None:
        bound = bound.beside(params=dict(policy.params))
    failed: dict[str, str] = {}
    if policy.variables:
        bound = _with_variables(policy, bound, failed)
    for rule in policy.rules:
        message = _broken(policy, rule, bound, failed)
        if message:
            if case.reasons is not None:
                values = {**case.values, **bound.of_policy}
                case.reasons.append(_reason(policy, rule, message, values))
            yield rule.name, message, rule.reason


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


def _broken(
    policy: GuardPolicy, rule: GuardRule, bound: Any, failed_variables: Mapping[str, str]
) -> str:
    """Say how a rule is broken; nothing where it isn't."""
    try:
        value = conditions.compiled(rule.expression).truth(bound)
    except conditions.EvaluationError as error:
        if policy.failure_policy == "Ignore":
            return ""
        failed = f"`{rule.expression}` can't be evaluated: {_why(error, failed_variables)}"
        return f"{rule.message} ({failed})" if rule.message else failed
    return "" if value else _message(rule, bound)


def _why(error: EvaluationError, failed_variables: Mapping[str, str]) -> str:
    """Say why an expression has no value: of a variable that isn't there, why it has none."""
    said = str(error)
    name = said.removeprefix(conditions.NO_KEY).strip('"')
    if said.startswith(conditions.NO_KEY) and name in failed_variables:
        return f'variable "{name}": {failed_variables[name]}'
    return said


def _message(rule: GuardRule, bound: Any) -> str:
    if rule.message_expression:
        try:
            text = conditions.compiled(rule.message_expression).value(bound)
        except conditions.EvaluationError:
            text = ""  # as the API server does: then the message, then the expression
        if isinstance(text, str) and text.strip() and "\n" not in text:
            return text.strip()
    return rule.message or f"failed expression: {rule.expression}"


def _with_variables(policy: GuardPolicy, bound: Bound, failed: dict[str, str]) -> Bound:
    """Work out variables in their order; one that fails is missing, so that its users fail."""
    found: dict[str, Any] = {}
    bound = bound.beside(variables=found)
    for name, expression in policy.variables:
        try:
            found[name] = conditions.compiled(expression).value(bound)
        except conditions.EvaluationError as error:
            failed[name] = _why(error, failed)
    return bound
