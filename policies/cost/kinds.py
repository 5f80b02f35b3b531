"""What the checker knows of a value, as far as its price depends on it."""

from __future__ import annotations

from enum import Enum

_OPTIONAL = b"optional_type"
_NULL, _PRIMITIVE, _WELL_KNOWN, _LIST, _MAP, _TYPE, _ABSTRACT = 2, 3, 5, 6, 7, 11, 14
_TEXTS = (5, 6)  # primitives: string, bytes
_ANY = 1  # a well-known type


class Kind(Enum):
    """What kind of value an expression gives."""

    SCALAR = "of one size"
    LIST = "a list"
    MAP = "a map"
    OPTIONAL = "an optional"
    HOLDS_OPTIONALS = "what holds optionals"
    OTHER = "text, or not known"


def of(written: bytes) -> Kind:
    """Tell the kind of a type, as the checker has written it."""
    if not written:
        return Kind.OTHER
    form = written[0] >> 3
    optionals = written.count(_OPTIONAL)
    if optionals:
        return Kind.OPTIONAL if form == _ABSTRACT and optionals == 1 else Kind.HOLDS_OPTIONALS
    if form in (_NULL, _TYPE) or (form == _PRIMITIVE and written[1] not in _TEXTS):
        return Kind.SCALAR
    if form == _WELL_KNOWN:
        return Kind.OTHER if written[1] == _ANY else Kind.SCALAR
    return {_LIST: Kind.LIST, _MAP: Kind.MAP}.get(form, Kind.OTHER)
