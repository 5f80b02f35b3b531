"""
Which nodes a pod may land on, as far as labels say: for each label the values that it may have.

    of_pod({"nodeSelector": {"nvidia.com/gpu.product": "Tesla-T4"}})
    -> {"nvidia.com/gpu.product": frozenset({"Tesla-T4"})}

What can't be said this way (NotIn, Exists, Gt) excludes nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from policies.patch import lookup

Nodes: TypeAlias = Mapping[str, frozenset[str]]

_REQUIRED = (
    *("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"),
    "nodeSelectorTerms",
)


def of_labels(selector: Mapping[str, str | tuple[str, ...]]) -> Nodes:
    """Read the node selector of a device class."""
    return {
        key: frozenset([value] if isinstance(value, str) else value)
        for key, value in selector.items()
    }


def of_pod(spec: Any) -> Nodes:
    """Read a pod's node selector and its required node affinity."""
    selector = lookup(spec, ("nodeSelector",))
    found = {
        key: frozenset([value])
        for key, value in (selector.items() if isinstance(selector, dict) else ())
        if isinstance(value, str)
    }
    terms = lookup(spec, _REQUIRED)
    either = [_of_term(one) for one in terms] if isinstance(terms, list) else []
    return both(found, _any_of(either))


def both(one: Nodes, other: Nodes) -> Nodes:
    """Give the nodes that are among both."""
    found = dict(one)
    for key, values in other.items():
        found[key] = found[key] & values if key in found else values
    return found


def apart(one: Nodes, other: Nodes) -> bool:
    """Tell whether no node can be among both."""
    for key, values in one.items():  # asked for each class of each pod
        others = other.get(key)
        if others is not None and values.isdisjoint(others):
            return True
    return False


def _any_of(terms: list[Nodes]) -> Nodes:
    """Put terms together of which one must hold: a label counts only if each of them names it."""
    if not terms:
        return {}
    shared = set(terms[0]).intersection(*terms[1:])
    return {key: frozenset().union(*(term[key] for term in terms)) for key in shared}


def _of_term(term: Any) -> Nodes:
    found: dict[str, frozenset[str]] = {}
    for key, values in _in(lookup(term, ("matchExpressions",))):
        found[key] = found[key] & values if key in found else values
    return found


def _in(expressions: Any) -> Iterator[tuple[str, frozenset[str]]]:
    listed: Iterable[Any] = expressions if isinstance(expressions, list) else ()
    for one in listed:
        if isinstance(one, dict) and one.get("operator") == "In":
            values = one.get("values")
            if isinstance(one.get("key"), str) and isinstance(values, list):
                yield one["key"], frozenset(value for value in values if isinstance(value, str))
