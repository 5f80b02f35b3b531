"""Where in a file something stands: the line and column behind a JSON Pointer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from kubectl_ml import edits, findings
from kubectl_ml.documents import Document


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int = 1


class Places:
    """Finds places in one document; it is read again, with marks, only when one is asked for."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._root: Any = None

    def of(self, pointer: str) -> Place:
        """Say where the key or the item that `pointer` leads to begins, as far as it is there."""
        node = found = self._node()
        if found is None:
            return Place(file=self._document.source, line=self._document.line)
        if not pointer and isinstance(node, yaml.MappingNode):
            return self._place(node)
        for step in findings.steps(pointer):
            key, node = _child(node, step)
            if node is None:
                break
            found = key
        return self._place(found)

    def _node(self) -> Any:
        if self._root is None:
            text = self._document.raw.decode("utf-8-sig", errors="replace")
            try:
                self._root = edits.compose(text)
            except yaml.YAMLError:  # JSON that YAML doesn't know, such as escaped surrogate pairs
                return None
        return self._root

    def _place(self, node: Any) -> Place:
        return Place(
            file=self._document.source,
            line=self._document.line + node.start_mark.line,
            column=node.start_mark.column + 1,
        )


def _child(node: Any, step: str) -> tuple[Any, Any]:
    """Give what begins the child (a key, an item) and the child; None where there is none."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key, value
    if isinstance(node, yaml.SequenceNode) and step.isdigit() and int(step) < len(node.value):
        return node.value[int(step)], node.value[int(step)]
    return None, None
