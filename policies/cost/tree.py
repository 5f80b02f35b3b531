"""
The tree of a compiled expression, read from what the runtime serializes, and written back.

The messages are those of https://github.com/google/cel-spec/blob/master/proto/cel/expr/ in the
wire format of protobuf; the few fields that are used here need no generated code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeAlias

Body: TypeAlias = dict[int, list[Any]]  # field: its values; int, bytes, Node or Body

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_ID = 2  # of Expr
_ANY_VALUE = 2
_TYPES, _SOURCE, _ROOT = 3, 5, 4  # of CheckedExpr
_POSITIONS = 4  # of SourceInfo
_ENTRY_ID = 1


class Form(IntEnum):
    """What a node is: the number of its field in Expr."""

    CONSTANT = 3
    NAME = 4
    SELECT = 5
    CALL = 6
    LIST = 7
    MAP = 8
    LOOP = 9


# Which fields of a form are expressions themselves.
_INNER: Mapping[int, tuple[int, ...]] = {
    Form.CONSTANT: (), Form.NAME: (), Form.SELECT: (1,), Form.CALL: (1, 3), Form.LIST: (1,),
    Form.MAP: (), Form.LOOP: (2, 4, 5, 6, 7),
}  # fmt: skip
_ENTRIES, _KEY, _VALUE = 2, 3, 4  # of Form.MAP


@dataclass(slots=True, eq=False)
class Node:
    """One expression: its number, what it is, and the fields that say so."""

    number: int
    form: Form
    body: Body

    def text(self, at: int) -> str:
        """Read a field as text; empty where it is missing."""
        return self.body[at][0].decode() if at in self.body else ""

    def inner(self) -> Iterator[Node]:
        """Give the expressions that it is made of."""
        for at in _INNER[self.form]:
            yield from self.body.get(at, ())
        for entry in self.entries():
            yield from entry.get(_KEY, ())
            yield from entry.get(_VALUE, ())

    def entries(self) -> list[Body]:
        """Give the entries of a map."""
        return self.body.get(_ENTRIES, []) if self.form is Form.MAP else []


@dataclass(slots=True)
class Tree:
    """A checked expression: its root, the type of each node, and where each is in the text."""

    root: Node
    types: dict[int, bytes]
    positions: dict[int, int]  # characters from the start
    _url: bytes = b""
    _rest: list[tuple[int, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, serialized: bytes) -> Tree:
        """Read what `Expression.serialize()` gives."""
        outer = dict(_fields(serialized))
        rest: list[tuple[int, Any]] = []
        types: dict[int, bytes] = {}
        positions: dict[int, int] = {}
        root = b""
        for at, value in _fields(outer[_ANY_VALUE]):
            if at == _ROOT:
                root = value
                continue
            rest.append((at, value))
            if at == _TYPES:
                pair = dict(_fields(value))
                types[pair.get(1, 0)] = pair.get(2, b"")
            elif at == _SOURCE:
                pairs = (dict(_fields(one)) for key, one in _fields(value) if key == _POSITIONS)
                positions = {pair.get(1, 0): pair.get(2, 0) for pair in pairs}
        return cls(_node(root), types, positions, outer[1], rest)

    def write(self) -> bytes:
        """Write what `Env.deserialize()` takes."""
        rest = b"".join(_field(at, value) for at, value in self._rest)
        checked = rest + _field(_ROOT, _written(self.root))
        return _field(1, self._url) + _field(_ANY_VALUE, checked)


def _node(data: bytes) -> Node:
    number, form, body = 0, Form.CONSTANT, b""
    for at, value in _fields(data):
        if at == _ID:
            number = value
        else:
            form, body = Form(at), value
    return Node(number, form, _body(body, form))


def _body(data: bytes, form: Form) -> Body:
    found: Body = {}
    inner = _INNER[form]
    for at, value in _fields(data):
        read: Any = value
        if at in inner:
            read = _node(value)
        elif form is Form.MAP and at == _ENTRIES:
            read = _entry(value)
        found.setdefault(at, []).append(read)
    return found


def _entry(data: bytes) -> Body:
    return {at: [_node(value) if at in (_KEY, _VALUE) else value] for at, value in _fields(data)}


def _written(node: Node) -> bytes:
    number = _field(_ID, node.number) if node.number else b""
    return number + _field(node.form, _written_body(node.body))


def _written_body(body: Body) -> bytes:
    return b"".join(_field(at, _plain(one)) for at, values in body.items() for one in values)


def _plain(value: Any) -> Any:
    if isinstance(value, Node):
        return _written(value)
    return _written_body(value) if isinstance(value, dict) else value


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        size = _FIXED.get(wire)
        if size is None:
            size, at = _varint(data, at)
        part = data[at : at + size]
        yield key >> 3, part if wire == _BYTES else Fixed(part)
        at += size


class Fixed(bytes):
    """A number of four or eight bytes, taken as it is."""


def varints(data: bytes) -> Iterator[int]:
    """Read numbers that are packed."""
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = data[at]
    at += 1
    if value < 0x80:
        return value, at
    value &= 0x7F
    shift = 7
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _field(at: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _number(at << 3) + _number(value)
    if isinstance(value, Fixed):
        wire = _FIXED64 if len(value) == _FIXED[_FIXED64] else _FIXED32
        return _number(at << 3 | wire) + value
    return _number(at << 3 | _BYTES) + _number(len(value)) + value


def _number(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
