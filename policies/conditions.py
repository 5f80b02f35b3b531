"""
CEL, with the variables of ValidatingAdmissionPolicy: compiled at load, bound once a review.

The runtime is imported only when some policy has an expression. It stops an expression after a
fixed number of iterations, and matches regular expressions in linear time.
https://kubernetes.io/docs/reference/using-api/cel/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

MAX_LENGTH = 8192
VARIABLES = ("object", "oldObject", "request", "namespaceObject", "params", "variables")
OF_A_MATCH = ("object", "oldObject", "request", "namespaceObject")
_AT = re.compile(r"<input>:(\d+):(\d+): (.*)")
_AUTHORIZER = re.compile(r"\bauthorizer\b")


class ExpressionError(Exception):
    """An expression that can't be used, with the sentence that says why."""


class EvaluationError(Exception):
    """An expression that gave no value this time, with the runtime's reason."""


class Expression:
    """One compiled expression."""

    def __init__(self, text: str, program: Any) -> None:
        self.text = text
        self._program = program

    def value(self, bound: Any) -> Any:
        """Evaluate for bound variables, or raise EvaluationError."""
        try:
            found = self._program.eval(bound)
            value = found.plain_value()
        except Exception as error:  # the runtime raises what it likes; all of it is "it failed"
            raise EvaluationError(_reason(str(error))) from error
        if str(found.type()) == "ERROR":
            raise EvaluationError(_reason(str(value)))
        return value

    def truth(self, bound: Any) -> bool:
        """Evaluate what is true or false, or raise EvaluationError."""
        value = self.value(bound)
        if not isinstance(value, bool):
            raise EvaluationError("it gave neither true nor false")
        return value


@lru_cache(maxsize=4096)
def compiled(text: str, wanted: str = "") -> Expression:
    """Compile an expression whose value is `wanted` (BOOL, STRING), or raise ExpressionError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"it is longer than {MAX_LENGTH} characters; take it apart")
    checked = _compiled(text, VARIABLES)
    given = str(checked.return_type())
    if wanted and given not in (wanted, "DYN"):
        raise ExpressionError(f"`{text}` gives {given}, not {wanted}; make it one that does")
    return Expression(text, _evaluator().deserialize(checked.serialize()))


def _compiled(text: str, variables: tuple[str, ...]) -> Any:
    try:
        return _checker(variables).compile(text)
    except Exception as error:
        raise ExpressionError(_fault(text, str(error))) from error


def of_match(text: str, variables: tuple[str, ...] = OF_A_MATCH) -> Iterator[str]:
    """Say what is wrong with an expression of `match.conditions`, which has fewer variables."""
    try:
        compiled(text, "BOOL")
        _compiled(text, variables)
    except ExpressionError as error:
        yield str(error)


def bind(values: Mapping[str, Any]) -> Any:
    """Bind variables once, for any number of expressions."""
    return _evaluator().Activation(dict(values))


@cache
def _checker(variables: tuple[str, ...]) -> Any:
    from cel_expr_python import cel  # here, because most policies have no expression

    from policies.functions import declared

    return declared.checker(cel, variables)


@cache
def _evaluator() -> Any:
    from cel_expr_python import cel  # as above

    from policies.functions import declared

    return declared.evaluator(cel, VARIABLES)


def _fault(text: str, error: str) -> str:
    found = _AT.search(error)
    if not found:
        return f"`{text}` can't be compiled: {_reason(error)}"
    line, column, message = found.groups()
    if _AUTHORIZER.search(message):
        message = "authorizer is not there: a decision asks the cluster nothing; take it out"
    lines = text.splitlines()
    shown = lines[int(line) - 1].strip() if int(line) <= len(lines) else text
    return (
        f"line {line}, column {column} of `{shown}`: {message.removesuffix(' [INVALID_ARGUMENT]')}"
    )


def _reason(error: str) -> str:
    return re.sub(r" ?\[[A-Z_]+\]$", "", error.splitlines()[0] if error else "no value")
