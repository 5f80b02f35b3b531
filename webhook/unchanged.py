"""
Whether an object is charged as it was when it was seen last: most of what a watch brings is status.

Charging takes a review, a digest of what matters hardly anything. What matters of a status is what
the catalogue reads of it: whether the object is over or suspended, and a DaemonSet's nodes.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from policies.model import Facts, Match, PolicySet
from policies.workloads import catalogue
from policies.workloads.catalogue import Kind

STATUS = ("phase", "state", "desiredNumberScheduled")  # and the conditions
# For more at once hashlib lets other threads go first, and a review waits for what they do.
_AT_ONCE = 2000
_NOT_ITS_OWN = ("resourceVersion", "managedFields")  # of the metadata: they change with the status
# What an expression may read without reading the status, or all of the object.
_HARMLESS = re.compile(r"\bobject\.(spec|metadata\.(labels|annotations|name|namespace))\b")


class Unchanged:
    """Gives digests of objects, under the policies and the namespace that they are charged by."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: PolicySet | None = None
        self._number = 0
        self._tells = True

    def essence(self, kind: Kind, obj: Any, policies: PolicySet, facts: Facts) -> bytes:
        """Digest what an object is charged by; empty: who knows, so it is charged anew."""
        with self._lock:
            self._look_at(policies)
            number, tells = self._number, self._tells
        if not tells or catalogue.builtin().kinds.get((kind.group, kind.kind)) is not kind:
            return b""
        try:
            labels = facts.namespaces.get(obj["metadata"].get("namespace") or "")
            matters = [number, kind.name, labels, _what_matters(obj)]
            text = orjson.dumps(matters, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:  # a number that is no 64-bit integer
            return b""
        digest = hashlib.blake2b(digest_size=16)
        for start in range(0, len(text), _AT_ONCE):
            digest.update(text[start : start + _AT_ONCE])
        return digest.digest()

    def _look_at(self, policies: PolicySet) -> None:
        """Count up where the policies are others than before."""
        if self._of is not policies:
            self._of, self._number = policies, self._number + 1
            self._tells = not any(map(_reads_more, _expressions(policies)))


def _what_matters(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _NOT_ITS_OWN}
    # What is listed says neither its kind nor its version.
    obj = {**obj, "kind": None, "apiVersion": None, "metadata": metadata}
    status = obj.get("status")
    if not isinstance(status, dict):
        return obj
    kept = {key: status[key] for key in STATUS if key in status}
    conditions = status.get("conditions")
    if isinstance(conditions, list):
        kept["conditions"] = [
            [one.get("type"), one.get("status")] for one in conditions if isinstance(one, dict)
        ]
    return {**obj, "status": kept}


def _reads_more(expression: str) -> bool:
    return "object" in _HARMLESS.sub("", expression)


def _expressions(policies: PolicySet) -> Iterator[str]:
    matches = [one.match for one in policies.quotas]
    matches += [one.match for one in policies.injections]
    matches += [one.match for one in policies.exceptions]
    for match in matches:
        yield from _of_match(match)
    for quota in policies.quotas:
        if quota.group_by.by == "expression":
            yield quota.group_by.of


def _of_match(match: Match) -> Iterator[str]:
    yield from (text for _, text in match.conditions)
    if match.exclude:
        yield from _of_match(match.exclude)
