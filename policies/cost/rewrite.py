"""
A compiled expression's tree made to pay for its work before it does it.

    a + b                ->  paid(a) + paid(b)
    a.contains(b)        ->  @find(a, b) ? a.contains(b) : false
    [a, b]               ->  [paid(a), paid(b)]
    l.all(x, f(x))       ->  (@loop(nodes, size(l)) ? l : false).all(x, f(x))
    l.map(x, f(x))       ->  each turn: @turn(nodes, size(gathered)) ? go on : false
    paid(a)              ->  @linear(a) ? a : false

A price is true, or ends all where the budget is used up: as an error, `||` could pass it over.
What is no mere path is bound to a name first, as `cel.bind` does it, and so worked out once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from policies.cost import EVERY, OVERLAID, kinds, prices
from policies.cost.kinds import Kind
from policies.cost.tree import Body, Form, Node, Tree

_NULL, _BOOL, _INT, _STRING, _BYTES = 1, 2, 3, 6, 7  # fields of a constant
_TARGET, _FUNCTION, _ARGUMENTS = 1, 2, 3  # of a call
_TURN, _RANGE, _GATHERED, _INIT = 1, 2, 3, 4  # of a loop
_WHILE, _STEP, _RESULT, _TURN_2 = 5, 6, 7, 8


def metered(tree: Tree) -> int:
    """Rewrite a tree in place, and give the number of its nodes, a long text as several."""
    used = {name: _members(tree.root, name) for name in OVERLAID}
    root = _Rewriting(tree).node(tree.root)
    for name, members in used.items():
        if members:
            root = _bound(name, _call(f"@{name}", _text(",".join(sorted(members)))), root)
    tree.root = root
    for count, one in enumerate(_all(root), 1):
        one.number = one.number or _FRESH + count
    return _weight(root)


def _weight(root: Node) -> int:
    return sum([prices.weight(_own_text(one)) for one in _all(root)])


def _own_text(node: Node) -> bytes:
    if node.form is not Form.CONSTANT:
        return b""
    return b"".join(one for at in (_STRING, _BYTES) for one in node.body.get(at, ()))


def _all(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += one.inner()


def _members(root: Node, name: str) -> set[str]:
    """Tell which members of a variable are used; `*` where that isn't said."""
    found: set[str] = set()
    selected = set()
    for node in _all(root):
        if node.form is Form.SELECT and node.body[1][0].form is Form.NAME:
            selected.add(node.body[1][0])
            if node.body[1][0].text(1) == name:
                found.add(node.text(2))
        elif node.form is Form.NAME and node not in selected and node.text(1) == name:
            return {EVERY}
    return found


class _Rewriting:
    def __init__(self, tree: Tree) -> None:
        self._types = tree.types
        self._loops: list[Node] = []  # around the node that is rewritten

    def node(self, node: Node) -> Node:
        if node.form is Form.CALL:
            return self._call(node, _given(node))
        if node.form is Form.LOOP:
            return self._loop(node)
        if node.form is Form.LIST:
            node.body[1] = [self._paid(one) for one in node.body.get(1, ())]
        elif node.form is Form.MAP:
            for entry in node.entries():
                for values in entry.values():
                    values[:] = [self._paid(v) if isinstance(v, Node) else v for v in values]
        elif node.form is Form.SELECT:
            node.body[1] = [self.node(one) for one in node.body[1]]
        return node

    def _call(self, node: Node, given: Sequence[Node]) -> Node:
        name = node.text(_FUNCTION)
        if self._gathers(name, given):
            return self._gathering(node, given)
        if name in prices.FREE or (name in prices.PREFIXES and _is_constant(given[-1])):
            return _with(node, [self.node(one) for one in given])
        if name in prices.COMPARISONS:
            return self._comparison(node, given)
        if name == "size":
            return self._size(node, given)
        if name == "@in":
            return self._membership(node, given)
        if name not in prices.NATIVE:
            return self._of_all(node, given, prices.OF_ALL.get(name, prices.OTHERWISE))
        free = 1 if name in prices.FREE_TARGET else 0
        paid = [self._paid(one) for one in given[free:]]
        return _with(node, [*map(self.node, given[:free]), *paid])

    # --- calls ------------------------------------------------------------------------------------

    def _comparison(self, node: Node, given: Sequence[Node]) -> Node:
        """Price one of two: they are compared no further than the smaller goes."""
        if any(map(self._is_small, given)):
            return _with(node, [self.node(one) for one in given])
        one, other = given
        if _is_path(one) or not _is_path(other):
            return _with(node, [self._paid(one), self.node(other)])
        return _with(node, [self.node(one), self._paid(other)])

    def _size(self, node: Node, given: Sequence[Node]) -> Node:
        """Let a length pay for having been counted: text is counted letter by letter."""
        counted = self._kind(given[0]) in (Kind.LIST, Kind.MAP)
        found = _with(node, [self.node(one) for one in given])
        return found if counted else _call(prices.MEASURED, found)

    def _membership(self, node: Node, given: Sequence[Node]) -> Node:
        """Price what is looked for by the number of what it is looked for among."""
        key, among = given
        if _is_constant(among) or (self._is_small(key) and self._kind(among) is Kind.MAP):
            return _with(node, [self.node(one) for one in given])
        kind = self._kind(among)
        return self._named(
            given,
            lambda one, other: _if(
                _call(prices.MEMBERSHIP, one, _count(other, kind)), _with(node, [one, other])
            ),
        )

    def _of_all(self, node: Node, given: Sequence[Node], price: str) -> Node:
        return self._named(given, lambda *refs: _if(_call(price, *refs), _with(node, refs)))

    def _paid(self, node: Node) -> Node:
        """Let what a node gives be paid for before it is used."""
        kind = self._kind(node)
        if self._is_small(node) or kind is Kind.HOLDS_OPTIONALS:
            return self.node(node)

        def priced(one: Node) -> Node:
            return _if(_call(prices.LINEAR, _unwrapped(one) if kind is Kind.OPTIONAL else one), one)

        return self._named([node], priced)

    def _named(self, given: Sequence[Node], then: Callable[..., Node]) -> Node:
        """Make something of what may be used more than once."""
        bound: list[tuple[str, Node]] = []
        references = []
        for at, one in enumerate(given):
            rewritten = self.node(one)
            if not _is_path(rewritten) and rewritten.form is not Form.CONSTANT:
                bound.append((f"@{at}", rewritten))
                rewritten = _name(f"@{at}")
            references.append(rewritten)
        found = then(*references)
        for name, value in reversed(bound):
            found = _bound(name, value, found)
        return found

    # --- loops ------------------------------------------------------------------------------------

    def _loop(self, node: Node) -> Node:
        body = node.body
        turns, kind = _has_turns(node), self._kind(body[_RANGE][0])
        over = body[_RANGE][0]
        body[_INIT] = [self.node(one) for one in body[_INIT]]
        gathers = body[_INIT][0].form in (Form.LIST, Form.MAP)
        if turns:
            self._loops.append(node)
        for at in (_WHILE, _STEP, _RESULT):
            body[at] = [self.node(one) for one in body[at]]
        if turns:
            self._loops.pop()
        nodes = _constant(_INT, sum(_weight(body[at][0]) for at in (_WHILE, _STEP)))
        if turns and gathers:
            gathered = _call("size", _name(node.text(_GATHERED)))
            body[_WHILE] = [_if(_call(prices.TURN, nodes, gathered), body[_WHILE][0])]
        if gathers or not turns:
            body[_RANGE] = [self.node(over)]
        else:
            body[_RANGE] = [
                self._named(
                    [over], lambda one: _if(_call(prices.LOOP, nodes, _count(one, kind)), one)
                )
            ]
        return node

    def _gathers(self, name: str, given: Sequence[Node]) -> bool:
        """Tell whether a call is `gathered + [one]` of the loop around it."""
        return (
            bool(self._loops)
            and name == "_+_"
            and given[0].form is Form.NAME
            and given[0].text(1) == self._loops[-1].text(_GATHERED)
            and given[1].form is Form.LIST
        )

    def _gathering(self, node: Node, given: Sequence[Node]) -> Node:
        """Let what is gathered be paid for, unless it comes from where the loop goes through."""
        turns = {self._loops[-1].text(_TURN), self._loops[-1].text(_TURN_2)}
        one = given[1].body[1][0]
        if one.form is Form.NAME and one.text(1) in turns:
            return node
        return _with(node, [given[0], self.node(given[1])])

    # --- what is known ---------------------------------------------------------------------------

    def _kind(self, node: Node) -> Kind:
        return kinds.of(self._types.get(node.number, b""))

    def _is_small(self, node: Node) -> bool:
        return self._kind(node) is Kind.SCALAR or _is_constant(node)


def _is_constant(node: Node) -> bool:
    if node.form in (Form.LIST, Form.MAP):
        return all(map(_is_constant, node.inner()))
    return node.form is Form.CONSTANT


def _is_path(node: Node) -> bool:
    while node.form is Form.SELECT:
        node = node.body[1][0]
    return node.form is Form.NAME


def _has_turns(node: Node) -> bool:
    """Tell whether a loop is one, and not what `cel.bind` makes of itself: a loop over nothing."""
    over = node.body[_RANGE][0]
    return over.form is not Form.LIST or 1 in over.body


# --- new nodes; their numbers come at the end -----------------------------------------------------

_FRESH = 1_000_000


def _given(node: Node) -> list[Node]:
    return [*node.body.get(_TARGET, ()), *node.body.get(_ARGUMENTS, ())]


def _with(node: Node, given: Sequence[Node]) -> Node:
    """Give a call what it works on anew."""
    if _TARGET in node.body:
        node.body[_TARGET], given = [given[0]], given[1:]
    node.body[_ARGUMENTS] = list(given)
    return node


def _constant(kind: int, value: int) -> Node:
    return Node(0, Form.CONSTANT, {kind: [value]})


def _text(text: str) -> Node:
    return Node(0, Form.CONSTANT, {_STRING: [text.encode()]})


def _name(name: str) -> Node:
    return Node(0, Form.NAME, {1: [name.encode()]})


def _call(name: str, *given: Node) -> Node:
    return Node(0, Form.CALL, {_FUNCTION: [name.encode()], _ARGUMENTS: list(given)})


def _count(node: Node, kind: Kind) -> Node:
    """Count what a list or a map holds; anything else is one."""
    count = _call("size", node)
    if kind in (Kind.LIST, Kind.MAP):
        return count
    tests = [_call("_==_", _call("type", node), _name(one)) for one in ("list", "map")]
    return _if(_call("_||_", *tests), count, _constant(_INT, 1))


def _unwrapped(optional: Node) -> Node:
    found = _call("orValue", _constant(_NULL, 0))
    found.body[_TARGET] = [optional]
    return found


def _if(test: Node, then: Node, otherwise: Node | None = None) -> Node:
    return _call("_?_:_", test, then, otherwise or _constant(_BOOL, 0))


def _bound(name: str, value: Node, result: Node) -> Node:
    body: Body = {
        _TURN: [b"#unused"],
        _RANGE: [Node(0, Form.LIST, {})],
        _GATHERED: [name.encode()],
        _INIT: [value],
        _WHILE: [_constant(_BOOL, 0)],
        _STEP: [_name(name)],
        _RESULT: [result],
    }
    return Node(0, Form.LOOP, body)
