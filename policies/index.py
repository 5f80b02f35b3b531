"""
Find the few policies that can be for a target, without asking all of them.

Policies are filed by kind, and within a kind by a namespace they name or an intent they need; a
policy that does neither is asked for everything of its kind. What it says of all but the target's
own labels is asked once for targets that are alike, since pods come in herds; what is left is
filed by a label that it needs.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar

from policies import match as matching
from policies.match import Predicate, Target
from policies.model import LabelSelector, Match

Item = TypeVar("Item")
MAX_KNOWN = 4096  # sorts of targets whose candidates are remembered
ANY_KIND = ""
_GLOB = frozenset("*?[")
_ANY = ("", "")


class Index(Generic[Item]):
    """
    Items filed by their match; candidates come in the order in which they were given.

    `default` is the kind of a match that names none; ANY_KIND: it is for all of them.
    """

    def __init__(self, items: Iterable[tuple[Match, Item]], *, default: str) -> None:
        self._known: dict[Hashable, _Alike[Item]] = {}
        self._filed: dict[str, dict[tuple[str, str], list[_Entry[Item]]]] = {}
        matches: list[Match] = []
        for position, (match, item) in enumerate(items):
            entry = _Entry(position, match, item)
            matches += _nested(match)
            for kind in match.kinds or (default,):
                places = self._filed.setdefault(kind, {})
                for key in _keys(match):
                    places.setdefault(key, []).append(entry)
        self._owners = frozenset(owner for match in matches for owner in match.owners)
        self._by_user = any(match.subjects for match in matches)
        self._by_namespace_labels = any(
            match.namespaces and match.namespaces.selector for match in matches
        )

    def __bool__(self) -> bool:
        return bool(self._filed)

    def candidates(self, target: Target) -> list[Item]:
        """List what can match a target; whether it does is still to be asked."""
        key = self._sort(target)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[key] = _Alike(self._entries(target))
        return known.candidates(target.labels)

    def _sort(self, target: Target) -> Hashable:
        """Tell what candidates hang on, apart from the target's own labels."""
        owner = target.owner
        if owner and owner not in self._owners and owner.partition(".")[0] not in self._owners:
            owner = ""  # nobody asks for it, and users choose it
        labels = frozenset(target.namespace_labels.items()) if self._by_namespace_labels else None
        user = target.user if self._by_user else None
        return (
            target.kind, target.operation, target.namespace, target.intents, owner, user, labels,
        )  # fmt: skip

    def _entries(self, target: Target) -> list[_Entry[Item]]:
        found = {entry.position: entry for place in self._places(target) for entry in place}
        return [found[position] for position in sorted(found) if found[position].settled(target)]

    def _places(self, target: Target) -> Iterator[list[_Entry[Item]]]:
        for kind in {target.kind, target.kind.partition(".")[0], ANY_KIND}:
            places = self._filed.get(kind)
            if places is None:
                continue
            keys = [_ANY, ("namespace", target.namespace)]
            keys += [("intent", key) for key in target.intents]
            for key in keys:
                if key in places:
                    yield places[key]


class _Entry(Generic[Item]):
    """One item, and its match apart from what differs among alike targets: labels, content."""

    __slots__ = ("item", "objects", "position", "settled")

    def __init__(self, position: int, match: Match, item: Item) -> None:
        exclude = match.exclude
        if exclude and any(one.objects or one.conditions for one in _nested(exclude)):
            exclude = None
        self.position = position
        self.item = item
        self.objects = match.objects
        self.settled: Predicate = matching.compiled(
            replace(match, objects=None, conditions=(), exclude=exclude)
        )


class _Alike(Generic[Item]):
    """What can match targets that differ in their labels alone."""

    __slots__ = ("_all", "_always", "_by_label")

    def __init__(self, entries: list[_Entry[Item]]) -> None:
        needing = [(entry, list(_needed(entry.objects))) for entry in entries]
        self._all = [entry.item for entry in entries]
        self._always = [(entry.position, entry.item) for entry, labels in needing if not labels]
        self._by_label: dict[tuple[str, str | None], list[tuple[int, Item]]] = {}
        for entry, labels in needing:
            for label in labels:
                self._by_label.setdefault(label, []).append((entry.position, entry.item))

    def candidates(self, labels: Mapping[str, Any]) -> list[Item]:
        """List what can match a target with these labels."""
        if not self._by_label:
            return self._all
        found = dict(self._always)
        for key, value in labels.items():
            found.update(self._by_label.get((key, None), ()))
            if isinstance(value, str):
                found.update(self._by_label.get((key, value), ()))
        return [found[position] for position in sorted(found)]


def _nested(match: Match) -> Iterator[Match]:
    """List a match and what it excludes, and what that excludes."""
    yield match
    if match.exclude:
        yield from _nested(match.exclude)


def _keys(match: Match) -> list[tuple[str, str]]:
    names = match.namespaces.names if match.namespaces else ()
    if names and not any(_GLOB & set(name) for name in names):
        return [("namespace", name) for name in dict.fromkeys(names)]
    return [("intent", match.intents[0])] if match.intents else [_ANY]


def _needed(selector: LabelSelector | None) -> Iterator[tuple[str, str | None]]:
    """List labels of which a target needs one; none where a selector needs no label at all."""
    if selector is None:
        return
    for key, value in selector.match_labels.items():
        yield key, value
        return
    for one in selector.match_expressions:
        if one["operator"] == "In":
            yield from ((one["key"], value) for value in one.get("values") or ())
            return
    for one in selector.match_expressions:
        if one["operator"] == "Exists":
            yield one["key"], None
            return
