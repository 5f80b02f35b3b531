"""
A COUNT as the catalogue and WorkloadKinds write it: a number, a path with a default, or a product.

    3    spec.replicas ?? 1    [spec.parallelism, "@.count ?? 1"]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from policies.errors import UnusableIntent
from policies.patch import Path
from policies.workloads.paths import checked, path


@dataclass(frozen=True, slots=True, kw_only=True)
class PathCount:
    """A number at a path, or its default. `up`: it starts at the element of the last wildcards."""

    path: Path
    default: int
    up: int = 0  # 0: from the object; 1: `@`, 2: `@@`


Count: TypeAlias = "int | PathCount | tuple[Count, ...]"


def counted(entry: Any) -> Count:
    """Read a COUNT that a person wrote; raises UnusableIntent where it is none."""
    if isinstance(entry, list):
        return tuple(counted(one) for one in entry)
    if not isinstance(entry, int | str) or isinstance(entry, bool):
        raise UnusableIntent(f'"{entry}" is no count; write a number or PATH ?? DEFAULT')
    try:
        found = count(entry)
    except ValueError as error:
        raise UnusableIntent(str(error)) from None
    if isinstance(entry, str):
        written = entry.partition("??")[0].strip().lstrip("@").removeprefix(".")
        _check_path_of_count(entry, written)
    least = found.default if isinstance(found, PathCount) else found
    if isinstance(least, int) and least < 0:
        raise UnusableIntent(f'{least} in "{entry}" is too small; write 0 or more')
    return found


def _check_path_of_count(entry: str, written: str) -> None:
    if written.isdecimal():
        raise UnusableIntent(f'"{entry}" is no path; write the number without quotes')
    try:
        checked(written)
    except UnusableIntent:
        raise UnusableIntent(
            f'"{entry}" is no count; write a number, or a path with a default, such as '
            '"spec.replicas ?? 1" or "@.count ?? 1"'
        ) from None


def count(entry: Any) -> Count:
    """Read a COUNT: a number, `PATH ?? DEFAULT`, or a list of these. Raises ValueError."""
    if isinstance(entry, int) and not isinstance(entry, bool):
        return entry
    if isinstance(entry, (list, tuple)):
        return tuple(count(one) for one in entry)
    return path_count(str(entry))


def path_count(entry: str) -> PathCount:
    """Read `PATH ?? DEFAULT`. Raises ValueError."""
    text, marker, default = entry.partition("??")
    text = text.strip()
    up = len(text) - len(text.lstrip("@"))
    text = text.lstrip("@").removeprefix(".")
    if not text:
        raise ValueError(f'"{entry}" is no count; write a number or PATH ?? DEFAULT')
    try:
        number = int(default.strip()) if marker else 1
    except ValueError:
        raise ValueError(f'"{default.strip()}" in "{entry}" is no number') from None
    return PathCount(path=path(text), default=number, up=up)
