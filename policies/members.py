"""Members of what an admin wrote, as values: strings, mappings and lists, whether there or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies.model import Manifest


def strings(mapping: Mapping[str, Any]) -> dict[str, str]:
    """Give a mapping string values, as annotations and labels need them."""
    return {key: text(value) for key, value in mapping.items()}


def text(value: Any) -> str:
    """Write a scalar as YAML's reader took it: `true`, `2`, nothing for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def mapping(spec: Mapping[str, Any], key: str) -> Manifest:
    """Give a member that is a mapping; an empty one where there is none."""
    return spec.get(key) or {}


def items(spec: Mapping[str, Any], key: str) -> tuple[Any, ...]:
    """Give a member that is a list; an empty one where there is none."""
    return tuple(spec.get(key) or ())
