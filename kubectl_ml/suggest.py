"""The nearest known word to one that is unknown."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 40  # more names than that are not listed
SHOWN = 20  # but these


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """
    Say which known word is meant, to be put at the end of a sentence; else say which there are.

    did_you_mean("rendr", ["render", "version"]) == '; did you mean "render"?'
    did_you_mean("foo", ["render", "version"]) == "; known: render, version"
    """
    from difflib import get_close_matches  # only where something is wrong: it costs 3 ms

    words = list(known)
    folded = {word.lower(): word for word in words}
    near = get_close_matches(word.lower(), folded, n=1)
    if near:
        return f'; did you mean "{folded[near[0]]}"?'
    more = len(words) - SHOWN if len(words) > MOST else 0
    shown = [*words[:SHOWN], f"and {more} more"] if more else words
    return f"; known: {', '.join(shown)}" if shown else ""
