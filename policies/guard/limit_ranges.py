"""
What a namespace's LimitRanges make of a pod, and what they refuse of it.

    {spec: {limits: [{type: Container, default: {cpu: 2}, max: {cpu: 8}}]}}

A template has none of the defaults yet, which its pods get as they are created. Source:
plugin/pkg/admission/limitranger/admission.go of Kubernetes; the defaults of a LimitRange itself
(`max` is a limit's default, a limit's that of the request) are pkg/apis/core/v1/defaults.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from policies import quantity
from policies.guard.containers import at, items
from policies.model import Manifest
from policies.workloads import requests

_LISTS = ("initContainers", "containers")
_KINDS = ("requests", "limits")
_RATIO = "maxLimitRequestRatio"


def defaulted(spec: Any, ranges: Sequence[Manifest]) -> Any:
    """Give a pod's spec as its pods will have it."""
    requested, limited = _defaults(ranges)
    if not isinstance(spec, dict) or not (requested or limited):
        return spec
    return spec | {
        member: [_with(one, requested, limited) for one in items(spec, member)]
        for member in _LISTS
        if member in spec
    }


def _defaults(ranges: Sequence[Manifest]) -> tuple[dict[str, Any], dict[str, Any]]:
    requested: dict[str, Any] = {}
    limited: dict[str, Any] = {}
    for _, bound in _bounds(ranges, "Container"):
        limits = {**_mapping(bound, "max"), **_mapping(bound, "default")}
        less = {**_mapping(bound, "min"), **limits, **_mapping(bound, "defaultRequest")}
        limited = limits | limited
        requested = less | requested
    return requested, limited


def _with(
    container: Manifest, requested: Mapping[str, Any], limited: Mapping[str, Any]
) -> Manifest:
    own = _mapping(container, "resources")
    limits = dict(_mapping(own, "limits"))
    # A limit of one's own is the request.
    asked = {**requested, **limits, **_mapping(own, "requests")}
    for name, default in limited.items():
        request = asked.get(name)
        # A request that we add has a default limit rise; one of the user's is refused as it is.
        limits.setdefault(name, request if _more(request, default) else default)
    return container | {"resources": {**own, "requests": asked, "limits": limits}}


def _mapping(value: Any, *path: str) -> Mapping[str, Any]:
    found = at(value, *path)
    return found if isinstance(found, dict) else {}


def _more(one: Any, other: Any) -> bool:
    return one is not None and quantity.at_least(one, other)


def _bounds(ranges: Sequence[Manifest], kind: str) -> Iterator[tuple[str, Manifest]]:
    for one in ranges:
        for bound in items(one, "spec", "limits"):
            if bound.get("type") == kind:
                yield str(at(one, "metadata", "name") or ""), bound


# --- what is refused --------------------------------------------------------------------------


def violations(spec: Any, ranges: Sequence[Manifest]) -> Iterator[str]:
    """Say what LimitRanges refuse of a pod that has their defaults."""
    for name, bound in _bounds(ranges, "Container"):
        for member in _LISTS:
            for one in items(spec, member):
                who = f'container "{one.get("name", "")}" has'
                found = {kind: _mapping(one, "resources", kind) for kind in _KINDS}
                yield from _judge(
                    _Judged(name, bound, found, who, "resources.{kind}.{resource}: {said}")
                )
    for name, bound in _bounds(ranges, "Pod"):
        says = "{resource} {kind} of {said}"
        yield from _judge(_Judged(name, bound, of_pod(spec), "a pod has", says))


@dataclass(frozen=True, slots=True)
class _Judged:
    """A container, or a pod, and the part of a LimitRange that is for it."""

    name: str
    bound: Manifest
    found: Mapping[str, Mapping[str, Any]]  # requests, limits -> resource -> amount
    who: str
    says: str

    def amount(self, kind: str, resource: str) -> str:
        said = self.found[kind].get(resource)
        return f"{self.who} {self.says.format(kind=kind, resource=resource, said=said)}"

    def nothing(self, kind: str, resource: str, member: str) -> str:
        return (
            f"{self.who} no {resource} {kind.removesuffix('s')}, which the {member} of LimitRange "
            f'"{self.name}" asks for; write resources.{kind}.{resource}'
        )


def _judge(one: _Judged) -> Iterator[str]:
    for member in ("min", "max"):
        for resource, amount in _mapping(one.bound, member).items():
            for kind in _KINDS:
                yield from _within(one, member, (kind, resource, amount))
    for resource, most in _mapping(one.bound, _RATIO).items():
        limit, request = (one.found[kind].get(resource) for kind in ("limits", "requests"))
        if limit is None or request is None:
            kind = "limits" if limit is None else "requests"
            yield one.nothing(kind, resource, _RATIO)
        elif _ratio(limit, request) > _ratio(most, 1):
            yield (
                f"{one.amount('limits', resource)}, more than {most} times the request of "
                f'{request}, the {_RATIO} of LimitRange "{one.name}"; write a larger request'
            )


def _within(one: _Judged, member: str, asked: tuple[str, str, Any]) -> Iterator[str]:
    kind, resource, amount = asked
    said, over = one.found[kind].get(resource), member == "max"
    if said is None:
        if kind == ("limits" if over else "requests"):
            yield one.nothing(kind, resource, member)
    elif not quantity.at_least(*((amount, said) if over else (said, amount))):
        yield (
            f"{one.amount(kind, resource)}, {'more' if over else 'less'} than the {member} "
            f'{amount} of LimitRange "{one.name}"; write {amount} or {"less" if over else "more"}'
        )


def _ratio(one: Any, other: Any) -> Decimal:
    try:
        below = quantity.parse(str(other))
        return quantity.parse(str(one)) / below if below else Decimal(0)
    except ValueError:
        return Decimal(0)


def of_pod(spec: Any) -> Mapping[str, Mapping[str, str]]:
    """Sum up what a pod requests, and its limits."""
    whole = spec if isinstance(spec, dict) else {}
    limits = whole | {member: [_swapped(one) for one in items(whole, member)] for member in _LISTS}
    if "resources" in whole:
        limits |= _swapped({"resources": whole["resources"]})
    found = {}
    for kind, one in zip(_KINDS, (whole, limits), strict=True):
        amounts = requests.of_pod(one).amounts
        found[kind] = {name: amounts.text(name) for name in amounts.values}
    return found


def _swapped(one: Manifest) -> Manifest:
    return one | {"resources": {"requests": _mapping(one, "resources", "limits")}}


def missing(spec: Any, kind: str, resource: str) -> Iterable[str]:
    """Name the containers that say nothing of a resource."""
    for member in _LISTS:
        for one in items(spec, member):
            said = at(one, "resources", kind, resource)
            if said is None and kind == "requests":
                said = at(one, "resources", "limits", resource)
            if said is None:
                yield str(one.get("name", ""))
