"""
Kubernetes quantities (`500m`, `2`, `64Gi`, `1e3`): read, compared, written.

Source: k8s.io/apimachinery/pkg/api/resource/quantity.go.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

_QUANTITY = re.compile(
    r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)|[eE]([+-]?\d{1,3}))?$",
    re.ASCII,
)
_BINARY = {
    unit: Decimal(1024) ** n for n, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)
}
_DECIMAL = {
    unit: Decimal(10) ** exponent
    for unit, exponent in {
        "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
    }.items()
}  # fmt: skip
_SUFFIXES = {**_DECIMAL, **_BINARY}
MAX_LENGTH = 64


@lru_cache(maxsize=4096)
def parse(text: str) -> Decimal:
    """Read a quantity; raises ValueError where `text` is none."""
    found = _QUANTITY.match(text) if len(text) <= MAX_LENGTH else None
    if not found:
        raise ValueError(f'"{text}" is not a quantity')
    number, suffix, exponent = found.groups()
    if exponent:
        return Decimal(number).scaleb(int(exponent))
    return Decimal(number) * _SUFFIXES[suffix or ""]


def equal(one: object, other: object) -> bool:
    """Tell whether two JSON values are the same quantity (`1` and `"1000m"` are)."""
    if one == other:
        return True
    try:
        return parse(str(one)) == parse(str(other))
    except ValueError:
        return False


def times(text: str, count: int) -> str:
    """Multiply a quantity, keeping its suffix: `("8Gi", 4)` gives `32Gi`."""
    found = _QUANTITY.match(text)
    if not found:
        raise ValueError(f'"{text}" is not a quantity')
    number, suffix, exponent = found.groups()
    product = f"{(Decimal(number) * count).normalize():f}"
    return f"{product}{suffix or ''}" + (f"e{exponent}" if exponent else "")


def at_least(one: object, other: object) -> bool:
    """Tell whether quantity `one` is no smaller than `other`; false where either is none."""
    try:
        return parse(str(one)) >= parse(str(other))
    except ValueError:
        return False


def is_binary(text: str) -> bool:
    """Tell whether a quantity is written with a power of 1024 (`64Gi`)."""
    return text.endswith("i")


def canonical(value: Decimal, *, binary: bool = False) -> str:
    """
    Write a value as Kubernetes does: the largest suffix that leaves a whole number.

    `Quantity.CanonicalizeBytes` of apimachinery; what is finer than a billionth is rounded up.
    """
    if value != value.to_integral_value():
        return _fraction(value)
    units, base = (_BINARY, 1024) if binary and abs(value) >= 1024 else (_LARGE, 1000)
    number, suffix = int(value), ""
    for unit in units:
        if number == 0 or number % base:
            break
        number, suffix = number // base, unit
    return f"{number}{suffix}"


_LARGE = ("k", "M", "G", "T", "P", "E")


def _fraction(value: Decimal) -> str:
    for unit in ("m", "u"):
        scaled = value / _DECIMAL[unit]
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{unit}"
    return f"{int((value / _DECIMAL['n']).to_integral_value(ROUND_CEILING))}n"
