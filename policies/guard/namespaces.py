"""
What the API server will refuse of a workload's pods in their namespace, policies or none.

A workload itself is let in there, and the refusal is an event of its controller that nobody reads:
the namespace's Pod Security level, its LimitRanges and its ResourceQuotas are for pods.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies.guard import limit_ranges, pod_security, resource_quotas
from policies.model import ENFORCED, Facts

_LEVELS = ("baseline", "restricted")


def violations(pod: Any, namespace: str, facts: Facts) -> Iterator[str]:
    """Say what is refused for good."""
    yield from _of_security(pod, namespace, facts)
    ranges = facts.limit_ranges.get(namespace, ())
    spec = limit_ranges.defaulted(pod.get("spec"), ranges)
    yield from limit_ranges.violations(spec, ranges)
    yield from resource_quotas.violations(spec, facts.resource_quotas.get(namespace, ()))


def shortages(pod: Any, namespace: str, facts: Facts) -> Iterator[str]:
    """Say what is refused for now."""
    spec = limit_ranges.defaulted(pod.get("spec"), facts.limit_ranges.get(namespace, ()))
    yield from resource_quotas.shortages(spec, facts.resource_quotas.get(namespace, ()))


def _of_security(pod: Any, namespace: str, facts: Facts) -> Iterator[str]:
    labels = facts.namespaces.get(namespace, {})
    level = labels.get(ENFORCED)
    if level not in _LEVELS:
        return
    version = labels.get(f"{ENFORCED}-version", pod_security.LATEST)
    if version == pod_security.LATEST:  # which is the API server's own
        version = f"v1.{facts.kube_version[1]}"
    try:
        pod_security.minor(version)
    except ValueError:
        version = pod_security.LATEST  # as the API server reads what it can't
    for message in pod_security.violations(level, version, pod.get("metadata"), pod.get("spec")):
        yield f'namespace "{namespace}" enforces the {level} Pod Security Standard: {message}'
