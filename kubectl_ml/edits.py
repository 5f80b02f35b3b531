"""
Change a YAML text so that it says another value, and leave every other byte as it is.

Comments, quotes and the order of keys are the user's; a parser that writes them back knows YAML
as it is, not as kubectl reads it. So the text is cut only where the value differs: the parser
tells where each node stands, new keys and items are put after their neighbors, and what can't be
done so is written anew, the smallest node that holds it. In the end the text is read again; if it
doesn't say what it should (aliases, tabs and the like), all of it is written anew.

    edited("a: 1  # mine\nb: [x]\n", {"a": 1, "b": ["x", "y"]}) == 'a: 1  # mine\nb: ["x", "y"]\n'
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from policies import manifests

_BOM = "\ufeff"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edit:
    start: int
    end: int
    text: str


def edited(text: str, value: Any) -> str:
    """Give `text`, one document, so changed that it says `value`."""
    text = text.removeprefix(_BOM)
    [old] = manifests.documents(text)
    if _same(old, value):
        return text
    try:
        changed = _applied(text, list(_Editor(text).edits(compose(text), old, value)))
        if _same(manifests.documents(changed), [value]):
            return changed
    except (manifests.InvalidYAML, yaml.YAMLError):
        pass
    return manifests.dump(value)


def compose(text: str) -> Any:
    """Give the node of a document that has been read before, with the place of each part."""
    return yaml.compose(text, Loader=yaml.CSafeLoader)


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same, `1` and `True` apart."""
    return one == other and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _applied(text: str, edits: list[_Edit]) -> str:
    pieces, position = [], 0
    for edit in sorted(edits, key=lambda each: each.start):  # of one place: the inner one first
        pieces += [text[position : edit.start], edit.text]
        position = edit.end
    return "".join([*pieces, text[position:]])


class _Editor:
    """Finds what to change in one text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def edits(self, node: Any, old: Any, new: Any, *, column: int = -1) -> Iterator[_Edit]:
        """Give the edits that turn `old`, which `node` says, into `new`."""
        if _same(old, new):
            return
        if _is_block(node) and isinstance(new, dict) and isinstance(old, dict):
            yield from self._mapping(node, old, new)
        elif _is_block(node) and isinstance(new, list) and isinstance(old, list):
            yield from self._sequence(node, old, new)
        else:
            yield self._anew(node, new, column)

    def _mapping(self, node: Any, old: dict[str, Any], new: dict[str, Any]) -> Iterator[_Edit]:
        nodes = {key.value: (key, value) for key, value in node.value}
        if set(nodes) != set(old) or old.keys() - new.keys():
            yield self._anew(node, new, -1)
            return
        column = node.start_mark.column
        for key, (_, value) in nodes.items():
            yield from self.edits(value, old[key], new[key], column=column)
        if added := {key: value for key, value in new.items() if key not in old}:
            yield self._after(node, _indented(manifests.dump(added), column), column)

    def _sequence(self, node: Any, old: list[Any], new: list[Any]) -> Iterator[_Edit]:
        places = _places(old, new)
        if places is None:
            yield self._anew(node, new, -1)
            return
        column = node.start_mark.column
        first = places[0]
        if first:
            start = node.start_mark.index
            text = _indented(manifests.dump(new[:first]), column) + " " * column
            yield _Edit(start=start, end=start, text=text)
        for item, was, place, end in zip(
            node.value, old, places, [*places[1:], len(new)], strict=True
        ):
            yield from self.edits(item, was, new[place])
            if added := new[place + 1 : end]:
                yield self._after(item, _indented(manifests.dump(added), column), column)

    def _after(self, node: Any, text: str, column: int) -> _Edit:
        """Put whole lines below `node`."""
        end = self._end(node)
        lines = " " * column + text.removesuffix("\n")
        if end and self.text[end - 1] == "\n":  # a block scalar ends with its line
            return _Edit(start=end, end=end, text=lines + "\n")
        at = self.text.find("\n", end)
        at = len(self.text) if at < 0 else at
        at -= at > end and self.text[at - 1] == "\r"
        return _Edit(start=at, end=at, text="\n" + lines)

    def _anew(self, node: Any, new: Any, column: int) -> _Edit:
        """Write a node anew: as a block where it stands in one, else as JSON, which is YAML."""
        start, end = node.start_mark.index, self._end(node)
        ends_line = self.text[start:end].endswith("\n")
        if _is_block(node) and isinstance(new, dict | list) and new:
            text = _indented(manifests.dump(new), node.start_mark.column).removesuffix("\n")
        elif column >= 0 and isinstance(new, dict | list) and new and self._is_last(end):
            text = "\n" + " " * (column + 2) + _indented(manifests.dump(new), column + 2)
            start, text = self._without_blanks(start), text.removesuffix("\n")
        else:
            blank = "" if self.text[start - 1 : start] in ("", " ", "\n") else " "
            text = blank + json.dumps(new, ensure_ascii=False)
        return _Edit(start=start, end=end, text=text + "\n" * ends_line)

    def _is_last(self, end: int) -> bool:
        """Tell whether nothing follows on the line, a comment neither."""
        line_end = self.text.find("\n", end)
        return not self.text[end : line_end if line_end >= 0 else None].strip()

    def _without_blanks(self, start: int) -> int:
        while self.text[start - 1 : start] == " ":
            start -= 1
        return start

    def _end(self, node: Any) -> int:
        """Say where the content of a node ends; the parser counts the comments below it in."""
        if not _is_block(node):
            return int(node.end_mark.index)
        last = node.value[-1]
        return self._end(last[1] if isinstance(last, tuple) else last)


def _is_block(node: Any) -> bool:
    return isinstance(node, yaml.CollectionNode) and not node.flow_style and bool(node.value)


def _indented(text: str, column: int) -> str:
    """Indent every line but the first; blank ones stay blank."""
    first, *rest = text.splitlines(keepends=True)
    return first + "".join(" " * column + line if line.strip() else line for line in rest)


def _places(old: Sequence[Any], new: Sequence[Any]) -> list[int] | None:
    """Say where each old item went; None where one is gone or they changed their order."""
    identities = [_identity(item) for item in new]
    places, start = [], 0
    for item in old:
        try:
            start = identities.index(_identity(item), start)
        except ValueError:
            return list(range(len(old))) if len(old) == len(new) else None
        places.append(start)
        start += 1
    return places


def _identity(item: Any) -> str:
    """Say what makes an item the same one: its name (or a mount's path), else all of it."""
    if isinstance(item, dict):
        for key in ("mountPath", "name"):
            if isinstance(item.get(key), str):
                return f"{key}={item[key]}"
    return json.dumps(item, sort_keys=True)
