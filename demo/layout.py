"""
Lay a manifest out for reading: block style for structure, one line for what fits on one.

Each line knows the JSON Pointer of what it shows, so that the policy behind it can be named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from policies import manifests
from policies.intents import INJECTED

WIDTH = 88
# Laid out member by member, however short they are.
_OPEN = frozenset({"metadata", "annotations", "labels", "spec", "template", "containers"})
_FIRST = ("apiVersion", "kind", "metadata", "name", "generateName")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a manifest, and the JSON Pointer of what it shows."""

    text: str
    pointer: str


def lines(manifest: dict[str, Any]) -> list[Line]:
    """Lay out `manifest`; our own record of what was injected is left out."""
    return list(_members(manifest, pointer="", indent=0))


def _members(value: dict[str, Any], *, pointer: str, indent: int) -> Iterator[Line]:
    for key in sorted(value, key=lambda key: _FIRST.index(key) if key in _FIRST else len(_FIRST)):
        if key == INJECTED:
            continue
        at = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
        yield from _member(f"{' ' * indent}{key}:", value[key], pointer=at, indent=indent)


def _member(head: str, value: Any, *, pointer: str, indent: int) -> Iterator[Line]:
    key = head.strip().removeprefix("- ").rstrip(":")
    if not _is_open(value):
        yield Line(text=f"{head} {_scalar(value)}", pointer=pointer)
        return
    line = f"{head} {_flow(value)}"
    if len(line) <= WIDTH and not _is_structure(key, value, pointer):
        yield Line(text=line, pointer=pointer)
    elif isinstance(value, list) and all(isinstance(one, str) for one in value):
        yield Line(text=line[: WIDTH - 3].rsplit(",", 1)[0] + ", …]", pointer=pointer)
    else:
        yield Line(text=head, pointer=pointer)
        nested = _elements if isinstance(value, list) else _members
        deeper = indent if isinstance(value, list) else indent + 2
        yield from nested(value, pointer=pointer, indent=deeper)


def _elements(value: list[Any], *, pointer: str, indent: int) -> Iterator[Line]:
    for index, one in enumerate(value):
        at = f"{pointer}/{index}"
        line = f"{' ' * indent}- {_flow(one)}"
        if not _is_open(one) or (len(line) <= WIDTH and _depth(one) <= 2 and "image" not in one):
            yield Line(text=line, pointer=at)
            continue
        inner = _members(one, pointer=at, indent=indent + 2)
        for number, nested in enumerate(inner):
            text = nested.text if number else f"{' ' * indent}- {nested.text.lstrip()}"
            yield Line(text=text, pointer=nested.pointer)


def _is_open(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _is_structure(key: str, value: Any, pointer: str) -> bool:
    """Tell what is never put on one line: structure, and what we add to what is there already."""
    if isinstance(value, list):
        return any(isinstance(one, dict) for one in value)
    requirements = key in ("resources", "requests", "limits") and "/containers/" in pointer
    return key in _OPEN or requirements or _depth(value) > 2


def _depth(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    members = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth, members), default=0)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and re.search(r"[\[\]{}\"',\n]", value):
        return json.dumps(value, ensure_ascii=False)
    return _scalar(value)


def _scalar(value: Any) -> str:
    return manifests.dump(value).strip()
