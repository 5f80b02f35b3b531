"""What the plugin foretells of a manifest, and what came of it, in the same words."""

import json
from decimal import Decimal
from typing import Any

from policies import quantity
from tests.e2e.acting import Place
from tests.e2e.controlplane.client import Manifest

CLASS = "nvidia.com/gpu"


def demand(place: Place, manifest: Manifest) -> dict[str, Any]:
    """Ask `kubectl ml demand` for the steady state of one manifest."""
    printed = place.kubectl("ml", "demand", "-f", "-", "-ojson", stdin=manifest)
    found: dict[str, Any] = json.loads(printed)["total"]["steady"]
    return found


def folded(place: Place, manifest: Manifest) -> Manifest:
    """Ask `kubectl ml render` for the manifest with its pods' injection in its templates."""
    printed = place.kubectl("ml", "render", "-f", "-", "-ojson", stdin=manifest)
    found: Manifest = json.loads(printed)
    return found


def asked(pods: list[Any]) -> dict[str, Any]:
    """Add up what pods ask for, as `demand` says it."""
    total: dict[str, Decimal] = {}
    for pod in pods:
        for container in pod["spec"]["containers"]:
            for name, text in container.get("resources", {}).get("requests", {}).items():
                total[name] = total.get(name, Decimal(0)) + quantity.parse(text)
    return {
        "pods": len(pods),
        "requests": {
            name: quantity.canonical(value, binary=name == "memory")
            for name, value in total.items()
        },
    }


def devices(pods: list[Any]) -> int:
    """Count the devices of pods."""
    return sum(
        int(container.get("resources", {}).get("limits", {}).get(CLASS, 0))
        for pod in pods
        for container in pod["spec"]["containers"]
    )
