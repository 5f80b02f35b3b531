"""
Istio's labels and annotations of pods: which is which, and what they may say.

    istio.io/dataplane-mode: none                             a label
    traffic.sidecar.istio.io/excludeInboundPorts: "29500"     an annotation

Source: istio.io, "Resource Annotations" and "Resource Labels".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from policies.peers import MAX_PORT

INJECT, MODE = "sidecar.istio.io/inject", "istio.io/dataplane-mode"
NATIVE = "sidecar.istio.io/nativeSidecar"
EXCLUDE_INBOUND = "traffic.sidecar.istio.io/excludeInboundPorts"
CONFIG = "proxy.istio.io/config"
_TRAFFIC = "traffic.sidecar.istio.io/"
_FLAGS = (INJECT, NATIVE, "ambient.istio.io/bypass-inbound-capture")
_MODES = ("ambient", "none")


def is_label(key: str) -> bool:
    """Tell whether Istio reads a key as a label: its annotations have a domain below istio.io."""
    return key == INJECT or key.startswith("istio.io/")


def faults(settings: Mapping[str, str]) -> Iterator[str]:
    """Find what Istio would refuse or not read."""
    for key, value in settings.items():
        wrong = _wrong(key, value)
        if wrong:
            yield f'{key} "{value}" {wrong}'


def _wrong(key: str, value: str) -> str:
    if key in _FLAGS and value not in ("true", "false"):
        return 'is neither "true" nor "false"'
    if key == MODE and value not in _MODES:
        return f"is not one of {', '.join(_MODES)}"
    if key == CONFIG and not re.search(r"[A-Za-z]\"?\s*:", value):
        return 'is not a mapping; write "holdApplicationUntilProxyStarts: true"'
    if key.startswith(_TRAFFIC) and key.endswith("Ports"):
        return "" if _are_ports(key, value) else 'is not a list of ports; write "29500,9090"'
    return ""


def _are_ports(key: str, value: str) -> bool:
    if key.startswith(_TRAFFIC + "include") and value in ("", "*"):
        return True
    return all(
        port.isascii() and port.isdigit() and 0 < int(port[:6]) <= MAX_PORT
        for port in map(str.strip, value.split(","))
    )
