"""
Provenance: what each policy added, in the annotation `kubectl-ml.io/injected`.

    {"v":1,"policies":{"devices@3f9a21c0":[["/spec/containers/0/resources/limits/nvidia.com~1gpu"]]}}

Beside them `revisions` tells which revision of what was mounted: `{"imagenet":"v3"}`, and `was`
what stood where ours came, where that isn't what an API server has there by itself: an empty value
that the user wrote (`[["/spec/volumes",[]]]`), or nothing (`[["/spec/suspend"]]`).
An entry is a JSON Pointer, followed, where a policy overrode, by the value that was there; without
one nothing was there but an API server's default, in `was` not even that. The
annotation is rewritten each time and never trusted as permission: what it claims only says which
values are ours to keep up, give back or take out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from policies.patch import ABSENT, Path, lookup, tokens

VERSION = 1
MAX_BYTES = 16 * 1024  # over this only names and hashes stay
MAX_READ_BYTES = 256 * 1024  # the API server's limit on all annotations together
_INDEX = re.compile(r"/\d+(?=/|$)", re.ASCII)


@dataclass(slots=True)
class Claims:
    """Who added what: by `policy@digest`, pointers with the values that were there before."""

    by_policy: dict[str, dict[str, Any]] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)  # of what is mounted
    was: dict[str, Any] = field(default_factory=dict)  # by pointer: {}, [], null, ABSENT, a scalar

    def add(self, policy: str, pointer: str, before: Any = ABSENT) -> None:
        """Say that `policy` added what is at `pointer`."""
        claims = self.by_policy.get(policy)
        if claims is None:
            claims = self.by_policy[policy] = {}
        claims[pointer] = before

    def note(self, what: str, revision: str) -> None:
        """Say which revision of a source was mounted; of two at once, both."""
        known = self.revisions.get(what)
        revisions = {revision, *(known.split(",") if known else ())}
        self.revisions[what] = ",".join(sorted(revisions))

    def joined(self, other: Claims) -> Claims:
        """Give both claims as one; where both claim a place, this one's value before counts."""
        union = Claims(
            revisions={**other.revisions, **self.revisions}, was={**other.was, **self.was}
        )
        for claims in (other, self):
            for policy, pointer, before in claims:
                union.add(policy, pointer, before)
        return union

    def take(self, name: str, pointer: str) -> Any:
        """Take back what the policy `name` claimed at `pointer`; None: it claimed nothing there."""
        for key, claims in self.by_policy.items():
            if pointer in claims and key.rpartition("@")[0] == name:
                return self._popped(key, pointer)
        return None

    def take_alike(self, name: str, pointer: str) -> Any:
        """Take back a claim of the policy `name` on any element of the same list; None: none."""
        shape = _INDEX.sub("/*", pointer)
        for key, claims in self.by_policy.items():
            if key.rpartition("@")[0] == name:
                for other in claims:
                    if _INDEX.sub("/*", other) == shape:
                        return self._popped(key, other)
        return None

    def without(self, left_out: Callable[[str], bool]) -> Claims:
        """Give the claims but those on the pointers that are left out."""
        rest = Claims(revisions=self.revisions, was=self.was)
        for policy, found in self.by_policy.items():
            kept = {at: found[at] for at in found if not left_out(at)}
            if kept or not found:
                rest.by_policy[policy] = kept
        return rest

    def _popped(self, key: str, pointer: str) -> Any:
        """Take one out; a policy of which nothing is left isn't one whose claims were too many."""
        claims = self.by_policy[key]
        before = claims.pop(pointer)
        if not claims:
            del self.by_policy[key]
        return before

    def before(self, pointer: str) -> Any:
        """Tell what was at `pointer` before any policy came; None if none claims it."""
        for claims in self.by_policy.values():
            if pointer in claims:
                return claims[pointer]
        return None

    def __iter__(self) -> Iterator[tuple[str, str, Any]]:
        """Go through all claims: policy@digest, pointer, the value before."""
        for policy, claims in self.by_policy.items():
            for pointer, before in claims.items():
                yield policy, pointer, before

    def pointers(self) -> dict[str, tuple[str, ...]]:
        """Give the claims without values, in the order in which they were made."""
        return {policy: tuple(claims) for policy, claims in self.by_policy.items()}


def read(annotation: Any) -> Claims:
    """Read the annotation's value (any JSON); what isn't ours to read claims nothing."""
    claims = Claims()
    if not isinstance(annotation, str) or len(annotation) > MAX_READ_BYTES:
        return claims
    try:
        value = orjson.loads(annotation)
        for policy, entries in value["policies"].items():
            claims.by_policy.setdefault(policy, {})
            for entry in entries:
                if entry[0].startswith("/"):
                    claims.add(policy, entry[0], entry[1] if len(entry) > 1 else ABSENT)
        for what, revision in (value.get("revisions") or {}).items():
            if isinstance(revision, str):
                claims.revisions[what] = revision
        claims.was.update(_read_was(value.get("was") or ()))
    except (AttributeError, LookupError, TypeError, ValueError):
        return Claims()
    return claims


def _read_was(entries: Any) -> Iterator[tuple[str, Any]]:
    for at, *values in entries:
        value = values[0] if values else ABSENT
        if at.startswith("/") and not (isinstance(value, dict | list) and value):
            yield at, value


def write(claims: Claims) -> str:
    """Write the annotation's value: compact, sorted, and bounded."""
    entries = {policy: _entries(found) for policy, found in claims.by_policy.items()}
    text = _dump(entries, revisions=claims.revisions, was=_entries(claims.was))
    if len(text) > MAX_BYTES:
        text = _dump({policy: [] for policy in entries})
    return text.decode()


def _entries(found: dict[str, Any]) -> list[list[Any]]:
    return [[at] if found[at] is ABSENT else [at, found[at]] for at in sorted(found)]


def find(obj: Any, base: Path, pointer: str) -> Path | None:
    """Turn a pointer below `base` into a path that `obj` has; None where it has nothing there."""
    path, node = base, lookup(obj, base)
    for token in tokens(pointer):
        if (
            isinstance(node, list)
            and token.isascii()
            and token.isdigit()
            and int(token) < len(node)
        ):
            path, node = (*path, int(token)), node[int(token)]
        elif isinstance(node, dict) and token in node:
            path, node = (*path, token), node[token]
        else:
            return None
    return path


def _dump(entries: dict[str, Any], **more: Any) -> bytes:
    value = {"v": VERSION, "policies": entries}
    value |= {member: found for member, found in more.items() if found}
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
