"""Read `spec.match`, which is the same in every policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies import intents, members
from policies.errors import UnusableIntent
from policies.model import LabelSelector, Manifest, Match, NamespaceMatch, Subjects


def match(spec: Manifest) -> Match:
    """Read a match; an empty one matches everything."""
    return Match(
        kinds=members.items(spec, "kinds"),
        operations=members.items(spec, "operations"),
        namespaces=namespaces(spec.get("namespaces")),
        objects=_selector(spec.get("objects")),
        owners=members.items(spec, "owners"),
        subjects=_subjects(spec.get("subjects")),
        intents=tuple(intent_key(key) for key in members.items(spec, "intents")),
        conditions=tuple(conditions(spec.get("conditions"))),
        exclude=match(spec["exclude"]) if spec.get("exclude") is not None else None,
    )


def conditions(listed: Any) -> Iterator[tuple[str, str]]:
    """Read expressions with their names: one, or a list of them, with names or without."""
    if isinstance(listed, str):
        listed = [listed]
    for one in listed or ():
        yield ("", one) if isinstance(one, str) else (one.get("name", ""), one["expression"])


def intent_key(key: str) -> str:
    """Read the key of an intent, which may be written with its prefix."""
    key = key.removeprefix(intents.PREFIX)
    if key not in intents.KEYS:
        raise UnusableIntent(f'there is no intent "{key}"{intents.nearest(key, intents.KEYS)}')
    return key


def namespaces(spec: Any) -> NamespaceMatch | None:
    """Read which namespaces; None where nothing is said."""
    if spec is None:
        return None
    if isinstance(spec, list):
        return NamespaceMatch(names=tuple(spec))
    return NamespaceMatch(
        names=members.items(spec, "names"), selector=_selector(spec.get("selector"))
    )


def _selector(spec: Manifest | None) -> LabelSelector | None:
    if spec is None:
        return None
    return LabelSelector(
        match_labels=members.strings(members.mapping(spec, "matchLabels")),
        match_expressions=members.items(spec, "matchExpressions"),
    )


def _subjects(spec: Manifest | None) -> Subjects | None:
    if spec is None:
        return None
    return Subjects(
        users=members.items(spec, "users"),
        groups=members.items(spec, "groups"),
        service_accounts=tuple(
            service_account(text) for text in members.items(spec, "serviceAccounts")
        ),
    )


def service_account(text: str) -> str:
    """Read a service account, `namespace:name` in the end."""
    text = text.removeprefix("system:serviceaccount:").replace("/", ":")
    namespace, _, name = text.partition(":")
    if not namespace or not name or ":" in name:
        raise UnusableIntent(f'"{text}" does not name a service account; write "NAMESPACE:NAME"')
    return text
