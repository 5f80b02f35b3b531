"""Paths into objects as the catalogue writes them, with `*` for every member or element."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from policies.errors import UnusableIntent
from policies.patch import Path, Step, lookup

WILDCARD = "*"
_SELECTED = re.compile(r"^([^\[]*)\[([^=\]]+)=([^\]]+)\]$")
_STEP = re.compile(r"^(\*|[A-Za-z_$(][^\s.\[\]]*)$")
_PARTS = re.compile(r"[^.\[]*\[[^\]]*\]|[^.]+")


def path(text: str) -> Path:
    """Read `spec.jobs.*.template` or `spec.patches[manager=x].spec`; `$.` may precede."""
    steps: list[Step] = []
    # Dots inside [key=value] are part of the value; `[*]` is written by those who know JSONPath.
    text = text.replace("[*]", f".{WILDCARD}")
    for part in _PARTS.findall(text.removeprefix("$").removeprefix(".")):
        selected = _SELECTED.match(part)
        if selected:
            steps += [selected.group(1), (selected.group(2), selected.group(3))]
        else:
            steps.append(part)
    return tuple(steps)


def checked(text: str) -> Path:
    """Read a path that a person wrote; raises UnusableIntent where it can't be one."""
    steps = path(text)
    names = [step for step in steps if isinstance(step, str)]
    if ".." in text or text.endswith(".") or not all(map(_STEP.match, names)):
        raise UnusableIntent(
            f'"{text}" is no path; write names with dots between, such as spec.workers.template, '
            "and * for every member or element"
        )
    return steps


def expand(obj: Any, at: Path) -> list[Path]:
    """List the paths that exist in `obj` for a path with wildcards, in the object's order."""
    if WILDCARD not in at:
        return [at]
    index = at.index(WILDCARD)
    parent = lookup(obj, at[:index])
    steps: Iterable[Step] = ()
    if isinstance(parent, dict):
        steps = [key for key in parent if isinstance(key, str)]
    elif isinstance(parent, list):
        steps = range(len(parent))
    return [
        found
        for step in steps
        for found in _under((*at[:index], step), expand(lookup(parent, (step,)), at[index + 1 :]))
    ]


def _under(base: Path, tails: list[Path]) -> list[Path]:
    return [(*base, *tail) for tail in tails]


def each(obj: Any, at: Path) -> list[Any]:
    """List the values at a path with wildcards; None for those that aren't there."""
    return [lookup(obj, found) for found in expand(obj, at)]
