"""
The restricted level of the Pod Security Standard: what hardening asks for beyond baseline.

Each function returns what is wrong, or an empty string.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from policies.guard.baseline import PROFILES, setters
from policies.guard.containers import at, items, named, words
from policies.model import Manifest

_VOLUMES = (
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim",
    "projected", "secret",
)  # fmt: skip


def escalation(metadata: Any, spec: Any) -> str:
    """Ask for `allowPrivilegeEscalation: false`."""
    names = named(
        spec,
        lambda one: at(one, "securityContext", "allowPrivilegeEscalation") is not False,
    )
    return f"allowPrivilegeEscalation: {words(names)} must set it to false" if names else ""


def capabilities(metadata: Any, spec: Any) -> str:
    """Ask that every capability is dropped and at most NET_BIND_SERVICE added."""

    def given(one: Manifest, what: str) -> list[Any]:
        found = at(one, "securityContext", "capabilities", what)
        return found if isinstance(found, list) else []

    keeping = named(spec, lambda one: "ALL" not in given(one, "drop"))
    adding = named(spec, lambda one: set(map(str, given(one, "add"))) - {"NET_BIND_SERVICE"})
    found = [f'{words(keeping)} must drop "ALL"'] if keeping else []
    found += [f"{words(adding)} may add NET_BIND_SERVICE alone"] if adding else []
    return f"capabilities: {' and '.join(found)}" if found else ""


def volumes(metadata: Any, spec: Any) -> str:
    """Refuse volumes that aren't of a harmless type."""
    found = [
        str(one.get("name", ""))
        for one in items(spec, "volumes")
        if any(value is not None for key, value in one.items() if key != "name")  # none: emptyDir
        and all(one.get(kind) is None for kind in _VOLUMES)
    ]
    return (
        f"volumes: {words(found, kind='volume')} must be one of {', '.join(_VOLUMES)}"
        if found
        else ""
    )


def non_root(metadata: Any, spec: Any) -> str:
    """Ask for `runAsNonRoot: true`."""
    who = setters(spec, lambda context: at(context, "runAsNonRoot") is False)
    if who:
        return f"runAsNonRoot: {who} must not set it to false"
    if at(spec, "securityContext", "runAsNonRoot"):
        return ""
    names = named(spec, lambda one: at(one, "securityContext", "runAsNonRoot") is None)
    return f"runAsNonRoot: the pod or {words(names)} must set it to true" if names else ""


def user(metadata: Any, spec: Any) -> str:
    """Refuse the user 0."""

    def root(context: Any) -> bool:
        found = at(context, "runAsUser")
        return found == 0 and not isinstance(found, bool)

    who = setters(spec, root)
    return f"runAsUser: {who} must not set it to 0" if who else ""


def seccomp(metadata: Any, spec: Any) -> str:
    """Ask for a seccomp profile."""

    def other(context: Any) -> bool:
        profile = at(context, "seccompProfile")
        return profile is not None and at(profile, "type") not in PROFILES

    say = '"RuntimeDefault" or "Localhost"'
    who = setters(spec, other)
    if who:
        return f"seccompProfile: {who} must say {say}"
    if at(spec, "securityContext", "seccompProfile") is not None:
        return ""
    names = named(spec, lambda one: at(one, "securityContext", "seccompProfile") is None)
    return f"seccompProfile: the pod or {words(names)} must say {say}" if names else ""


def unless_windows(judge: Callable[[Any, Any], str]) -> Callable[[Any, Any], str]:
    """Leave a rule out for a pod that says that it is for Windows."""
    return lambda metadata, spec: (
        "" if at(spec, "os", "name") == "windows" else judge(metadata, spec)
    )
