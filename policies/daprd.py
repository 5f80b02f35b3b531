"""
Dapr's annotations: what its injector reads, and what each may say.

    dapr.io/app-port: "http"  ->  dapr.io/app-port "http" is not a port from 1 to 65535

Dapr leaves a number that it can't read unread and says so in its own log; here a sentence says it
before. Source: dapr/dapr pkg/injector (annotations.go, patcher/sidecar.go), cmd/daprd and
docs.dapr.io, "Dapr arguments and annotations".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from policies import duration, quantity
from policies.peers import DAPR_PROTOCOLS, MAX_APP_ID, MAX_PORT, is_app_id, is_object_name

PREFIX = "dapr.io/"
ENABLED, NATIVE = PREFIX + "enabled", PREFIX + "enable-native-sidecar"
OWN_LABELS = ("sidecar-injected", "metrics-enabled")  # what the injector writes itself
_TRUE = ("y", "yes", "true", "t", "on", "1")  # dapr/kit strings.IsTruthy
_FALSE = ("n", "no", "false", "f", "off", "0", "")
_NEXT_VARIABLE = re.compile(r",\s*(?=[a-zA-Z_][a-zA-Z0-9_]*=)")
_HTTP_PORT, _GRPC_PORT = "3500", "50001"  # of the sidecar; the first can't be changed
_INT = re.compile(r"^[+-]?\d{1,18}$", re.ASCII)

Check = Callable[[str], str]  # gives what is wrong with a value, or nothing


def is_true(value: Any) -> bool:
    """Tell whether Dapr reads a value as true."""
    return isinstance(value, str) and value.strip().lower() in _TRUE


def faults(annotations: Mapping[str, Any]) -> Iterator[str]:
    """Find what Dapr would not read, or refuse, among annotations; those of others are left."""
    for key, value in annotations.items():
        check = _CHECKS.get(key.removeprefix(PREFIX)) if key.startswith(PREFIX) else None
        if check and isinstance(value, str) and (wrong := check(value)):
            yield f'{key} "{value}" {wrong}'
    yield from _probe(annotations)
    yield from _ports(annotations)
    yield from _resources(annotations)


def _probe(annotations: Mapping[str, Any]) -> Iterator[str]:
    timeout, interval = (
        annotations.get(f"{PREFIX}app-health-probe-{name}", default)
        for name, default in (("timeout", "500"), ("interval", "5"))
    )
    if not (_positive(timeout) or _positive(interval)) and int(timeout) > 1000 * int(interval):
        yield (
            f"{PREFIX}app-health-probe-timeout is {timeout} milliseconds, longer than "
            f"{PREFIX}app-health-probe-interval, {interval} seconds"
        )


def _ports(annotations: Mapping[str, Any]) -> Iterator[str]:
    port = annotations.get(PREFIX + "app-port")
    if port is not None and port in (_HTTP_PORT, annotations.get(PREFIX + "grpc-port", _GRPC_PORT)):
        yield f'{PREFIX}app-port "{port}" is the port that Dapr itself listens on'


def _resources(annotations: Mapping[str, Any]) -> Iterator[str]:
    """Find a request above its limit: the API server would take no such pod."""
    for name in ("cpu", "memory"):
        request, limit = (
            annotations.get(f"{PREFIX}sidecar-{name}-{what}") for what in ("request", "limit")
        )
        if _amount_of(request) > _amount_of(limit) >= 0:
            yield (
                f"{PREFIX}sidecar-{name}-request is {request}, more than "
                f"{PREFIX}sidecar-{name}-limit, {limit}"
            )


def _amount_of(text: Any) -> Decimal:
    """Read a quantity; what is none is -1."""
    try:
        return quantity.parse(text) if isinstance(text, str) else Decimal(-1)
    except ValueError:
        return Decimal(-1)


def unknown(annotations: Mapping[str, Any]) -> list[str]:
    """List the annotations under dapr.io/ that Dapr doesn't know, and leaves unread."""
    return [
        key
        for key in annotations
        if key.startswith(PREFIX)
        and (name := key[len(PREFIX) :]) not in _CHECKS
        and name not in OWN_LABELS
    ]


def known() -> list[str]:
    """List the annotations that Dapr knows."""
    return [PREFIX + name for name in _CHECKS]


# --- values -----------------------------------------------------------------------------------


def _flag(text: str) -> str:
    text = text.strip().lower()
    return "" if text in (*_TRUE, *_FALSE) else 'is neither "true" nor "false"'


def _whole(low: int, high: int = 2**31 - 1, *, or_none: bool = False) -> Check:
    shown = f"from {low} to {high}" if high < 2**31 - 1 else f"of {low} or more"
    shown += ", or -1 for the default" if or_none else ""

    def check(text: str) -> str:
        found = int(text) if isinstance(text, str) and _INT.match(text) else None
        fits = found is not None and (low <= found <= high or (or_none and found == -1))
        return "" if fits else f"is not a whole number {shown}"

    return check


_positive = _whole(1)


def _port(text: str) -> str:
    fits = _INT.match(text) and 0 < int(text) <= MAX_PORT
    return "" if fits else f"is not a port from 1 to {MAX_PORT}"


def _one_of(*values: str) -> Check:
    return lambda text: "" if text in values else f"is not one of {', '.join(values)}"


def _in_any_case(check: Check) -> Check:
    return lambda text: check(text.lower())


def _amount(example: str) -> Check:
    return lambda text: "" if _amount_of(text) >= 0 else f'is not a quantity; write "{example}"'


def _time(text: str) -> str:
    found = duration.of_go(text)
    return "" if found is not None and found >= 0 else 'is not a duration; write "30s"'


def _app_id(text: str) -> str:
    return "" if is_app_id(text) else (
        f'is not a name Dapr takes; use at most {MAX_APP_ID} lower case letters, digits and "-"'
    )  # fmt: skip


def _name(text: str) -> str:
    return "" if is_object_name(text) else "is not the name of an object"


def _path(text: str) -> str:
    return "" if text.startswith("/") else 'is not a path; write it from "/"'


def _items(pattern: str, example: str) -> Check:
    item = re.compile(pattern)

    def check(text: str) -> str:
        wrong = next((one for one in text.split(",") if not item.fullmatch(one.strip())), None)
        return "" if wrong is None else f'has the item "{wrong.strip()}"; write "{example}"'

    return check


def _variables(value: str, example: str) -> Check:
    """Check as Dapr splits them: at a comma that a name follows, and then at the one `=`."""
    one = re.compile(rf"[^=\s]+={value}")

    def check(text: str) -> str:
        parts = (part.strip() for part in _NEXT_VARIABLE.split(text))
        wrong = next((part for part in parts if not one.fullmatch(part)), None)
        return "" if wrong is None else f'has the item "{wrong}"; write "{example}"'

    return check


def _text(text: str) -> str:
    return "" if text else "is empty; write a value or take it out"


def _anything(text: str) -> str:
    return ""  # where empty says something too


_MOUNTS = _items(r"[a-z0-9][-a-z0-9]*:/[^:]*", "models:/models")
_PROBES: dict[str, Check] = {
    f"sidecar-{probe}-probe-{name}": check
    for probe in ("liveness", "readiness")
    for name, check in (
        ("delay-seconds", _whole(0)),
        ("timeout-seconds", _positive),
        ("period-seconds", _positive),
        ("threshold", _positive),
    )
}
_CHECKS: dict[str, Check] = {
    "enabled": _flag,
    "app-id": _app_id,
    "app-port": _port,
    "app-protocol": _in_any_case(_one_of(*DAPR_PROTOCOLS)),
    "app-ssl": _flag,
    "app-channel-address": _text,
    "app-max-concurrency": _whole(1, or_none=True),
    "app-token-secret": _name,
    "api-token-secret": _name,
    "config": _name,
    "enable-app-health-check": _flag,
    "app-health-check-path": _path,
    "app-health-probe-interval": _positive,
    "app-health-probe-timeout": _positive,
    "app-health-threshold": _positive,
    "log-level": _in_any_case(_one_of("debug", "info", "warn", "error", "fatal")),
    "log-as-json": _flag,
    "enable-api-logging": _flag,
    "enable-metrics": _flag,
    "metrics-port": _port,
    "enable-profiling": _flag,
    "enable-debug": _flag,
    "debug-port": _port,
    "grpc-port": _port,
    "internal-grpc-port": _port,
    "env": _variables(r"[^=]*", "NAME=value"),
    "env-from-secret": _variables(r"[^=:]+(:[^=:]+)?", "NAME=secret:key"),
    "sidecar-cpu-request": _amount("100m"),
    "sidecar-cpu-limit": _amount("1"),
    "sidecar-memory-request": _amount("128Mi"),
    "sidecar-memory-limit": _amount("512Mi"),
    "sidecar-listen-addresses": _items(r"\[?[0-9a-fA-F:.]+\]?", "[::1],127.0.0.1"),
    **_PROBES,
    "sidecar-image": _text,
    "sidecar-seccomp-profile-type": _one_of("RuntimeDefault", "Localhost", "Unconfined"),
    "sidecar-svc-annotations": _items(r"[^=]+=.*", "example.com/team=ml"),
    "enable-native-sidecar": _flag,
    "http-max-request-size": _whole(1),
    "max-body-size": _amount("16Mi"),
    "http-read-buffer-size": _whole(1),
    "read-buffer-size": _amount("32Ki"),
    "graceful-shutdown-seconds": _whole(0, or_none=True),
    "block-shutdown-duration": _time,
    "unix-domain-socket-path": _path,
    "volume-mounts": _MOUNTS,
    "volume-mounts-rw": _MOUNTS,
    "disable-builtin-k8s-secret-store": _flag,
    "disable-init-endpoints": _items(r"(?i:config|subscribe)?", "config,subscribe"),
    "placement-host-address": _anything,
    "scheduler-host-address": _anything,
    "pluggable-components": _text,
    "pluggable-components-sockets-folder": _path,
    "component-container": _text,
    "inject-pluggable-components": _flag,
    "sentry-request-jwt-audiences": _text,
}
