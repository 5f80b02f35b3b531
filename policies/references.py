"""
References between variables: `$(NAME)` is filled in only with what comes before it.

    [{name: URL, value: "http://$(HOST)"}, {name: HOST, …}]  ->  URL would be read as it stands

The kubelet leaves a reference that it can't fill in as it is, and the program gets the dollar sign.
Source: kubernetes.io, "Define Dependent Environment Variables".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_REFERENCE = re.compile(r"(?<!\$)(?:\$\$)*\$\(([^()]+)\)")

Path = tuple[str | int, ...]


def of_inject(inject: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Find the variables of a policy that refer to one after them."""
    yield from _of(inject.get("env"), ("env",))
    tracking = inject.get("tracking")
    if isinstance(tracking, dict):
        yield from _of(tracking.get("env"), ("tracking", "env"))


def _of(env: Any, at: Path) -> Iterator[tuple[Path, str]]:
    items = env if isinstance(env, list) else []
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    for number, item in enumerate(items):
        value = item.get("value") if isinstance(item, dict) else None
        for name in _REFERENCE.findall(value) if isinstance(value, str) else ():
            if name in names[number + 1 :] and name not in names[:number]:
                yield (
                    (*at, number, "value"),
                    f'"{value}" refers to {name}, which is set after it; '
                    f"write {name} above {names[number]}",
                )
