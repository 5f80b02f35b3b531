"""How many pods each policy has added to, as the pods of a cluster say themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from kubectl_ml.cluster import Cluster
from kubectl_ml.errors import NotAllowed
from policies.model import DOMAIN, Manifest

_INJECTED = f"{DOMAIN}/injected"


def injected(cluster: Cluster) -> Mapping[str, int] | None:
    """Count the pods that hold something of each InjectionPolicy; None: one may not look."""
    try:
        pods = cluster.find_all("v1", "Pod", namespace=None)
    except NotAllowed:
        return None
    return Counter(name for pod in pods for name in _policies(pod))


def _policies(pod: Manifest) -> set[str]:
    import orjson

    text = (pod["metadata"].get("annotations") or {}).get(_INJECTED)
    try:
        found: Any = orjson.loads(text) if isinstance(text, str) else {}
    except orjson.JSONDecodeError:
        return set()
    policies = found.get("policies") if isinstance(found, dict) else None
    return {str(key).partition("@")[0] for key in policies} if policies else set()
