"""
Semantic versions: `semver('1.2.3').isLessThan(semver('v1.3', true))`.

A value is its text without build metadata, which doesn't tell versions apart.
k8s.io/apiserver/pkg/cel/library/semverlib.go, github.com/blang/semver/v4
"""

from __future__ import annotations

import re
from typing import Any

from policies.functions.table import SEMVER, Function, holds, part

_NUMBER = r"(0|[1-9][0-9]*)"
_WORD = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"  # a number has no leading zero
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_WORD}(?:\.{_WORD})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_MOST = 2**64 - 1


def semver(text: str, normalize: bool = False) -> dict[str, str]:
    """Read what a text says, or raise ValueError."""
    found = _VERSION.fullmatch(_normal(text) if normalize else text)
    if not found or any(int(one) > _MOST for one in found.groups()[:3]):
        raise ValueError(f'"{text}" is no semantic version; write for example "1.2.3"')
    return {SEMVER: ".".join(found.groups()[:3]) + (f"-{found[4]}" if found[4] else "")}


def _normal(text: str) -> str:
    """Take out a leading v and leading zeros, and add the parts that are missing."""
    parts = [_without_zeros(one) for one in text.removeprefix("v").split(".", 2)]
    if len(parts) < 3 and re.search("[+-]", parts[-1]):
        raise ValueError("short version cannot contain PreRelease/Build meta data")
    return ".".join([*parts, "0", "0"][: max(3, len(parts))])


def _without_zeros(text: str) -> str:
    found = text.lstrip("0") if len(text) > 1 else text
    return found if found[:1].isdecimal() or len(text) <= 1 else f"0{found}"


def _key(value: Any) -> tuple[Any, ...]:
    """Give what sorts as versions do: before 1.0.0 comes 1.0.0-a, before that 1.0.0-1."""
    release, dash, words = part(SEMVER, value).partition("-")
    numbers = tuple(int(one) for one in release.split("."))
    early = tuple(
        (0, int(one), "") if one.isdecimal() else (1, 0, one) for one in words.split(".") if dash
    )
    return (*numbers, not dash, early)


def _compared(one: Any, other: Any) -> int:
    first, second = _key(one), _key(other)
    return (first > second) - (first < second)


_TWO = (SEMVER, SEMVER)
FUNCTIONS = (
    Function("semver", ("string",), SEMVER, semver, member=False),
    Function("semver", ("string", "bool"), SEMVER, semver, member=False),
    Function("isSemver", ("string",), "bool", holds(semver), member=False),
    Function(
        "isSemver",
        ("string", "bool"),
        "bool",
        lambda text, normalize: holds(lambda one: semver(one, normalize))(text),
        member=False,
    ),
    Function("major", (SEMVER,), "int", lambda value: _key(value)[0]),
    Function("minor", (SEMVER,), "int", lambda value: _key(value)[1]),
    Function("patch", (SEMVER,), "int", lambda value: _key(value)[2]),
    Function("isGreaterThan", _TWO, "bool", lambda one, other: _compared(one, other) > 0),
    Function("isLessThan", _TWO, "bool", lambda one, other: _compared(one, other) < 0),
    Function("compareTo", _TWO, "int", _compared),
)
