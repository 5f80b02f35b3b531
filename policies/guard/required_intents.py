"""
Which intents must be there: `checks.requireIntents`.

    requireIntents: [queue]                      each of these
    requireIntents: {any: [queue, profile]}      at least one of these

Judges what the user wrote, on the workload or on its template, before anything is injected; the
pods of a workload were judged with it. An intent that a kind can't use is not asked of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies import matches
from policies.guard.subject import Check, Subject
from policies.intents import PREFIX

_ON_SOME = frozenset({"scale", "roles"})  # intents that not every kind can use


def compiled(check: Any) -> Check:
    """Make the check ready."""
    every, some = keys(check)

    def judge(subject: Subject) -> Iterator[str]:
        if subject.asked is None:
            return
        for key in every:
            if key not in subject.asked and _can_have(subject, key):
                yield (
                    f"the intent {PREFIX}{key} is missing; write it as an annotation of the "
                    f"{subject.kind}"
                )
        possible = [key for key in some if _can_have(subject, key)]
        if possible and not any(key in subject.asked for key in possible):
            named = ", ".join(PREFIX + key for key in possible)
            yield f"none of the intents {named} is there; write one on the {subject.kind}"

    return judge


def keys(check: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read which intents must all be there, and of which one must be; raises UnusableIntent."""
    if isinstance(check, str):
        check = [check]
    if isinstance(check, list):
        return _keys(check), ()
    every = [*check.get("intents", ()), *check.get("keys", ()), *check.get("all", ())]
    return _keys(every), _keys(check.get("any", ()))


def _keys(listed: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(matches.intent_key(key) for key in listed))


def _can_have(subject: Subject, key: str) -> bool:
    return key not in _ON_SOME or key in subject.uses
