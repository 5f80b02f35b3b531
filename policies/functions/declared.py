"""
How the runtime is told of the functions: one environment checks expressions, another runs them.

The runtime takes plain values alone from functions, so it can't run what Kubernetes' types say: a
quantity and an address are both mappings to it. Its checker knows such types, though, and what it
has checked can be handed to an environment that knows less.
"""

from __future__ import annotations

import ctypes
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from policies.functions import (
    addresses,
    formats,
    lists,
    optionals,
    quantities,
    regexes,
    semvers,
    urls,
)
from policies.functions.table import KINDS, Function, taken_back

FUNCTIONS: tuple[Function, ...] = (
    *quantities.FUNCTIONS,
    *semvers.FUNCTIONS,
    *lists.FUNCTIONS,
    *regexes.FUNCTIONS,
    *addresses.FUNCTIONS,
    *urls.FUNCTIONS,
    *formats.FUNCTIONS,
)
_LIBRARIES = ("strings", "sets", "lists", "optional", "math", "cel.lib.ext.comprev2")
# string() is the runtime's own, which the checker doesn't let others add to.
_STRING = ("bool", "int", "uint", "double", "bytes", "string", "duration", "timestamp")
_OF_EXTENSIONS = ("indexOf", "lastIndexOf")
_NUMBERS = ("int", "uint", "double")
_ORDERS = {
    "_<_": "less", "_<=_": "less_equals", "_>_": "greater", "_>=_": "greater_equals",
}  # fmt: skip
_TYPE = re.compile(r"([^<>]+)(?:<(.*)>)?")


def checker(cel: Any, variables: Iterable[str]) -> Any:
    """Make an environment that compiles expressions, as strictly as Kubernetes' types allow."""
    own = [one for one in FUNCTIONS if one.name not in _OF_EXTENSIONS]
    own += [Function("string", (one,), "string", str, member=False) for one in _STRING]
    config = {
        "name": "admission",
        "extensions": [{"name": name} for name in _LIBRARIES],
        "stdlib": {"exclude_functions": [{"name": "string"}]},
        "functions": [
            {"name": name, "overloads": [_overload(one) for one in rows]}
            for name, rows in _grouped(own, lambda one: one.name)
        ],
    }
    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(json.dumps(config)),
        variables=dict.fromkeys(variables, cel.Type.DYN),
        extensions=[cel.CelExtension("kubernetes", list(_added(cel)))],
    )


def evaluator(cel: Any, variables: Iterable[str], more: Sequence[Any] = ()) -> Any:
    """Make an environment that runs what the checker has compiled, with more functions of ours."""
    _keep_none()
    extensions = "".join(f"\n  - name: {name}" for name in _LIBRARIES)
    rows = (*FUNCTIONS, *optionals.FUNCTIONS)
    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(f"name: admission\nextensions:{extensions}\n"),
        variables=dict.fromkeys(variables, cel.Type.DYN),
        functions=list(more),
        extensions=[
            cel.CelExtension(
                "kubernetes",
                [
                    cel.FunctionDecl(name, list(_implemented(cel, same)))
                    for name, same in _grouped(rows, lambda one: one.name)
                ],
            )
        ],
    )


def _keep_none() -> None:
    """
    Keep Python 3.11 from ending the program when the runtime has given it None often enough.

    The runtime gives None without counting the reference, and 3.11 counts them:
    https://github.com/cel-expr/cel-python/blob/main/cel_expr_python/py_cel_value.cc
    """
    if sys.version_info < (3, 12) and sys.implementation.name == "cpython":
        ctypes.c_ssize_t.from_address(id(None)).value += 1 << 48


def _grouped(
    rows: Iterable[Function], key: Callable[[Function], Any]
) -> Iterator[tuple[Any, list[Function]]]:
    found: dict[Any, list[Function]] = {}
    for one in rows:
        found.setdefault(key(one), []).append(one)
    yield from found.items()


# --- what the checker is told -----------------------------------------------------------------


def _overload(function: Function) -> dict[str, Any]:
    takes = [_type(one) for one in function.takes]
    found = {"id": _id(function), "args": takes, "return": _type(function.gives)}
    if function.member:
        found |= {"target": takes[0], "args": takes[1:]}
    return found


def _id(function: Function) -> str:
    return f"{function.name}({', '.join(function.takes)})"


def _type(text: str) -> dict[str, Any]:
    found = _TYPE.fullmatch(text)
    if not found:
        raise ValueError(f"{text} is not a type")
    name, inner = found.groups()
    if name.startswith("~"):
        return {"type_name": name[1:], "is_type_param": True}
    return {"type_name": name, "params": [_type(one) for one in inner.split(", ")] if inner else []}


def _added(cel: Any) -> Iterator[Any]:
    """Add to functions that the runtime has: lists with indexOf, numbers of two kinds in order."""
    for name, rows in _grouped(FUNCTIONS, lambda one: one.name):
        if name in _OF_EXTENSIONS:
            yield cel.FunctionDecl(name, [_of_types(cel, one) for one in rows])
    pairs = [(one, other) for one in _NUMBERS for other in _NUMBERS if one != other]
    for name in _ORDERS:
        rows = [Function(name, pair, "bool", bool, member=False) for pair in pairs]
        yield cel.FunctionDecl(name, [_of_types(cel, one) for one in rows])


def _of_types(cel: Any, function: Function) -> Any:
    return cel.Overload(
        _id(function),
        return_type=cel.Type(function.gives),
        parameters=[cel.Type(one) for one in function.takes],
        is_member=function.member,
    )


# --- what is run ------------------------------------------------------------------------------


def _implemented(cel: Any, rows: Sequence[Function]) -> Iterator[Any]:
    """Implement functions of one name, those together that the runtime can't tell apart."""
    for (member, kinds), same in _grouped(rows, lambda one: (one.member, _kinds(one))):
        yield cel.Overload(
            f"{rows[0].name}_{'of' if member else 'from'}_{'_'.join(kinds)}",
            return_type=cel.Type.DYN,
            parameters=[_known(cel, kind) for kind in kinds],
            is_member=member,
            impl=_chosen(same),
        )


def _kinds(function: Function) -> tuple[str, ...]:
    return tuple(_kind(one) for one in function.takes)


def _kind(text: str) -> str:
    name = text.partition("<")[0]
    return "map" if name in KINDS else "dyn" if name.startswith("~") else name


def _known(cel: Any, kind: str) -> Any:
    if kind == "map":
        return cel.Type.Map(cel.Type.DYN, cel.Type.DYN)
    if kind == "list":
        return cel.Type.List(cel.Type.DYN)
    return cel.Type(kind)


def _chosen(rows: Sequence[Function]) -> Callable[..., Any]:
    """Call the function whose types these are; the runtime knows only that they are mappings."""

    def call(*given: Any) -> Any:
        values = [_bare(one) for one in given]
        for one in rows:
            if all(map(_is, one.takes, values)):
                return taken_back(one.call(*values))
        raise ValueError(f"no such overload: {rows[0].name}")

    return call


def _is(kind: str, value: Any) -> bool:
    return kind not in KINDS or (isinstance(value, dict) and kind in value)


def _bare(value: Any) -> Any:
    """Take plain values out of what the runtime wraps them in."""
    if hasattr(value, "plain_value"):
        return value.plain_value()
    if isinstance(value, list):
        return [_bare(one) for one in value]
    if isinstance(value, dict):
        return {key: _bare(one) for key, one in value.items()}
    return value
