"""Expressions that would stall a review, and objects that help them."""

from __future__ import annotations

from typing import Any

LONG = "a" * 1_400_000
HOSTILE_POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "a",
        "namespace": "ml",
        "labels": {f"l{number}": "v" for number in range(50)},
        "annotations": {"long": LONG, "half": "a" * 20_000, "needle": "a" * 10_000 + "b"},
    },
    "spec": {
        "containers": [
            {
                "name": "main",
                "image": "i:1",
                "args": [str(number) for number in range(3_000)],
                "env": [{"name": f"E{number}", "value": "v"} for number in range(3_000)],
            }
        ]
    },
}
S = "object.metadata.annotations.long"
H = "object.metadata.annotations.half"
N = "object.metadata.annotations.needle"
A = "object.spec.containers[0].args"
E = "object.spec.containers[0].env"
LABELS = "object.metadata.labels"


PLUS = "+".join(["x"] * 20)
SIZES = " || ".join([f"{S}.size() < 5"] * 150 + ["true"])
BODY = " && ".join(["x != 'b'"] * 600)
TEXTS = ", ".join([S] * 150)
BLOCKS = " && ".join(["isCIDR('2001:db8::/32')"] * 250)
LETTERS = f"'{'a' * 7000}'.upperAscii() != 'a'"
DIGITS, ONES = "%.1000f" * 500, ", ".join(["1.0"] * 500)


def doubled(start: str, step: str, times: int = 12) -> str:
    """Nest macros that each make twice of what they get."""
    return start + f".map(x, {step})" * times


def _nested(inner: str, depth: int, over: str = A) -> str:
    for number in range(depth):
        inner = f"{over}.all(v{number}, {inner})"
    return inner


# What ends at the budget: name, expression, which is given as a rule.
STOPPED: dict[str, str] = {
    # strings that grow
    "a string of strings of strings": f"[{S}].map(x, {PLUS}).map(x, {PLUS})[0].size() > 0",
    "doubling by plus": f"[{S}]" + ".map(x, x + x)" * 12 + "[0].size() > 0",
    "replace each letter by a long text": f"{S}.replace('a', {S}).size() > 0",
    "replace each letter by twenty, again and again": "'aaaaaaaaaa'"
    + ".replace('a', 'aaaaaaaaaaaaaaaaaaaa')" * 12
    + ".size() > 0",
    "replace nothing by a long text": f"{S}.replace('', {H}).size() > 0",
    "replace in a loop": f"{A}.all(x, {S}.replace('a', 'b') != x)",
    "join with a long separator": f"{A}.join({S}).size() > 0",
    "join in a loop": f"{A}.all(x, {A}.join(x).size() > 0)",
    "split each letter": f"{S}.split('').size() > 0",
    "split and join in turn": f"{H}.split('').join({H}).split('').size() > 0",
    "split in a loop": f"{A}.all(x, {H}.split('').size() > 0)",
    "format the same long text often": f"'{'%s' * 150}'.format([{TEXTS}]) == ''",
    "format in a loop": f"{A}.all(x, '%s'.format([object]) != x)",
    "a thousand digits, again and again": f"{A}.all(x, '{DIGITS}'.format([{ONES}]) != x)",
    "quote in a loop": f"{A}.all(x, strings.quote({S}) != x)",
    "lower case in a loop": f"{A}.all(x, {S}.lowerAscii() != x)",
    "upper case, chained": f"{A}.all(x, {S}.upperAscii().lowerAscii().upperAscii() != x)",
    "reverse in a loop": f"{A}.all(x, {S}.reverse() != x)",
    "trim in a loop": f"{A}.all(x, {S}.trim() != x)",
    "substring in a loop": f"{A}.all(x, {S}.substring(1) != x)",
    "a letter in a loop": f"{A}.all(x, {S}.charAt(1000000) != x)",
    "size of text in a loop": f"{A}.all(x, size({S}) > 5)",
    "size of text, again and again": f"{A}.all(x, {SIZES})",
    "bytes in a loop": f"{A}.all(x, bytes({S}) != b'')",
    "text of bytes in a loop": f"{A}.all(x, string(bytes({S})) != x)",
    "plus in a loop": f"{A}.all(x, ({S} + x) != x)",
    "a message as long as all": f"[{S}].map(x, {PLUS})[0] + 'a' == ''",
    # strings that are compared and searched
    "equal to the last byte, in a loop": f"{A}.all(x, {S} == oldObject.metadata.annotations.long)",
    "not equal, in a loop": f"{A}.all(x, !({S} != oldObject.metadata.annotations.long))",
    "less, in a loop": f"{A}.all(x, {S} <= oldObject.metadata.annotations.long)",
    "greater, in a loop": f"{A}.all(x, {S} >= oldObject.metadata.annotations.long)",
    "contains in a loop": f"{A}.all(x, !{S}.contains('b'))",
    "contains nearly": f"{S}.contains({S} + 'b')",
    "contains nearly half": f"({S} + {S}).contains({S} + 'b')",
    "contains nearly, in a loop": f"{A}.all(x, !{H}.contains({N}))",
    "index in a loop": f"{A}.all(x, {S}.indexOf('b') < 0)",
    "index nearly": f"{S}.indexOf({S}.substring(700000) + 'b') > 0",
    "last index nearly": f"{S}.lastIndexOf('b' + {S}.substring(700000)) > 0",
    "starts with itself, in a loop": f"{A}.all(x, {S}.startsWith({S}))",
    "ends with itself, in a loop": f"{A}.all(x, {S}.endsWith({S}))",
    "a long key": f"{A}.all(x, !has(object[{S}].x))",
    "an optional long key": f"{A}.all(x, object[?{S}].orValue(1) == 1)",
    "a long key among labels": f"{A}.all(x, !({S} in object.metadata.labels))",
    # regular expressions
    "a regular expression of many states": f"{H}.matches('(a?){{1000}}b')",
    "nested counts": f"{H}.matches('((a{{0,30}}){{0,30}}b)')",
    "classes of Unicode": f"{H}.matches('(?i)(\\\\pL\\\\pN?){{300}}b')",
    "a regular expression to compile each time": f"{A}.all(x, x.matches('\\\\pL{{900}}') || true)",
    "a regular expression in a loop": f"{A}.all(x, !{H}.matches('(a|aa)*b'))",
    "a pattern from the object": f"{S}.matches({H})",
    "a regular expression over all": f"{S}.matches('(a|b)*c(a|b)*d(a|b){{50}}e')",
    "a class of Unicode in a loop": _nested("v0.matches('\\\\pL')", 2, LABELS),
    "all matches": f"{S}.findAll('a').size() == 0",
    "all matches, in a loop": f"{A}.all(x, {H}.findAll('a').size() > 0)",
    "the first match, in a loop": f"{A}.all(x, {H}.find('b') == '')",
    # lists that grow
    "a list of lists of lists": doubled("[1]", "[x, x]", 20) + " == [object]",
    "a list of itself": doubled(f"[{A}]", "[x, x, x, x]") + ".size() == 0",
    "a list of the object": f"{A}.map(x, object).size() == 0",
    "a map of itself": doubled("[1]", "{'a': x, 'b': x}", 20) + " == [object]",
    "a map of the object": f"{A}.map(x, {{'a': object, 'b': object}}).size() == 0",
    "lists added to themselves": f"[{A}].map(x, x + x + x + x).map(x, x + x + x + x)"
    ".map(x, x + x + x + x).map(x, x + x + x + x).map(x, x + x + x + x).size() == 0",
    "nested literals of a list": f"[[[[[{A}, {A}], [{A}, {A}]], [{A}]]]]" + ".map(x, [x, x])" * 9
    + " == []",
    "map over many": "lists.range(9999).map(x, x).size() == 0",
    "filter over many": "lists.range(9999).filter(x, true).size() == 0",
    "map of map": f"{A}.map(x, {A}.map(y, y)).size() == 0",
    "maps in turn": A + ".map(x, x)" * 20 + ".size() == 0",
    "filters in turn": E + ".filter(x, true)" * 20 + ".size() == 0",
    "a million numbers": "lists.range(1000000).size() == 0",
    "a billion numbers": "lists.range(1000000000).size() == 0",
    "many ranges": "lists.range(9000).all(x, lists.range(9000).size() > 0)",
    "sort in a loop": f"{A}.all(x, {A}.sort().size() > 0)",
    "sort by": "lists.range(9000).sortBy(x, -x).size() == 0",
    "distinct in a loop": f"{A}.all(x, {A}.distinct().size() > 0)",
    "distinct objects": f"({E} + {E}).distinct().size() == 0",
    "reverse a list in a loop": f"{A}.all(x, {A}.reverse().size() > 0)",
    "slices in a loop": f"{A}.all(x, {A}.slice(0, 2999).size() > 0)",
    "flatten in a loop": f"{A}.all(x, [{A}, {A}].flatten().size() > 0)",
    "transform a list": f"{E}.transformList(i, v, {E})" + ".size() == 0",
    "a map of a map": f"{E}.transformMap(i, v, object.metadata.labels).size() == 0",
    "a map of a long text": f"{E}.transformMap(i, v, {H}).size() == 0",
    "a map of itself and more": f"{E}.transformMapEntry(i, v, {{string(i): {A}}}).size() == 0",
    # lists that are compared
    "equal lists in a loop": f"{A}.all(x, {A} == oldObject.spec.containers[0].args)",
    "equal objects in a loop": f"{A}.all(x, object.metadata == oldObject.metadata)",
    "a member in a loop": f"{A}.all(x, !('b' in {A}))",
    "a list among lists": f"{A}.all(x, !({A} in [{A} + ['x'], {A} + ['y']]))",
    "an object among objects": f"{E}.all(x, x in {E})",
    "sets of lists": f"sets.contains({A}, {A})",
    "sets of objects": f"sets.equivalent({E}, {E})",
    "sets that don't meet": f"!sets.intersects({A}, {E})",
    "an optional compared in a loop": f"{A}.all(x, object.?spec == optional.of(oldObject.spec))",
    "an optional of what grows": doubled("[1]", "optional.of([x, x]).orValue([])", 20) + " == []",
    "optMap that grows": "object.?spec"
    + ".optMap(v, [v, v])" * 8
    + f".orValue([]) == [{A}, {A}].map(x, [x, x])",
    # loops
    "three loops": _nested("v0 + v1 != v2", 3),
    "a long body": f"{A}.all(x, {BODY})",
    "loops of loops over labels": _nested("v0 + v1 + v2 != v3", 4, LABELS),
    "exists in exists": f"{A}.exists(x, {A}.exists(y, x == y + 'b'))",
    "exactly one": f"{A}.exists_one(x, {A}.exists_one(y, y == x))",
    "a long body of constants": f"lists.range(9000).all(x, {LETTERS})",
    # functions in Python
    "addresses, again and again": _nested(BLOCKS, 2, LABELS),
    "quantities in a loop": f"{A}.all(x, quantity(x).isLessThan(quantity(x).add(1)) || true)",
    "sorted in a loop": f"{A}.all(x, {A}.isSorted() || true)",
    "sums in a loop": f"{A}.all(x, lists.range(1000).sum() > 0)",
    "a long quantity": f"{S}.split('a').size() > 0 || isQuantity({S})",
    "a long URL": f"url('/?' + {S}.replace('a', 'a=1&')).getQuery().size() > 0",
    "a long address": f"{A}.all(x, !isIP({S}))",
}  # fmt: skip
