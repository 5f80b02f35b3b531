"""
Regular expressions: `'a1 b22'.findAll('[0-9]+')`, in linear time.

Python's own can take forever, so the runtime's replace does the work: it puts a mark before and
after what matches. k8s.io/apiserver/pkg/cel/library/regex.go
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

    of_text = dict.fromkeys(("text", "pattern", "by"), cel.Type.STRING)
    environment = cel.NewEnv(config=cel.NewEnvConfigFromYaml(_LIBRARIES), variables=of_text)
    return environment.compile("regex.replace(text, pattern, by)")


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    mark = next(chr(one) for one in _MARKS if chr(one) not in text)
    found = _replaced().eval(data={"text": text, "pattern": pattern, "by": rf"{mark}\0{mark}"})
    if str(found.type()) == "ERROR":
        raise ValueError(f'illegal regular expression "{pattern}"')
    matches: list[str] = found.plain_value().split(mark)[1::2]
    return matches if limit < 0 else matches[:limit]


def _find(text: str, pattern: str) -> str:
    return next(iter(_find_all(text, pattern)), "")


FUNCTIONS = (
    Function("find", ("string", "string"), "string", _find),
    Function("findAll", ("string", "string"), "list<string>", _find_all),
    Function("findAll", ("string", "string", "int"), "list<string>", _find_all),
)
