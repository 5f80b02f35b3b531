"""
Read and write manifests as YAML, by the rules that kubectl goes by.

kubectl reads plain scalars as sigs.k8s.io/yaml does: `yes`, `on` and `y` are booleans, `0777` is
octal, `1:30` and `2024-01-01` are strings, and every key is a string in the end. A file that
means one thing to kubectl must not mean another to us. JSON and KYAML are YAML too.

    documents("a: yes\n---\nb: 1:30") == [{"a": True}, {"b": "1:30"}]
    dump({"a": "yes"}) == 'a: "yes"\n'
"""

from __future__ import annotations

import base64
import io
import math
import re
from functools import lru_cache
from typing import Any

import yaml
from yaml._yaml import CParser

from policies.errors import PoliciesError

# Deeper than any manifest (a CRD's schema reaches about 60), well within Python's own limit.
MAX_DEPTH = 200
# What aliases may add to the nodes that are written out, so that a few lines can't fill the memory.
MAX_ALIASED_NODES = 100_000

_TAG = "tag:yaml.org,2002:"
_PLAIN = _TAG + "plain"  # ours: an unquoted scalar without a tag, to be resolved by `_resolve`
_WORDS: dict[str, Any] = {
    **dict.fromkeys(
        ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True
    ),
    **dict.fromkeys(
        ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False
    ),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
}
_INTEGER = re.compile(r"([-+]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_BASES = {"x": 16, "b": 2, "o": 8}

# What some reader of YAML 1.1 or 1.2 takes for something else than a string.
_MISREAD = re.compile(
    r"""  (?i: y|yes|n|no|true|false|on|off|null|~|<<|= )?
        | [-+]?\.?[0-9][0-9_,:]*\.?[0-9_]*(?:[eE][-+]?[0-9_]*)?   # numbers, sexagesimal ones too
        | [-+]?0(?: [xX][0-9a-fA-F_]+ | [oO][0-7_]+ | [bB][01_]+ )
        | [-+]?\.(?i: inf|nan )
        | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?: [Tt\ ].* )?           # dates
    """,
    re.VERBOSE | re.DOTALL,
)


class InvalidYAML(PoliciesError):  # noqa: N818 -- named for what it holds
    """Raised when a text can't be read as YAML; `line` counts from 1, 0 where it is unknown."""

    def __init__(self, problem: str, line: int = 0) -> None:
        self.problem = problem
        self.line = line
        super().__init__(f"line {line}: {problem}" if line else problem)


def documents(text: str | bytes) -> list[Any]:
    """Read every document of `text`; an empty one is None."""
    if text.lstrip()[:1] in ("{", b"{"):
        try:
            return [_json(text)]
        except ValueError:
            pass  # several documents, or YAML in flow style
    try:
        reader = _Reader(text)
    except (yaml.YAMLError, UnicodeError) as error:
        raise _invalid(error) from error
    try:
        found = []
        while reader.check_node():
            found.append(reader.value(reader.get_node()))
    except (yaml.YAMLError, UnicodeError) as error:
        raise _invalid(error) from error
    finally:
        reader.dispose()
    return found


def dump(value: Any) -> str:
    """
    Write one document as kubectl prints it: keys in their order, `- ` at the parent's indentation.

    A string that some reader could take for a number, a boolean or a date is quoted.
    """
    stream = io.StringIO()
    yaml.dump(
        value, stream, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=-1, indent=2
    )
    text = stream.getvalue()
    return text.removesuffix("...\n") if text.endswith("\n...\n") else text


# --- reading ----------------------------------------------------------------------------------


def _json(text: str | bytes) -> Any:
    """Read JSON, whose escaped surrogate pairs YAML doesn't know; ValueError if it is none."""
    import json

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            key = next(key for key in keys if keys.count(key) > 1)
            raise InvalidYAML(f'the key "{key}" is there twice; keep one')
        return found

    def refuse(name: str) -> None:
        raise InvalidYAML(f'"{name}" is no number that JSON can hold; quote it if it is text')

    try:
        value = json.loads(
            text,
            object_pairs_hook=unique,
            parse_constant=refuse,
            parse_int=_resolve,
            parse_float=_resolve,
        )
    except RecursionError as error:
        raise InvalidYAML(f"nested deeper than {MAX_DEPTH} levels") from error
    _check_depth(value)
    if "\\ud" in str(text).lower():
        _check_surrogates(json.dumps(value, ensure_ascii=False))
    return value


def _check_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidYAML("an escape is half of a surrogate pair; write both halves") from error


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH + 1:
            raise InvalidYAML(f"nested deeper than {MAX_DEPTH} levels")
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]


class _Reader(CParser):
    """libyaml's parser, and the values that its nodes stand for."""

    def __init__(self, text: str | bytes) -> None:
        super().__init__(text)
        # Every node that is written out takes a character, so more nodes than that are aliases'.
        self._budget = len(text) + MAX_ALIASED_NODES
        self._depth = 0

    # What the composer calls. It is C code that recurses without a bound, so the bound is here:
    # 100,000 open brackets would overflow the stack and end the process.
    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _TAG + "str"
        return _TAG + ("map" if kind is yaml.MappingNode else "seq")

    def descend_resolver(self, parent: Any, index: Any) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _too_deep(parent)

    def ascend_resolver(self) -> None:
        self._depth -= 1

    def value(self, node: Any) -> Any:
        """Build the value of `node` anew, so that no two places share one."""
        self._budget -= 1
        if self._budget < 0:
            raise _fault(node, f"its aliases stand for more than {MAX_ALIASED_NODES} values")
        if isinstance(node, yaml.ScalarNode):
            tag: str = node.tag
            return node.value if tag == "tag:yaml.org,2002:str" else _scalar(node)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _too_deep(node)
        found = self._mapping(node) if isinstance(node, yaml.MappingNode) else self._list(node)
        self._depth -= 1
        return found

    def _list(self, node: Any) -> list[Any]:
        _check_tag(node, "seq")
        return [self.value(item) for item in node.value]

    def _mapping(self, node: Any) -> dict[str, Any]:
        _check_tag(node, "map")
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.value == "<<" and key_node.tag == _PLAIN:
                self._merge(value_node, merged)
                continue
            key = _key(key_node)
            if key in found:
                raise _fault(key_node, f'the key "{key}" is there twice; keep one')
            found[key] = self.value(value_node)
        return merged | found if merged else found

    def _merge(self, node: Any, merged: dict[str, Any]) -> None:
        """Add what `<<` names; of several, the first that has a key gives it."""
        found = self.value(node)
        for source in found if isinstance(found, list) else [found]:
            if not isinstance(source, dict):
                raise _fault(node, '"<<" takes a mapping or a list of mappings')
            for key, value in source.items():
                merged.setdefault(key, value)


def _key(node: Any) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _fault(node, "a key is a list or a mapping; write a string")
    key = node.value if node.tag == "tag:yaml.org,2002:str" else _scalar(node)
    if key is None:
        raise _fault(node, "a key is empty or null; write a string")
    if isinstance(key, bool):
        return "true" if key else "false"
    return key if isinstance(key, str) else str(key)


def _scalar(node: Any) -> Any:
    """Read a scalar that isn't simply a string."""
    tag, text = node.tag, node.value
    if tag == _PLAIN:
        if _NOT_FINITE.fullmatch(text):
            raise _fault(node, f'"{text}" is no number that JSON can hold; quote it if it is text')
        return _resolve(text)
    if not tag.startswith(_TAG):  # `!local`: no one here knows it, kubectl ignores it too
        return text
    if tag == _TAG + "binary":
        return _binary(node)
    value = float(text) if tag == _TAG + "float" and _FLOAT.fullmatch(text) else _resolve(text)
    if tag == _TAG + "timestamp":
        return text
    if _NAMES.get(type(value)) != tag.removeprefix(_TAG):
        raise _fault(node, f'"{text}" is no !!{tag.removeprefix(_TAG)}')
    return value


_NAMES = {bool: "bool", int: "int", float: "float", type(None): "null"}


@lru_cache(maxsize=4096)
def _resolve(text: str) -> Any:
    """Say what a plain scalar stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "-+.0123456789":
        return text
    digits = text.replace("_", "") if text[0] != "." else text
    if match := _INTEGER.fullmatch(digits):
        number = _integer(match[1], match[2])
        return number if math.isfinite(number) else text
    if _FLOAT.fullmatch(digits):
        number = float(digits)
        return number if math.isfinite(number) else text
    return text


def _integer(sign: str, digits: str) -> int | float:
    base = _BASES.get(digits[1:2].lower(), 8 if digits[0] == "0" and digits != "0" else 10)
    if base == 10 and len(digits) > 20:  # reading a long decimal takes quadratic time
        return float(sign + digits)
    number = int(digits, base)
    number = -number if sign == "-" else number
    return number if -(2**63) <= number < 2**64 else float(number)


def _binary(node: Any) -> str:
    try:
        return base64.b64decode(node.value).decode()
    except ValueError as error:
        raise _fault(node, "!!binary holds no base64 of UTF-8 text") from error


def _check_tag(node: Any, name: str) -> None:
    if node.tag.startswith(_TAG) and node.tag != _TAG + name:
        raise _fault(node, f"the tag !!{node.tag.removeprefix(_TAG)} is not known; leave it out")


def _fault(node: Any, problem: str) -> InvalidYAML:
    return InvalidYAML(problem, node.start_mark.line + 1)


def _too_deep(node: Any) -> InvalidYAML:
    return _fault(node, f"nested deeper than {MAX_DEPTH} levels")


def _invalid(error: Exception) -> InvalidYAML:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return InvalidYAML(problem, mark.line + 1 if mark else 0)


# --- writing ----------------------------------------------------------------------------------


class _Writer(yaml.CSafeDumper):
    """PyYAML's safe dumper with kubectl's habits."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_string(writer: _Writer, text: str) -> yaml.Node:
    style = None
    if "\n" in text:
        style = "|"
    elif _MISREAD.fullmatch(text):
        style = '"'
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_float(writer: _Writer, number: float) -> yaml.Node:
    if not math.isfinite(number):
        raise ValueError("JSON has no infinity and no NaN")
    return yaml.CSafeDumper.represent_float(writer, number)


_Writer.add_representer(str, _represent_string)
_Writer.add_representer(float, _represent_float)
