"""How the runtime is told of the functions, which are told apart by what they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from policies.functions import addresses, lists, quantities, urls

_FUNCTIONS = (
    *quantities.FUNCTIONS,
    *lists.FUNCTIONS,
    *addresses.FUNCTIONS,
    *urls.FUNCTIONS,
)


def declared(cel: Any) -> list[Any]:
    """Declare every function; the runtime takes plain values alone."""
    types = {
        "S": cel.Type.STRING,
        "I": cel.Type.INT,
        "L": cel.Type.List(cel.Type.DYN),
        "M": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    }
    return [
        cel.FunctionDecl(
            name,
            [
                cel.Overload(
                    f"{name}_{'of' if one.member else 'from'}_{takes}",
                    return_type=types["M"] if one.gives == "MAP" else getattr(cel.Type, one.gives),
                    parameters=[types[letter] for letter in takes],
                    is_member=one.member,
                    impl=_plain(one.call),
                )
                for one in _FUNCTIONS
                if one.name == name
                for takes in one.takes.split()
            ],
        )
        for name in dict.fromkeys(one.name for one in _FUNCTIONS)
    ]


def _plain(call: Callable[..., Any]) -> Callable[..., Any]:
    """Hand plain values to a function, whatever the runtime wraps them in."""
    return lambda *given: call(*(_bare(one) for one in given))


def _bare(value: Any) -> Any:
    if hasattr(value, "plain_value"):
        return value.plain_value()
    if isinstance(value, list):
        return [_bare(one) for one in value]
    if isinstance(value, dict):
        return {key: _bare(one) for key, one in value.items()}
    return value
