"""
The functions that Kubernetes adds to CEL and the runtime lacks.

The runtime takes plain values alone, so a quantity or an address is a mapping of one member, whose
name says what it is. https://kubernetes.io/docs/reference/using-api/cel/
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from policies import quantity

_QUANTITY, _URL, _IP, _CIDR = "quantity", "url", "ip", "cidr"


def declared(cel: Any) -> list[Any]:
    """Declare every function to the runtime, which tells overloads apart by what they take."""
    types = {
        "S": cel.Type.STRING,
        "I": cel.Type.INT,
        "L": cel.Type.List(cel.Type.DYN),
        "M": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    }
    return [
        cel.FunctionDecl(
            name,
            [
                cel.Overload(
                    f"{name}_{'of' if member else 'from'}_{takes}",
                    return_type=types["M"] if gives == "MAP" else getattr(cel.Type, gives),
                    parameters=[types[one] for one in takes],
                    is_member=member,
                    impl=_plain(call),
                )
                for member, taken, gives, call in overloads
                for takes in taken.split()
            ],
        )
        for name, overloads in _FUNCTIONS.items()
    ]


def _plain(call: Callable[..., Any]) -> Callable[..., Any]:
    """Hand plain values to a function, whatever the runtime wraps them in."""
    return lambda *given: call(*(_bare(one) for one in given))


def _bare(value: Any) -> Any:
    if hasattr(value, "plain_value"):
        return value.plain_value()
    if isinstance(value, list):
        return [_bare(one) for one in value]
    if isinstance(value, dict):
        return {key: _bare(one) for key, one in value.items()}
    return value


def _part(kind: str, value: Any) -> Any:
    if not isinstance(value, dict) or kind not in value:
        raise ValueError(f"no {kind}")
    return value[kind]


def _holds(read: Callable[[str], object]) -> Callable[[Any], bool]:
    def test(text: Any) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return test


# --- quantities -----------------------------------------------------------------------------


def _quantity(text: Any) -> dict[str, str]:
    return {_QUANTITY: f"{quantity.parse(text).normalize():f}"}


def _amount(value: Any) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return Decimal(_part(_QUANTITY, value))


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


# --- lists ----------------------------------------------------------------------------------


def _is_sorted(items: list[Any]) -> bool:
    return all(one <= other for one, other in pairwise(items))


# --- addresses ------------------------------------------------------------------------------


def _ip(text: Any) -> dict[str, str]:
    found = ipaddress.ip_address(text)
    if "%" in text or (found.version == 6 and found.ipv4_mapped):
        raise ValueError("a zone or a mapped address")
    return {_IP: str(found)}


def _cidr(text: Any) -> dict[str, str]:
    if "/" not in text or not text.rpartition("/")[2].isdecimal():
        raise ValueError("no prefix length")
    return {_CIDR: str(ipaddress.ip_interface(text))}


def _address(value: Any) -> Any:
    return ipaddress.ip_address(value if isinstance(value, str) else _part(_IP, value))


def _network(value: Any) -> Any:
    text = value if isinstance(value, str) else _part(_CIDR, value)
    return ipaddress.ip_interface(text).network


def _contains_ip(block: Any, address: Any) -> bool:
    return _address(address) in _network(block)


def _contains_cidr(block: Any, other: Any) -> bool:
    outer, inner = _network(block), _network(other)
    return bool(outer.version == inner.version and inner.subnet_of(outer))


# --- URLs -----------------------------------------------------------------------------------


def _url(text: Any) -> dict[str, str]:
    found = urlsplit(text)
    if not (found.scheme and found.netloc) and not text.startswith("/"):
        raise ValueError("neither absolute nor a path")
    return {_URL: text}


def _split(value: Any) -> SplitResult:
    return urlsplit(str(_part(_URL, value)))


_FUNCTIONS: dict[str, list[tuple[bool, str, str, Callable[..., Any]]]] = {
    "quantity": [(False, "S", "MAP", _quantity)],
    "isQuantity": [(False, "S", "BOOL", _holds(_quantity))],
    "isGreaterThan": [(True, "MM", "BOOL", lambda one, other: _compared(one, other) > 0)],
    "isLessThan": [(True, "MM", "BOOL", lambda one, other: _compared(one, other) < 0)],
    "compareTo": [(True, "MM", "INT", _compared)],
    "add": [(True, "MM MI", "MAP", _sum)],
    "sub": [(True, "MM MI", "MAP", _difference)],
    "sign": [(True, "M", "INT", lambda value: _compared(value, 0))],
    "isInteger": [(True, "M", "BOOL", _holds(_whole))],
    "asInteger": [(True, "M", "INT", _whole)],
    "asApproximateFloat": [(True, "M", "DOUBLE", lambda value: float(_amount(value)))],
    "isSorted": [(True, "L", "BOOL", _is_sorted)],
    "sum": [(True, "L", "DYN", lambda items: sum(items))],
    "min": [(True, "L", "DYN", lambda items: min(items))],
    "max": [(True, "L", "DYN", lambda items: max(items))],
    "ip": [(False, "S", "MAP", _ip), (True, "M", "MAP", lambda block: {
        _IP: str(ipaddress.ip_interface(_part(_CIDR, block)).ip)})],
    "isIP": [(False, "S", "BOOL", _holds(_ip))],
    "family": [(True, "M", "INT", lambda value: _address(value).version)],
    "isLoopback": [(True, "M", "BOOL", lambda value: _address(value).is_loopback)],
    "cidr": [(False, "S", "MAP", _cidr)],
    "isCIDR": [(False, "S", "BOOL", _holds(_cidr))],
    "containsIP": [(True, "MM MS", "BOOL", _contains_ip)],
    "containsCIDR": [(True, "MM MS", "BOOL", _contains_cidr)],
    "prefixLength": [(True, "M", "INT", lambda block: _network(block).prefixlen)],
    "url": [(False, "S", "MAP", _url)],
    "isURL": [(False, "S", "BOOL", _holds(_url))],
    "getScheme": [(True, "M", "STRING", lambda value: _split(value).scheme)],
    "getHost": [(True, "M", "STRING", lambda value: _split(value).netloc.rpartition("@")[2])],
    "getHostname": [(True, "M", "STRING", lambda value: _split(value).hostname or "")],
    "getPort": [(True, "M", "STRING", lambda value: str(_split(value).port or ""))],
    "getEscapedPath": [(True, "M", "STRING", lambda value: _split(value).path)],
    "getQuery": [(True, "M", "DYN", lambda value: parse_qs(_split(value).query))],
}  # fmt: skip
