"""What a row of the tables is, and what values of Kubernetes' own types are: tagged mappings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple

QUANTITY = "kubernetes.Quantity"
SEMVER = "kubernetes.Semver"
URL = "kubernetes.URL"
FORMAT = "kubernetes.NamedFormat"
IP, CIDR = "net.IP", "net.CIDR"
OPTIONAL = "optional_type"
KINDS = (QUANTITY, SEMVER, URL, FORMAT, IP, CIDR, OPTIONAL)


class Function(NamedTuple):
    """
    One overload of a function, with types as CEL writes them: `list<int>`, `net.IP`.

    A member is called on its first argument: `cidr('10.0.0.0/8').containsIP('10.1.2.3')`. What it
    gets are plain values, and values of Kubernetes' types as mappings with the type's name as key.
    """

    name: str
    takes: tuple[str, ...]
    gives: str
    call: Callable[..., Any]
    member: bool = True


def part(kind: str, value: Any) -> Any:
    """Take what a tagged mapping holds; raises ValueError where it is of another kind."""
    if not isinstance(value, dict) or kind not in value:
        raise ValueError(f"no {kind}")
    return value[kind]


def holds(read: Callable[[str], object]) -> Callable[[Any], bool]:
    """Make of a function that reads texts one that tells which it can read."""

    def test(text: Any) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return test


class _Duration(timedelta):
    DESCRIPTOR = SimpleNamespace(full_name="google.protobuf.Duration")


class _Timestamp(datetime):
    DESCRIPTOR = SimpleNamespace(full_name="google.protobuf.Timestamp")


def taken_back(value: Any) -> Any:
    """Dress durations and times, which the runtime gives but takes only from such messages."""
    if isinstance(value, list):
        return [taken_back(one) for one in value]
    if isinstance(value, dict):
        return {key: taken_back(one) for key, one in value.items()}
    if isinstance(value, timedelta):
        return _Duration(value.days, value.seconds, value.microseconds)
    if isinstance(value, datetime):
        return _Timestamp.fromtimestamp(value.timestamp(), tz=value.tzinfo)
    return value
