"""
What a namespace's ResourceQuotas refuse of a pod, for good or for now.

    {spec: {hard: {requests.cpu: 8, limits.memory: 16Gi}}, status: {used: {requests.cpu: 6}}}

A quota with scopes is left out: it may be for other pods.
Source: pkg/quota/v1/evaluator/core/pods.go of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from policies import quantity
from policies.guard import limit_ranges
from policies.guard.containers import at
from policies.model import Manifest

_BASIC = ("cpu", "memory")  # of which every container must say something
_BARE = (*_BASIC, "ephemeral-storage")
_ONE = ("pods", "count/pods")


def violations(spec: Any, quotas: Sequence[Manifest]) -> Iterator[str]:
    """Say what no pod of this spec can have."""
    needs = limit_ranges.of_pod(spec)
    for name, key, hard, _ in _bounds(quotas):
        kind, resource = _of(key)
        if resource in _BASIC:
            for container in limit_ranges.missing(spec, kind, resource):
                yield (
                    f'container "{container}" has no {resource} {kind.removesuffix("s")}, which '
                    f'ResourceQuota "{name}" asks for; write resources.{kind}.{resource}'
                )
        need = _need(needs, key)
        if need and key not in _ONE and not quantity.at_least(hard, need):
            fix = "take it out" if quantity.equal(hard, 0) else f"write {hard} or less"
            yield (
                f'a pod asks for {key}: {need}, more than the {hard} of ResourceQuota "{name}"; '
                f"{fix}"
            )


def shortages(spec: Any, quotas: Sequence[Manifest]) -> Iterator[str]:
    """Say what a pod of this spec can't have before others end."""
    needs = limit_ranges.of_pod(spec)
    for name, key, hard, used in _bounds(quotas):
        need = _need(needs, key)
        if not need or used is None or (key not in _ONE and not quantity.at_least(hard, need)):
            continue  # which is refused for good
        left = max(quantity.parse(str(hard)) - quantity.parse(str(used)), Decimal(0))
        if quantity.parse(need) > left:
            binary = quantity.is_binary(str(hard)) or quantity.is_binary(str(used))
            text = quantity.canonical(left, binary=binary)
            yield (
                f'a pod asks for {key}: {need}, and ResourceQuota "{name}" has {text} of {hard} '
                "left; there are fewer pods until others end"
            )


def _bounds(quotas: Sequence[Manifest]) -> Iterator[tuple[str, str, Any, Any]]:
    """List the name, the resource, what it may be at most, and what is used."""
    for one in quotas:
        if at(one, "spec", "scopes") or at(one, "spec", "scopeSelector"):
            continue
        for key, hard in (at(one, "spec", "hard") or {}).items():
            try:
                quantity.parse(str(hard))
            except ValueError:
                continue
            yield str(at(one, "metadata", "name") or ""), key, hard, at(one, "status", "used", key)


def _of(key: str) -> tuple[str, str]:
    """Read a quota's key: `limits.cpu`, `requests.nvidia.com/gpu`, `memory`."""
    kind, dot, resource = key.partition(".")
    if dot and kind in ("requests", "limits"):
        return kind, resource
    return ("requests", key) if key in _BARE or key.startswith("hugepages-") else ("", "")


def _need(needs: Mapping[str, Mapping[str, str]], key: str) -> str:
    if key in _ONE:
        return "1"
    kind, resource = _of(key)
    return needs.get(kind, {}).get(resource, "")
