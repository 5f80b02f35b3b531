"""The ready-made checks of a GuardPolicy, in their order: each judges one pod."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from policies.guard import (
    accelerators,
    autoscaling,
    images,
    mounts,
    pod_security,
    required_intents,
    resources,
)
from policies.guard.subject import Check, Subject
from policies.model import Accelerator


def _pod_security(check: Mapping[str, Any]) -> Check:
    level, version = check["level"], check.get("version", pod_security.LATEST)

    def judge(subject: Subject) -> Iterator[str]:
        for message in pod_security.violations(level, version, subject.metadata, subject.spec):
            yield f"{level} ({version}): {message}"

    return judge


def _images(check: Mapping[str, Any]) -> Check:
    return lambda subject: images.violations(check, subject.spec)


_CHECKS: tuple[tuple[str, Callable[[Any], Check]], ...] = (
    ("podSecurity", _pod_security),
    ("images", _images),
    ("resources", resources.compiled),
    ("mounts", mounts.compiled),
    ("knativeAutoscaling", autoscaling.compiled),
    ("requireIntents", required_intents.compiled),
)
ACCELERATORS = "accelerators"


def compiled(
    checks: Mapping[str, Any], classes: Mapping[str, Accelerator]
) -> tuple[tuple[str, Check], ...]:
    """Make the checks that a policy asks for ready: the name of each and what judges."""
    found = [
        (name, make(_given(checks[name]))) for name, make in _CHECKS if _is_asked(checks, name)
    ]
    if _is_asked(checks, ACCELERATORS):
        found.append((ACCELERATORS, accelerators.compiled(_given(checks[ACCELERATORS]), classes)))
    return tuple(found)


def _is_asked(checks: Mapping[str, Any], name: str) -> bool:
    return name in checks and checks[name] is not False


def _given(check: Any) -> Any:
    """Read a check that says nothing more than that it is wanted."""
    return {} if check in (None, True) else check
