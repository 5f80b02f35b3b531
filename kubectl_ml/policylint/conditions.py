"""Conditions of matches, and rules, that give the same for every object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from kubectl_ml import findings
from kubectl_ml.celtypes import constants, syntax
from kubectl_ml.celtypes.syntax import Node
from kubectl_ml.findings import ERROR, WARNING
from kubectl_ml.lint_output import Found
from kubectl_ml.policy_objects import Held
from kubectl_ml.policylint import expressions
from kubectl_ml.policylint.subjects import About, Subjects, at
from policies import conditions
from policies.model import LabelSelector, Match

RULE = "unreachable"
_GLOB = frozenset("*?[")
_OPEN_TO_ALL = ("PolicyException", "QuotaPolicy")


def find(subjects: Subjects) -> Iterator[Found]:
    """Find conditions that choose all or nothing, and rules that nothing can break."""
    for held, match in subjects.matching:
        if subjects.linted(held):
            about = About(held=held, rule=RULE)
            yield from _of_match(about, held, match)
    for policy in subjects.policies.guards:
        held = subjects.guard(policy)
        if subjects.linted(held):
            about = About(held=held, rule=RULE)
            cases = _cases(held.kind, policy.match)
            for number, rule in enumerate(policy.rules):
                if _always(tree(rule.expression), cases, True):
                    message = f"spec.rules[{number}] always holds, so it refuses nothing"
                    pointer = at("spec", "rules", number, "expression")
                    yield about(WARNING, f"{message}; take it out", pointer)


def never_both(one: Match, other: Match) -> bool:
    """Tell whether the conditions of two matches exclude each other."""
    written = [tree(text) for match in (one, other) for _, text in match.conditions]
    return bool(written) and constants.never(written, {})


def tree(text: str) -> Node:
    """Read an expression."""
    return syntax.read(conditions.tree(text))


def _of_match(about: About, held: Held, match: Match) -> Iterator[Found]:
    cases = _cases(held.kind, match)
    trees = []
    for one in expressions.of_match(held.spec.get("match")):
        pointer = at("spec", *one.steps)
        written, found = findings.field_path(pointer), tree(one.text)
        excludes = one.steps[1] == "exclude"
        if not excludes:
            trees.append(found)
        if _always(found, cases, True):
            yield about(WARNING, f"{written} is always true; take it out", pointer)
        elif excludes and _always(found, cases, False):
            message = f"{written} is never true, so it takes nothing away; take it out"
            yield about(WARNING, message, pointer)
        elif _always(found, cases, False):
            trees.clear()
            message = f"{written} is never true, so the policy is never in force; mend it"
            yield about(ERROR, message, pointer)
            return
    if trees and all(constants.never(trees, known) for known in cases):
        message = (
            "spec.match.conditions can't all be true with the rest of spec.match, so the policy "
            "is never in force; mend them"
        )
        yield about(ERROR, message, at("spec", "match", "conditions"))


def _always(found: Node, cases: Sequence[Mapping[str, Any]], value: bool) -> bool:
    if value:
        return all(constants.fold(found, known) is True for known in cases)
    return all(constants.never([found], known) for known in cases)


# --- what is known before an object is seen ---------------------------------------------------


def _cases(kind: str, match: Match) -> Sequence[Mapping[str, Any]]:
    """List what a match leaves: for each kind, operation and namespace what is where."""
    labels = {
        f"{where}.metadata.labels.{key}": value
        for where, selector in _selectors(match)
        for key, value in (selector.match_labels if selector else {}).items()
    }
    return [
        {**labels, **_known(*case)}
        for case in product(_kinds(kind, match), _operations(kind, match), _namespaces(match))
    ]


def _known(kind: str, operation: str, namespace: str) -> Mapping[str, str]:
    found = {"object.kind": kind.partition(".")[0], "request.operation": operation}
    for where in ("request.namespace", "namespaceObject.metadata.name"):
        found[where] = namespace
    return {where: value for where, value in found.items() if value}


def _kinds(kind: str, match: Match) -> Sequence[str]:
    connects = "CONNECT" in match.operations
    return ("",) if connects or kind in _OPEN_TO_ALL else match.kinds or ("Pod",)


def _operations(kind: str, match: Match) -> Sequence[str]:
    if kind in _OPEN_TO_ALL:
        return ("",)
    return match.operations or (("CREATE",) if kind == "InjectionPolicy" else ("CREATE", "UPDATE"))


def _namespaces(match: Match) -> Sequence[str]:
    names = match.namespaces.names if match.namespaces else ()
    return ("",) if not names or any(_GLOB & {*name} for name in names) else names


def _selectors(match: Match) -> Sequence[tuple[str, LabelSelector | None]]:
    return (
        ("object", match.objects),
        ("namespaceObject", match.namespaces.selector if match.namespaces else None),
    )
