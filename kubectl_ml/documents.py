r"""
Files of manifests, read one document at a time and written back byte for byte.

A text is cut at its `---` and `...` lines. At the start of a line these end a document whatever
stands around them (YAML forbids them even within block scalars and quotes), so no parser is
needed to find them, and the pieces put together are the text again. What is between two
documents (comments, blank lines, directives) is a piece without a value.

    b"# mine\n---\nkind: Pod\n"  ->  (b"# mine\n", None), (b"---\nkind: Pod\n", {"kind": "Pod"})
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kubectl_ml.errors import Unreadable
from policies import manifests
from policies.manifests import InvalidYAML

_BOM = codecs.BOM_UTF8
_OTHER_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLANKS = b" \t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """
    A piece of a file and what it says; `value` is None where there is nothing to say.

    `first` is the first piece of its file; `glued` follows another document without a `---`
    between them, as JSON objects in a row do.
    """

    source: str
    line: int
    raw: bytes
    value: Any = None
    first: bool = False
    glued: bool = False

    @property
    def where(self) -> str:
        """Say where it stands: `pod.yaml: line 12`."""
        return f"{self.source}: line {self.line}"


def read(lines: Iterable[bytes], source: str) -> Iterator[Document]:
    """Read the documents of one file."""
    directives = b""
    first = True
    for line, raw in split(lines):
        if first and raw.startswith(_OTHER_BOMS):
            raise Unreadable(f"{source}: this is UTF-16", hint="save the file as UTF-8")
        if _is_gap(raw):
            directives = raw if _has_directive(raw) else b""
            yield Document(source=source, line=line, raw=raw, first=first)
        else:
            yield from _values(raw, directives=directives, source=source, line=line, first=first)
            directives = b""
        first = False


def split(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Cut a text at its document markers; give each piece with the number of its first line."""
    piece: list[bytes] = []
    start = number = 1
    for number, line in enumerate(lines, 1):
        if _is_marker(line, b"---") and piece:
            yield start, b"".join(piece)
            piece, start = [], number
        piece.append(line)
        if _is_marker(line, b"..."):
            yield start, b"".join(piece)
            piece, start = [], number + 1
    if piece:
        yield start, b"".join(piece)


def rewritten(document: Document, text: str) -> bytes:
    """
    Give `document` with `text` in the place of its content.

    Its markers, its line ends and the comments above and below the content stay.
    """
    lines = document.raw.splitlines(keepends=True)
    above = _above(lines)
    below = _below(lines[len(above) :]) if len(above) < len(lines) else []
    if lines and _is_marker(lines[0].removeprefix(_BOM), b"---") and not above:
        above = [b"---\n"]  # `--- {kind: Pod}`: the content stood on the marker's line
    content = text.encode()
    if lines and lines[0].endswith(b"\r\n"):
        content = content.replace(b"\n", b"\r\n")
    return b"".join([*above, content, *below])


# --- finding the pieces ----------------------------------------------------------------------


def _is_marker(line: bytes, marker: bytes) -> bool:
    line = line.removeprefix(_BOM)
    return line[:3] == marker and (len(line) == 3 or line[3] in _BLANKS)


def _is_remark(line: bytes) -> bool:
    """Tell whether a line is blank or only a comment."""
    return line.lstrip(_BLANKS)[:1] in (b"", b"#")


def _without_marker(line: bytes) -> bytes:
    line = line.removeprefix(_BOM)
    return line[3:] if _is_marker(line, b"---") or _is_marker(line, b"...") else line


def _is_gap(raw: bytes) -> bool:
    return all(
        _is_remark(_without_marker(line)) or line.removeprefix(_BOM)[:1] == b"%"
        for line in raw.splitlines()
    )


def _has_directive(raw: bytes) -> bool:
    return any(line.removeprefix(_BOM)[:1] == b"%" for line in raw.splitlines())


def _above(lines: list[bytes]) -> list[bytes]:
    """Give the lines before the content: the marker, blank lines, comments."""
    for number, line in enumerate(lines):
        if not _is_remark(_without_marker(line) if number == 0 else line):
            return lines[:number]
    return lines


def _below(lines: list[bytes]) -> list[bytes]:
    """
    Give the lines after the content: comments at the margin, a `...` line.

    Blank lines before the first comment go: after a block scalar they would belong to it.
    """
    end = len(lines)
    while end and (
        lines[end - 1][:1] == b"#"
        or not lines[end - 1].strip(_BLANKS)
        or (_is_marker(lines[end - 1], b"..."))
    ):
        end -= 1
    while end < len(lines) and not lines[end].strip(_BLANKS):
        end += 1
    return lines[end:]


# --- reading them ----------------------------------------------------------------------------


def _values(
    raw: bytes, *, directives: bytes, source: str, line: int, first: bool
) -> Iterator[Document]:
    try:
        values = manifests.documents(directives + raw.removeprefix(_BOM))
    except InvalidYAML as error:
        pieces = list(_json_pieces(raw))
        if len(pieces) < 2:
            raise _unreadable(error, raw, source, line - directives.count(b"\n")) from error
    else:
        if len(values) != 1:
            raise Unreadable(
                f"{source}: line {line}: several documents without a line break before their `---`",
                hint="each `---` begins a line of its own",
            )
        yield Document(source=source, line=line, raw=raw, value=values[0], first=first)
        return
    for piece in pieces:
        yield from _json_document(piece, source=source, line=line, first=first)
        line += piece.count(b"\n")
        first = False


def _json_document(piece: bytes, *, source: str, line: int, first: bool) -> Iterator[Document]:
    try:
        [value] = manifests.documents(piece)
    except InvalidYAML as error:
        raise _unreadable(error, piece, source, line) from error
    yield Document(source=source, line=line, raw=piece, value=value, first=first, glued=not first)


def _json_pieces(raw: bytes) -> Iterator[bytes]:
    """Cut JSON objects that follow each other; nothing where it isn't that."""
    import json

    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return
    if text[_after_blanks(text, 0) :][:1] != "{":
        return
    decoder = json.JSONDecoder(strict=False)
    start, end = 0, _after_blanks(text, 0)
    pieces = []
    while end < len(text):
        try:
            _, end = decoder.raw_decode(text, end)
        except (ValueError, RecursionError):
            return
        end = _after_blanks(text, end)
        pieces.append(text[start:end].encode())
        start = end
    yield from pieces


def _after_blanks(text: str, position: int) -> int:
    while text[position : position + 1] in ("\ufeff", " ", "\t", "\r", "\n"):
        position += 1
    return position


def _unreadable(error: InvalidYAML, raw: bytes, source: str, line: int) -> Unreadable:
    number = line + max(error.line - 1, 0)
    return Unreadable(f"{source}: line {number}: {error.problem}", hint=_yaml_hint(raw, error.line))


def _yaml_hint(raw: bytes, line: int) -> str:
    lines = raw.splitlines()
    near = b"\n".join(lines[max(line - 2, 0) : line + 1])
    if b"{{" in raw:
        return "this looks like a Helm template: helm template CHART | kubectl ml render -f -"
    if any(each.lstrip(b" ")[:1] == b"\t" for each in near.split(b"\n")):
        return "YAML is indented with blanks, not with tabs"
    return "look at that line and the one above it: brackets, quotes, indentation"
