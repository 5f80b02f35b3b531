"""Whether a policy may reach a namespace, as far as its match tells without a workload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from policies import match as matching
from policies.match import Target
from policies.model import Match, User


def may_reach(match: Match, namespace: str, labels: Mapping[str, str] | None) -> bool:
    """
    Tell whether some workload of a namespace can match; `labels` None: they are hidden.

    What only a workload or hidden labels can tell counts as reached.
    """
    if not _holds(match, namespace, labels, unknown=True):
        return False
    exclude = match.exclude
    if exclude is None or replace(exclude, namespaces=None) != Match():
        return True
    return not _holds(exclude, namespace, labels, unknown=False)


def _holds(
    match: Match, namespace: str, labels: Mapping[str, str] | None, *, unknown: bool
) -> bool:
    asked = match.namespaces
    if asked is None:
        return True
    if labels is None and asked.selector is not None:
        named = replace(asked, selector=None)
        return unknown and matching.namespaces(named)(_target(namespace, {}))
    return matching.namespaces(asked)(_target(namespace, labels or {}))


def _target(namespace: str, labels: Mapping[str, str]) -> Target:
    return Target(
        kind="",
        operation="CREATE",
        namespace=namespace,
        namespace_labels=labels,
        labels={},
        owner="",
        user=User(),
        intents=frozenset(),
    )
