"""
What a decision says against an object, and where in the object that stands.

    Finding(severity="error", policy="devices", message='… unknown device class "a1000" …',
            pointer="/metadata/annotations/kubectl-ml.io~1accelerator")
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from policies.model import DOMAIN, Decision, Manifest

ERROR, WARNING = "error", "warning"

_POLICY = re.compile(r"([a-z0-9][a-z0-9.-]*): (.+)", re.DOTALL)
_INTENT = re.compile(rf'{re.escape(DOMAIN)}/([A-Za-z0-9._-]+)|unknown intent "([^"]+)"')
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One sentence about one object; `pointer` is a JSON Pointer, empty for all of it."""

    severity: str
    policy: str
    message: str
    pointer: str = ""

    @property
    def sentence(self) -> str:
        """Say it as `render` does: `POLICY: sentence`."""
        return f"{self.policy}: {self.message}" if self.policy else self.message


def of(decision: Decision, manifest: Manifest) -> tuple[Finding, ...]:
    """Give what the decision refuses, then what it warns about."""
    refused = (
        Finding(
            severity=ERROR,
            policy=each.policy,
            message=each.message,
            pointer=_pointer(each.path, each.message, manifest),
        )
        for each in decision.violations
    )
    return (*refused, *(_warning(text, manifest) for text in dict.fromkeys(decision.warnings)))


def steps(pointer: str) -> list[str]:
    """Take a JSON Pointer apart."""
    return [
        step.replace("~1", "/").replace("~0", "~") for step in pointer.removeprefix("/").split("/")
    ] * bool(pointer)


def field_path(pointer: str) -> str:
    """Write a JSON Pointer as KRM results do: `spec.containers[0].image`."""
    path = ""
    for step in steps(pointer):
        if step.isdigit():
            path += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            path += f".{step}" if path else step
        else:
            path += f'["{step}"]'
    return path


def value_at(manifest: Any, pointer: str) -> Any:
    """Give what stands there, None where nothing does."""
    for step in steps(pointer):
        if isinstance(manifest, list) and step.isdigit() and int(step) < len(manifest):
            manifest = manifest[int(step)]
        else:
            manifest = manifest.get(step) if isinstance(manifest, dict) else None
    return manifest


def _warning(text: str, manifest: Manifest) -> Finding:
    found = _POLICY.fullmatch(text)
    policy, message = (found[1], found[2]) if found else ("", text)
    return Finding(
        severity=WARNING, policy=policy, message=message, pointer=_pointer("", message, manifest)
    )


def _pointer(path: str, message: str, manifest: Manifest) -> str:
    """Trust a path that leads somewhere; else look for the intent that the sentence names."""
    if path and value_at(manifest, path) is not None:
        return path
    found = _INTENT.search(message)
    if found is None:
        return path
    key = f"{DOMAIN}/{found[1] or found[2]}"
    where = "labels" if "is a label" in message else "annotations"
    return next(_written(manifest, where, key), path)


def _written(value: Any, where: str, key: str, pointer: str = "") -> Iterator[str]:
    """Find the metadata that holds a key, the object's own first."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _written(item, where, key, f"{pointer}/{number}")
    elif isinstance(value, dict):
        metadata = value.get("metadata")
        held = metadata.get(where) if isinstance(metadata, dict) else None
        if isinstance(held, dict) and key in held:
            yield f"{pointer}/metadata/{where}/{_escaped(key)}"
        for name, child in value.items():
            if isinstance(child, dict | list) and name != "metadata":
                yield from _written(child, where, key, f"{pointer}/{_escaped(name)}")


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")
