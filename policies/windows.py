"""
Windows pods: what they can't have.

    spec: {os: {name: windows}}    the API server refuses what only Linux knows

A pod that only selects Windows nodes is taken as it is, and Pod Security still wants those fields
of it: they stay, and the kubelet leaves them unread. Shared memory there is in neither.
Source: kubernetes pkg/apis/core/validation (validateWindows…) and kubernetes.io, "Windows
containers in Kubernetes", "API compatibility".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies.model import Manifest

NAME = "windows"
OS_LABEL = "kubernetes.io/os"
LINUX_ONLY = frozenset(
    {
        "allowPrivilegeEscalation", "appArmorProfile", "capabilities", "fsGroup",
        "fsGroupChangePolicy", "privileged", "procMount", "readOnlyRootFilesystem", "runAsGroup",
        "runAsUser", "seLinuxOptions", "seccompProfile", "supplementalGroups",
        "supplementalGroupsPolicy", "sysctls",
    }
)  # fmt: skip


def is_declared(pod_spec: Any) -> bool:
    """Tell whether a pod says that it is for Windows, so that fields of Linux are refused."""
    named = _member(pod_spec, "os")
    return named is not None and _member(named, "name") == NAME


def is_meant(pod_spec: Any) -> bool:
    """Tell whether a pod runs on Windows: it says so, or it selects such nodes."""
    selected = _member(pod_spec, "nodeSelector")
    return is_declared(pod_spec) or (selected is not None and _member(selected, OS_LABEL) == NAME)


def fitting(container: Mapping[str, Any]) -> Manifest:
    """Leave out of a container's securityContext what a Windows pod can't have."""
    context = container.get("securityContext") or {}
    kept = {key: value for key, value in context.items() if key not in LINUX_ONLY}
    return {**container, "securityContext": kept}


def _member(node: Any, key: str) -> Any:
    return node.get(key) if isinstance(node, dict) else None
