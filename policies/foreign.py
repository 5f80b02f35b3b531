"""
What policies say in the words of other systems: Dapr's, Knative's, Prometheus's, a tracker's.

    dapr: app-port=8080   ->  {"enabled": "true", "app-port": "8080"}

The same thing may be written in several ways, as for `policies.objects`; what the other system
would refuse raises `UnusableIntent` with the sentence.
"""

from __future__ import annotations

import re
from typing import Any

from policies import autoscaling, daprd, intents, istio, members, peers
from policies.errors import UnusableIntent
from policies.model import Manifest

# apimachinery validation.IsValidPortName
_PORT_NAME = re.compile(r"^(?=.{1,15}\Z)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*\Z", re.ASCII)
_LIMITS = ("containerConcurrency", "timeoutSeconds")  # numbers beside the keys of `scale`


def dapr(value: Any) -> dict[str, str] | None:
    """
    Read Dapr's settings: true, pairs or a mapping.

    A key of the intent (`app-id`) turns Dapr on, as the intent does. Full `dapr.io/*` keys alone
    don't: they are defaults for pods that have it.
    """
    if value is None or value in (False, "false"):
        return None
    if value in (True, "true"):
        return {"enabled": "true"}
    if isinstance(value, str):
        return {"enabled": "true", **(read("dapr", value).dapr or {})}
    settings = members.strings(value)
    short = any("/" not in key for key in settings)
    on = {"enabled": "true"} if short and "dapr.io/enabled" not in settings else {}
    full = {key if "/" in key else daprd.PREFIX + key: text for key, text in settings.items()}
    wrong = [*daprd.faults(full)]
    if wrong:
        raise UnusableIntent("; ".join(wrong))
    return {**on, **settings}


def knative(value: Any) -> dict[str, str]:
    """Read autoscaling: pairs, or a mapping of the keys of `scale` and Knative's own."""
    if not value:
        return {}
    if isinstance(value, str):
        return dict(read("scale", value).scale)
    settings = members.strings(value)
    short = [
        f"{key}={text}" for key, text in settings.items() if "/" not in key and key not in _LIMITS
    ]
    if short:
        read("scale", ",".join(short))
    wrong = [*autoscaling.faults(autoscaling.written_out(settings))]
    for name in autoscaling.unknown(settings):
        near = intents.nearest(name, autoscaling.known())
        wrong += [f"there is no {autoscaling.PREFIX}{name}{near}"] if near else []
    if wrong:
        raise UnusableIntent("; ".join(wrong))
    return settings


def mesh(value: Any) -> dict[str, str]:
    """
    Read the mesh: true, false, or a mapping of `inject` and Istio's own keys.

    Istio's own keys alone switch nothing: they are for pods that aren't switched off.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        return {"inject": members.text(value)}
    settings = members.strings(value)
    wrong = [*istio.faults(settings)]
    if wrong:
        raise UnusableIntent("; ".join(wrong))
    return settings


def tracking(spec: Manifest | None) -> dict[str, Any]:
    """Read what experiment trackers are told: names of variables, and variables."""
    if not spec:
        return {}
    names = spec.get("experiment", [])
    label = spec.get("datasetLabel")
    return {
        "experiment": [names] if isinstance(names, str) else list(names),
        "env": list(spec.get("env") or ()),
        **({"dataset": label} if label else {}),
    }


def scrape(value: Any) -> dict[str, str]:
    """Read what Prometheus scrapes; `true` is the usual path on the port it finds."""
    if not value:
        return {}
    found = {"path": "/metrics", **(members.strings(value) if isinstance(value, dict) else {})}
    port = found.get("port", "1")
    named = bool(_PORT_NAME.match(port))
    if not named and not (
        port.isascii() and port.isdigit() and 0 < int(port[:6]) <= peers.MAX_PORT
    ):
        raise UnusableIntent(
            f'port "{port}" is neither a port from 1 to {peers.MAX_PORT} nor the name of one'
        )
    if "name" in found and (named or "port" not in found):
        raise UnusableIntent(f'name "{found["name"]}" is for a port by its number; write that')
    if not found["path"].startswith("/"):
        raise UnusableIntent(f'path "{found["path"]}" is not a path; write it from "/"')
    return found


def read(key: str, value: str) -> intents.Intents:
    """Read `value` as an intent is read, so that both have one grammar."""
    found = intents.read({intents.PREFIX + key: value})
    for fault in found.faults:
        raise UnusableIntent(fault.message.removeprefix(intents.PREFIX + key + " "))
    return found
