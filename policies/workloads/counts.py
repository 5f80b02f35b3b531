"""
How many pods an object makes, by the fields that the catalogue names for its kind.

    replicas: spec.replicas ?? 1
    maxReplicas: spec.maxReplicas ?? 0

Steady: the written replicas, else the least that autoscaling keeps, else the kind's own default.
Peak: the kind's own maximum. None means that there is no upper bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from policies.patch import Path, lookup
from policies.workloads.catalogue import Kind
from policies.workloads.locate import Template
from policies.workloads.paths import path
from policies.workloads.written_counts import Count, PathCount

Pods: TypeAlias = "int | None"  # None: without bound
MOST = 2**31 - 1  # int32, as the API has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What is known of an object besides itself, and what is found while it is counted."""

    held: bool
    runtime: Any = None  # of a TrainJob
    also: Callable[..., None] | None = None  # `demand.Also`: what else a pod counts for
    unusable: dict[Path, Any] = field(default_factory=dict)  # what is written for a count and isn't


@dataclass(slots=True, kw_only=True)
class Asked:
    """One template whose pods are counted: its object (which may lie in another), and itself."""

    obj: Any
    kind: Kind
    template: Template
    devices: Callable[[], int]  # of one pod
    given: Given

    def number(self, text: str, default: Any = None) -> Any:
        """Read a whole number at a path of the object; `default` where there is none."""
        found = self.count(path(text))
        return default if found is None else found

    def here(self, text: str, default: Any = None) -> Any:
        """Read a whole number below the element that the last wildcard met."""
        found = self.count((*self.template.element, *path(text)))
        return default if found is None else found

    def count(self, at: Path) -> int | None:
        """Read a count; remember what the API server would refuse as one."""
        value = lookup(self.obj, at)
        found = whole(value)
        if value is not None and found is None and not _is_placeholder(value):
            self.given.unusable[at] = value
        return found


@dataclass(frozen=True, slots=True)
class Range:
    """Pods at the steady state and at the peak."""

    steady: Pods
    peak: Pods


def whole(value: Any) -> int | None:
    """Read a count, which some kinds write as text; None where it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 11:
        value = int(value)
    return min(value, MOST) if isinstance(value, int) and value >= 0 else None


def _is_placeholder(value: Any) -> bool:
    return isinstance(value, str) and any(mark in value for mark in ("{{", "${", "$(", "{%"))


def by_fields(asked: Asked) -> Range:
    """Count by the fields that the catalogue names."""
    role = asked.template.definition
    least = None if role.min_replicas is None else evaluated(asked, role.min_replicas)
    written = _is_written(asked, role.replicas)
    steady = evaluated(asked, role.replicas) if written or least is None else least
    most = 0 if role.max_replicas is None else evaluated(asked, role.max_replicas)
    if role.unbounded and not most and role.max_replicas is not None:
        return Range(steady, None)
    peak = max(steady, most) if most or role.max_replicas is None else max(steady, least or 0)
    return Range(steady, peak + _surge(asked, peak))


def _surge(asked: Asked, of_what: int) -> int:
    """Count what a rolling update adds."""
    surge = asked.template.definition.surge
    if surge is None:
        return 0
    where, default = surge
    return percentage(lookup(asked.obj, _where(asked, where)), of_what, default=default)


def evaluated(asked: Asked, count: Count) -> int:
    """Evaluate a COUNT of the catalogue."""
    if isinstance(count, int):
        return count
    if isinstance(count, tuple):
        return min(math.prod(evaluated(asked, one) for one in count), MOST)
    found = asked.count(_where(asked, count))
    return count.default if found is None else found


def _where(asked: Asked, count: PathCount) -> Any:
    """Find the count's place; a `*` in it is the element that the template's own path met there."""
    if count.up:
        return (*_base(asked, count), *count.path)
    steps: list[Any] = list(count.path)
    for at, met in enumerate(asked.template.element[: len(steps)]):
        if steps[at] == "*":
            steps[at] = met
        elif steps[at] != met:
            break
    return tuple(steps)


def _base(asked: Asked, count: PathCount) -> Any:
    if not count.up:
        return ()
    element = asked.template.element
    wildcards = [at for at, step in enumerate(asked.template.definition.pod_spec) if step == "*"]
    if count.up == 1 or len(wildcards) < count.up:
        return element
    return element[: wildcards[-count.up] + 1]


def _is_written(asked: Asked, count: Count) -> bool:
    counts = count if isinstance(count, tuple) else (count,)
    return any(
        isinstance(one, PathCount) and lookup(asked.obj, _where(asked, one)) is not None
        for one in counts
    )


def percentage(value: Any, of_what: int, *, default: str) -> int:
    """Read `maxSurge`: a number, or a percentage that is rounded up."""
    text = default if value is None else str(value).strip()
    if text.endswith("%") and text[:-1].isdecimal():
        return math.ceil(int(text[:-1]) * of_what / 100)
    return int(text) if text.isdecimal() else 0
