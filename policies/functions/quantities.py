"""
Quantities: `quantity('1Gi').isGreaterThan(quantity('1G'))`.

A value is a whole number of billionths, which is as fine as Kubernetes counts, and whether
Kubernetes gives it as an integer: that depends on how it was written (`1` is one, `1000m` is none).
k8s.io/apiserver/pkg/cel/library/quantity.go, k8s.io/apimachinery/pkg/api/resource/quantity.go
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from policies.functions.table import QUANTITY, Function, holds, part

_TEXT = re.compile(
    r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)|[eE]([+-]?[0-9]{1,3}))?",
    re.ASCII,
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_NANOS = 10**9
_MOST = 2**63 - 1
_DIGITS = 18  # as many fit a 64-bit integer: maxInt64Factors
_MAX_LENGTH = 64
_INTEGER = "integer"


def quantity(text: str) -> dict[str, Any]:
    """Read what a text says, or raise ValueError."""
    found = _TEXT.fullmatch(text) if 0 < len(text) <= _MAX_LENGTH else None
    if not found:
        raise ValueError(f'"{text}" is not a quantity; write for example "500m" or "2Gi"')
    sign, digits, places, suffix, exponent = found.groups()
    number, places = digits.lstrip("0") or "0", places or ""
    binary = _BINARY.get(suffix or "")
    power = int(exponent) if exponent else _DECIMAL.get(suffix or "", 0)
    factor = Fraction(2) ** binary if binary else Fraction(10) ** power
    exact = Fraction(int(number + places), 10 ** len(places)) * factor
    nanos = -(-exact.numerator * _NANOS // exact.denominator)  # what is finer counts as one
    if binary and not (places == "" and _fits(number, binary)):
        nanos = min(nanos, _MOST * _NANOS)
    whole = _whole(number, places, binary, power) and nanos <= _MOST * _NANOS
    return _value(-nanos if sign == "-" else nanos, whole)


def _fits(number: str, binary: int) -> bool:
    return 15 - len(number) - binary * 3 // 10 - 1 >= 0


def _whole(number: str, places: str, binary: int | None, power: int) -> bool:
    """Tell whether Kubernetes keeps a number as a 64-bit integer without decimal places."""
    if binary:
        return not places and _fits(number, binary)
    return len(number + places) <= _DIGITS and power - len(places) >= 0


def _value(nanos: int, whole: bool) -> dict[str, Any]:
    # Equal quantities are equal mappings: to CEL 1 and 1.0 are the same number, to Python not.
    return {QUANTITY: str(nanos), _INTEGER: 1 if whole else 1.0}


def _nanos(value: Any) -> int:
    return value * _NANOS if isinstance(value, int) else int(part(QUANTITY, value))


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) or isinstance(value[_INTEGER], int)


def _compared(one: Any, other: Any) -> int:
    first, second = _nanos(one), _nanos(other)
    return (first > second) - (first < second)


def _sum(one: Any, other: Any, sign: int = 1) -> dict[str, Any]:
    first, second = _nanos(one), sign * _nanos(other)
    if not second:
        whole = _is_integer(one)
    elif not first:
        whole = _is_integer(other)
    else:
        whole = _is_integer(one) and _is_integer(other)
    return _value(first + second, whole and abs(first + second) <= _MOST * _NANOS)


def _difference(one: Any, other: Any) -> dict[str, Any]:
    return _sum(one, other, -1)


def _as_integer(value: Any) -> int:
    if not _is_integer(value):
        raise ValueError("cannot convert value to integer")
    return _nanos(value) // _NANOS


def _as_float(value: Any) -> float:
    nanos = _nanos(value)
    try:
        return nanos / _NANOS
    except OverflowError:
        return float("inf") if nanos > 0 else float("-inf")


_TWO = (QUANTITY, QUANTITY)
FUNCTIONS = (
    Function("quantity", ("string",), QUANTITY, quantity, member=False),
    Function("isQuantity", ("string",), "bool", holds(quantity), member=False),
    Function("isGreaterThan", _TWO, "bool", lambda one, other: _compared(one, other) > 0),
    Function("isLessThan", _TWO, "bool", lambda one, other: _compared(one, other) < 0),
    Function("compareTo", _TWO, "int", _compared),
    Function("add", _TWO, QUANTITY, _sum),
    Function("add", (QUANTITY, "int"), QUANTITY, _sum),
    Function("sub", _TWO, QUANTITY, _difference),
    Function("sub", (QUANTITY, "int"), QUANTITY, _difference),
    Function("sign", (QUANTITY,), "int", lambda value: _compared(value, 0), member=False),
    Function("isInteger", (QUANTITY,), "bool", _is_integer),
    Function("asInteger", (QUANTITY,), "int", _as_integer),
    Function("asApproximateFloat", (QUANTITY,), "double", _as_float),
)
