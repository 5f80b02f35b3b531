"""
The syntax tree of an expression, read from how the runtime serializes what it has compiled.

That is a `cel.expr.CheckedExpr` in the format of protocol buffers, macros expanded: `a.all(x, p)`
is a loop over `a`. Only what is asked for here is read.
https://github.com/cel-expr/cel-spec/blob/master/proto/cel/expr/syntax.proto
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Fields: TypeAlias = dict[int, list[Any]]  # number -> what stands there: int, bytes, float


@dataclass(frozen=True, slots=True, kw_only=True)
class Const:
    """A literal; `value` is what Python has for it."""

    at: int  # where it stands in the text, in characters
    value: Any
    unsigned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A variable: `object`, or one of a macro."""

    at: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """`operand.field`, or where `test` is set `has(operand.field)`."""

    at: int
    operand: Node
    field: str
    test: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A function or an operator (`_==_`), of a target where it is a member of one."""

    at: int
    function: str
    target: Node | None
    args: tuple[Node, ...]

    @property
    def operands(self) -> tuple[Node, ...]:
        """Give the target and the arguments."""
        return (self.target, *self.args) if self.target else self.args


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """`[1, 2]`."""

    at: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOf:
    """`{"a": 1}`."""

    at: int
    entries: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """What a macro such as `all` becomes: `step` makes a new `result` of each item."""

    at: int
    names: tuple[str, ...]  # of an item; of its key or index and itself where there are two
    over: Node
    result_name: str
    start: Node
    step: Node
    result: Node


Node: TypeAlias = Const | Name | Select | Call | ListOf | MapOf | Loop


def read(serialized: bytes) -> Node:
    """Read the tree of a serialized expression."""
    checked = _fields(_one(_fields(serialized), 2))
    source = _fields(_one(checked, 5))
    positions = dict(_position(entry) for entry in source.get(4, ()))
    return _Reader(positions).node(_one(checked, 4))


def _position(entry: bytes) -> tuple[int, int]:
    found = _fields(entry)
    return _number(found, 1), _number(found, 2)


class _Reader:
    def __init__(self, positions: Mapping[int, int]) -> None:
        self.positions = positions

    def node(self, message: bytes) -> Node:
        found = _fields(message)
        at = self.positions.get(_number(found, 2), 0)
        for number, read in _KINDS.items():
            if number in found:
                node: Node = read(self, at, _fields(found[number][0]))
                return node
        return Const(at=at, value=None)

    def const(self, at: int, found: Fields) -> Node:
        ((number, values),) = found.items() or ((1, [0]),)
        (value,) = values
        return Const(at=at, value=_constant(number, value), unsigned=number == 4)

    def name(self, at: int, found: Fields) -> Node:
        return Name(at=at, name=_text(found, 1))

    def select(self, at: int, found: Fields) -> Node:
        operand = self.node(_one(found, 1))
        return Select(at=at, operand=operand, field=_text(found, 2), test=bool(_number(found, 3)))

    def call(self, at: int, found: Fields) -> Node:
        target = self.node(_one(found, 1)) if 1 in found else None
        args = tuple(self.node(one) for one in found.get(3, ()))
        return Call(at=at, function=_text(found, 2), target=target, args=args)

    def list_of(self, at: int, found: Fields) -> Node:
        return ListOf(at=at, items=tuple(self.node(one) for one in found.get(1, ())))

    def map_of(self, at: int, found: Fields) -> Node:
        entries = [_fields(one) for one in found.get(2, ())]
        return MapOf(
            at=at,
            entries=tuple(
                (self.node(_one(one, 3)), self.node(_one(one, 4))) for one in entries if 3 in one
            ),
        )

    def loop(self, at: int, found: Fields) -> Node:
        return Loop(
            at=at,
            names=tuple(filter(None, (_text(found, 1), _text(found, 8)))),
            over=self.node(_one(found, 2)),
            result_name=_text(found, 3),
            start=self.node(_one(found, 4)),
            step=self.node(_one(found, 6)),
            result=self.node(_one(found, 7)),
        )


_KINDS = {
    3: _Reader.const,
    4: _Reader.name,
    5: _Reader.select,
    6: _Reader.call,
    7: _Reader.list_of,
    8: _Reader.map_of,
    9: _Reader.loop,
}


def _constant(number: int, value: Any) -> Any:
    """Give a literal by the number of its field."""
    match number:
        case 1:
            return None
        case 2:
            return bool(value)
        case 3:
            return value - (1 << 64) if value >> 63 else value
        case 6:
            return value.decode()
    return value


# --- the format: https://protobuf.dev/programming-guides/encoding/ ----------------------------


def _fields(message: bytes) -> Fields:
    found: Fields = {}
    for number, value in _read(message):
        found.setdefault(number, []).append(value)
    return found


def _read(message: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                value, at = _varint(message, at)
                yield tag >> 3, value
            case 1:
                yield tag >> 3, struct.unpack_from("<d", message, at)[0]
                at += 8
            case 2:
                length, at = _varint(message, at)
                yield tag >> 3, message[at : at + length]
                at += length
            case _:
                at += 4  # nothing that is read here


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _one(found: Fields, number: int) -> bytes:
    value: bytes = found.get(number, [b""])[-1]
    return value


def _number(found: Fields, number: int) -> int:
    value: int = found.get(number, [0])[-1]
    return value


def _text(found: Fields, number: int) -> str:
    return _one(found, number).decode()
