"""
What calls cost by the sizes of what they get, in units of a tenth of a microsecond.

The prices are the worst that was measured, rounded up: a compare of bytes that agree to the last
one, a regular expression whose automaton doesn't fit its memory. A function that isn't named here
costs what the slowest linear one in Python does, and each call of it what reading an address does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sized
from math import log2
from typing import Any, NamedTuple

from policies.cost import budget

ELEMENT = 3.0  # a value handed to Python, looked at, and copied or compared
_BYTE = 1 / 50
_COMPARED = 0.3  # two values
_COMPARED_BYTE = 1 / 3000
_COPIED = 0.3  # an element of the list that a comprehension gathers, each turn
_PYTHON_CALL, _PYTHON_ELEMENT, _PYTHON_BYTE = 100.0, 5.0, 2.0
_MATCH = 4.0  # a letter, which may be a match of its own
_GROWN_ELEMENT, _GROWN_BYTE = 12.0, 1 / 15  # of a map, to Python and back
_STEP = 1 / 16  # a byte in one state of a regular expression
_STATE = 2.0  # to compile one
_LETTERS = 500  # states of a class of Unicode
_CLASS = 16_000.0  # to look one up
_MAX_REPEAT = 1000  # RE2 refuses more, nested ones multiplied
_REPEATS = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_CLASSES = re.compile(r"\\[pP]")
_WIDE = re.compile(r"\\[pP]|\(\?[a-zA-Z]*i|\[\[?:?\^")


class Size(NamedTuple):
    """What a value holds: itself and all within, and the bytes of its strings."""

    elements: int
    bytes: int


def size(value: Any, limit: float = budget.OF_A_REVIEW) -> Size:
    """Count what a value holds, shared parts as often as they appear, up to about a limit."""
    length = 0
    found = [value]
    for one in found:
        kind = type(one)
        if kind is str or kind is bytearray:
            length += len(one)
        elif kind is dict:
            found += one
            found += one.values()
        elif kind is list:
            found += one
            if len(found) > limit:
                return Size(len(found), length)
    return Size(len(found), length)


def held(value: Any) -> float:
    """Price what a value holds."""
    elements, length = size(value)
    return ELEMENT * elements + _BYTE * length


def depth(value: Any) -> int:
    """Tell how deep a value is nested."""
    found, level = 0, [value]
    while level:
        found += 1
        level = [
            inner
            for one in level
            if isinstance(one, (list, dict))
            for inner in (one if isinstance(one, list) else one.values())
        ]
    return found


def weight(constant: bytes) -> int:
    """Tell as how many nodes a text counts that an expression holds itself."""
    return 1 + len(constant) // 10


def nodes(count: int) -> float:
    """Price what an expression is made of, once through."""
    return 2 + count / 5


# --- prices of calls: all of what they get in, units out ---------------------------------------


def _linear(*given: Any) -> float:
    return 2 + sum([held(one) for one in given])


def _letters(*given: Any) -> float:
    """Price what goes through text letter by letter, a few times over."""
    return 5 * _linear(*given)


def _in_python(*given: Any) -> float:
    sizes = [size(one) for one in given]
    return _PYTHON_CALL + sum(
        _PYTHON_ELEMENT * one.elements + _PYTHON_BYTE * one.bytes for one in sizes
    )


def _find(*given: Any) -> float:
    """Price a search, which may compare nearly all of what is sought at each place."""
    if not all(isinstance(one, str) for one in given[:2]):
        return _in_python(*given)
    within, sought = len(given[0]), len(given[1]) if len(given) > 1 else 0
    return _linear(*given) + within / 20 + within * sought * _COMPARED_BYTE


def _pieces(text: Any, separator: Any) -> int:
    within = _length(text)
    return within // max(_length(separator), 1) + 1


def _replace(*given: Any) -> float:
    text, old, new, *_ = given
    count = _pieces(text, old)
    return _find(*given) + count * 0.4 + count * _length(new) * _BYTE


def _split(*given: Any) -> float:
    return _find(*given) + ELEMENT * _pieces(given[0], given[1])


def _join(*given: Any) -> float:
    separator = _length(given[1]) if len(given) > 1 else 0
    return _linear(*given) + _length(given[0]) * separator * _BYTE


def _format(*given: Any) -> float:
    """Price a format, whose numbers may have a thousand digits each."""
    specifiers = str(given[0]).count("%")
    return _linear(*given) + specifiers * 20


def _regex(text: Any, pattern: Any, *more: Any) -> float:
    if not isinstance(pattern, str):
        return _in_python(text, pattern, *more)
    work = _states(pattern) * (_STATE + _length(text) * _STEP)
    return _linear(text, pattern, *more) + work + _CLASS * len(_CLASSES.findall(pattern))


def _first_match(text: Any, pattern: Any) -> float:
    return _PYTHON_CALL + _length(text) / 4 + _regex(text, pattern)


def _all_matches(text: Any, pattern: Any, *most: Any) -> float:
    return _PYTHON_CALL + _length(text) * _MATCH + _regex(text, pattern, *most)


def _insert(gathered: Any, *more: Any) -> float:
    """Price what is added to a map, which is copied with all that it holds."""
    sizes = [size(one) for one in (gathered, *more)]
    return _PYTHON_CALL + sum(
        _GROWN_ELEMENT * one.elements + _GROWN_BYTE * one.bytes for one in sizes
    )


def _states(pattern: str) -> int:
    """Bound the states of a regular expression."""
    counts = [
        min(int(most or least), _MAX_REPEAT) for least, most in _REPEATS.findall(pattern)
    ]  # fmt: skip
    states = len(pattern)
    if re.search(r"\)[*+?]?\{", pattern):  # a group is repeated, so that counts may multiply
        product = 1
        for count in counts:
            product = min(product * max(count, 1), _MAX_REPEAT)
        states *= product
    else:
        states += 4 * sum(counts)
    return states * (_LETTERS if _WIDE.search(pattern) else 1)


def _pairs(*given: Any) -> float:
    """Price what compares each element of one list with each of another, or of itself."""
    elements, length = size(given[0])
    others = _length(given[-1])
    return _linear(*given) + others * (elements * _COMPARED + length * _COMPARED_BYTE)


def _membership(key: Any, among: int) -> float:
    elements, length = size(key)
    return 2 + among * (elements * _COMPARED + length * _COMPARED_BYTE)


def _sort(*given: Any) -> float:
    return _linear(*given) * log2(2 + max(map(_length, given)))


def _range(*given: Any) -> float:
    return ELEMENT * max(1, *(one for one in given if isinstance(one, int)))


def _loop(count: int, turns: int) -> float:
    return 2 + nodes(count) * turns


def _turn(count: int, gathered: int) -> float:
    return nodes(count) + gathered * _COPIED


def _length(value: Any) -> int:
    return len(value) if isinstance(value, Sized) else 0


OTHERWISE = "@python"
LINEAR, MEMBERSHIP, MEASURED = "@linear", "@membership", "@measured"
LOOP, TURN = "@loop", "@turn"
_PRICES: Mapping[str, Callable[..., float]] = {
    LINEAR: _linear, OTHERWISE: _in_python, MEMBERSHIP: _membership, LOOP: _loop, TURN: _turn,
    "@find": _find, "@replace": _replace, "@split": _split, "@join": _join, "@format": _format,
    "@regex": _regex, "@pairs": _pairs, "@sort": _sort, "@range": _range, "@letters": _letters,
    "@first": _first_match, "@every": _all_matches, "@insert": _insert,
}  # fmt: skip
_MOST_PARAMETERS = 6

# --- which call has which price ------------------------------------------------------------------

# Work that doesn't depend on sizes, or that is paid for elsewhere.
FREE = frozenset({
    "_&&_", "_||_", "!_", "_?_:_", "@not_strictly_false", "-_", "_-_", "_*_", "_/_", "_%_",
    "type", "dyn", "_?._", "optional.of", "optional.none", "optional.ofNonZeroValue", "hasValue",
    "value", "or",
})  # fmt: skip
FREE_TARGET = frozenset({"_[_]", "_[?_]", "orValue"})
# What looks no further than at what it is given.
PREFIXES = frozenset({"startsWith", "endsWith"})
# What compares no further than the smaller of two.
COMPARISONS = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"})
OF_ALL: Mapping[str, str] = {
    "contains": "@find", "indexOf": "@find", "lastIndexOf": "@find", "replace": "@replace",
    "split": "@split", "join": "@join", "format": "@format", "matches": "@regex",
    "find": "@first", "findAll": "@every", "cel.@mapInsert": "@insert", "strings.quote": "@letters",
    "sets.contains": "@pairs", "sets.equivalent": "@pairs", "sets.intersects": "@pairs",
    "distinct": "@pairs", "sort": "@sort",
    "@sortByAssociatedKeys": "@sort", "lists.range": "@range",
}  # fmt: skip
# What the runtime does itself, at a price for each thing it gets; the rest is done in Python.
NATIVE = frozenset({
    "_+_", "_[_]", "_[?_]", "startsWith", "endsWith", "lowerAscii", "upperAscii", "trim",
    "reverse", "charAt", "substring", "string", "bytes", "int", "uint", "double",
    "bool", "timestamp", "duration", "flatten", "slice", "first", "last", "math.@max", "math.@min",
    "orValue",
})  # fmt: skip


# --- the prices as functions of the runtime ------------------------------------------------------


class _Stop:
    """
    What no CEL value can be made of.

    The runtime ends at once where a function gives it, as at its own limit, while an error could
    be passed over by `||` and a loop, and what comes next would do its work for nothing.
    """


_STOP = _Stop()


def declared(cel: Any) -> list[Any]:
    """Declare the prices to the runtime, under names that no expression can write."""
    anything = cel.Type("google.protobuf.Any")
    return [
        _function(cel, MEASURED, _measured, [[cel.Type.INT]]),
        *(
            _function(cel, name, _charged(price), [[anything] * count for count in _counts(name)])
            for name, price in _PRICES.items()
        ),
    ]


def _counts(name: str) -> range:
    return range(0 if name == OTHERWISE else 1, 2 if name == LINEAR else _MOST_PARAMETERS + 1)


def value_of(cel: Any, name: str, value: Callable[[str], tuple[Any, float]]) -> Any:
    """Declare a function that gives a value by its name, with its price."""

    def paid(member: str) -> Any:
        found, units = value(member)
        return found if _is_paid(units) else _STOP

    return _function(cel, name, paid, [[cel.Type.STRING]])


def _function(cel: Any, name: str, call: Callable[..., Any], takes: list[list[Any]]) -> Any:
    overloads = [
        cel.Overload(f"{name}_{len(one)}", return_type=cel.Type.DYN, parameters=one, impl=call)
        for one in takes
    ]
    return cel.FunctionDecl(name, overloads)


def _charged(price: Callable[..., float]) -> Callable[..., Any]:
    def charge(*given: Any) -> Any:
        return _is_paid(price(*given)) or _STOP

    return _pay if price is _linear else charge


def _pay(value: Any) -> Any:
    """Charge for one value; what most calls do, so it is short."""
    return (
        _is_paid(5 + len(value) * _BYTE) if type(value) is str else _is_paid(_linear(value))
    ) or _STOP


def _measured(length: int) -> Any:
    return length if _is_paid(1 + length / 200) else _STOP


def _is_paid(units: float) -> bool:
    try:
        budget.current().charge(units)
    except budget.SpentError:
        return False
    return True
