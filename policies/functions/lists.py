"""Lists: `[1, 2].isSorted()`."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from policies.functions.table import Function


def _is_sorted(items: list[Any]) -> bool:
    return all(one <= other for one, other in pairwise(items))


FUNCTIONS = (
    Function("isSorted", True, "L", "BOOL", _is_sorted),
    Function("sum", True, "L", "DYN", lambda items: sum(items)),
    Function("min", True, "L", "DYN", lambda items: min(items)),
    Function("max", True, "L", "DYN", lambda items: max(items)),
)  # fmt: skip
