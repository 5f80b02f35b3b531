"""
What some matches are all for: a request that fits them, found by trying likely ones.

The candidates come from what the matches name, so a match that fits none of them fits nothing:
what it asks for contradicts itself, or `exclude` takes it away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import islice, product

from policies import match as matching
from policies.match import Target
from policies.model import LabelSelector, Match, User

MAX_TRIED = 20_000
ANY_KIND = ("Pod", "Job.batch", "Deployment.apps", "ConfigMap")  # where a match is for any
_NEUTRAL = "sample"
_ACCOUNT = "system:serviceaccount:"
Labels = Mapping[str, str]


def of(matches: Sequence[Match], kinds: Sequence[str] = ("Pod",)) -> Target | None:
    """Find a target of all `matches`; `kinds` are what a match without kinds is for."""
    matches = [_unconditional(one) for one in matches]
    if not _namespaces(matches):
        return None  # the usual case, and cheap to tell
    tests = [matching.compiled(one) for one in matches]
    for target in islice(_candidates(matches, kinds), MAX_TRIED):
        if all(test(target) for test in tests) and all(
            _is_for(one, target, kinds) for one in matches
        ):
            return target
    return None


def _unconditional(match: Match) -> Match:
    """Leave out what only an object can tell: conditions, and an `exclude` that has some."""
    excluded = match.exclude
    while excluded and not excluded.conditions:
        excluded = excluded.exclude
    return replace(match, conditions=(), exclude=None if excluded else match.exclude)


def _is_for(match: Match, target: Target, kinds: Sequence[str]) -> bool:
    """Tell whether the kind is one by default, and the operation one that it asks for."""
    asked = target.operation in ("CREATE", "UPDATE") or bool(match.operations)
    return asked and (bool(match.kinds) or target.kind in kinds)


def _candidates(matches: Sequence[Match], kinds: Sequence[str]) -> Iterator[Target]:
    every = [*matches, *(one.exclude for one in matches if one.exclude)]
    labels = _labels([one.objects for one in matches], [one.objects for one in every])
    selectors = [one.namespaces.selector if one.namespaces else None for one in matches]
    excluded = [one.namespaces.selector if one.namespaces else None for one in every]
    axes = (
        _distinct([kind for one in matches for kind in one.kinds] or kinds),
        _distinct([op for one in matches for op in one.operations] or ["CREATE", "UPDATE"]),
        _namespaces(matches),
        _labels(selectors, excluded),
        labels,
        _distinct(["", *(owner for one in matches for owner in one.owners), "Other.example.com"]),
        _users(matches),
    )
    intents = frozenset(key for one in matches for key in one.intents)
    for kind, operation, namespace, namespace_labels, own, owner, user in product(*axes):
        if owner and kind != "Pod":
            continue  # only a pod has a controller that is asked for
        yield Target(
            kind=kind,
            operation=operation,
            namespace=namespace,
            namespace_labels=namespace_labels,
            labels=own,
            owner=owner,
            user=user,
            intents=intents,
        )


def _distinct(found: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(found))


def _namespaces(matches: Sequence[Match]) -> list[str]:
    globs = [name for one in matches if one.namespaces for name in one.namespaces.names]
    plain = [_filled(glob, "x") for glob in globs] + [_filled(glob, "") for glob in globs]
    mixed = [_filled(one, other.replace("*", "")) for one in globs for other in globs[:8]]
    wanted = [one.namespaces.names for one in matches if one.namespaces and one.namespaces.names]
    return [
        name
        for name in dict.fromkeys([*plain, *mixed, _NEUTRAL, "default"])
        if all(any(fnmatchcase(name, glob) for glob in globs) for globs in wanted)
    ]


def _filled(glob: str, text: str) -> str:
    """Write a name that a glob matches."""
    return glob.replace("*", text).replace("?", "x").strip("-") or _NEUTRAL


def _users(matches: Sequence[Match]) -> list[User]:
    found = [User(username="someone")]
    for subjects in (one.subjects for one in matches if one.subjects):
        found += [User(username=_filled(glob, "x")) for glob in subjects.users]
        found += [
            User(username="someone", groups=(_filled(glob, "x"),)) for glob in subjects.groups
        ]
        found += [
            User(username=f"{_ACCOUNT}{glob.removeprefix(_ACCOUNT).replace('*', 'x')}")
            for glob in subjects.service_accounts
        ]
    groups = tuple(group for one in found for group in one.groups)
    return [*found, *(User(username=one.username, groups=groups) for one in found[1:] if groups)]


# --- labels -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Key:
    """What selectors ask of one key."""

    allowed: frozenset[str] | None = None
    denied: frozenset[str] = frozenset()
    there: bool = False
    absent: bool = False

    def add(self, operator: str, values: frozenset[str]) -> None:
        """Ask one thing more."""
        match operator:
            case "In":
                self.allowed = values if self.allowed is None else self.allowed & values
                self.there = True
            case "NotIn":
                self.denied |= values
            case "Exists":
                self.there = True
            case _:
                self.absent = True

    def value(self) -> str | None:
        """Give a value that fits; None where none does."""
        if self.allowed is not None:
            return min(self.allowed - self.denied, default=None)
        return next(one for one in (_NEUTRAL, "other", "third", "x" * 9) if one not in self.denied)


def solved(selectors: Sequence[LabelSelector | None]) -> Labels | None:
    """Find labels that all the selectors choose; None where they contradict each other."""
    keys: dict[str, _Key] = {}
    for selector in selectors:
        for key, operator, values in _asked(selector):
            keys.setdefault(key, _Key()).add(operator, values)
    found: dict[str, str] = {}
    for key, asked in keys.items():
        if not asked.there:
            continue
        value = None if asked.absent else asked.value()
        if value is None:
            return None
        found[key] = value
    return found


def _asked(selector: LabelSelector | None) -> Iterator[tuple[str, str, frozenset[str]]]:
    if selector is None:
        return
    for key, value in selector.match_labels.items():
        yield key, "In", frozenset({value})
    for one in selector.match_expressions:
        yield one["key"], one["operator"], frozenset(one.get("values") or ())


def _labels(
    wanted: Sequence[LabelSelector | None], mentioned: Sequence[LabelSelector | None]
) -> list[Labels]:
    """List labels that are wanted, also with what an `exclude` of absent labels lets through."""
    least = solved(wanted)
    if least is None:
        return []
    keys = {key for selector in mentioned for key, _, _ in _asked(selector)} - {*least}
    return [least, *({**least, key: _NEUTRAL} for key in sorted(keys))]
