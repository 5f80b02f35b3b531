"""Durations as people write them (`90s`, `1h30m`), and as Go reads them (`1.5m`, `500ms`)."""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, Decimal

_DURATION = re.compile(r"^(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?$", re.ASCII)
_PART = re.compile(r"(\d{1,9}\.?\d{0,18}|\.\d{1,18})(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {
    "ns": Decimal("1e-9"), "us": Decimal("1e-6"), "µs": Decimal("1e-6"), "μs": Decimal("1e-6"),
    "ms": Decimal("1e-3"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600),
}  # fmt: skip
_MAX_LENGTH = 64


def seconds(text: str) -> int | None:
    """Read a duration such as `90s` or `1h30m` in seconds; None where it is none."""
    found = _DURATION.match(text)
    if not text or not found:
        return None
    hours, minutes, rest = (int(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + rest


def of_go(text: str) -> Decimal | None:
    """Read a duration as Go's time.ParseDuration does, in seconds; None where it is none."""
    sign, rest = (text[0], text[1:]) if text[:1] in ("+", "-") else ("", text)
    if rest == "0":
        return Decimal(0)
    parts = _PART.findall(rest)
    if not parts or "".join(map("".join, parts)) != rest or len(text) > _MAX_LENGTH:
        return None
    amounts = [Decimal(number) * _UNITS[unit] for number, unit in parts]
    total = sum((each.quantize(_UNITS["ns"], ROUND_DOWN) for each in amounts), Decimal(0))
    return -total if sign == "-" else total
