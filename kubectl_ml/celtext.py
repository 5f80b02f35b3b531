"""
CEL as text: its identifiers found and renamed, without a parser.

Strings and comments are passed over, and so is what stands behind a dot or begins with another
letter: in `object.params.x + "params"` no `params` is a variable.
https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_TOKEN = re.compile(
    r"""
    (?P<string> [rRbB]{0,2} (?: \"\"\"(?:\\.|.)*?\"\"\" | '''(?:\\.|.)*?'''
              | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' ) )
  | (?P<comment> //[^\n]* )
  | (?P<member> \.\s*\??\s*[A-Za-z_]\w* )
  | (?P<name> [A-Za-z_]\w* )
    """,
    re.VERBOSE | re.DOTALL,
)
_MEMBER = re.compile(r"\s*\.\s*\??\s*([A-Za-z_]\w*)(?!\w|\s*\()")


def members(text: str) -> Iterator[tuple[str, str]]:
    """Give each `variables.NAME` and `params.NAME` that is read."""
    for token in _TOKEN.finditer(text):
        if token["name"]:
            found = _MEMBER.match(text, token.end())
            if found:
                yield token["name"], found[1]


def names(text: str) -> set[str]:
    """Give the identifiers that don't stand behind a dot."""
    return {token["name"] for token in _TOKEN.finditer(text) if token["name"]}


def renamed(text: str, new: Mapping[str, str]) -> str:
    """Write other names for identifiers."""
    return _TOKEN.sub(
        lambda token: new.get(token["name"], token[0]) if token["name"] else token[0], text
    )


def literal(value: Any) -> str:
    """Write a JSON value as CEL; mixed lists and maps are allowed by making their items dynamic."""
    if isinstance(value, dict):
        items = (f"{string(key)}: dyn({literal(each)})" for key, each in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(f"dyn({literal(each)})" for each in value) + "]"
    return string(value) if isinstance(value, str) else json.dumps(value)


def string(text: str) -> str:
    """Write a string as CEL."""
    plain = json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("'", "\\'")
    return f"'{plain}'"
