"""What a row of the tables is, and what values of Kubernetes' own types are: tagged mappings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Function(NamedTuple):
    """
    One function: whether it is called on its first argument, what it takes and gives.

    `takes` has a word for each overload, with a letter for each argument.
    """

    name: str
    member: bool
    takes: str
    gives: str
    call: Callable[..., Any]


def part(kind: str, value: Any) -> Any:
    """Take what a tagged mapping holds; raises ValueError where it is of another kind."""
    if not isinstance(value, dict) or kind not in value:
        raise ValueError(f"no {kind}")
    return value[kind]


def holds(read: Callable[[str], object]) -> Callable[[Any], bool]:
    """Make of a function that reads texts one that tells which it can read."""

    def test(text: Any) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return test
