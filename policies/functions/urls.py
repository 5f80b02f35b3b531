"""URLs: `url('https://example.com:80/').getHost()`."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from policies.functions.table import Function, holds, part

_URL = "url"


def _url(text: Any) -> dict[str, str]:
    found = urlsplit(text)
    if not (found.scheme and found.netloc) and not text.startswith("/"):
        raise ValueError("neither absolute nor a path")
    return {_URL: text}


def _split(value: Any) -> SplitResult:
    return urlsplit(str(part(_URL, value)))


FUNCTIONS = (
    Function("url", False, "S", "MAP", _url),
    Function("isURL", False, "S", "BOOL", holds(_url)),
    Function("getScheme", True, "M", "STRING", lambda value: _split(value).scheme),
    Function("getHost", True, "M", "STRING", lambda value: _split(value).netloc.rpartition("@")[2]),
    Function("getHostname", True, "M", "STRING", lambda value: _split(value).hostname or ""),
    Function("getPort", True, "M", "STRING", lambda value: str(_split(value).port or "")),
    Function("getEscapedPath", True, "M", "STRING", lambda value: _split(value).path),
    Function("getQuery", True, "M", "DYN", lambda value: parse_qs(_split(value).query)),
)  # fmt: skip
