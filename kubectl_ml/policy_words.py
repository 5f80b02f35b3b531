"""
Policies in words: what one does, what it matches, how it acts.

    matches({"kinds": ["Pod"], "intents": ["accelerator"]})   "Pod with intent accelerator"
    does("GuardPolicy", {...})                                "refuses by rule team, check images"
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from policies import guarding
from policies.errors import UnusableIntent

_MAX_SHOWN = 100
EVERYTHING = "everything"  # what an exception without kinds is for


def matches(match: Any, *, default: str = "Pod", short: bool = False) -> str:
    """Say what a match is for; `short` shows two of many kinds, `default` is what none are."""
    found = match if isinstance(match, dict) else {}
    kinds = [str(kind) for kind in found.get("kinds") or [default]]
    text = ", ".join(kinds)
    if short and len(kinds) > 3:
        text = f"{', '.join(kinds[:2])} (+{len(kinds) - 2})"
    text += "".join(f" {part}" for part in _parts(found))
    if isinstance(found.get("exclude"), dict):
        text += f", except {_excluded(found['exclude'])}"
    return text


def _excluded(match: Mapping[str, Any]) -> str:
    kinds = [", ".join(match["kinds"])] if match.get("kinds") else []
    return " ".join([*kinds, *_parts(match)]) or EVERYTHING


def _parts(match: Mapping[str, Any]) -> Iterator[str]:
    for member, word in (("operations", "on"), ("owners", "of"), ("intents", "with intent")):
        if match.get(member):
            yield f"{word} {', '.join(match[member])}"
    if match.get("namespaces") is not None:
        yield _namespaces(match["namespaces"])
    if match.get("objects") is not None:
        yield f"labelled {selector(match['objects'])}"
    for member, word in (("users", "user"), ("groups", "group"), ("serviceAccounts", "account")):
        names = (match.get("subjects") or {}).get(member)
        if names:
            yield f"by {word} {', '.join(names)}"
    for one in match.get("conditions") or ():
        yield f"where {one.get('expression', one) if isinstance(one, dict) else one}"


def _namespaces(found: Any) -> str:
    if isinstance(found, list):
        return f"in {', '.join(found)}"
    names = found.get("names") or ()
    parts = [f"in {', '.join(names)}"] if names else []
    if found.get("selector") is not None:
        parts.append(f"in namespaces labelled {selector(found['selector'])}")
    return " and ".join(parts) or "in every namespace"


def selector(found: Mapping[str, Any]) -> str:
    """Write a label selector as `kubectl -l` takes it."""
    parts = [f"{key}={value}" for key, value in (found.get("matchLabels") or {}).items()]
    for one in found.get("matchExpressions") or ():
        key, operator = one["key"], one["operator"]
        if operator in ("Exists", "DoesNotExist"):
            parts.append(key if operator == "Exists" else f"!{key}")
        else:
            word = "in" if operator == "In" else "notin"
            parts.append(f"{key} {word} ({','.join(one.get('values') or ())})")
    return ",".join(parts) or "with anything"


def does(kind: str, spec: Mapping[str, Any]) -> str:
    """Say in a few words what an object does: its own description, where it has one."""
    if spec.get("description"):
        return str(spec["description"])
    return _DOES.get(kind, _is_for)(spec)


def _adds(spec: Mapping[str, Any]) -> str:
    return "adds " + (", ".join(spec.get("inject") or ()) or "nothing")


def _refuses(spec: Mapping[str, Any]) -> str:
    word = {"Warn": "warns by", "Audit": "audits by"}.get(mode("GuardPolicy", spec), "refuses by")
    rules = [rule.get("name") or f"rule {n}" for n, rule in enumerate(spec.get("rules") or (), 1)]
    return f"{word} {', '.join([*rules, *(spec.get('checks') or ())])}"


def _lets_off(spec: Mapping[str, Any]) -> str:
    return f"lets off {', '.join(spec.get('policies') or ())}: {spec.get('reason', '')}"


def _bounds(spec: Mapping[str, Any]) -> str:
    budget = spec.get("budget") or {}
    by = spec.get("groupBy", "namespace")
    group = shown(by) if isinstance(by, str) else ", ".join(f"{k} {v}" for k, v in by.items())
    return f"bounds {', '.join(f'{key}: {value}' for key, value in budget.items())} by {group}"


def _is_for(spec: Mapping[str, Any]) -> str:
    return shown({key: value for key, value in spec.items() if key != "match"})


_DOES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "InjectionPolicy": _adds,
    "GuardPolicy": _refuses,
    "PolicyException": _lets_off,
    "QuotaPolicy": _bounds,
}


def mode(kind: str, spec: Mapping[str, Any]) -> str:
    """Say how it acts: `Apply`, `Preview`, `Deny`, `Warn`, `Audit`; empty where none is said."""
    if kind == "InjectionPolicy":
        return str(spec.get("mode", "Apply")) + (" (optIn)" if spec.get("optIn") else "")
    if kind in ("GuardPolicy", "QuotaPolicy"):
        return str(spec.get("enforcement", "Deny"))
    return "Except" if kind == "PolicyException" else ""


def is_expired(spec: Mapping[str, Any], now: float) -> bool:
    """Tell whether an exception's time is over."""
    try:
        return "expires" in spec and guarding.moment(str(spec["expires"])) <= now
    except UnusableIntent:
        return False


def until(spec: Mapping[str, Any], now: float) -> str:
    """Say until when an exception holds."""
    if "expires" not in spec:
        return "for ever"
    word = "expired" if is_expired(spec, now) else "until"
    try:
        moment = datetime.fromtimestamp(guarding.moment(str(spec["expires"])), UTC)
    except (UnusableIntent, ValueError, OverflowError):
        return f"{word} {spec['expires']}"
    return f"{word} {moment.isoformat(timespec='seconds').replace('+00:00', 'Z')}"


def shown(value: Any) -> str:
    """Write a value in one line, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
