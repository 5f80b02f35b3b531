"""
A working copy of one object, and the JSON Patch (RFC 6902) that comes of editing it.

A `Draft` copies only what is touched, so what is still the same object needs no comparing: the
patch costs as much as the edits, not as much as the object.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

from policies.model import JSONPatch

# A member's name, an element's index, or (key, value): the element with that member, made
# if need be. A key `jobs.name` is that of the elements of a list in it: the last element of which
# one has that member, made with a list of this one.
Step: TypeAlias = str | int | tuple[str, str]
Path: TypeAlias = tuple[Step, ...]


def escape(token: str) -> str:
    """Write a member's name as a JSON Pointer token (RFC 6901)."""
    return token.replace("~", "~0").replace("/", "~1") if "~" in token or "/" in token else token


class Absent:
    """The type of ABSENT, the value that was there where nothing was."""

    def __repr__(self) -> str:
        """Show it by its name."""
        return "ABSENT"


ABSENT = Absent()


@lru_cache(maxsize=16384)
def pointer(path: Path) -> str:
    """Write a path without (key, value) steps as a JSON Pointer."""
    return "".join([f"/{escape(step) if isinstance(step, str) else step}" for step in path])


def tokens(text: str) -> list[str]:
    """Take a JSON Pointer apart."""
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def element(items: Any, key: str, value: str) -> int:
    """Find the index of the element of `items` whose member `key` is `value`; -1: none."""
    if "." in key:
        return _last_with(items, key, value)
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict) and item.get(key) == value:
            return index
    return -1


def _last_with(items: Any, key: str, value: str) -> int:
    """Find the last element that has, in a list, one with that member: later ones override."""
    member, _, inner = key.partition(".")
    found = -1
    for index, item in enumerate(items if isinstance(items, list) else ()):
        below = item.get(member) if isinstance(item, dict) else None
        if element(below, inner, value) >= 0:
            found = index
    return found


def made(key: str, value: str) -> dict[str, Any]:
    """Make the element that (key, value) finds."""
    member, dot, inner = key.partition(".")
    return {member: [made(inner, value)] if dot else value}


def lookup(node: Any, path: Path) -> Any:
    """Read what is at `path`; None where nothing is."""
    for step in path:
        if node.__class__ is dict:
            node = node.get(step)  # a (key, value) step is no key of JSON
        elif node.__class__ is list:
            index = element(node, *step) if isinstance(step, tuple) else step
            if isinstance(index, str) or not 0 <= index < len(node):
                return None
            node = node[index]
        else:
            return None
    return node


class Draft:
    """
    An object being edited; `object` is its present state, the original is never changed.

    Edits assume that what they walk through are maps and lists, or absent (null counts as absent).
    `touched` tells where something came to be in what was empty, and what was there: ABSENT, null,
    an empty map or an empty list.
    """

    __slots__ = ("_at", "_owned", "object", "original", "touched")

    def __init__(self, original: Any) -> None:
        self.original = original
        self.object = original
        self.touched: list[tuple[Path, Any]] = []
        self._owned: dict[int, Any] = {}  # by id; holding them keeps the ids from being reused
        self._at: dict[
            Path, Any
        ] = {}  # the owned container at a path, so that few walks are needed

    def fork(self) -> Draft:
        """Start a draft from the present state, which edits of this or the fork don't share."""
        self._owned, self._at = {}, {}
        other = Draft(self.original)
        other.object = self.object
        return other

    def get(self, path: Path) -> Any:
        """Read what is at `path` now; None where nothing is."""
        known = self._at
        found = known.get(path)
        if found is not None:
            return found
        parent = known.get(path[:-1])
        if parent is None:
            return lookup(self.object, path)
        # Most reads are of a member of a map that was edited before.
        return parent.get(path[-1]) if parent.__class__ is dict else lookup(parent, path[-1:])

    def set(self, path: Path, value: Any) -> None:
        """Put `value` at `path`, making the maps on the way."""
        container, last = self._container(path[:-1]), self._last(path)
        if container.get(last) is not None if container.__class__ is dict else True:
            self._at.clear()  # what is replaced may be known by its path
        elif last in container:
            self.touched.append((path, None))
        container[last] = value

    def append(self, path: Path, value: Any) -> int:
        """Add `value` to the end of the list at `path`, made if need be; tell its index."""
        items = self._container(path, make=list)
        items.append(value)
        return len(items) - 1

    def remove(self, path: Path) -> None:
        """Take out what is at `path`, and the maps and lists that this leaves empty but one."""
        if not self.take_out(path) and len(path) > 2:
            self.remove(path[:-1])

    def take_out(self, path: Path) -> Any:
        """Take out what is at `path` and nothing else; give what held it."""
        container = self._container(path[:-1])
        del container[self._last(path)]
        self._at.clear()
        return container

    def resolve(self, path: Path) -> Path:
        """Replace each (key, value) step by the index of its element."""
        node, resolved = self.object, []
        for step in path:
            if isinstance(step, tuple):
                step = element(node, *step)
            resolved.append(step)
            node = lookup(node, (step,))
        return tuple(resolved)

    def patch(self) -> JSONPatch:
        """Write the smallest JSON Patch from the original to the present state."""
        operations: JSONPatch = []
        _compare(self.original, self.object, "", operations)
        return operations

    def _last(self, path: Path) -> Any:
        return self.resolve(path)[-1] if isinstance(path[-1], tuple) else path[-1]

    def _container(self, path: Path, make: type = dict) -> Any:
        """Walk to the container at `path`, copying what isn't owned and making what isn't there."""
        known = self._at
        found = known.get(path)
        if found is not None:
            return found
        if not path:
            node = self.object
            if id(node) not in self._owned:
                node = self.object = self._own(node.copy())
        else:
            step = path[-1]
            parent = self._container(path[:-1], list if step.__class__ is tuple else dict)
            node = self._step(parent, path, make)
        known[path] = node
        return node

    def _step(self, node: Any, path: Path, kind: type) -> Any:
        step = path[-1]
        if isinstance(step, tuple):
            index = element(node, *step)
            if index < 0:
                node.append(self._own(made(*step)))
                return node[-1]
            step = index
        child = node.get(step) if node.__class__ is dict else node[step]
        if id(child) in self._owned:
            return child
        if not child:
            missing = child is None and node.__class__ is dict and step not in node
            self.touched.append((path, ABSENT if missing else child))
        child = kind() if child is None else child.copy()
        node[step] = self._own(child)
        return child

    def _own(self, container: Any) -> Any:
        self._owned[id(container)] = container
        return container


def _compare(before: Any, after: Any, at: str, operations: JSONPatch) -> None:
    if before is after:
        return
    if before.__class__ is dict and after.__class__ is dict:
        _compare_maps(before, after, at, operations)
    elif before.__class__ is list and after.__class__ is list:
        _compare_lists(before, after, at, operations)
    elif type(before) is not type(after) or before != after:
        operations.append({"op": "replace", "path": at, "value": after})


def _compare_maps(before: Any, after: Any, at: str, operations: JSONPatch) -> None:
    added = 0
    for key, value in after.items():
        old = before.get(key, ABSENT)
        if old is value:
            continue
        if old is ABSENT:
            added += 1
            operations.append({"op": "add", "path": f"{at}/{escape(key)}", "value": value})
        else:
            _compare(old, value, f"{at}/{escape(key)}", operations)
    if len(before) != len(after) - added:
        operations += [
            {"op": "remove", "path": f"{at}/{escape(key)}"} for key in before if key not in after
        ]


def _compare_lists(before: Any, after: Any, at: str, operations: JSONPatch) -> None:
    if len(before) <= len(after):
        for index, item in enumerate(before):
            if item is not after[index]:
                _compare(item, after[index], f"{at}/{index}", operations)
        for index in range(len(before), len(after)):
            operations.append({"op": "add", "path": f"{at}/{index}", "value": after[index]})
        return
    start = 0
    while start < len(after) and before[start] == after[start]:
        start += 1
    end = 0
    while end < len(after) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    if start + end == len(after):
        operations.extend(
            {"op": "remove", "path": f"{at}/{index}"}
            for index in range(len(before) - end - 1, start - 1, -1)
        )
    else:
        operations.append({"op": "replace", "path": at, "value": after})
