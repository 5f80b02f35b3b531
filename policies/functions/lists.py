"""
Lists: `[1, 2].isSorted()`.

k8s.io/apiserver/pkg/cel/library/lists.go; slice, flatten, sort and the like are the runtime's own.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import reduce
from typing import Any

from policies.functions.table import Function

_NUMBER = "number"
_ORDERED: dict[type, str] = {
    bool: "bool", int: _NUMBER, float: _NUMBER, str: "string", bytearray: "bytes",
    timedelta: "duration", datetime: "timestamp",
}  # fmt: skip
_SUMMED = ("int", "uint", "double", "duration")
_COMPARED = (*_SUMMED, "bool", "timestamp", "string", "bytes")
_LEAST, _MOST, _MOST_UNSIGNED = -(2**63), 2**63 - 1, 2**64 - 1


def _kind(value: Any) -> str:
    kind = _ORDERED.get(type(value))
    if kind is None:
        raise ValueError("no such overload: only what can be compared has an order")
    return kind


def _after(one: Any, other: Any) -> bool:
    """Tell whether one comes after another; of different kinds, none does."""
    return _kind(one) == _kind(other) and one > other


def _is_sorted(items: Sequence[Any]) -> bool:
    kinds = [_kind(one) for one in items]
    return len(kinds) == len(items) and not any(map(_after, items, items[1:]))


def _sum(items: Sequence[Any]) -> Any:
    if not items:
        return 0
    if any(isinstance(one, bool) or _kind(one) not in (_NUMBER, "duration") for one in items):
        raise ValueError("no such overload: only numbers and durations have a sum")
    try:
        found = reduce(operator.add, items)
    except TypeError:
        raise ValueError("no such overload: a number and a duration have no sum") from None
    most = _MOST_UNSIGNED if max(map(_number, items)) > _MOST else _MOST
    if isinstance(found, int) and not _LEAST <= found <= most:
        raise ValueError("integer overflow")
    return found


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _least(items: Sequence[Any]) -> Any:
    return _best("min", items, lambda one, other: _after(one, other))


def _greatest(items: Sequence[Any]) -> Any:
    return _best("max", items, lambda one, other: _after(other, one))


def _best(name: str, items: Sequence[Any], worse: Any) -> Any:
    if not items:
        raise ValueError(f"{name} called on empty list")
    found = items[0]
    for one in items:
        _kind(one)
        found = one if worse(found, one) else found
    return found


def _same(one: Any, other: Any) -> bool:
    """Tell whether CEL calls two values equal: numbers by value, and no bool is a number."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _index(items: Sequence[Any], item: Any) -> int:
    return next((at for at, one in enumerate(items) if _same(one, item)), -1)


def _last_index(items: Sequence[Any], item: Any) -> int:
    return len(items) - 1 - found if (found := _index(items[::-1], item)) >= 0 else -1


FUNCTIONS = (
    *(Function("isSorted", (f"list<{one}>",), "bool", _is_sorted) for one in _COMPARED),
    *(Function("sum", (f"list<{one}>",), one, _sum) for one in _SUMMED),
    *(Function("min", (f"list<{one}>",), one, _least) for one in _COMPARED),
    *(Function("max", (f"list<{one}>",), one, _greatest) for one in _COMPARED),
    Function("indexOf", ("list<~A>", "~A"), "int", _index),
    Function("lastIndexOf", ("list<~A>", "~A"), "int", _last_index),
)
