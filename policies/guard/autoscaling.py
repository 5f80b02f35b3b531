"""
How Knative may scale what it serves: `checks.knativeAutoscaling`.

    knativeAutoscaling: {minScale: {max: 2}, maxScale: {min: 1, max: 10}, metric: [concurrency]}

Judges the autoscaling annotations of a Knative Service's template, and a predictor's `minReplicas`,
`maxReplicas`, `scaleTarget` and `scaleMetric`, as the `scale` intent and policies leave them; what
Knative would refuse is refused, too. What isn't written counts as Knative's default: `minScale` 0,
`initialScale` 1, and no `maxScale` is no bound. A number for `minScale` is the least, for another
setting the most.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from policies import autoscaling, duration
from policies.guard.containers import at
from policies.guard.subject import Check, Subject

# The words of the `scale` intent for what has a longer name.
_SHORT = {
    "min": "min-scale", "max": "max-scale", "initial": "initial-scale",
    "retention": "scale-to-zero-pod-retention-period",
}  # fmt: skip
_DEFAULTS = {"min-scale": "0", "initial-scale": "1"}
_SECONDS = frozenset({"window", "scale-down-delay", "scale-to-zero-pod-retention-period"})
_FIELDS = {
    "min-scale": "minReplicas", "max-scale": "maxReplicas", "target": "scaleTarget",
    "metric": "scaleMetric",
}  # fmt: skip
_LIMIT = "container-concurrency"
BY_WORD = ("class", "metric", "metric-aggregation-algorithm")  # settings that are no numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    """What one setting may be."""

    name: str  # min-scale
    required: bool = False
    low: Any = None
    high: Any = None
    values: tuple[str, ...] = ()


def compiled(check: Mapping[str, Any]) -> Check:
    """Make the check ready."""
    bounds = [_bounds(name(key), value) for key, value in check.items()]

    def judge(subject: Subject) -> Iterator[str]:
        if not subject.autoscaling:
            return
        annotations = at(subject.metadata, "annotations") or {}
        if subject.autoscaling == "kserve":
            annotations = autoscaling.passed_on(subject.passed_on, annotations)
        yield from autoscaling.faults(annotations)
        for bound in bounds:
            yield from _judge(
                bound, _written(bound.name, subject, annotations), subject.autoscaling
            )

    return judge


def name(key: str) -> str:
    """Give the name that Knative has for a setting, however it is spelled."""
    key = key.removeprefix(autoscaling.PREFIX)
    kebab = re.sub(r"(?<=[a-z])([A-Z])", lambda found: "-" + found[1].lower(), key)
    return _SHORT.get(kebab, kebab)


def settings() -> tuple[str, ...]:
    """List the settings that can be bounded."""
    return (*autoscaling.known(), _LIMIT)


def example(setting: str) -> str:
    """Give a value that a setting could have."""
    return '"60s"' if setting in _SECONDS else "10"


def amount(setting: str, text: Any) -> Decimal | None:
    """Read a value of a setting as a number, a duration in seconds; None where it is none."""
    if setting in _SECONDS and isinstance(text, str):
        found = duration.of_go(text)
        return None if found is None else Decimal(str(found))
    try:
        return Decimal(str(text))
    except InvalidOperation:
        return None


def _bounds(setting: str, value: Any) -> _Bounds:
    if isinstance(value, dict):
        return _Bounds(
            name=setting,
            required=value.get("required", False),
            low=value.get("min"),
            high=value.get("max"),
            values=tuple(map(str, value.get("allow", ()))),
        )
    if isinstance(value, list):
        return _Bounds(name=setting, values=tuple(map(str, value)))
    if setting in BY_WORD:
        return _Bounds(name=setting, values=(str(value),))
    if value is True:
        return _Bounds(name=setting, required=True)
    low = setting in ("min-scale", "activation-scale")
    return _Bounds(name=setting, low=value if low else None, high=None if low else value)


def _written(setting: str, subject: Subject, annotations: Mapping[str, Any]) -> tuple[str, Any]:
    """Find where a setting is written, or would be, and its value."""
    field = _FIELDS.get(setting) if subject.autoscaling == "kserve" else None
    if setting == _LIMIT:
        field = "containerConcurrency"
    if field and at(subject.spec, field) is not None:
        return field, at(subject.spec, field)
    key = autoscaling.spelled(autoscaling.PREFIX + setting, annotations)
    found = annotations.get(key)
    return (field or key) if found is None else key, found


def _judge(bound: _Bounds, written: tuple[str, Any], serving: str) -> Iterator[str]:
    where, value = written
    if bound.required and value is None:
        yield f"{where} is missing; write {_example(bound)}"
        return
    if value is None:
        value = _default(bound.name, serving)
    shown = f'{where}: "{value}"'
    if bound.values and value is not None and str(value) not in bound.values:
        yield f"{shown} is none of {', '.join(bound.values)}; write one of them"
    high, low = amount(bound.name, bound.high), amount(bound.name, bound.low)
    if bound.name in ("max-scale", _LIMIT) and high is not None and value in (None, "", "0", 0):
        yield f"{where} sets no bound, and {bound.high} is the most; write {_example(bound)}"
        return
    found = None if value is None else amount(bound.name, value)
    if found is not None and high is not None and found > high:
        yield f"{shown} is more than {bound.high}; write {bound.high} or less"
    if found is not None and low is not None and found < low and not _unbounded(bound.name, found):
        yield f"{shown} is less than {bound.low}; write {bound.low} or more"


def _default(setting: str, serving: str) -> Any:
    if setting == "min-scale" and serving == "kserve":
        return "1"
    return _DEFAULTS.get(setting)


def _unbounded(setting: str, found: Decimal) -> bool:
    return setting in ("max-scale", _LIMIT) and not found


def _example(bound: _Bounds) -> str:
    for value in (bound.high, bound.low, *bound.values):
        if value is not None:
            return f'"{value}"'
    return "it"
