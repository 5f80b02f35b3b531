"""
Optional values that our own functions give, and maps that grow in a comprehension.

The runtime takes no optional value from a function, so it gets a mapping instead, with a list of
the value or of nothing, and what optional values have is added for it.
"""

from __future__ import annotations

from typing import Any

from policies.functions.table import OPTIONAL, Function, part

MOST_ENTRIES = 512  # each costs a copy of all before it


def of(value: Any) -> dict[str, Any]:
    """Make an optional value; of None, one that holds nothing."""
    return {OPTIONAL: [] if value is None else [value]}


def _value(value: Any) -> Any:
    found = part(OPTIONAL, value)
    if not found:
        raise ValueError("optional.none() dereference")
    return found[0]


def _or_value(value: Any, other: Any) -> Any:
    return next(iter(part(OPTIONAL, value)), other)


def _or(value: Any, other: Any) -> Any:
    return value if part(OPTIONAL, value) else other


def _inserted(known: dict[Any, Any], key: Any, value: Any) -> dict[Any, Any]:
    return _merged(known, {key: value})


def _merged(known: dict[Any, Any], more: dict[Any, Any]) -> dict[Any, Any]:
    for key in more:
        if key in known:
            raise ValueError(f"insert failed: key {key} already exists")
    if len(known) + len(more) > MOST_ENTRIES:
        raise ValueError(f"more than {MOST_ENTRIES} entries")
    return {**known, **more}


# What the checker knows already: only the runtime is told.
FUNCTIONS = (
    Function("hasValue", (OPTIONAL,), "bool", lambda value: bool(part(OPTIONAL, value))),
    Function("value", (OPTIONAL,), "dyn", _value),
    Function("orValue", (OPTIONAL, "dyn"), "dyn", _or_value),
    Function("or", (OPTIONAL, OPTIONAL), OPTIONAL, _or),
    Function("cel.@mapInsert", ("map", "dyn", "dyn"), "map", _inserted, member=False),
    Function("cel.@mapInsert", ("map", "map"), "map", _merged, member=False),
)
