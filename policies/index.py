"""
Find the few policies that can be for a target, without asking all of them.

Policies are filed by kind, and within a kind by a namespace they name or an intent they need; a
policy that does neither is a candidate for everything of its kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from policies.match import Target
from policies.model import Match

Item = TypeVar("Item")
MAX_KNOWN = 1024  # targets whose candidates are remembered: pods come in herds
_GLOB = frozenset("*?[")
_ANY = ("", "")


class Index(Generic[Item]):
    """Items filed by their match; candidates come in the order in which they were given."""

    def __init__(self, items: Iterable[tuple[Match, Item]], *, default: str) -> None:
        self._known: dict[tuple[str, str, frozenset[str]], list[Item]] = {}
        self._filed: dict[str, dict[tuple[str, str], list[tuple[int, Item]]]] = {}
        for position, (match, item) in enumerate(items):
            for kind in match.kinds or (default,):
                places = self._filed.setdefault(kind, {})
                for key in _keys(match):
                    places.setdefault(key, []).append((position, item))

    def __bool__(self) -> bool:
        return bool(self._filed)

    def candidates(self, target: Target) -> list[Item]:
        """List what can match a target; whether it does is still to be asked."""
        key = (target.kind, target.namespace, target.intents)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[key] = self._candidates(target)
        return known

    def _candidates(self, target: Target) -> list[Item]:
        found = list(self._places(target))
        by_position = {position: item for place in found for position, item in place}
        return [by_position[position] for position in sorted(by_position)]

    def _places(self, target: Target) -> Iterator[list[tuple[int, Item]]]:
        for kind in {target.kind, target.kind.partition(".")[0]}:
            places = self._filed.get(kind)
            if places is None:
                continue
            keys = [_ANY, ("namespace", target.namespace)]
            keys += [("intent", key) for key in target.intents]
            for key in keys:
                if key in places:
                    yield places[key]


def _keys(match: Match) -> list[tuple[str, str]]:
    names = match.namespaces.names if match.namespaces else ()
    if names and not any(_GLOB & set(name) for name in names):
        return [("namespace", name) for name in dict.fromkeys(names)]
    return [("intent", match.intents[0])] if match.intents else [_ANY]
