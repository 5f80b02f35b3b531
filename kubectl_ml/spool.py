"""
Rows of a long run, kept in a temporary file and not in memory: one line of JSON a row.

What is spooled are plain values; who spools knows what they mean.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from typing import Any, Self

import orjson

_IN_MEMORY_BYTES = 4 * 1024 * 1024  # a run of a few thousand rows writes no file at all


class Spool:
    """Takes values, and gives them back in their order as often as they are asked for."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 -- closed by close()
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def add(self, value: Any) -> None:
        """Take one value."""
        self._file.write(_line(value))
        self.count += 1

    def __iter__(self) -> Iterator[Any]:
        self._file.seek(0)
        for line in self._file:
            yield _value(line)


def _line(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(value).encode() + b"\n"


def _value(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return json.loads(line)
