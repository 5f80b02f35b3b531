"""
Types of values, and the fields that objects of Kubernetes have.

`kubernetes.json` is made from the `kubernetes` client by `make generate`. There `[Container` is a
list of containers, `{string` a map from strings to strings, `dyn` what can be of any type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

_ARTICLES = {"int": "an int", "object": "an object", "optional": "an optional value"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """
    The type of a value.

    `name` is dyn (not known), bool, int, uint, double, string, bytes, null, list, map, optional,
    object, or nothing (an item of an empty list). `of` is what a list, a map or an optional value
    holds, `key` what a map's keys are, `title` and `members` are an object's: its fields as
    `kubernetes.json` writes them, where `open` says that there may be more.
    """

    name: str
    of: Type | None = None
    key: Type | None = None
    title: str = ""
    members: Mapping[str, Type | str] = field(default_factory=dict, compare=False)
    open: bool = False

    @property
    def known(self) -> bool:
        """Tell whether anything is known of it."""
        return self.name not in ("dyn", "nothing")

    @property
    def item(self) -> Type:
        """Say what is in it; dyn where that isn't known."""
        return self.of if self.of and self.of.name != "nothing" else DYN

    def __str__(self) -> str:
        """Say it with its article: `a list`, `an int`."""
        return _ARTICLES.get(self.name, f"a {self.name}")


DYN, NOTHING, NULL = Type(name="dyn"), Type(name="nothing"), Type(name="null")
BOOL, INT, UINT, DOUBLE = (Type(name=name) for name in ("bool", "int", "uint", "double"))
STRING, BYTES = Type(name="string"), Type(name="bytes")
_PLAIN = {one.name: one for one in (DYN, BOOL, INT, DOUBLE, STRING)}


def list_of(item: Type) -> Type:
    """Make the type of a list."""
    return Type(name="list", of=item)


def map_of(key: Type, value: Type) -> Type:
    """Make the type of a map."""
    return Type(name="map", key=key, of=value)


def optional(value: Type) -> Type:
    """Make the type of a value that may not be there."""
    return Type(name="optional", of=value)


def member(of: Type, name: str) -> Type | None:
    """Give the type of an object's field; None where it has no such field."""
    found = of.members.get(name)
    if found is None:
        return DYN if of.open else None
    return found if isinstance(found, Type) else written(found)


@cache
def written(text: str) -> Type:
    """Read a type as the table has it."""
    if text.startswith("["):
        return list_of(written(text[1:]))
    if text.startswith("{"):
        return map_of(STRING, written(text[1:]))
    return _PLAIN.get(text) or titled(text)


@cache
def titled(title: str) -> Type:
    """Give a type of Kubernetes by its name: `PodSpec`."""
    return Type(name="object", title=title, members=_table()["types"][title])


def of_kind(kind: str) -> Type:
    """Give the type of a kind, `Job.batch`; of one that isn't known only its metadata is."""
    title = _table()["kinds"].get(kind)
    return titled(title) if title else ANY_OBJECT


def of_value(value: Any) -> Type:
    """Say of which type a JSON value is; an object's fields are all that there are."""
    if isinstance(value, dict):
        members = {name: of_value(each) for name, each in value.items()}
        return Type(name="object", title="value", members=members)
    if isinstance(value, list):
        return list_of(joined(tuple(of_value(each) for each in value)))
    for kind, found in ((bool, BOOL), (int, INT), (float, DOUBLE), (str, STRING)):
        if isinstance(value, kind):
            return found
    return DYN


def joined(types: tuple[Type, ...]) -> Type:
    """Give the type that all of them are of; dyn where they aren't of one."""
    found = NOTHING
    for one in types:
        found = _both(found, one)
    return found


def _both(one: Type, other: Type) -> Type:
    if one == other or other.name == "nothing":
        return one
    if one.name == "nothing":
        return other
    if one.name == other.name and one.of and other.of and one.key == other.key:
        return Type(name=one.name, key=one.key, of=_both(one.of, other.of))
    return DYN


@cache
def _table() -> Mapping[str, Any]:
    import orjson

    found: Mapping[str, Any] = orjson.loads(
        (resources.files("kubectl_ml.celtypes") / "kubernetes.json").read_bytes()
    )
    return found


ANY_OBJECT = Type(
    name="object",
    title="any",
    members={"apiVersion": STRING, "kind": STRING, "metadata": "ObjectMeta"},
    open=True,
)
