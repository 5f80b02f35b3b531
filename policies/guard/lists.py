"""
Lists of what may be named and what may not, in globs, as checks hold them.

    [a100, "mig-*"]                       nothing but these
    {allow: [a100], deny: ["mig-*"]}      the same, and never those
    [{name: h100, namespaces: [nlp-*]}]   in these namespaces alone

A `*` matches `/` too.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from policies import match, matches
from policies.match import Predicate, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One pattern, and where it counts; None: everywhere."""

    pattern: str
    within: Predicate | None

    def names(self, names: Iterable[str]) -> bool:
        """Tell whether it is about one of these names for a thing."""
        return any(fnmatch.fnmatchcase(name, self.pattern) for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """What may be named, None for everything, and what may not."""

    allow: tuple[Entry, ...] | None
    deny: tuple[Entry, ...]

    def refusal(self, target: Target, *names: str) -> str:
        """Say why a thing of these names may not be; nothing where it may."""
        for entry in self.deny:
            if entry.names(names) and (entry.within is None or entry.within(target)):
                return "is denied; name another"
        if self.allow is None:
            return ""
        about = [entry for entry in self.allow if entry.names(names)]
        if any(entry.within is None or entry.within(target) for entry in about):
            return ""
        if about:
            return f'may not be used in namespace "{target.namespace}"; name another'
        known = ", ".join(
            entry.pattern for entry in self.allow if entry.within is None or entry.within(target)
        )
        return f"is none of {known}; name one that is" if known else "is not allowed; take it out"


def read(check: Mapping[str, Any], member: str) -> Lists:
    """Read the lists of a check: its `member`, and `allow` and `deny` beside it."""
    found = check.get(member)
    inner = found if isinstance(found, dict) else {"allow": found}
    allow = [one for one in (inner.get("allow"), check.get("allow")) if one is not None]
    deny = [*(inner.get("deny") or ()), *(check.get("deny") or ())]
    return Lists(
        allow=tuple(_entry(one) for part in allow for one in part) if allow else None,
        deny=tuple(map(_entry, deny)),
    )


def _entry(one: Any) -> Entry:
    if isinstance(one, str):
        return Entry(pattern=one, within=None)
    where = matches.namespaces(one.get("namespaces"))
    return Entry(
        pattern=one.get("name") or one.get("class") or one.get("source"),
        within=match.namespaces(where) if where else None,
    )
