"""Manifests from a URL, with a bound on time and size."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse

from kubectl_ml.errors import Unreadable

TIMEOUT_SECONDS = 30
MAX_BYTES = 32 * 1024 * 1024
_PIECE_BYTES = 64 * 1024


def get(url: str) -> bytes:
    """Fetch `url`, which begins with http:// or https://."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 -- the caller checks the scheme, and redirects lead to http, https and ftp only
            return _bounded(response, url, deadline)
    except urllib.error.HTTPError as error:
        error.close()
        raise _failed(url, f"the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _failed(url, str(error.reason)) from error
    except (OSError, HTTPException, ValueError) as error:
        raise _failed(url, str(error) or type(error).__name__) from error


def _bounded(response: HTTPResponse, url: str, deadline: float) -> bytes:
    body = bytearray()
    while piece := response.read1(_PIECE_BYTES):
        body += piece
        if len(body) > MAX_BYTES:
            raise _failed(url, f"it is larger than {MAX_BYTES // 1024 // 1024} MiB")
        if time.monotonic() > deadline:
            raise _failed(url, f"it took longer than {TIMEOUT_SECONDS} seconds")
    return bytes(body)


def _failed(url: str, why: str) -> Unreadable:
    return Unreadable(f"{url}: {why}", hint="can it be opened from this machine? try: curl -fL URL")
