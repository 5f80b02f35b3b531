"""
Regular expressions: `'a1 b22'.findAll('[0-9]+')`, in linear time.

Python's own can take forever, so the runtime's replace does the work: it puts a mark before and
after as many matches as are wanted. k8s.io/apiserver/pkg/cel/library/regex.go
"""

from __future__ import annotations

from functools import cache
from typing import Any

from policies.functions.table import Function

_LIBRARIES = "name: regexes\nextensions:\n  - name: optional\n  - name: regex\n"
_MARKS = range(0xE000, 0xF8FF)  # for private use: hardly any text has them


@cache
def _replaced() -> Any:
    from cel_expr_python import cel  # here, because most policies have no expression

    of_text = dict.fromkeys(("text", "pattern", "by"), cel.Type.STRING) | {"most": cel.Type.INT}
    environment = cel.NewEnv(config=cel.NewEnvConfigFromYaml(_LIBRARIES), variables=of_text)
    return environment.compile("regex.replace(text, pattern, by, most)")


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    mark = _mark(text)
    found = _replaced().eval(
        data={"text": text, "pattern": pattern, "by": rf"{mark}\0{mark}", "most": max(limit, -1)}
    )
    if str(found.type()) == "ERROR":
        raise ValueError(f'illegal regular expression "{pattern}"')
    matches: list[str] = found.plain_value().split(mark)[1::2]
    return matches


def _mark(text: str) -> str:
    used = set(text)
    for number in _MARKS:
        if chr(number) not in used:
            return chr(number)
    raise ValueError("the text has all 6,399 letters of Unicode that are for private use")


def _find(text: str, pattern: str) -> str:
    return next(iter(_find_all(text, pattern, 1)), "")


FUNCTIONS = (
    Function("find", ("string", "string"), "string", _find),
    Function("findAll", ("string", "string"), "list<string>", _find_all),
    Function("findAll", ("string", "string", "int"), "list<string>", _find_all),
)
