"""
What other systems take: values of intents that end up as theirs are checked as they check them.

A fault is half a sentence that names the offending value and what is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from policies.duration import seconds

_TARGET = re.compile(r"^\d{1,9}(\.\d{1,6})?$", re.ASCII)
DAPR_PROTOCOLS = ("http", "grpc", "https", "grpcs", "h2c")
MAX_APP_ID = 58  # Dapr's Service is named APP-ID-dapr, an RFC 1123 label
MAX_PORT = 65535
_METRICS = ("concurrency", "rps", "cpu", "memory")
_SECONDS_OF_WINDOW = (6, 3600)  # knative.dev/serving pkg/apis/autoscaling: WindowMin, WindowMax
_OBJECT_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$", re.ASCII)
_APP_ID = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", re.ASCII)


def dapr_faults(found: Mapping[str, str]) -> Iterator[str]:
    """Check as Dapr does. Source: dapr/dapr pkg/injector, validation.ValidateKubernetesAppID."""
    app_id = found.get("app-id", "x")
    if not is_app_id(app_id):
        yield (
            f'app-id "{app_id}" is not a name Dapr takes; use at most {MAX_APP_ID} lower case '
            'letters, digits and "-"'
        )
    port = found.get("app-port", "1")
    if not (_is_number(port) and 0 < int(port) <= MAX_PORT):
        yield f'app-port "{port}" is not a port from 1 to {MAX_PORT}'
    protocol = found.get("app-protocol", DAPR_PROTOCOLS[0])
    if protocol.lower() not in DAPR_PROTOCOLS:
        yield f'app-protocol "{protocol}" is unknown; Dapr knows {", ".join(DAPR_PROTOCOLS)}'
    config = found.get("config", "x")
    if not is_object_name(config):
        yield (
            f'config "{config}" is not the name of a Configuration; use lower case letters, '
            'digits, "-" and "."'
        )


def scale_faults(found: Mapping[str, str]) -> Iterator[str]:
    """Check as Knative does. Source: knative/serving pkg/apis/autoscaling."""
    bad = [key for key in ("min", "max", "initial") if not _is_number(found.get(key, "1"))]
    for key in bad:
        yield f'{key}="{found[key]}" is not a whole number'
    least = max(1, int(found.get("min", 0))) if "min" not in bad else 1
    if "max" in found and "max" not in bad and int(found["max"]) < least:
        yield f"max={found['max']} is less than {f'min={least}' if least > 1 else '1'}"
    metric, target = found.get("metric", _METRICS[0]), found.get("target", "1")
    if metric not in _METRICS:
        yield f'metric="{metric}" is unknown; known are {", ".join(_METRICS)}'
    if not _TARGET.match(target) or float(target) < 0.01:  # Knative's TargetMin
        yield f'target="{target}" is not a number of at least 0.01'
    window = seconds(found.get("window", "6s"))
    if window is None or not _SECONDS_OF_WINDOW[0] <= window <= _SECONDS_OF_WINDOW[1]:
        yield f'window="{found["window"]}" is not a duration from 6s to 1h'
    if seconds(found.get("retention", "0s")) is None:
        yield f'retention="{found["retention"]}" is not a duration; write "10m"'


def is_object_name(text: str) -> bool:
    """Tell whether an object can have this name."""
    return bool(_OBJECT_NAME.match(text))


def is_app_id(text: str) -> bool:
    """Tell whether Dapr takes `text` as an app's id on Kubernetes."""
    return len(text) <= MAX_APP_ID and bool(_APP_ID.match(text))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 8
