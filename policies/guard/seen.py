"""
What an expression looked at: the paths that it reads, and what was there.

    has(object.metadata.labels.team)
    -> (("object.metadata.labels.team", "not there"),)

The paths are taken from the text, as the runtime doesn't give its syntax tree away: every root
with its members, and what a comprehension calls an element (`containers.all(c, c.image…)`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import orjson

MOST_PATHS = 8
MOST_CHARACTERS = 80  # of what one path shows
NOTHING = "not there"

_STRING = r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
_STEP = rf"\s*(?:\.\??\s*(?:[A-Za-z_]\w*|`[^`]*`)|\[\??\s*(?:{_STRING}|\d+)\s*\])"
_SCAN = re.compile(
    rf"//[^\n]*|{_STRING}|(?<![.\w])(?P<root>[A-Za-z_]\w*)(?P<steps>(?:{_STEP})*)(?P<call>\s*\()?"
)
_STEPS = re.compile(rf"[A-Za-z_]\w*|`[^`]*`|{_STRING}|\d+")
_ELEMENT = re.compile(r"\s*([A-Za-z_]\w*)\s*,")
_MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "filter", "map"})
_EACH = "*"

Path: TypeAlias = tuple[str | int, ...]


def of(
    expression: str, values: Mapping[str, Any], variables: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Give what an expression reads, and what is there; `variables` are a policy's own."""
    paths = dict.fromkeys(_paths(expression, values))
    for path in [*paths]:
        if path[0] == "variables" and len(path) > 1 and path[1] in variables:
            paths |= dict.fromkeys(_paths(variables[str(path[1])], values))
    return tuple(
        (_written(path), _shown([*_walk(values, path)], many=_EACH in path))
        for path in [*paths][:MOST_PATHS]
    )


def _paths(expression: str, roots: Mapping[str, Any]) -> Iterator[Path]:
    bound: dict[str, Path] = {name: (name,) for name in roots}
    declared: set[int] = set()  # where an element gets its name
    for found in _SCAN.finditer(expression):
        root = found["root"]
        if root not in bound or found.start() in declared:
            continue
        path = bound[root] + tuple(_step(one) for one in _STEPS.findall(found["steps"]))
        if found["call"]:
            method, path = path[-1], path[:-1]
            element = _ELEMENT.match(expression, found.end()) if method in _MACROS else None
            if element:
                bound[element[1]] = (*path, _EACH)
                declared.add(element.start(1))
                continue
        if len(path) > 1:
            yield path


def _step(text: str) -> str | int:
    if text[0] in "\"'":
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return int(text) if text.isdigit() else text.strip("`")


def _walk(node: Any, path: Path) -> Iterator[Any]:
    """Give what is at a path: of each element where it says so; NOTHING where nothing is."""
    for depth, step in enumerate(path):
        if step == _EACH and isinstance(node, (list, tuple, Mapping)):
            for element in node:  # of a map, its keys
                yield from _walk(element, path[depth + 1 :])
            return
        if isinstance(node, Mapping) and step in node:
            node = node[str(step)]
        elif isinstance(node, (list, tuple)) and isinstance(step, int) and step < len(node):
            node = node[step]
        else:
            yield NOTHING_THERE
            return
    yield node


class _Nothing:
    """The type of NOTHING_THERE."""


NOTHING_THERE = _Nothing()


def _shown(found: list[Any], *, many: bool) -> str:
    if not found:
        return "no elements" if many else NOTHING
    texts = dict.fromkeys(NOTHING if one is NOTHING_THERE else _json(one) for one in found)
    text = ", ".join(texts)
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return str(value)


def _written(path: Path) -> str:
    text = ""
    for step in path:
        if step == _EACH or isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[A-Za-z_]\w*", step):
            text += f".{step}" if text else step
        else:
            text += f"[{orjson.dumps(step).decode()}]"
    return text
