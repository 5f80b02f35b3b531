"""Walk over the containers of a pod, whatever shape a pod is sent in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from policies.model import Manifest

LISTS = ("initContainers", "containers", "ephemeralContainers")


def of(spec: Any) -> Iterator[Manifest]:
    """List every container of a pod spec, init and ephemeral ones too."""
    for member in LISTS:
        yield from items(spec, member)


def items(value: Any, *path: str) -> list[Manifest]:
    """Read a list of objects; what isn't one is left to the API server to refuse."""
    found = at(value, *path)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def at(value: Any, *path: str) -> Any:
    """Read the member at `path`; None where there is none."""
    for member in path:
        if not isinstance(value, dict):
            return None
        value = value.get(member)
    return value


def named(spec: Any, holds: Callable[[Manifest], object]) -> list[str]:
    """List the names of the containers for which something holds."""
    return [str(one.get("name", "")) for one in of(spec) if holds(one)]


def words(names: list[str], *, kind: str = "container") -> str:
    """Name containers in a sentence: `container "a"`, `containers "a", "b"`."""
    return f"{kind}{'' if len(names) == 1 else 's'} {quoted(names)}"


def quoted(names: list[str]) -> str:
    """Quote names for a sentence."""
    return ", ".join(f'"{name}"' for name in names)
