"""
Sentences for what a JSON Schema finds: the offending value and the fix.

    {"type": "string"} found 80 at spec.memory  ->  80 is not a string; put it in quotes: "80"

A schema's `title` says what a value should be, its first example how it looks, and its `x-instead`
what to write for words that are near to its fields in meaning but not in letters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from policies import intents

Path: TypeAlias = tuple[str | int, ...]

_MAX_SHOWN = 60
_TYPES = {
    "string": "a string",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a validator found: which keyword of which schema refuses which value."""

    path: Path
    keyword: str
    wanted: Any  # the keyword's value
    value: Any
    schema: dict[str, Any]


def of(finding: Finding) -> Iterator[tuple[Path, str]]:
    """Say what was found; unknown fields are each said at their own path."""
    if finding.keyword == "additionalProperties" and finding.wanted is False:
        yield from _unknown_fields(finding)
    elif finding.keyword == "required":
        for key in finding.wanted:
            if key not in finding.value:
                yield finding.path, f'"{key}" is missing; add it'
    elif finding.keyword != "oneOf" or isinstance(finding.value, dict):  # else `type` says it
        say = _SAY.get(finding.keyword)
        yield finding.path, say(finding) if say else f"{_shown(finding.value)} is not valid"


def _unknown_fields(finding: Finding) -> Iterator[tuple[Path, str]]:
    known = finding.schema.get("properties", {})
    patterns = finding.schema.get("patternProperties", {})
    for key in finding.value:
        if key not in known and not any(re.search(pattern, key) for pattern in patterns):
            hint = _instead(finding.schema, key) or intents.nearest(key, known)
            hint = hint or "; known are " + ", ".join(known)
            yield (*finding.path, key), f'unknown field "{key}"{hint}'


def _instead(schema: dict[str, Any], key: str) -> str:
    wanted = schema.get("x-instead", {}).get(key)
    return f"; write {wanted}" if wanted else ""


def _type(finding: Finding) -> str:
    names = [finding.wanted] if isinstance(finding.wanted, str) else finding.wanted
    wanted = " or ".join(_TYPES[name] for name in names if name != "null")
    value = finding.value
    if {"integer", "object"} & set(names):  # quotes would make no value of it
        return f"{_shown(value)} is not {finding.schema.get('title', wanted)}{_example(finding)}"
    if "string" in names and isinstance(value, bool):
        written = "y, yes and on as true" if value else "n, no and off as false"
        return f"{_shown(value)} is not {wanted}; put it in quotes (YAML reads {written})"
    if "string" in names and isinstance(value, int | float):
        return f'{_shown(value)} is not {wanted}; put it in quotes: "{_shown(value)}"'
    return f"{_shown(value)} is not {finding.schema.get('title', wanted)}{_example(finding)}"


def _one_of(finding: Finding) -> str:
    choices = [choice["required"][0] for choice in finding.wanted]
    given = [choice for choice in choices if choice in finding.value]
    if given:
        return f"only one of {', '.join(given)} may be given; keep one"
    return f"one of {', '.join(choices)} is missing; add it"


def _enum(finding: Finding) -> str:
    known = [value for value in finding.wanted if isinstance(value, str) and value]
    nearest = intents.nearest(str(finding.value), known)
    return f"{_shown(finding.value)} is not one of {', '.join(known)}{nearest}"


def _pattern(finding: Finding) -> str:
    title = finding.schema.get("title", "valid")
    return f"{_shown(finding.value)} is not {title}{_example(finding)}"


def _empty(finding: Finding) -> str:
    return f"{_shown(finding.value)} is empty; write a value or take it out"


def _too_many_members(finding: Finding) -> str:
    listed = ", ".join(name for name in finding.schema["properties"] if name in finding.value)
    return f"only one of {listed} may be given; keep one"


def _too_long(finding: Finding) -> str:
    return f"{_shown(finding.value)} is longer than {finding.wanted} characters; shorten it"


def _too_small(finding: Finding) -> str:
    return f"{_shown(finding.value)} is too small; write {finding.wanted} or more"


def _nothing(finding: Finding) -> str:
    return f"{_shown(finding.value)} is too small; write more than {finding.wanted}"


def _too_large(finding: Finding) -> str:
    return f"{_shown(finding.value)} is too large; write {finding.wanted} or less"


_SAY: dict[str, Callable[[Finding], str]] = {
    "type": _type,
    "oneOf": _one_of,
    "enum": _enum,
    "pattern": _pattern,
    "minLength": _empty,
    "minItems": _empty,
    "minProperties": _empty,
    "maxProperties": _too_many_members,
    "maxLength": _too_long,
    "minimum": _too_small,
    "exclusiveMinimum": _nothing,
    "maximum": _too_large,
}


def _example(finding: Finding) -> str:
    examples = finding.schema.get("examples")
    return f"; write for example {_shown(examples[0])}" if examples else ""


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def dotted(path: Path) -> str:
    """Write a path as people do: `spec.sidecars[0].name`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif "." in part or "/" in part:
            text += f'["{part}"]'
        else:
            text += f".{part}" if text else part
    return text
