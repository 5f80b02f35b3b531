"""
Containers that we inject: complete, small, and within the restricted Pod Security Standard.

Requests and limits that a policy leaves out are filled in, and so is every member of
securityContext that the standard asks for, so that a namespace with a LimitRange, a ResourceQuota
or `restricted` takes the pod as before.
"""

from __future__ import annotations

from typing import Any

from policies.model import Manifest

REQUESTS = {"cpu": "10m", "memory": "64Mi"}
LIMITS = {"cpu": "500m", "memory": "256Mi"}
# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
SECURITY_CONTEXT: Manifest = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def complete(container: Manifest) -> Manifest:
    """Fill in what every injected container has; the members that a policy wrote stay."""
    return {
        **container,
        "resources": _resources(container.get("resources") or {}),
        "securityContext": _security_context(container.get("securityContext") or {}),
    }


def _resources(written: Manifest) -> Manifest:
    requests, limits = dict(written.get("requests") or {}), dict(written.get("limits") or {})
    for name in ("cpu", "memory"):
        if name not in requests:
            requests[name] = limits.get(name, REQUESTS[name])
        if name not in limits:
            limits[name] = (
                requests[name] if name in (written.get("requests") or {}) else LIMITS[name]
            )
    for name, value in limits.items():
        requests.setdefault(name, value)
    return {**written, "requests": requests, "limits": limits}


def _security_context(written: Manifest) -> Manifest:
    filled: dict[str, Any] = {**SECURITY_CONTEXT, **written}
    capabilities = dict(filled["capabilities"] or {})
    capabilities.setdefault("drop", ["ALL"])
    filled["capabilities"] = capabilities
    return filled
