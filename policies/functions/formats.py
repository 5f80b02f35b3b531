"""
Named formats: `format.dns1123Label().validate(object.metadata.name).hasValue()`.

What `validate` gives are the sentences of Kubernetes, word by word.
k8s.io/apiserver/pkg/cel/library/format.go, k8s.io/apimachinery/pkg/api/validate/content
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

from policies.functions import optionals, urls
from policies.functions.table import FORMAT, OPTIONAL, Function, part

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = rf"({_NAME})?"
_UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_BASE64 = re.compile(
    r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})", re.ASCII
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|[+-][0-9]{2}:[0-9]{2})", re.ASCII)
_MOST_LABEL, _MOST_SUBDOMAIN = 63, 253
_OF_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character"
)
_OF_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character"
)
_OF_LABEL_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character"
)
_OF_NAME = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character"
)
_OF_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character"
)


def _unlike(message: str, pattern: str, *examples: str) -> str:
    shown = " or ".join(f"'{one}', " for one in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


def _too_long(text: str, most: int) -> Iterator[str]:
    if len(text.encode()) > most:
        yield f"must be no more than {most} bytes"


def _matches(pattern: str, text: str) -> bool:
    # Every one of these patterns is linear: no part of it can match what the next one does twice.
    return re.fullmatch(pattern, text, re.ASCII) is not None


def _label(text: str) -> Iterator[str]:
    yield from _too_long(text, _MOST_LABEL)
    if not _matches(_LABEL, text):
        if _matches(_SUBDOMAIN, text):
            yield "must not contain dots"
        else:
            yield _unlike(_OF_LABEL, _LABEL, "my-name", "123-abc")


def _subdomain(text: str) -> Iterator[str]:
    yield from _too_long(text, _MOST_SUBDOMAIN)
    if not _matches(_SUBDOMAIN, text):
        yield _unlike(_OF_SUBDOMAIN, _SUBDOMAIN, "example.com")


def _label_1035(text: str) -> Iterator[str]:
    yield from _too_long(text, _MOST_LABEL)
    if not _matches(_LABEL_1035, text):
        yield _unlike(_OF_LABEL_1035, _LABEL_1035, "my-name", "abc-123")


def _label_value(text: str) -> Iterator[str]:
    yield from _too_long(text, _MOST_LABEL)
    if not _matches(_VALUE, text):
        yield _unlike(_OF_VALUE, _VALUE, "MyValue", "my_value", "12345")


def _qualified_name(text: str) -> Iterator[str]:
    unlike = _unlike(_OF_NAME, _NAME, "MyName", "my.name", "123-abc")
    parts = text.split("/")
    if len(parts) > 2:
        yield (
            f"a valid label key {unlike} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        )
        return
    if len(parts) == 2 and not parts[0]:
        yield "prefix part must be non-empty"
    elif len(parts) == 2:
        yield from (f"prefix part {one}" for one in _subdomain(parts[0]))
    if not parts[-1]:
        yield "name part must be non-empty"
    else:
        yield from (f"name part {one}" for one in _too_long(parts[-1], _MOST_LABEL))
    if not _matches(_NAME, parts[-1]):
        yield f"name part {unlike}"


def _prefix(check: Callable[[str], Iterator[str]]) -> Callable[[str], Iterator[str]]:
    """Judge what a name may begin with: it may end with a dash, which more follows."""
    return lambda text: check(f"{text[:-2]}a" if len(text) > 1 and text.endswith("-") else text)


def _uri(text: str) -> Iterator[str]:
    try:
        urls.request_uri(text)
    except ValueError as error:
        yield str(error)


def _unless(holds: Callable[[str], bool], message: str) -> Callable[[str], Iterator[str]]:
    return lambda text: iter(() if holds(text) else (message,))


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text)) and bool(date.fromisoformat(text))
    except ValueError:
        return text.startswith("0000-") and _is_date(f"2000{text[4:]}")


def _is_datetime(text: str) -> bool:
    day, _, rest = text.lower().partition("t")
    found = _TIME.fullmatch(rest.partition("t")[0])
    return bool(found and _is_date(day) and found[1] <= "23" and found[2] <= "59" >= found[3])


_CHECKS: Mapping[str, Callable[[str], Iterator[str]]] = {
    "dns1123Label": _label,
    "dns1123Subdomain": _subdomain,
    "dns1035Label": _label_1035,
    "qualifiedName": _qualified_name,
    "dns1123LabelPrefix": _prefix(_label),
    "dns1123SubdomainPrefix": _prefix(_subdomain),
    "dns1035LabelPrefix": _prefix(_label_1035),
    "labelValue": _label_value,
    "uri": _uri,
    "uuid": _unless(lambda text: bool(_UUID.fullmatch(text)), "does not match the UUID format"),
    "byte": _unless(lambda text: bool(_BASE64.fullmatch(text)), "invalid base64"),
    "date": _unless(_is_date, "invalid date"),
    "datetime": _unless(_is_datetime, "invalid datetime"),
}


def _named(name: str) -> dict[str, Any]:
    return optionals.of({FORMAT: name} if name in _CHECKS else None)


def _validate(value: Any, text: str) -> dict[str, Any]:
    return optionals.of(list(_CHECKS[part(FORMAT, value)](text)) or None)


def _constant(name: str) -> Function:
    return Function(f"format.{name}", (), FORMAT, lambda: {FORMAT: name}, member=False)


FUNCTIONS = (
    Function("format.named", ("string",), f"{OPTIONAL}<{FORMAT}>", _named, member=False),
    *map(_constant, _CHECKS),
    Function("validate", (FORMAT, "string"), f"{OPTIONAL}<list<string>>", _validate),
)
