"""
Which images pods may run: `checks.images`.

A `*` in a registry matches `/` too; an image without tag and digest is `latest`; what is refused is
quoted as it was written.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from typing import Any

from policies.guard.containers import items, of

_HUB = "docker.io"


def violations(check: Mapping[str, Any], spec: Any) -> list[str]:
    """List what the images of a pod have against the check."""
    found: list[str] = []
    for name, written in _images(spec):
        found += [f'image "{written}" of {name} {why}' for why in _faults(check, written)]
    return list(dict.fromkeys(found))


def _images(spec: Any) -> Iterator[tuple[str, str]]:
    for one in of(spec):
        if isinstance(one.get("image"), str) and one["image"]:
            yield f'container "{one.get("name", "")}"', one["image"]
    for one in items(spec, "volumes"):
        image = one.get("image")
        reference = image.get("reference") if isinstance(image, dict) else None
        if isinstance(reference, str) and reference:
            yield f'volume "{one.get("name", "")}"', reference


def _faults(check: Mapping[str, Any], written: str) -> Iterator[str]:
    bare, tag, digest = parts(written)
    registries = check.get("registries")
    if registries is not None and not _within(registries, (bare, full(bare))):
        yield f"is from none of {', '.join(registries)}; take one that is"
    tags = check.get("tags") or {}
    name = tag or ("" if digest else "latest")
    if name and _within(tags.get("deny", ()), (name,)):
        said = "" if tag else ", which it is without a tag"
        yield f'has the tag "{name}"{said}; name another'
    if "allow" in tags and name and not _within(tags["allow"], (name,)):
        yield f'has the tag "{name}", which is none of {", ".join(tags["allow"])}; take one that is'
    if check.get("digests") == "Require" and not digest:
        yield "has no digest; write IMAGE@sha256:DIGEST"


def parts(image: str) -> tuple[str, str, str]:
    """Take an image apart: the name with its registry, the tag, the digest."""
    rest, _, digest = image.partition("@")
    head, slash, last = rest.rpartition("/")
    name, _, tag = last.partition(":")
    return f"{head}{slash}{name}", tag, digest


def full(name: str) -> str:
    """Write out the registry that goes without saying."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"{_HUB}/{name}" if slash else f"{_HUB}/library/{name}"


def _within(patterns: Any, names: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns for name in names)
