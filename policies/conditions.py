"""
CEL, with the variables of ValidatingAdmissionPolicy: compiled at load, bound once a review.

The runtime is imported only when some policy has an expression. What it runs isn't the expression
as it was compiled but one that pays for its work, so that none can stall a review: policies.cost.
https://kubernetes.io/docs/reference/using-api/cel/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from policies.cost import EVERY, OVERLAID, budget
from policies.cost.budget import Budget

MAX_LENGTH = 8192
MAX_COMPILED = 32_768  # kept; fewer than are in force would be compiled anew at every review
MAX_OPT_MAPS = 8  # the macro writes its target twice, so a chain of 20 is a million nodes to parse
MAX_DEPTH = 100  # of a variable's value, which the runtime takes apart by recursion
VARIABLES = ("object", "oldObject", "request", "namespaceObject", "params", "variables")
OF_A_DEVICE = ("device",)  # in the selectors of a DeviceClass
OF_A_MATCH = ("object", "oldObject", "request", "namespaceObject")
NO_KEY = "no such key: "
_STATUS = re.compile(r"^[A-Z_]+: | ?\[[A-Z_]+\]$")  # the runtime's, around its sentence
_SAID, _END = 200, 80  # characters of a reason, and of its ends: it may repeat a long value
_AT = re.compile(r"<input>:(\d+):(\d+): (.*)")
_OPT_MAP = re.compile(r"\bopt(?:Flat)?Map\b")
_AUTHORIZER = re.compile(r"\bauthorizer\b")


class ExpressionError(Exception):
    """An expression that can't be used, with the sentence that says why."""


class EvaluationError(Exception):
    """An expression that gave no value this time, with the runtime's reason."""


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """Variables: those of a review, which the runtime takes over once, and those of a policy."""

    activation: Any
    of_policy: Mapping[str, Any]  # params, variables
    _prices: dict[tuple[str, str], float] = field(default_factory=dict)

    def beside(self, **of_policy: Any) -> Bound:
        """Give the same review other variables of a policy."""
        return Bound(self.activation, {**self.of_policy, **of_policy})

    def price(self, name: str, member: str, value: Any) -> float:
        """Price a member of a policy's variable, which doesn't change once it is there."""
        from policies.cost import prices  # here and below, as with the runtime

        found = self._prices.get((name, member))
        if found is None:
            found = self._prices[name, member] = prices.held(value)
        return found


class Expression:
    """One compiled expression; `nodes` is what it is made of."""

    def __init__(self, text: str, program: Any, nodes: int) -> None:
        self.text = text
        self._program = program
        self._nodes = nodes

    def value(self, bound: Bound) -> Any:
        """Evaluate for bound variables within the budget of a review, or raise EvaluationError."""
        spent = budget.running()
        if spent is None:
            with budget.review():
                return self.value(bound)
        token = _BOUND.set(bound)
        try:
            return self._value(bound, spent)
        except EvaluationError:
            raise
        except Exception as error:  # the runtime raises what it likes; all of it is "it failed"
            raise EvaluationError(_reason(str(error), spent)) from error
        finally:
            _BOUND.reset(token)

    def _value(self, bound: Bound, spent: Budget) -> Any:
        from policies.cost import prices

        spent.charge(prices.nodes(self._nodes))
        found = self._program.eval(bound.activation)
        value = found.plain_value()
        if str(found.type()) == "ERROR":
            raise EvaluationError(_reason(str(value), spent))
        if isinstance(value, (list, dict)):
            spent.charge(prices.held(value))
            if prices.depth(value) > MAX_DEPTH:
                raise EvaluationError(f"its value is nested more than {MAX_DEPTH} deep")
        return value

    def truth(self, bound: Bound) -> bool:
        """Evaluate what is true or false, or raise EvaluationError."""
        value = self.value(bound)
        if not isinstance(value, bool):
            raise EvaluationError("it gave neither true nor false")
        return value


@lru_cache(maxsize=MAX_COMPILED)
def compiled(text: str, wanted: str = "", variables: tuple[str, ...] = VARIABLES) -> Expression:
    """Compile an expression whose value is `wanted` (BOOL, STRING), or raise ExpressionError."""
    _judge_length(text)
    given, serialized = _compiled(text, variables)
    if wanted and given not in (wanted, "DYN"):
        raise ExpressionError(f"`{text}` gives {given}, not {wanted}; make it one that does")
    from policies.cost import refused, rewrite
    from policies.cost.tree import Tree

    tree = Tree.read(serialized)
    for number, message in refused.faults(tree):
        raise ExpressionError(_at(text, tree.positions.get(number, 0), message))
    nodes = rewrite.metered(tree)
    return Expression(text, _evaluator().deserialize(tree.write()), nodes)


def tree(text: str) -> bytes:
    """Give an expression's tree, a cel.expr.CheckedExpr of protobuf, or raise ExpressionError."""
    return _compiled(text, VARIABLES)[1]


def _compiled(text: str, variables: tuple[str, ...]) -> tuple[str, bytes]:
    """Give the type of an expression's value, and its tree."""
    try:
        checked = _checker(variables).compile(text)
        return str(checked.return_type()), checked.serialize()
    except Exception as error:
        raise ExpressionError(_fault(text, str(error))) from error


def _judge_length(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"it is longer than {MAX_LENGTH} characters; take it apart")
    if len(_OPT_MAP.findall(text)) > MAX_OPT_MAPS:
        raise ExpressionError(
            f"it has more than {MAX_OPT_MAPS} of optMap and optFlatMap; take it apart"
        )


def of_match(text: str, variables: tuple[str, ...] = OF_A_MATCH) -> Iterator[str]:
    """Say what is wrong with an expression of `match.conditions`, which has fewer variables."""
    try:
        compiled(text, "BOOL")
        _compiled(text, variables)
    except ExpressionError as error:
        yield str(error)


def bind(values: Mapping[str, Any]) -> Bound:
    """Bind variables once, for any number of expressions."""
    of_review = {name: value for name, value in values.items() if name not in OVERLAID}
    of_policy = {name: value for name, value in values.items() if name in OVERLAID}
    return Bound(_evaluator().Activation(of_review), of_policy)


_BOUND: ContextVar[Bound] = ContextVar("bound")


def _of_policy(name: str) -> Callable[[str], tuple[Any, float]]:
    """Give a variable of the policy whose turn it is, with the members that are used."""

    from policies.cost import prices

    def value(members: str) -> tuple[Any, float]:
        bound = _BOUND.get()
        found = bound.of_policy.get(name)
        if members == EVERY or not isinstance(found, Mapping):
            return found, prices.held(found)
        used = {one: found[one] for one in members.split(",") if one in found}
        return used, sum([bound.price(name, one, used[one]) for one in used])

    return value


@cache
def _checker(variables: tuple[str, ...]) -> Any:
    from cel_expr_python import cel  # here, because most policies have no expression

    from policies.functions import declared

    return declared.checker(cel, variables)


@cache
def _evaluator() -> Any:
    from cel_expr_python import cel  # as above

    from policies.cost import prices
    from policies.functions import declared

    priced = [
        *prices.declared(cel),
        *(prices.value_of(cel, f"@{name}", _of_policy(name)) for name in OVERLAID),
    ]
    return declared.evaluator(cel, (*VARIABLES, *OF_A_DEVICE), priced)


def _fault(text: str, error: str) -> str:
    found = _AT.search(error)
    if not found:
        return f"`{text}` can't be compiled: {_reason(error)}"
    line, column, message = found.groups()
    if _AUTHORIZER.search(message):
        message = "authorizer is not there: a decision asks the cluster nothing; take it out"
    return _shown(text, int(line), int(column), message.removesuffix(" [INVALID_ARGUMENT]"))


def _at(text: str, position: int, message: str) -> str:
    before = text[:position]
    return _shown(text, before.count("\n") + 1, position - before.rfind("\n"), message)


def _shown(text: str, line: int, column: int, message: str) -> str:
    lines = text.splitlines()
    shown = lines[line - 1].strip() if line <= len(lines) else text
    return f"line {line}, column {column} of `{shown}`: {message}"


def _reason(error: str, spent: Budget | None = None) -> str:
    if spent is not None and spent.is_spent:
        return spent.why()
    said = _STATUS.sub("", error.splitlines()[0] if error else "no value")
    said = said.replace("Key not found in map : ", NO_KEY)
    return said if len(said) <= _SAID else f"{said[:_END]}…{said[-_END:]}"
