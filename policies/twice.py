"""
What stands twice in one object where there can be only one.

    env: [{name: A, value: x}, {name: A, value: y}]  ->  env[1].name, a sentence

The first would be injected, and the second taken for a conflict with what the user wrote. The
variables of a container stay as they are: Kubernetes takes the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from policies.sentences import Path, dotted

Entry: TypeAlias = tuple[Path, Any]  # where it stands, and what


def of(spec: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Find what stands twice in the spec of a class or a source."""
    yield from _repeated(_entries(spec, ("env",)))


def of_inject(inject: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Find what stands twice in what one policy injects."""
    yield from of(inject)
    yield from _repeated(_entries(inject, ("tracking", "env")))
    sidecars = list(_entries(inject, ("sidecars",)))
    containers = [((*path, "container"), _member(item, "container")) for path, item in sidecars]
    containers += _entries(inject, ("initContainers",))
    yield from _repeated(containers)
    for path, item in (*sidecars, *containers):
        yield from _repeated(_entries(item, ("volumeMounts",), at=path), "mountPath")
    for path, item in sidecars:
        yield from _repeated(_entries(item, ("volumes",), at=path))


def _entries(value: Any, members: Path, *, at: Path = ()) -> Iterator[Entry]:
    for member in members:
        value = _member(value, member)
    for number, item in enumerate(value if isinstance(value, list) else ()):
        yield (*at, *members, number), item


def _repeated(entries: Iterable[Entry], member: str = "name") -> Iterator[tuple[Path, str]]:
    first: dict[str, Path] = {}
    for path, item in entries:
        value = _member(item, member)
        if not isinstance(value, str) or not value:
            continue
        other = first.setdefault(value, path)
        if other is not path:
            message = f'"{value}" is also the {member} of {dotted(other)}; keep one'
            yield (*path, member), message


def _member(value: Any, member: str | int) -> Any:
    return value.get(member) if isinstance(value, dict) else None
