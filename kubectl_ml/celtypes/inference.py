"""
What can't be right in an expression, by the types of its variables.

    object.spec.contianers   object is a Pod   object.spec has no field "contianers"; did you …

Only what never works is a problem: where a type isn't known, everything goes. The runtime itself
takes objects as maps, so what Kubernetes would only warn of (`object["spec"]`) is no problem here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kubectl_ml.celtypes import schema, signatures
from kubectl_ml.celtypes.schema import BOOL, DYN, INT, NULL, STRING, Type
from kubectl_ml.celtypes.syntax import Call, Const, ListOf, Loop, MapOf, Name, Node, Select

_CONSTANTS: Mapping[type, Type] = {
    bool: BOOL, int: INT, float: schema.DOUBLE, str: STRING, bytes: schema.BYTES, type(None): NULL,
}  # fmt: skip
_MOST_LISTED = 12
_PLAIN_NAMES = frozenset({"bool", "int", "uint", "double", "string", "bytes"})
_NUMBERS = frozenset({"int", "uint", "double"})
_EQUALITY = ("_==_", "_!=_")
_ORDER = ("_<_", "_<=_", "_>_", "_>=_")
_SUMS = ("_+_", "_-_", "_*_", "_/_", "_%_")
_DEFAULTS = {"string": "''", "bool": "false", "int": "0", "list": "[]", "map": "{}"}
_LOGIC = ("_&&_", "_||_", "!_", "@not_strictly_false")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """What is wrong, and where in the text, in characters; `hint` is the end of the sentence."""

    at: int
    message: str
    hint: str = field(default="", compare=False)


def judge(
    text: str, tree: Node, variables: Mapping[str, Type], wanted: str = ""
) -> tuple[Type, set[Problem]]:
    """Give the type of an expression, which is to be `wanted`, and what is wrong in it."""
    reader = _Reader(text)
    found = reader.type_of(tree, variables)
    if wanted and found.name in {*_PLAIN_NAMES, "list", "map", "object", "optional"} - {wanted}:
        reader.report(tree, f"it gives {found}, and {Type(name=wanted)} is wanted")
    return found, reader.problems


def path(node: Node) -> str:
    """Write what a node says where that is a path, such as `object.spec.containers[0]`."""
    match node:
        case Name(name=name):
            return name
        case Select(operand=operand, field=field, test=False):
            return _joined(path(operand), f".{field}")
        case Call(function="_?._", args=(operand, Const(value=field))):
            return _joined(path(operand), f".?{field}")
        case Call(function="_[_]", args=(operand, Const(value=index))):
            return _joined(path(operand), f"[{json.dumps(index, ensure_ascii=False)}]")
        case Call(function="_[_]", args=(operand, Name(name=index))):
            return _joined(path(operand), f"[{index}]")
    return ""


def _start(node: Node) -> int:
    """Say where a path begins; an operator stands between its operands."""
    match node:
        case Select(operand=operand):
            return _start(operand)
        case Call(function="_[_]" | "_?._" | "_[?_]", args=(operand, _)):
            return _start(operand)
    return node.at


def _joined(before: str, rest: str) -> str:
    return f"{before}{rest}" if before else ""


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.problems: set[Problem] = set()

    def report(self, node: Node, message: str, name: str = "", hint: str = "") -> None:
        """Report a problem with a node, or with the field of this name that it reads."""
        at = self.text.find(name, node.at) if name else _start(node)
        self.problems.add(Problem(at=max(at, 0), message=message, hint=hint))

    def type_of(self, node: Node, names: Mapping[str, Type]) -> Type:
        match node:
            case Const():
                return schema.UINT if node.unsigned else _CONSTANTS.get(type(node.value), DYN)
            case Name():
                return names.get(node.name, DYN)
            case Select():
                return self._select(node, self.type_of(node.operand, names))
            case ListOf():
                return schema.list_of(schema.joined(self._all(node.items, names)))
            case MapOf():
                keys, values = zip(*node.entries, strict=True) if node.entries else ((), ())
                return schema.map_of(
                    schema.joined(self._all(keys, names)), schema.joined(self._all(values, names))
                )
            case Loop():
                return self._loop(node, names)
        return self._call(node, names)

    def _all(self, nodes: Iterable[Node], names: Mapping[str, Type]) -> tuple[Type, ...]:
        return tuple(self.type_of(one, names) for one in nodes)

    # --- fields -------------------------------------------------------------------------------

    def _select(self, node: Select, of: Type) -> Type:
        found = self._member(node, node.operand, of, node.field)
        return BOOL if node.test else found

    def _member(self, node: Node, operand: Node, of: Type, name: str) -> Type:
        """Give the type of a field, and say where there can't be one."""
        if of.name == "optional":
            return schema.optional(self._member(node, operand, of.item, name))
        what = path(operand) or "what stands before it"
        if of.name == "object":
            found = schema.member(of, name)
            if found is None:
                self.report(node, f'{what} has no field "{name}"', name, _near(name, of.members))
            return found or DYN
        if of.name == "map":
            return of.item
        if of.name == "list":
            each = f"{what}.all(x, x.{name} …)" if path(operand) else "all or exists"
            self.report(
                node, f'{what} is a list, which has no field "{name}"; ask its items: {each}', name
            )
        elif of.name in _PLAIN_NAMES:
            self.report(node, f'{what} is {of}, which has no field "{name}"; take it out', name)
        return DYN

    # --- macros -------------------------------------------------------------------------------

    def _loop(self, node: Loop, names: Mapping[str, Type]) -> Type:
        over = self.type_of(node.over, names)
        if over.name in _PLAIN_NAMES:
            what = path(node.over) or "what it goes through"
            self.report(node, f"{what} is {over}, and only lists and maps have items")
        inner = {**names, **dict(zip(node.names, _items(over, len(node.names)), strict=True))}
        start = self.type_of(node.start, names)
        stepped = self.type_of(node.step, {**inner, node.result_name: start})
        result = schema.joined((start, stepped))
        return self.type_of(node.result, {**names, node.result_name: result})

    # --- functions and operators ---------------------------------------------------------------

    def _call(self, node: Call, names: Mapping[str, Type]) -> Type:
        types = self._all(node.operands, names)
        if node.function == "_?._" and isinstance(node.args[1], Const):
            operand, of = node.args[0], types[0]
            found = self._member(node, operand, of, str(node.args[1].value))
            return found if found.name == "optional" else schema.optional(found)
        if node.function == "_?_:_":
            self._want_bool(node.args[0], types[0])
            return schema.joined(types[1:])
        self._judge(node, types)
        return signatures.result(node.function, types)

    def _judge(self, node: Call, types: tuple[Type, ...]) -> None:
        """Say where operands can't be what the function takes."""
        if node.function in _EQUALITY or node.function in _ORDER or node.function in _SUMS:
            if len(types) == 2:
                self._pair(node, types)
        elif node.function in _LOGIC:
            for one, of in zip(node.operands, types, strict=True):
                self._want_bool(one, of)
        elif node.function == "@in":
            self._within(node, *types)
        elif node.function == "_[_]":
            self._index(node, *types)
        else:
            self._arguments(node, types)

    def _want_bool(self, node: Node, of: Type) -> None:
        if of.name in {*_PLAIN_NAMES, "list", "map", "object", "optional"} - {"bool"}:
            message = f"{_said(node)} is {of} where true or false is wanted{_end(of, BOOL)}"
            self.report(node, message)

    def _pair(self, node: Call, types: tuple[Type, ...]) -> None:
        """Judge what is compared, or added."""
        one, other = types
        if not _apart(one, other):
            return
        left, right = node.args
        what = {True: "are never equal", False: "can't be compared"}[node.function in _EQUALITY]
        if node.function in _SUMS:
            what = f"don't go together in {node.function.strip('_')}"
        fix = (
            _ordered(node, types)
            or _as(right, one)
            or _as(left, other)
            or _end(one, other)
            or _end(other, one)
        )
        message = f"{_said(left)} is {one} and {_said(right)} {other}, which {what}{fix}"
        self.report(node, message)

    def _within(self, node: Call, one: Type, of: Type) -> None:
        inside = of.key if of.name == "map" else of.of
        if of.name in _PLAIN_NAMES:
            self.report(
                node, f"{_said(node.args[1])} is {of}, and only lists and maps hold something"
            )
        elif inside and _apart(one, inside):
            left, right = (_said(each) for each in node.args)
            holds = f"{inside.name}s"
            self.report(node, f"{left} is {one}, and {right} holds {holds}, so it is never in it")

    def _index(self, node: Call, of: Type, index: Type) -> None:
        operand, by = (_said(one) for one in node.args)
        if of.name == "list" and index.name in _PLAIN_NAMES - _NUMBERS:
            self.report(node, f"{operand} is a list, and {by} is {index}; write a number")
        elif of.name == "map" and of.key == STRING and index.name in _NUMBERS:
            self.report(node, f"{operand} is a map, and {by} is {index}; write a string")
        elif of.name in _PLAIN_NAMES:
            self.report(node, f"{operand} is {of}, which has no items")

    def _arguments(self, node: Call, types: tuple[Type, ...]) -> None:
        wanted = signatures.takes(node.function, member=node.target is not None)
        for one, of, names in zip(node.operands, types, wanted, strict=False):
            if names and of.known and of.name not in names and of.name != "null":
                taken = " or ".join(f"a {name}" for name in names[:3])
                message = f"{node.function} takes {taken}, and {_said(one)} is {of}"
                self.report(one, message + _end(of, schema.Type(name=names[0])))


def _items(over: Type, count: int) -> tuple[Type, ...]:
    """Give the types of a loop's variables."""
    if over.name == "list":
        return (INT, over.item)[-count:]
    if over.name == "map":
        return (over.key or DYN, over.item)[:count]
    return (DYN, DYN)[:count]


def _apart(one: Type, other: Type) -> bool:
    """Tell whether no value can be of both types."""
    names = {one.name, other.name}
    if len(names) == 1 or names & {"dyn", "nothing", "null"} or names <= _NUMBERS:
        return False
    return names != {"object", "map"}


def _ordered(node: Call, types: tuple[Type, ...]) -> str:
    """Say how a text and a number are ordered, which as texts they aren't."""
    if node.function not in _ORDER or STRING not in types:
        return ""
    text = _said(node.args[types.index(STRING)])
    return f"; write int({text}), or quantity({text}) where it is one of a resource"


def _as(node: Node, wanted: Type) -> str:
    """Say how a literal is written as another type; nothing where that can't be."""
    if not isinstance(node, Const):
        return ""
    value = node.value
    if wanted == STRING and isinstance(value, int | float):
        return f"; write {json.dumps(json.dumps(value))}"
    if isinstance(value, str) and _reads(value, wanted):
        return f"; write {value}"
    return ""


def _reads(text: str, wanted: Type) -> bool:
    """Tell whether a text without its quotes would be of a type."""
    if wanted == BOOL:
        return text in ("true", "false")
    return wanted.name in _NUMBERS and text.removeprefix("-").isdecimal()


def _end(of: Type, wanted: Type) -> str:
    """Say how an optional value becomes one of a type."""
    if of.name != "optional":
        return ""
    return f"; end it with .orValue({_DEFAULTS.get(wanted.name, '…')})"


def _said(node: Node) -> str:
    if isinstance(node, Const):
        return json.dumps(node.value, ensure_ascii=False, default=str)
    return path(node) or "what stands there"


def _near(name: str, known: Iterable[str]) -> str:
    from kubectl_ml.suggest import did_you_mean

    found = did_you_mean(name, known)
    return found if "did you mean" in found or found.count(",") < _MOST_LISTED else ""
