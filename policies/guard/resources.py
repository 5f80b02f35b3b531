"""
What containers must say of their resources, and within which bounds: `checks.resources`.

    resources: {requests: [cpu, memory], limits: [memory], max: {cpu: 64}, min: {memory: 64Mi}}

`min` and `max` are those of a LimitRange: of requests and of limits. A request that isn't written
is the limit, as the API server has it; what a pod says for all its containers counts for each, and
a template has the defaults of the namespace's LimitRanges.
Containers that we add are left out: their resources are ours to choose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policies import quantity
from policies.guard import limit_ranges
from policies.guard.containers import at, items
from policies.guard.subject import Check, Subject

_BASIC = ("cpu", "memory")
_COMPUTE = (*_BASIC, "ephemeral-storage")  # what every container has some of
_WORDS = ("required", "require", "min", "max")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """What is wanted of the requests, or of the limits."""

    kind: str  # requests, limits
    required: tuple[str, ...]
    low: Mapping[str, Any]
    high: Mapping[str, Any]


def compiled(check: Mapping[str, Any]) -> Check:
    """Make the check ready."""
    sides = (_side(check, "requests"), _side(check, "limits"))
    ratios = check.get("maxLimitRequestRatio") or {}

    def judge(subject: Subject) -> Iterator[str]:
        ours = subject.given().containers
        spec = limit_ranges.defaulted(subject.spec, subject.ranges)
        whole = at(spec, "resources") or {}
        for one in (*items(spec, "initContainers"), *items(spec, "containers")):
            if (one.get("name"), one.get("image")) not in ours:
                for side in sides:
                    yield from _judge(side, one, whole)
                yield from _ratio(ratios, one)

    return judge


def _side(check: Mapping[str, Any], kind: str) -> _Side:
    given = check.get(kind, True if not check else None)  # an empty check asks for all of it
    inner = given if isinstance(given, dict) else {}
    required: Any = inner.get("required", inner.get("require", ()))
    if isinstance(given, list):
        required = given
    elif given in (True, "Require"):
        required = _BASIC
    bare = {key: value for key, value in inner.items() if key not in _WORDS}
    bound = {"requests": ("min", "low"), "limits": ("max", "high")}[kind]
    low, high = dict(inner.get("min") or {}), {**bare, **(inner.get("max") or {})}
    {"low": low, "high": high}[bound[1]].update(check.get(bound[0]) or {})
    return _Side(kind=kind, required=tuple(required), low=low, high=high)


def _judge(side: _Side, container: Any, whole: Any) -> Iterator[str]:
    name, word = container.get("name", ""), side.kind.removesuffix("s")
    must = dict.fromkeys(
        (*side.required, *(one for one in (*side.low, *side.high) if one in _COMPUTE))
    )
    for resource in must:
        if _said(side.kind, container, resource) is None and not at(whole, side.kind, resource):
            yield (
                f'container "{name}" has no {resource} {word}; '
                f"write resources.{side.kind}.{resource}"
            )
    for bounds, over in ((side.low, False), (side.high, True)):
        for resource, bound in bounds.items():
            said = _said(side.kind, container, resource)
            fits = (bound, said) if over else (said, bound)
            if said is not None and not quantity.at_least(*fits):
                yield (
                    f'container "{name}" has resources.{side.kind}.{resource}: {said}, which is '
                    f"{'more' if over else 'less'} than {bound}; write {bound} or "
                    f"{'less' if over else 'more'}"
                )


def _said(kind: str, container: Any, resource: str) -> Any:
    found = at(container, "resources", kind, resource)
    if found is None and kind == "requests":
        return at(container, "resources", "limits", resource)
    return found


def _ratio(ratios: Mapping[str, Any], container: Any) -> Iterator[str]:
    for resource, most in ratios.items():
        limit, request = (_said(kind, container, resource) for kind in ("limits", "requests"))
        try:
            low, high = quantity.parse(str(request)), quantity.parse(str(limit))
        except ValueError:
            continue
        if high > low * quantity.parse(str(most)):
            yield (
                f'container "{container.get("name", "")}" has resources.limits.{resource}: '
                f"{limit}, more than {most} times its request of {request}; "
                "write a larger request"
            )
