"""
Checking an undoing: is what was taken out still what we would inject today?

Provenance has places without values. So what is left is injected again, and each place that was
claimed by a policy whose digest acts today is compared with what stands there then. What others
added around it, as the API server's defaults, is no edit. What depends on facts that aren't at
hand may not come again, and then it only couldn't be checked.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from policies import quantity
from policies.inject import queue
from policies.model import Decision, Manifest, Skip
from policies.patch import Path, lookup, pointer
from policies.stages.undo import Added, Stripped

_ALREADY = "already"
_KNOWN_BY = ("name", "mountPath", "key")

Known = tuple[Hashable, ...]


def judge(
    obj: Manifest,
    stripped: Stripped,
    added: Iterable[Added],
    again: Iterable[tuple[Decision, tuple[Added, ...]]],
    declared: frozenset[str],
) -> Stripped:
    """Give `stripped` as it is, or `obj` and what was edited; warn of what can't be checked."""
    wanted: dict[str, dict[Known, list[Any]]] = {}
    skipped: list[Skip] = []
    for decision, claims in again:
        skipped += decision.skipped
        for one in claims:
            places = wanted.setdefault(one.policy, {})
            places.setdefault(_known(decision.object, one.path), []).append(one.value)
    # Kueue turns `suspend` on and off, and takes its gate away: that is no edit.
    added = tuple(one for one in added if not queue.is_kueues(pointer(one.path)))
    claimed = {_known(obj, one.path) for one in added}
    left: dict[str, None] = {}
    unchecked: set[str] = set()
    for one in added:
        name, at = one.policy.rpartition("@")[0], _known(obj, one.path)
        places = wanted.get(one.policy, {})
        if at in places:
            sound = any(_covers(one.value, value) for value in places[at])
        elif one.policy in declared and places:
            sound = False
        else:
            unchecked.add(name)
            sound = not _is_moved(at, places, claimed) and not _is_there_still(one, name, skipped)
        if not sound:
            left[_sentence(name, one.path)] = None
    if left:
        return Stripped(object=obj, left=tuple(left))
    return replace(stripped, warnings=tuple(map(_warning, sorted(unchecked))))


def _sentence(name: str, path: Path) -> str:
    return (
        f"{name}: {pointer(path)} was edited since; put it back, or take out by hand what was added"
    )


def _warning(name: str) -> str:
    return (
        f"{name}: the policies at hand don't add what this one added, so whether that was edited "
        "since couldn't be checked; give the policies that were in force with --policies"
    )


def _is_moved(at: Known, places: Iterable[Known], claimed: set[Known]) -> bool:
    """Tell whether a list would get another element than the one that is claimed in it."""
    return isinstance(at[-1], tuple) and any(
        place[:-1] == at[:-1] and place not in claimed for place in places
    )


def _is_there_still(one: Added, name: str, skipped: Iterable[Skip]) -> bool:
    """Tell whether a policy finds its own work in a list that should be without it."""
    within = pointer(one.path[:-1]) + "/"
    return isinstance(one.path[-1], int) and any(
        skip.policy == name and skip.path.startswith(within) and skip.why.startswith(_ALREADY)
        for skip in skipped
    )


def _known(obj: Manifest, path: Path) -> Known:
    """Name a place by what its list elements are known by, as their order may change."""
    return tuple(
        _element(lookup(obj, path[: depth + 1])) if isinstance(step, int) else step
        for depth, step in enumerate(path)
    )


def _element(node: Any) -> Hashable:
    if not isinstance(node, Mapping):
        return "*"
    return ("*", *(str(node.get(key)) for key in _KNOWN_BY))


def _covers(found: Any, wanted: Any) -> bool:
    """Tell whether all that is wanted is there, whatever others added."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            key in found and _covers(found[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and all(
            any(_covers(one, value) for one in found) for value in wanted
        )
    return quantity.equal(found, wanted)
