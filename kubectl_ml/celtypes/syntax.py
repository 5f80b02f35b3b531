"""
The syntax tree of an expression, read from how the runtime serializes what it has compiled.

That is a `cel.expr.CheckedExpr`, macros expanded: `a.all(x, p)` is a loop over `a`.
https://github.com/cel-expr/cel-spec/blob/master/proto/cel/expr/syntax.proto
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from policies.cost.tree import Form, Tree
from policies.cost.tree import Node as Raw


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
    tree = Tree.read(serialized)
    return _Reader(tree.positions).node(tree.root)


class _Reader:
    def __init__(self, positions: Mapping[int, int]) -> None:
        self.positions = positions

    def node(self, found: Raw) -> Node:
        node: Node = _KINDS[found.form](self, self.positions.get(found.number, 0), found)
        return node

    def const(self, at: int, found: Raw) -> Node:
        ((number, (value,)),) = found.body.items() or ((1, [0]),)
        return Const(at=at, value=_constant(number, value), unsigned=number == 4)

    def name(self, at: int, found: Raw) -> Node:
        return Name(at=at, name=found.text(1))

    def select(self, at: int, found: Raw) -> Node:
        operand = self.node(found.body[1][0])
        return Select(at=at, operand=operand, field=found.text(2), test=3 in found.body)

    def call(self, at: int, found: Raw) -> Node:
        target = self.node(found.body[1][0]) if 1 in found.body else None
        args = tuple(map(self.node, found.body.get(3, ())))
        return Call(at=at, function=found.text(2), target=target, args=args)

    def list_of(self, at: int, found: Raw) -> Node:
        return ListOf(at=at, items=tuple(map(self.node, found.body.get(1, ()))))

    def map_of(self, at: int, found: Raw) -> Node:
        entries = [(one[3][0], one[4][0]) for one in found.entries() if 3 in one]
        return MapOf(
            at=at, entries=tuple((self.node(key), self.node(value)) for key, value in entries)
        )

    def loop(self, at: int, found: Raw) -> Node:
        over, start, step, result = (self.node(found.body[field][0]) for field in (2, 4, 6, 7))
        return Loop(
            at=at,
            names=tuple(filter(None, (found.text(1), found.text(8)))),
            over=over,
            result_name=found.text(3),
            start=start,
            step=step,
            result=result,
        )


_KINDS = {
    Form.CONSTANT: _Reader.const,
    Form.NAME: _Reader.name,
    Form.SELECT: _Reader.select,
    Form.CALL: _Reader.call,
    Form.LIST: _Reader.list_of,
    Form.MAP: _Reader.map_of,
    Form.LOOP: _Reader.loop,
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
        case 5:
            return struct.unpack("<d", value)[0]
        case 6:
            return value.decode()
    return value
