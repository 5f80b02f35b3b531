"""The short hashes by which provenance tells one content of an object from another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

# What the API server writes where an object says nothing: the defaults of the schemas.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "InjectionPolicy": {"mode": "Apply", "optIn": False, "order": 0, "onConflict": "Keep"},
    "GuardPolicy": {"enforcement": "Deny", "failurePolicy": "Fail"},
    "QuotaPolicy": {"enforcement": "Deny"},
    "WorkloadKind": {"scope": "Namespaced", "queue": "object"},
}


def digest(kind: str, spec: Any) -> str:
    """Make the short hash that tells one content of an object from another."""
    defaults = DEFAULTS.get(kind, {})
    spec = {key: value for key, value in spec.items() if value != defaults.get(key, ...)}
    text = orjson.dumps({"kind": kind, "spec": spec}, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:8]
