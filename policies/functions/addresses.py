"""Addresses and blocks of them: `cidr('10.0.0.0/8').containsIP('10.1.2.3')`."""

from __future__ import annotations

import ipaddress
from typing import Any

from policies.functions.table import Function, holds, part

_IP, _CIDR = "ip", "cidr"


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
    return ipaddress.ip_address(value if isinstance(value, str) else part(_IP, value))


def _network(value: Any) -> Any:
    text = value if isinstance(value, str) else part(_CIDR, value)
    return ipaddress.ip_interface(text).network


def _contains_ip(block: Any, address: Any) -> bool:
    return _address(address) in _network(block)


def _contains_cidr(block: Any, other: Any) -> bool:
    outer, inner = _network(block), _network(other)
    return bool(outer.version == inner.version and inner.subnet_of(outer))


def _first(block: Any) -> dict[str, str]:
    return {_IP: str(ipaddress.ip_interface(part(_CIDR, block)).ip)}


FUNCTIONS = (
    Function("ip", False, "S", "MAP", _ip),
    Function("ip", True, "M", "MAP", lambda block: _first(block)),
    Function("isIP", False, "S", "BOOL", holds(_ip)),
    Function("family", True, "M", "INT", lambda value: _address(value).version),
    Function("isLoopback", True, "M", "BOOL", lambda value: _address(value).is_loopback),
    Function("cidr", False, "S", "MAP", _cidr),
    Function("isCIDR", False, "S", "BOOL", holds(_cidr)),
    Function("containsIP", True, "MM MS", "BOOL", _contains_ip),
    Function("containsCIDR", True, "MM MS", "BOOL", _contains_cidr),
    Function("prefixLength", True, "M", "INT", lambda block: _network(block).prefixlen),
)  # fmt: skip
