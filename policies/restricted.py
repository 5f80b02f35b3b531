"""
What a container that we inject must not ask for.

Every injected container passes the restricted Pod Security Standard, whatever the namespace
enforces, so that adding one never makes a pod forbidden. What is absent is filled in at injection;
this finds what says otherwise.

    securityContext: {privileged: true}  ->  securityContext.privileged, a sentence

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_FORBIDDEN = {  # field of the securityContext: the value that is refused, and what to write
    "privileged": (True, "take it out"),
    "allowPrivilegeEscalation": (True, "write false"),
    "runAsNonRoot": (False, "write true"),
    "runAsUser": (0, "write the number of another user, such as 65532"),
}
_ALLOWED_CAPABILITIES = ("NET_BIND_SERVICE",)
_ALLOWED_SECCOMP = ("RuntimeDefault", "Localhost")
_WHY = "injected containers pass the restricted Pod Security Standard"


def faults(container: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Find what the standard forbids in `container`: the path in it, and a sentence."""
    if not isinstance(container, dict):
        return
    for number, port in enumerate(_list(container.get("ports"))):
        if isinstance(port, dict) and port.get("hostPort"):
            yield (
                ("ports", number, "hostPort"),
                f"{port['hostPort']} is refused: {_WHY}; take it out",
            )
    context = container.get("securityContext")
    if isinstance(context, dict):
        for path, message in _context(context):
            yield ("securityContext", *path), message


def _context(context: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for field, (value, fix) in _FORBIDDEN.items():
        if context.get(field) is value or (field == "runAsUser" and context.get(field) == 0):
            shown = str(value).lower()
            yield (field,), f"{shown} is refused: {_WHY}; {fix}"
    capabilities = context.get("capabilities")
    added = _list(capabilities.get("add")) if isinstance(capabilities, dict) else []
    for number, capability in enumerate(added):
        if capability not in _ALLOWED_CAPABILITIES:
            yield (
                ("capabilities", "add", number),
                f'"{capability}" is refused: {_WHY}; only "NET_BIND_SERVICE" may be added',
            )
    profile = context.get("seccompProfile")
    if isinstance(profile, dict) and profile.get("type") not in (None, *_ALLOWED_SECCOMP):
        yield (
            ("seccompProfile", "type"),
            f'"{profile["type"]}" is refused: {_WHY}; write "RuntimeDefault"',
        )
    if context.get("procMount") not in (None, "Default"):
        yield ("procMount",), f'"{context["procMount"]}" is refused: {_WHY}; take it out'


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
