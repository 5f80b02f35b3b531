"""
Addresses and blocks of them: `cidr('10.0.0.0/8').containsIP('10.1.2.3')`.

k8s.io/apiserver/pkg/cel/library/ip.go and cidr.go
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, TypeAlias

from policies.functions.table import CIDR, IP, Function, holds, part

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_LENGTH = re.compile(r"0|[1-9][0-9]{0,2}", re.ASCII)
_LINK_LOCAL_MULTICAST = ipaddress.ip_network("224.0.0.0/24")
_BROADCAST = ipaddress.ip_address("255.255.255.255")


def _read(text: str) -> _Address:
    """Read an address; raises ValueError for none, and for what Kubernetes refuses besides."""
    found = ipaddress.ip_address(text)
    if "%" in text:
        raise ValueError(f'IP address "{text}" with zone value is not allowed')
    if found.version == 6 and found.ipv4_mapped:
        raise ValueError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return found


def _ip(text: str) -> dict[str, str]:
    return {IP: str(_read(text))}


def _cidr(text: str) -> dict[str, str]:
    address, slash, length = text.rpartition("/")
    if not slash or not _LENGTH.fullmatch(length):
        raise ValueError(f'"{text}" is no network address; write for example "10.0.0.0/8"')
    ipaddress.ip_network(text, strict=False)
    return {CIDR: f"{_read(address)}/{length}"}


def _address(value: Any) -> _Address:
    return _read(value) if isinstance(value, str) else ipaddress.ip_address(part(IP, value))


def _network(value: Any) -> _Network:
    text = part(CIDR, _cidr(value) if isinstance(value, str) else value)
    return ipaddress.ip_network(text, strict=False)


def _contains_ip(block: Any, address: Any) -> bool:
    return _address(address) in _network(block)


def _contains_cidr(block: Any, other: Any) -> bool:
    outer, inner = _network(block), _network(other)
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # -- of one version


def _is_link_local_multicast(address: _Address) -> bool:
    if address.version == 4:
        return address in _LINK_LOCAL_MULTICAST
    return address.packed[0] == 0xFF and address.packed[1] & 0x0F == 0x02


def _is_global_unicast(address: _Address) -> bool:
    return address != _BROADCAST and not (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
    )


FUNCTIONS = (
    Function("ip", ("string",), IP, _ip, member=False),
    Function("isIP", ("string",), "bool", holds(_ip), member=False),
    Function(
        "ip.isCanonical", ("string",), "bool", lambda text: str(_read(text)) == text, member=False
    ),
    Function("family", (IP,), "int", lambda value: _address(value).version),
    Function("isUnspecified", (IP,), "bool", lambda value: _address(value).is_unspecified),
    Function("isLoopback", (IP,), "bool", lambda value: _address(value).is_loopback),
    Function(
        "isLinkLocalMulticast",
        (IP,),
        "bool",
        lambda value: _is_link_local_multicast(_address(value)),
    ),
    Function("isLinkLocalUnicast", (IP,), "bool", lambda value: _address(value).is_link_local),
    Function("isGlobalUnicast", (IP,), "bool", lambda value: _is_global_unicast(_address(value))),
    Function("string", (IP,), "string", lambda value: part(IP, value), member=False),
    Function("cidr", ("string",), CIDR, _cidr, member=False),
    Function("isCIDR", ("string",), "bool", holds(_cidr), member=False),
    Function("containsIP", (CIDR, "string"), "bool", _contains_ip),
    Function("containsIP", (CIDR, IP), "bool", _contains_ip),
    Function("containsCIDR", (CIDR, "string"), "bool", _contains_cidr),
    Function("containsCIDR", (CIDR, CIDR), "bool", _contains_cidr),
    Function("ip", (CIDR,), IP, lambda value: {IP: part(CIDR, value).rpartition("/")[0]}),
    Function("masked", (CIDR,), CIDR, lambda value: {CIDR: str(_network(value))}),
    Function("prefixLength", (CIDR,), "int", lambda value: _network(value).prefixlen),
    Function("string", (CIDR,), "string", lambda value: part(CIDR, value), member=False),
)
