"""
Wording: how a sentence about a conflict names an element and shows its value.

    /spec/containers/0/env/0 (TEAM) is "mine", not "ml"
"""

from __future__ import annotations

import json
from typing import Any

_LONGEST = 60


def named(item: Any) -> str:
    """Name an element of a list, beside its pointer: ` (TEAM)`; empty where it has no name."""
    name = item.get("mountPath") or item.get("name") if isinstance(item, dict) else None
    return f" ({name})" if name else ""


def told(current: Any, wanted: Any) -> str:
    """Tell two values apart, also where they differ in what is too long to show."""
    present, other = shown(current), shown(wanted)
    return f"{present}, not {other}" if present != other else "another than the policy's"


def shown(value: Any) -> str:
    """Show a value in a sentence: an element of a list by what it says, a long one shortened."""
    if isinstance(value, dict):
        name = value.get("name") or value.get("mountPath")
        members = ("value", "valueFrom", "image", "resourceClaimTemplateName")
        kinds = [key for key, one in value.items() if key != "name" and isinstance(one, dict)]
        other = kinds[0] if len(kinds) == 1 else name  # of a volume
        value = next((value[key] for key in members if key in value), other) if name else value
    if isinstance(value, dict):
        text = json.dumps(value, separators=(",", ":"), default=str)
    else:
        text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
