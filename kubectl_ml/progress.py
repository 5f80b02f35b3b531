"""
What a command that waits says meanwhile: one changing line on a terminal, plain lines elsewhere.

It goes to stderr, so that stdout has only what was asked for.
"""

from __future__ import annotations

import shutil
from itertools import cycle
from typing import TextIO

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII_FRAMES = "|/-\\"
_ERASE = "\r\x1b[K"


class Progress:
    """Says how far something is; each text is said once, and turns on a terminal."""

    def __init__(self, stream: TextIO, *, live: bool) -> None:
        self._stream = stream
        self._live = live
        fancy = (stream.encoding or "").lower().startswith("utf")
        self._frames = cycle(_FRAMES if fancy else _ASCII_FRAMES)
        self._said = ""

    def say(self, text: str) -> None:
        """Say it; on a terminal in the place of what was said before."""
        if self._live:
            width = shutil.get_terminal_size().columns - 3
            self._stream.write(f"{_ERASE}{next(self._frames)} {text[:width]}")
            self._stream.flush()
        elif text != self._said:
            self._stream.write(f"{text}\n")
            self._stream.flush()
        self._said = text

    def clear(self) -> None:
        """Take the line back, for other output."""
        if self._live and self._said:
            self._stream.write(_ERASE)
            self._stream.flush()
            self._said = ""
