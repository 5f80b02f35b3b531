"""Quantities: `quantity('1Gi').isGreaterThan(quantity('1G'))`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from policies import quantity
from policies.functions.table import Function, holds, part

_QUANTITY = "quantity"


def _quantity(text: Any) -> dict[str, str]:
    return {_QUANTITY: f"{quantity.parse(text).normalize():f}"}


def _amount(value: Any) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return Decimal(part(_QUANTITY, value))


def _compared(one: Any, other: Any) -> int:
    first, second = _amount(one), _amount(other)
    return (first > second) - (first < second)


def _sum(one: Any, other: Any) -> dict[str, str]:
    return {_QUANTITY: f"{_amount(one) + _amount(other):f}"}


def _difference(one: Any, other: Any) -> dict[str, str]:
    return {_QUANTITY: f"{_amount(one) - _amount(other):f}"}


def _whole(value: Any) -> int:
    amount = _amount(value)
    if amount != int(amount):
        raise ValueError("not a whole number")
    return int(amount)


FUNCTIONS = (
    Function("quantity", False, "S", "MAP", _quantity),
    Function("isQuantity", False, "S", "BOOL", holds(_quantity)),
    Function("isGreaterThan", True, "MM", "BOOL", lambda one, other: _compared(one, other) > 0),
    Function("isLessThan", True, "MM", "BOOL", lambda one, other: _compared(one, other) < 0),
    Function("compareTo", True, "MM", "INT", _compared),
    Function("add", True, "MM MI", "MAP", _sum),
    Function("sub", True, "MM MI", "MAP", _difference),
    Function("sign", True, "M", "INT", lambda value: _compared(value, 0)),
    Function("isInteger", True, "M", "BOOL", holds(_whole)),
    Function("asInteger", True, "M", "INT", _whole),
    Function("asApproximateFloat", True, "M", "DOUBLE", lambda value: float(_amount(value))),
)  # fmt: skip
