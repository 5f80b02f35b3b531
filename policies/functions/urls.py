"""
URLs: `url('https://example.com:80/').getHost()`, read as Go's net/url reads them.

k8s.io/apiserver/pkg/cel/library/urls.go; it differs from Python's urlsplit in what it refuses.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_letters, digits
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from policies.functions.table import URL, Function, holds, part

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.ASCII | re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.ASCII | re.DOTALL)
_PORT = re.compile(r"(?::[0-9]*)?", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*", re.ASCII)
_NOT_OF_A_HOST = re.compile(r"[^A-Za-z0-9\-._~!\"$&'()*+,:;<=>\[\]\x80-\U0010ffff]", re.ASCII)
_ESCAPED_ASCII = re.compile(r"%(?!25)[0-7][0-9A-Fa-f]", re.ASCII)
_OF_A_PATH = frozenset(f"{ascii_letters}{digits}-._~$&+,/:;=@".encode())
_ENCODED_PATH = _OF_A_PATH | frozenset(b"!'()*[]%")
_MAX_PARAMETERS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parsed:
    """The parts of a URL that there are functions for, and what tells it from others."""

    scheme: str = ""
    user: str = ""
    host: str = ""
    path: str = ""
    query: str = ""
    opaque: str = ""


def request_uri(text: str) -> None:
    """Raise ValueError, with Go's sentence, unless a text is an absolute URI or path."""
    try:
        _parsed(text, of_request=True)
    except ValueError as error:
        raise ValueError(f"parse {json.dumps(text, ensure_ascii=False)}: {error}") from None


def _url(text: str) -> dict[str, Any]:
    request_uri(text)
    rest, _, fragment = text.partition("#")
    found = _parsed(rest, of_request=False)
    _checked(fragment)
    host, port = _split_port(found.host)
    return {
        URL: [found.user, found.opaque, _text(unquote_to_bytes(fragment))],
        "scheme": found.scheme, "host": found.host, "hostname": host, "port": port,
        "path": found.path, "query": found.query,
    }  # fmt: skip


def _parsed(text: str, *, of_request: bool) -> _Parsed:
    _judge_whole(text)
    if text == "*":
        return _Parsed(path="*")
    found = _SCHEME.fullmatch(text)
    scheme, rest = (found[1].lower(), found[2]) if found else ("", text)
    rest, _, query = rest.partition("?")
    if scheme and not rest.startswith("/"):
        return _Parsed(scheme=scheme, opaque=rest, query=query)
    if of_request and not rest.startswith("/"):
        _refuse("invalid URI for request")
    user = host = ""
    if rest.startswith("//") and (scheme or not (of_request or rest.startswith("///"))):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        user, host = _authority(authority, scheme)
    return _Parsed(scheme=scheme, user=user, host=host, path=_path(rest), query=query)


def _judge_whole(text: str) -> None:
    if _CONTROL.search(text):
        _refuse("net/url: invalid control character in URL")
    if not text:
        _refuse("empty url")
    if text.startswith(":"):
        _refuse("missing protocol scheme")


def _refuse(message: str) -> NoReturn:
    raise ValueError(message)


def _checked(text: str) -> str:
    """Give a text back whose escapes are whole; raises ValueError for others."""
    found = _BAD_ESCAPE.search(text)
    if found:
        _refuse(f"invalid URL escape {json.dumps(found[0], ensure_ascii=False)}")
    return text


def _authority(text: str, scheme: str) -> tuple[str, str]:
    user, _, host = text.rpartition("@")
    found = _host(host, scheme)
    if not _USER.fullmatch(user):
        _refuse("net/url: invalid userinfo")
    return _checked(user), found


def _host(text: str, scheme: str) -> str:
    opened = text.rfind("[")
    if opened > 0:
        _refuse("invalid IP-literal")
    if opened == 0:
        return _literal(text)
    first, last = text.find(":"), text.rfind(":")
    at = first if scheme in ("http", "https") else last
    if at >= 0 and not _PORT.fullmatch(text[at:]):
        _refuse(f"invalid port {json.dumps(text[at:])} after host")
    return _of_a_host(text)


def _literal(text: str) -> str:
    inner, closed, port = text[1:].rpartition("]")
    if not closed:
        _refuse("missing ']' in host")
    if not _PORT.fullmatch(port):
        _refuse(f"invalid port {json.dumps(port)} after host")
    inner = _of_a_host(inner.replace("%25", "%", 1) if "%25" in inner else inner)
    try:
        version = ipaddress.ip_address(inner).version
    except ValueError as error:
        raise ValueError(f"invalid host: {error}") from None
    if version == 4:
        _refuse("invalid IP-literal")
    return f"[{inner}]{port}"


def _of_a_host(text: str) -> str:
    _checked(text)
    found = _ESCAPED_ASCII.search(text)
    if found:
        _refuse(f'invalid URL escape "{found[0]}"')
    found = _NOT_OF_A_HOST.search(text.replace("%", ""))
    if found:
        _refuse(f"invalid character {json.dumps(found[0])} in host name")
    return _text(unquote_to_bytes(text))


def _text(read: bytes) -> str:
    return read.decode(errors="replace")


def _path(text: str) -> str:
    """Give a path with what must be escaped escaped, as it was written where that will do."""
    read = unquote_to_bytes(_checked(text))
    if all(one in _ENCODED_PATH for one in text.encode()):
        return text
    return "".join(chr(one) if one in _OF_A_PATH else f"%{one:02X}" for one in read)


def _split_port(host: str) -> tuple[str, str]:
    at = host.rfind(":")
    port = ""
    if at >= 0 and _PORT.fullmatch(host[at:]):
        host, port = host[:at], host[at + 1 :]
    return (host[1:-1] if host.startswith("[") and host.endswith("]") else host), port


def _query(value: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, one in _parameters(part("query", value)):
        found.setdefault(key, []).append(one)
    return found


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    """Give what a query says; what can't be read is left out."""
    pairs = text.split("&")
    for pair in pairs if len(pairs) <= _MAX_PARAMETERS else ():
        if pair and ";" not in pair and not _BAD_ESCAPE.search(pair):
            key, _, one = pair.replace("+", " ").partition("=")
            yield _text(unquote_to_bytes(key)), _text(unquote_to_bytes(one))


def _getter(name: str, member: str) -> Function:
    return Function(name, (URL,), "string", lambda value: part(member, value))


FUNCTIONS = (
    Function("url", ("string",), URL, _url, member=False),
    Function("isURL", ("string",), "bool", holds(request_uri), member=False),
    _getter("getScheme", "scheme"),
    _getter("getHost", "host"),
    _getter("getHostname", "hostname"),
    _getter("getPort", "port"),
    _getter("getEscapedPath", "path"),
    Function("getQuery", (URL,), "map<string, list<string>>", _query),
)
