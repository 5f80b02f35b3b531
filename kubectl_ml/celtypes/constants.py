"""
What an expression gives for every object, as far as that can be told without one.

    1 == 2                             False
    object.kind == 'Job'               False where it is known that object.kind is Pod
    a.b == 'x' && a.b in ['y', 'z']    never true
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kubectl_ml.celtypes.syntax import Call, Const, ListOf, Name, Node, Select

UNKNOWN: Any = object()
_COMPARED: Mapping[str, Callable[[Any, Any], Any]] = {
    "_==_": operator.eq, "_!=_": operator.ne, "_<_": operator.lt, "_<=_": operator.le,
    "_>_": operator.gt, "_>=_": operator.ge,
    "startsWith": str.startswith, "endsWith": str.endswith, "contains": str.__contains__,
}  # fmt: skip


def fold(node: Node, known: Mapping[str, Any]) -> Any:
    """Give what an expression always gives; UNKNOWN where objects decide. `known`: by path."""
    match node:
        case Const(value=value):
            return value
        case ListOf(items=items):
            found = [fold(one, known) for one in items]
            return UNKNOWN if any(one is UNKNOWN for one in found) else found
        case Call(function="_&&_", args=args):
            return _decided([fold(one, known) for one in args], by=False)
        case Call(function="_||_", args=args):
            return _decided([fold(one, known) for one in args], by=True)
        case Call(function="!_", args=(one,)):
            value = fold(one, known)
            return not value if isinstance(value, bool) else UNKNOWN
        case Call(function="@in", args=(one, of)):
            return _within(fold(one, known), fold(of, known))
        case Call(function=name) if name in _COMPARED:
            return _compared(name, [fold(one, known) for one in node.operands])
    return known.get(path(node), UNKNOWN)


def path(node: Node) -> str:
    """Write a path in one way, however it is written: `a.?b["c"].orValue("")` is `a.b.c`."""
    match node:
        case Name(name=name):
            return name
        case Select(operand=operand, field=field, test=False):
            return _below(operand, field)
        case Call(function="_?._" | "_[_]" | "_[?_]", args=(operand, Const(value=field))):
            return _below(operand, field)
        case Call(function="orValue", target=target) if target:
            return path(target)
    return ""


def never(conditions: Iterable[Node], known: Mapping[str, Any]) -> bool:
    """Tell whether conditions can't all be true."""
    allowed: dict[str, list[Any]] = {}
    for term in (term for one in conditions for term in _terms(one)):
        if fold(term, known) is False:
            return True
        where, values = _asked(term)
        if where:
            allowed[where] = [one for one in values if one in allowed.get(where, values)]
            if not allowed[where]:
                return True
    return False


def _below(operand: Node, field: Any) -> str:
    found = path(operand)
    return f"{found}.{field}" if found else ""


def _decided(values: list[Any], *, by: bool) -> Any:
    """Decide what one operand decides: a false one of `&&`, a true one of `||`."""
    if any(one is by for one in values):
        return by
    return not by if all(isinstance(one, bool) for one in values) else UNKNOWN


def _within(one: Any, of: Any) -> Any:
    if one is UNKNOWN or not isinstance(of, list):
        return UNKNOWN
    return one in of


def _compared(name: str, values: list[Any]) -> Any:
    one, other = values
    if type(one) is not type(other) or one is UNKNOWN or other is UNKNOWN:
        return UNKNOWN
    try:
        return _COMPARED[name](one, other)
    except TypeError:
        return UNKNOWN


def _terms(node: Node) -> Iterator[Node]:
    """Take conditions apart that must all hold."""
    if isinstance(node, Call) and node.function == "_&&_":
        for one in node.args:
            yield from _terms(one)
    else:
        yield node


def _asked(term: Node) -> tuple[str, list[Any]]:
    """Say which values a condition allows where: `a.b == 1`, `a.b in [1, 2]`."""
    if not isinstance(term, Call) or term.function not in ("_==_", "@in"):
        return "", []
    one, other = term.args
    if term.function == "_==_" and isinstance(one, Const):
        one, other = other, one
    value = fold(other, {})
    if value is UNKNOWN or (term.function == "@in" and not isinstance(value, list)):
        return "", []
    return path(one), value if term.function == "@in" else [value]
