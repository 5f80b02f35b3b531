"""What functions and operators take and give, of those whose types tell something."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kubectl_ml.celtypes import schema
from kubectl_ml.celtypes.schema import BOOL, DYN, INT, STRING, Type

_SIZED = ("string", "list", "map", "object", "bytes")
_TEXT = ("string",)
_LIST = ("list",)

# Of a member the first is what it is a member of.
_MEMBERS: Mapping[str, Sequence[Sequence[str]]] = {
    **dict.fromkeys(("startsWith", "endsWith", "contains", "matches"), (_TEXT, _TEXT)),
    **dict.fromkeys(("lowerAscii", "upperAscii", "trim", "charAt", "substring"), (_TEXT,)),
    "split": (_TEXT, _TEXT),
    "replace": (_TEXT, _TEXT, _TEXT),
    "join": (_LIST, _TEXT),
    "flatten": (_LIST,),
    "size": (_SIZED,),
}
_GLOBAL: Mapping[str, Sequence[Sequence[str]]] = {
    "size": (_SIZED,),
    "quantity": (_TEXT,),
    "isQuantity": (_TEXT,),
}

_GIVEN: Mapping[str, Type] = {
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in"), BOOL),
    **dict.fromkeys(("_&&_", "_||_", "!_", "@not_strictly_false", "hasValue"), BOOL),
    **dict.fromkeys(("startsWith", "endsWith", "contains", "matches"), BOOL),
    **dict.fromkeys(("size", "int", "indexOf", "lastIndexOf"), INT),
    **dict.fromkeys(("string", "lowerAscii", "upperAscii", "trim", "charAt"), STRING),
    **dict.fromkeys(("substring", "replace", "join"), STRING),
    "bool": BOOL,
    "double": schema.DOUBLE,
    "split": schema.list_of(STRING),
    "optional.none": schema.optional(schema.NOTHING),
}


def takes(function: str, *, member: bool) -> Sequence[Sequence[str]]:
    """Name the types that each operand may be of; none: nothing is known."""
    return (_MEMBERS if member else _GLOBAL).get(function, ())


def result(function: str, types: tuple[Type, ...]) -> Type:
    """Give the type of what a function or an operator gives."""
    if function in _GIVEN:
        return _GIVEN[function]
    worked_out = _RESULTS.get(function)
    return worked_out(types) if worked_out else DYN


def _same(types: tuple[Type, ...]) -> Type:
    return schema.joined(types)


def _maybe(types: tuple[Type, ...]) -> Type:
    return schema.optional(types[0])


def _first(types: tuple[Type, ...]) -> Type:
    return types[0]


def _indexed(types: tuple[Type, ...]) -> Type:
    of = types[0]
    if of.name == "optional":
        found = _indexed((of.item, *types[1:]))
        return found if found.name == "optional" else schema.optional(found)
    return of.item if of.name in ("list", "map") else DYN


def _flat(found: Type) -> Type:
    return found if found.name == "optional" else schema.optional(found)


def _or_value(types: tuple[Type, ...]) -> Type:
    if types[0].name != "optional" or not types[0].of:
        return DYN
    return schema.joined((types[0].of, *types[1:]))


_RESULTS: Mapping[str, Callable[[tuple[Type, ...]], Type]] = {
    **dict.fromkeys(("_+_", "_-_", "_*_", "_/_", "_%_", "or"), _same),
    **dict.fromkeys(("-_", "reverse", "distinct", "sort", "slice"), _first),
    "_[_]": _indexed,
    "_[?_]": lambda types: _flat(_indexed(types)),
    "orValue": _or_value,
    "value": lambda types: types[0].item if types[0].name == "optional" else DYN,
    **dict.fromkeys(("optional.of", "optional.ofNonZeroValue"), _maybe),
}
