"""
What `render` prints: a writer for each `-o`.

A writer collects text, not objects, so that 20,000 documents fit into little memory; it is
printed at the end, since a refusal prints nothing at all.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import orjson

from kubectl_ml import documents
from kubectl_ml.documents import Document
from policies import manifests
from policies.model import JSONPatch, Manifest

_RED, _GREEN, _CYAN, _BOLD, _PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[36m", "\x1b[1m", "\x1b[0m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one object."""

    reference: str
    before: Manifest
    after: Manifest
    patch: JSONPatch


class Writer(Protocol):
    """Takes one document after the other and prints what became of all."""

    def add(self, document: Document, value: Manifest | None, results: Sequence[Result]) -> None:
        """Take a document; `value` is what it becomes, None where it stays as it is."""

    def write(self, stream: BinaryIO) -> None:
        """Print all of it."""


class YAMLWriter:
    """Documents as they came; those that changed are written anew."""

    def __init__(self) -> None:
        self._text = io.BytesIO()
        self._rewrote = False
        self._last = b"\n"

    def add(self, document: Document, value: Manifest | None, results: Sequence[Result]) -> None:
        """Take a document; it stays as it came where `value` is None."""
        raw = document.raw
        if value is not None:
            raw = documents.rewritten(document, manifests.dump(value))
        rewrote = value is not None
        if document.first and self._text.tell():
            raw = raw.removeprefix(b"\xef\xbb\xbf")
            self._separate(raw)
        elif document.glued and (rewrote or self._rewrote):
            self._separate(raw)
        self._write(raw)
        self._rewrote = rewrote

    def _separate(self, following: bytes) -> None:
        """Begin a new document where the text doesn't do so itself."""
        if not self._last.endswith(b"\n"):
            self._write(b"\n")
        if following.startswith(b"%"):
            self._write(b"...\n")  # a directive is one only after the end of a document
        elif following[:3] != b"---" or following[3:4].strip():
            self._write(b"---\n")

    def _write(self, raw: bytes) -> None:
        if raw:
            self._text.write(raw)
            self._last = raw[-1:]

    def write(self, stream: BinaryIO) -> None:
        """Print all of it."""
        stream.write(self._text.getbuffer())


class JSONWriter:
    """One object, or a List of all."""

    def __init__(self) -> None:
        self._only = b""  # the document, as long as it is the only one
        self._documents = 0
        self._items = io.BytesIO()

    def add(self, document: Document, value: Manifest | None, results: Sequence[Result]) -> None:
        """Take a document."""
        if document.value is None:
            return
        whole = document.value if value is None else value
        self._documents += 1
        self._only = b"" if self._documents > 1 else _json(whole)
        items = whole.get("items") if whole["kind"] == "List" else None
        for item in items if isinstance(items, list) else [whole]:
            self._items.write(b",\n    " if self._items.tell() else b"\n    ")
            self._items.write(_json(item).replace(b"\n", b"\n    "))

    def write(self, stream: BinaryIO) -> None:
        """Print all of it."""
        if self._only:
            stream.write(self._only + b"\n")
            return
        stream.write(b'{\n  "apiVersion": "v1",\n  "kind": "List",\n  "items": [')
        stream.write(self._items.getbuffer())
        stream.write(b"\n  ]\n}\n" if self._items.tell() else b"]\n}\n")


class PatchWriter:
    """A line an object: its reference and the JSON Patch for it."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def add(self, document: Document, value: Manifest | None, results: Sequence[Result]) -> None:
        """Take the lines of a document."""
        self._lines.extend(
            orjson.dumps(
                {"ref": result.reference, "patch": result.patch}, option=orjson.OPT_APPEND_NEWLINE
            )
            for result in results
        )

    def write(self, stream: BinaryIO) -> None:
        """Print all of it."""
        stream.writelines(self._lines)


class DiffWriter:
    """A unified diff of each object that changes."""

    def __init__(self, *, color: bool, done: str = "rendered") -> None:
        self._color, self._done = color, done
        self._lines: list[str] = []

    def add(self, document: Document, value: Manifest | None, results: Sequence[Result]) -> None:
        """Take the differences of a document."""
        import difflib

        for result in results:
            if result.patch:
                self._lines += difflib.unified_diff(
                    manifests.dump(result.before).splitlines(keepends=True),
                    manifests.dump(result.after).splitlines(keepends=True),
                    fromfile=f"{document.source}: {result.reference}",
                    tofile=f"{document.source}: {result.reference} ({self._done})",
                )

    def write(self, stream: BinaryIO) -> None:
        """Print all of it."""
        lines = map(_colored, self._lines) if self._color else self._lines
        stream.writelines(line.encode() for line in lines)


def writer(name: str, *, color: bool = False, done: str = "rendered") -> Writer:
    """Give the writer for `-o name`."""
    match name:
        case "json":
            return JSONWriter()
        case "patch":
            return PatchWriter()
        case "diff":
            return DiffWriter(color=color, done=done)
        case _:
            return YAMLWriter()


def _json(value: Manifest) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2)
    except TypeError:  # an integer of more than 64 bits
        import json

        return json.dumps(value, indent=2, ensure_ascii=False).encode()


def _colored(line: str) -> str:
    color = {"---": _BOLD, "+++": _BOLD}.get(line[:3]) or {
        "-": _RED,
        "+": _GREEN,
        "@": _CYAN,
    }.get(line[:1])
    return f"{color}{line.removesuffix(chr(10))}{_PLAIN}\n" if color else line
