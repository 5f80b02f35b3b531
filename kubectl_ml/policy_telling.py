"""
One policy told line by line, as `policy show` prints it.

    GuardPolicy gpu-pods (guards.yaml:1), Ready
    matches:  Pod with intent accelerator, and the template of every workload
    refuses:  what breaks any of these
              team: GPU pods carry a team label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubectl_ml import policy_state, policy_words
from kubectl_ml.policy_objects import Held
from kubectl_ml.policy_words import EVERYTHING, shown

_WIDTH = 10
_ACTS = {
    "Deny": "refuses what breaks any of these",
    "Warn": "lets in what breaks any of these, with a warning",
    "Audit": "lets in what breaks any of these, and notes it in the audit log",
}
_CONFLICTS = {
    "Keep": "what is there already is kept",
    "Override": "what is there already is replaced",
    "Deny": "what is there already with another value is refused",
}


def lines(one: Held, others: Sequence[Held], now: float) -> Iterator[str]:
    """Tell one object."""
    state, reason = policy_state.of(one, now)
    yield f"{one.kind} {one.name} ({one.where}), {state}{f': {reason}' if reason else ''}"
    if one.spec.get("description"):
        yield from _field("what", [str(one.spec["description"])])
    match one.kind:
        case "InjectionPolicy":
            yield from _injection(one.spec)
        case "GuardPolicy":
            yield from _guard(one, others, now)
        case "PolicyException":
            yield from _exception(one.spec, now)
        case _:
            if one.kind == "QuotaPolicy":
                match = policy_words.matches(one.spec.get("match"), default=EVERYTHING)
                yield from _field("matches", [match])
            rest = {k: v for k, v in one.spec.items() if k not in ("description", "match")}
            for key, value in rest.items():
                yield from _field(key, [shown(value)])


def _field(name: str, values: Sequence[str]) -> Iterator[str]:
    for number, value in enumerate(values):
        head = f"{name}:" if not number else ""
        yield f"{head:<{_WIDTH}}{value}" if len(head) < _WIDTH else f"{head} {value}"


def _injection(spec: Mapping[str, Any]) -> Iterator[str]:
    yield from _field("matches", [policy_words.matches(spec.get("match"))])
    yield from _field("when", list(_when(spec)))
    yield from _field("adds", [line for key in _members(spec) for line in _added(spec, key)])
    yield from _field("conflict", [_CONFLICTS[str(spec.get("onConflict", "Keep"))]])


def _when(spec: Mapping[str, Any]) -> Iterator[str]:
    if spec.get("optIn"):
        yield "only where the intent `profile` names it"
    if spec.get("mode") == "Preview":
        yield "in preview: it says what it would add, and adds nothing"
    yield f"order {spec.get('order', 0)}: smaller goes first"


def _members(spec: Mapping[str, Any]) -> Sequence[str]:
    return tuple(spec.get("inject") or ())


def _added(spec: Mapping[str, Any], key: str) -> Iterator[str]:
    value = spec["inject"][key]
    if isinstance(value, list):
        for item in value:
            yield f"{key}: {_item(key, item)}"
    elif isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
        for name, text in value.items():
            yield f"{key}: {name}={shown(text)}"
    else:
        yield f"{key}: {shown(value)}"


def _item(key: str, item: Any) -> str:
    if key in ("sidecars", "initContainers"):
        container = item.get("container", item)
        offer = ", where the intent `sidecars` names it" if item.get("offered") else ""
        return f"{container.get('name')} ({container.get('image')}){offer}"
    if key == "env":
        return f"{item['name']}={shown(item.get('value', item.get('valueFrom', '')))}"
    return shown(item)


def _guard(one: Held, others: Sequence[Held], now: float) -> Iterator[str]:
    spec = one.spec
    kinds = (spec.get("match") or {}).get("kinds") or ["Pod"]
    templates = ", and the template of every workload that makes one" if "Pod" in kinds else ""
    yield from _field("matches", [policy_words.matches(spec.get("match")) + templates])
    yield from _field("acts", [_ACTS[policy_words.mode(one.kind, spec)]])
    yield from _field(
        "rules", [_rule(n, rule) for n, rule in enumerate(spec.get("rules") or (), 1)]
    )
    checks = spec.get("checks") or {}
    yield from _field("checks", [f"{name}: {_check(value)}" for name, value in checks.items()])
    if spec.get("params") is not None:
        yield from _field("params", [shown(spec["params"])])
    if spec.get("failurePolicy") == "Ignore":
        yield from _field("failure", ["an expression that can't be evaluated counts as kept"])
    let_off = [other for other in others if _lets_off(other, one.name)]
    yield from _field("let off", [_exempted(other, now) for other in let_off] or ["nobody"])


def _rule(number: int, rule: Mapping[str, Any]) -> str:
    name = rule.get("name") or f"rule {number}"
    said = rule.get("message") or rule.get("messageExpression")
    expression = f"`{' '.join(rule['expression'].split())}` must hold"
    return f"{name}: {said} ({expression})" if said else f"{name}: {expression}"


def _check(value: Any) -> str:
    if not isinstance(value, dict):
        return shown(value)
    return ", ".join(f"{key} {_listed(each)}" for key, each in value.items()) or "as it stands"


def _listed(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return shown(value)


def _lets_off(other: Held, name: str) -> bool:
    return other.kind == "PolicyException" and name in (other.spec.get("policies") or ())


def _exempted(other: Held, now: float) -> str:
    spec = other.spec
    rules = ", ".join(spec.get("rules") or ()) or "all of it"
    match = policy_words.matches(spec.get("match"), default=EVERYTHING)
    reason = spec.get("reason", "")
    return f"{other.name}: from {rules}, {match}, {policy_words.until(spec, now)} ({reason})"


def _exception(spec: Mapping[str, Any], now: float) -> Iterator[str]:
    match = policy_words.matches(spec.get("match"), default=EVERYTHING)
    yield from _field("lets off", [match])
    yield from _field("from", [", ".join(spec.get("policies") or ())])
    yield from _field(
        "rules", [", ".join(spec.get("rules") or ()) or "all of its rules and checks"]
    )
    yield from _field("reason", [str(spec.get("reason", ""))])
    yield from _field("until", [policy_words.until(spec, now)])
