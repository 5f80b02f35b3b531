"""
Which bare pods are injected before other webhooks are asked: those in which others read something.

Dapr's and Istio's injectors read annotations and labels, and are asked once. A workload's pods have
them from their template; a bare pod has those that an intent or a policy asks for only if we come
first. A policy of `--policies` becomes a condition that holds at least where the policy acts:

    {namespaces: {names: [ml-*]}, optIn: true}  ->  request.namespace.matches('…') && the profile
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from policies.intents import PREFIX
from policies.model import InjectionPolicy

READ_BY_OTHERS = ("dapr", "mesh")  # intents that other webhooks act on
_POD = "Pod"
_ANNOTATIONS = "object.metadata.annotations"


def expression(injections: Iterable[InjectionPolicy] = ()) -> str:
    """Write the match condition: an intent, or a policy, says what others read."""
    keys = ", ".join(f"'{PREFIX}{key}'" for key in READ_BY_OTHERS)
    by_intent = f"has({_ANNOTATIONS}) &&\n[{keys}].exists(key, key in {_ANNOTATIONS})"
    by_policy = dict.fromkeys(_where(one) for one in injections if _is_read_by_others(one))
    if not by_policy:
        return by_intent
    return " ||\n".join(f"({one})" for one in (by_intent, *by_policy))


def _is_read_by_others(policy: InjectionPolicy) -> bool:
    """Tell whether a policy marks bare pods for others, which no intent tells us already."""
    match, inject = policy.match, policy.inject
    marks = inject.dapr or inject.mesh or inject.labels or inject.annotations
    reaches = (not match.kinds or _POD in match.kinds) and not match.owners
    return (
        bool(marks)
        and reaches
        and policy.mode == "Apply"
        and not set(match.intents) & set(READ_BY_OTHERS)
    )


def _where(policy: InjectionPolicy) -> str:
    """Write where a policy acts at most; what can't be seen here (labels of namespaces) is left."""
    parts = [_has(key) for key in policy.match.intents]
    if policy.opt_in:
        named = f"{_ANNOTATIONS}['{PREFIX}profile'].contains({_text(policy.name)})"
        parts += [_has("profile"), named]
    if parts:  # without annotations there is nothing to look into
        parts.insert(0, f"has({_ANNOTATIONS})")
    if policy.match.namespaces and policy.match.namespaces.names:
        globs = "|".join(map(_pattern, policy.match.namespaces.names))
        parts.insert(0, f"request.namespace.matches({_text(f'^({globs})$')})")
    return " &&\n".join(parts) or "true"


def _has(key: str) -> str:
    return f"'{PREFIX}{key}' in {_ANNOTATIONS}"


def _pattern(glob: str) -> str:
    """Write a glob as RE2 has it; of a set of letters any will do."""
    plain = re.sub(r"\[!?\]?[^]]*\]", "?", glob)
    letters = {"*": ".*", "?": ".", "-": "-"}
    return "".join(letters.get(one) or re.escape(one) for one in plain)


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
