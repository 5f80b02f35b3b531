"""
Which policies are for which request: `spec.match`, compiled once into predicates.

Every member that is given must hold; `exclude` takes away again. Conditions (CEL) come last, and
only where all the rest holds. Source: docs of `spec.match` in
the design; label selectors behave as in k8s.io/apimachinery/pkg/labels.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from policies import conditions
from policies.conditions import Bound, EvaluationError
from policies.cost import budget
from policies.model import LabelSelector, Match, NamespaceMatch, Subjects, User

_SERVICE_ACCOUNT = "system:serviceaccount:"


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Target:
    """What a match is judged on: one pod (or what it will be), or one object."""

    kind: str  # "Pod", "Job.batch"
    operation: str
    namespace: str
    namespace_labels: Mapping[str, str]
    labels: Mapping[str, Any]
    owner: str  # KIND.GROUP of the controller; empty: none
    user: User
    intents: frozenset[str]
    values: Callable[[], dict[str, Any]] = dict  # of the variables of conditions
    faults: list[str] = field(default_factory=list)  # what could not be found out, for a warning
    _bound: Bound | None = None

    @property
    def bound(self) -> Bound:
        """The variables of conditions, bound once."""
        if self._bound is None:
            self._bound = conditions.bind(self.values())
        return self._bound


Predicate: TypeAlias = Callable[[Target], bool]


def compiled(match: Match) -> Predicate:
    """
    Turn a match into one predicate.

    It raises EvaluationError where conditions can't be evaluated and all the rest holds.
    """
    tests = list(_tests(match))
    late = list(_late(match))
    if late:
        tests.append(_within_budget(late[0] if len(late) == 1 else _settled(late)))
    if len(tests) == 1:
        return tests[0]
    return lambda target: all(test(target) for test in tests)


def _late(match: Match) -> Iterator[Predicate]:
    """Turn what is judged last into predicates: what has conditions."""
    if match.exclude and _has_conditions(match.exclude):
        excluded = compiled(match.exclude)
        yield lambda target: not excluded(target)
    for number, (name, expression) in enumerate(match.conditions):
        yield _condition(f'"{name}"' if name else str(number), expression)


def _has_conditions(match: Match) -> bool:
    return bool(match.conditions) or bool(match.exclude and _has_conditions(match.exclude))


def _condition(name: str, expression: str) -> Predicate:
    def holds(target: Target) -> bool:
        try:
            return conditions.compiled(expression, "BOOL").truth(target.bound)
        except EvaluationError as error:
            message = f"match.conditions[{name}]: `{expression}` can't be evaluated: {error}"
            raise EvaluationError(message) from error

    return holds


def _within_budget(test: Predicate) -> Predicate:
    def holds(target: Target) -> bool:
        with budget.policy():
            return test(target)

    return holds


def _settled(tests: list[Predicate]) -> Predicate:
    """Ask all; one that doesn't hold settles it, whatever can't be evaluated besides."""

    def holds(target: Target) -> bool:
        failed: EvaluationError | None = None
        for test in tests:
            try:
                if not test(target):
                    return False
            except EvaluationError as error:
                failed = failed or error
        if failed:
            raise failed
        return True

    return holds


def _tests(match: Match) -> Iterator[Predicate]:
    """Turn each member that is given into a predicate, the cheap ones first."""
    if match.kinds:
        yield _kinds(match.kinds, lambda target: target.kind)
    if match.operations and "*" not in match.operations:
        operations = frozenset(match.operations)
        yield lambda target: target.operation in operations
    if match.intents:
        wanted = frozenset(match.intents)
        yield lambda target: wanted <= target.intents
    if match.namespaces:
        yield namespaces(match.namespaces)
    if match.owners:
        yield _kinds(match.owners, lambda target: target.owner)
    yield from _of_people_and_labels(match)


def _of_people_and_labels(match: Match) -> Iterator[Predicate]:
    if match.objects:
        chosen = selector(match.objects)
        yield lambda target: chosen(target.labels)
    if match.subjects:
        yield _subjects(match.subjects)
    if match.exclude and not _has_conditions(match.exclude):
        excluded = compiled(match.exclude)
        yield lambda target: not excluded(target)


def namespaces(match: NamespaceMatch) -> Predicate:
    """Turn a match of namespaces into a predicate."""
    named = globs(match.names) if match.names else None
    chosen = selector(match.selector) if match.selector else None

    def holds(target: Target) -> bool:
        return (named is None or named(target.namespace)) and (
            chosen is None or chosen(target.namespace_labels)
        )

    return holds


def selector(labels: LabelSelector) -> Callable[[Mapping[str, Any]], bool]:
    """Turn a label selector into a predicate on labels."""
    required = tuple(labels.match_labels.items())
    expressions = tuple(
        (item["key"], item["operator"], frozenset(item.get("values") or ()))
        for item in labels.match_expressions
    )

    def holds(have: Mapping[str, Any]) -> bool:
        return all(have.get(key) == value for key, value in required) and all(
            _expression(have, key, operator, values) for key, operator, values in expressions
        )

    return holds


def globs(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Turn glob patterns into one predicate: any of them."""
    expression = re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns))
    return lambda text: expression.match(text) is not None


def _expression(have: Mapping[str, Any], key: str, operator: str, values: frozenset[str]) -> bool:
    if operator == "Exists":
        return key in have
    if operator == "DoesNotExist":
        return key not in have
    within = have.get(key) in values
    return within if operator == "In" else not within


def _kinds(names: Iterable[str], of: Callable[[Target], str]) -> Predicate:
    wanted = frozenset(names)

    def holds(target: Target) -> bool:
        name = of(target)
        return name in wanted or name.partition(".")[0] in wanted

    return holds


def _subjects(subjects: Subjects) -> Predicate:
    users = globs(subjects.users) if subjects.users else None
    groups = globs(subjects.groups) if subjects.groups else None
    accounts = globs(subjects.service_accounts) if subjects.service_accounts else None

    def holds(target: Target) -> bool:
        name = target.user.username
        if users and users(name):
            return True
        if groups and any(groups(group) for group in target.user.groups):
            return True
        account = name.removeprefix(_SERVICE_ACCOUNT) if name.startswith(_SERVICE_ACCOUNT) else ""
        return bool(accounts and account and accounts(account))

    return holds
