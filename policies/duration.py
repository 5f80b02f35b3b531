"""Durations as people write them: `90s`, `10m`, `1h30m`."""

from __future__ import annotations

import re

_DURATION = re.compile(r"^(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?$", re.ASCII)


def seconds(text: str) -> int | None:
    """Read a duration such as `90s` or `1h30m` in seconds; None where it is none."""
    found = _DURATION.match(text)
    if not text or not found:
        return None
    hours, minutes, rest = (int(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + rest
