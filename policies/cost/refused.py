"""
What compiles and yet isn't run, with what to write in its place.

Python can't be handed an optional, nor what holds one: a list or map with optionals in it ends
the process, https://github.com/cel-expr/cel-python/issues. So an optional stays where the checker
sees it, and is taken apart before its value is kept or handed on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from policies.cost import kinds
from policies.cost.kinds import Kind
from policies.cost.tree import Form, Node, Tree, varints

MOST_NODES = 20_000
_FUNCTION = 2
_TAKE_OPTIONALS = frozenset({
    "_?._", "_[?_]", "hasValue", "value", "or", "orValue", "_==_", "_!=_", "_?_:_", "type",
})  # fmt: skip


def faults(tree: Tree) -> Iterator[tuple[int, str]]:
    """Find what can't be run: the number of a node, and a sentence."""
    if kinds.of(tree.types.get(tree.root.number, b"")) is Kind.OPTIONAL:
        yield tree.root.number, "it gives an optional; take its value with orValue()"
    waiting = [tree.root]
    seen = 0
    while waiting:
        node = waiting.pop()
        seen += 1
        if seen > MOST_NODES:
            yield node.number, f"it has more than {MOST_NODES} nodes; take it apart"
            return
        message = _fault(tree, node)
        if message:
            yield node.number, message
        waiting += node.inner()


def _fault(tree: Tree, node: Node) -> str:
    if node.form is Form.MAP and node.text(1):
        return f"{node.text(1)} is a message of protobuf, which can't be made; write a map"
    own = kinds.of(tree.types.get(node.number, b""))
    if own is Kind.HOLDS_OPTIONALS:
        return "a list, a map or an optional can't hold optionals; take their values with orValue()"
    if own is not Kind.OPTIONAL and not _takes(node):
        for one in _kept(node):
            if kinds.of(tree.types.get(one.number, b"")) is Kind.OPTIONAL:
                return "an optional can't be kept or handed on; take its value with orValue()"
    return ""


def _takes(node: Node) -> bool:
    return node.form is Form.CALL and node.text(_FUNCTION) in _TAKE_OPTIONALS


def _kept(node: Node) -> Iterator[Node]:
    """Give what becomes part of a node's value, or goes to a function: not `[?a]` or `{?k: a}`."""
    if node.form is Form.LIST:
        unwrapped = _numbers(node.body.get(2, ()))
        yield from (one for at, one in enumerate(node.body.get(1, ())) if at not in unwrapped)
    elif node.form is Form.MAP:
        for entry in node.entries():
            yield from entry.get(3, ())
            if 5 not in entry:
                yield from entry.get(4, ())
    else:
        yield from node.inner()


def _numbers(packed: Iterable[bytes]) -> set[int]:
    """Read `optional_indices`, which are packed varints."""
    return {number for one in packed for number in varints(one)}
