"""Expressions that can't be right for the objects that a policy is for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kubectl_ml import findings
from kubectl_ml.celtypes import inference, schema, syntax
from kubectl_ml.celtypes.inference import Problem
from kubectl_ml.celtypes.schema import Type
from kubectl_ml.findings import ERROR
from kubectl_ml.lint_output import Found
from kubectl_ml.policy_objects import Held
from kubectl_ml.policylint.subjects import About, Subjects, at
from policies import conditions, matches, variables
from policies.model import Facts, Request

RULE = "expression"
_OPEN_TO_ALL = ("PolicyException", "QuotaPolicy")  # of any kind, where the match names none
_WORDS = ("namespace", "user", "queue")  # of groupBy, which are no expressions


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """An expression of a policy: where it stands, and what it has to give."""

    steps: tuple[Any, ...]
    text: str
    wanted: str = ""  # bool, string


def find(subjects: Subjects) -> Iterator[Found]:
    """Find what no object has, and what is compared with what it can't be."""
    for held in subjects.held:
        if not subjects.linted(held):
            continue
        about = About(held=held, rule=RULE)
        written = list(_written(held))
        # A problem is one only if it is one for each kind that the policy is for.
        by_kind = [_problems(held, written, of) for of in _kinds(held.spec.get("match"), held.kind)]
        for number, one in enumerate(written):
            for problem in sorted(set.intersection(*(found[number] for found in by_kind))):
                pointer = at("spec", *one.steps)
                message = f"{findings.field_path(pointer)}: {_placed(one.text, problem)}"
                yield about(ERROR, message, pointer)


def _placed(text: str, problem: Problem) -> str:
    """Say where in an expression, as the compiler does."""
    before = text[: problem.at]
    line, column = before.count("\n"), problem.at - (before.rfind("\n") + 1)
    shown = text.splitlines()[line].strip() if text.splitlines()[line:] else text
    return f"line {line + 1}, column {column + 1} of `{shown}`: {problem.message}{problem.hint}"


# --- what is of which type --------------------------------------------------------------------


def _kinds(match: Any, kind: str) -> Sequence[Type]:
    """Give the types of what a policy is for."""
    given = match if isinstance(match, dict) else {}
    if "CONNECT" in given.get("operations", ()):
        return (schema.DYN,)  # the options of exec and the like
    if kind in _OPEN_TO_ALL and not given.get("kinds"):
        return (schema.ANY_OBJECT,)
    return tuple(schema.of_kind(str(one)) for one in given.get("kinds") or ("Pod",))


def _problems(held: Held, written: Sequence[_Written], of: Type) -> list[set[Problem]]:
    """Judge each expression for objects of one type."""
    declared: dict[str, Type] = {}
    params = held.spec.get("params")
    names = _variables(of) | {"params": _open("params", params)}
    found = []
    for one in written:
        names["variables"] = _open("variables", declared)
        tree = syntax.read(conditions.tree(one.text))
        given, problems = inference.judge(one.text, tree, names, one.wanted)
        if one.steps[0] == "variables":
            declared[str(held.spec["variables"][one.steps[1]]["name"])] = given
        found.append(problems)
    return found


def _variables(of: Type) -> dict[str, Type]:
    request = variables.of(
        Request(operation="CREATE", group="", version="v1", kind="Pod"), Facts(), None, None
    )["request"]
    return {
        "object": of,
        "oldObject": of,
        "request": schema.of_value(request),
        "namespaceObject": schema.of_kind("Namespace"),
    }


def _open(title: str, value: Any) -> Type:
    """Give the type of what has these members; of which it lacks `names` speaks."""
    members: Mapping[str, Any] = value if isinstance(value, dict) else {}
    typed = {
        name: one if isinstance(one, Type) else schema.of_value(one)
        for name, one in members.items()
    }
    return Type(name="object", title=title, members=typed, open=True)


# --- where they stand -------------------------------------------------------------------------


def _written(held: Held) -> Iterator[_Written]:
    """List a policy's expressions, variables before what reads them."""
    spec = held.spec
    yield from of_match(spec.get("match"))
    if held.kind == "GuardPolicy":
        for number, one in enumerate(spec.get("variables") or ()):
            yield _Written(steps=("variables", number, "expression"), text=one["expression"])
        for number, one in enumerate(spec.get("rules") or ()):
            yield from _of_rule(number, one)
    if held.kind == "QuotaPolicy":
        yield from _of_groups(spec.get("groupBy"))


def _of_rule(number: int, rule: Mapping[str, Any]) -> Iterator[_Written]:
    yield _Written(steps=("rules", number, "expression"), text=rule["expression"], wanted="bool")
    if rule.get("messageExpression"):
        yield _Written(
            steps=("rules", number, "messageExpression"),
            text=rule["messageExpression"],
            wanted="string",
        )


def of_match(match: Any) -> Iterator[_Written]:
    """List the conditions of a match, and of what it excludes."""
    if not isinstance(match, dict):
        return
    listed = match.get("conditions") or ()
    for number, (_, text) in enumerate(matches.conditions(listed)):
        place: tuple[Any, ...] = ("match", "conditions")
        if not isinstance(listed, str):
            place += (number,) if isinstance(listed[number], str) else (number, "expression")
        yield _Written(steps=place, text=text, wanted="bool")
    for one in of_match(match.get("exclude")):
        yield replace(one, steps=("match", "exclude", *one.steps[1:]))


def _of_groups(found: Any) -> Iterator[_Written]:
    if isinstance(found, str) and found not in _WORDS:
        yield _Written(steps=("groupBy",), text=found, wanted="string")
    elif isinstance(found, dict) and isinstance(found.get("expression"), str):
        yield _Written(steps=("groupBy", "expression"), text=found["expression"], wanted="string")
