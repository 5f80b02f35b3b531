"""
What a changed template does to the pods that are there: which are replaced, how many at a time.

    of(deployment, changed)  -> "its 4 pods are replaced, at most 1 more and none fewer at a time"
    over(quotas, more)       -> what a ResourceQuota has no room for while that goes on
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from policies import quantity
from policies.model import Manifest
from policies.patch import lookup
from policies.workloads.catalogue import Kind
from policies.workloads.shares import Demand

ROLLED = frozenset({"Deployment.apps", "StatefulSet.apps", "DaemonSet.apps"})
_WAYS = {
    "Deployment.apps": ("strategy", "RollingUpdate"),
    "StatefulSet.apps": ("updateStrategy", "RollingUpdate"),
    "DaemonSet.apps": ("updateStrategy", "RollingUpdate"),
}


def of(found: Manifest, kind: Kind) -> str:
    """Say what becomes of an object's pods when its template changes."""
    if kind.name in _WAYS:
        member, default = _WAYS[kind.name]
        strategy = lookup(found, ("spec", member)) or {}
        return _BY_KIND[kind.name](found, strategy.get("type") or default, strategy)
    if kind.name in _OTHERS:
        return _OTHERS[kind.name]
    return f"its controller decides which of its pods it replaces; see the {kind.kind}'s manual"


_OTHERS = {
    "CronJob.batch": "what runs goes on as it is; the next run gets it",
    "Service.serving.knative.dev": "a new revision is made, which gets the traffic once it is "
    "ready; the pods of the old one end then",
    "InferenceService.serving.kserve.io": "its predictor is rolled out anew by KServe",
    "ReplicaSet.apps": "its pods stay; those that are made from now on get it",
    "ReplicationController": "its pods stay; those that are made from now on get it",
}


def _deployment(found: Manifest, way: str, strategy: Mapping[str, Any]) -> str:
    count = _count(found)
    if not count:
        return "it has no pods now, so none is replaced"
    pods = _pods(count)
    if way == "Recreate":
        return f"{pods} replaced: all end first, then the new ones start (Recreate)"
    limits = strategy.get("rollingUpdate") or {}
    surge = _share(limits.get("maxSurge", "25%"), count, up=True)
    fewer = _share(limits.get("maxUnavailable", "25%"), count, up=False)
    if not surge and not fewer:
        fewer = 1  # as its controller does, which couldn't begin otherwise
    said = f"{pods} replaced, at most {surge} more and at most {fewer} fewer at a time"
    paused = lookup(found, ("spec", "paused")) is True
    return said + ("; it is paused, so that begins when it goes on" if paused else "")


def _stateful_set(found: Manifest, way: str, strategy: Mapping[str, Any]) -> str:
    count = _count(found)
    if not count:
        return "it has no pods now, so none is replaced"
    if way == "OnDelete":
        return f"none of its {count} pods is replaced until somebody deletes it (OnDelete)"
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    rolled = max(0, count - int(partition))
    if partition:
        return (
            f"{rolled} of its {count} pods are replaced, one after the other from the last "
            f"(partition {partition})"
        )
    return f"{_pods(count)} replaced, one after the other from the last"


def _daemon_set(found: Manifest, way: str, strategy: Mapping[str, Any]) -> str:
    count = int(lookup(found, ("status", "desiredNumberScheduled")) or 0)
    if way == "OnDelete":
        return f"none of its {count} pods is replaced until somebody deletes it (OnDelete)"
    limits = strategy.get("rollingUpdate") or {}
    fewer = _share(limits.get("maxUnavailable", 1), count, up=True)
    surge = _share(limits.get("maxSurge", 0), count, up=True)
    return f"{_pods(count)} replaced, at most {surge} more and at most {fewer} fewer at a time"


_BY_KIND = {
    "Deployment.apps": _deployment,
    "StatefulSet.apps": _stateful_set,
    "DaemonSet.apps": _daemon_set,
}


def _count(found: Manifest) -> int:
    written = lookup(found, ("spec", "replicas"))
    return 1 if written is None else int(written)


def _pods(count: int) -> str:
    return "its pod is" if count == 1 else f"its {count} pods are"


def _share(value: Any, count: int, *, up: bool) -> int:
    """Read a number or a percentage of the pods, rounded as the controllers do."""
    if not isinstance(value, str):
        return int(value)
    exact = Decimal(value.rstrip("%")) * count / 100
    return math.ceil(exact) if up else math.floor(exact)


def more(then: Demand, now: Demand) -> dict[str, Decimal]:
    """
    Tell how much more may be asked for while the pods are replaced, by the names of quotas.

    Beside all new pods there are as many old ones as the surge lets be.
    """
    found: dict[str, Decimal] = {}
    for name in {*then.peak.amounts.values, *now.steady.amounts.values}:
        new, old, peak = (
            share.amounts.values.get(name, Decimal(0))
            for share in (now.steady, then.steady, then.peak)
        )
        asked = new + (peak - old) - old
        if asked > 0:
            found[f"requests.{name}"] = asked
    if then.peak.pods and then.steady.pods and then.peak.pods > then.steady.pods:
        found["pods"] = Decimal(then.peak.pods - then.steady.pods)
    return found


def over(quotas: Iterable[Manifest], wanted: Mapping[str, Decimal]) -> Iterator[str]:
    """Say which ResourceQuota has no room for what is asked for more."""
    for quota in quotas:
        status = quota.get("status") or {}
        hard, used = status.get("hard") or {}, status.get("used") or {}
        for name in sorted(wanted):
            for key in (name, name.removeprefix("requests.")):
                if key not in hard:
                    continue
                free = quantity.parse(hard[key]) - quantity.parse(used.get(key, "0"))
                if wanted[name] > free:
                    yield (
                        f'ResourceQuota "{quota["metadata"]["name"]}" has {_text(free)} of '
                        f"{hard[key]} {key} left, and up to {_text(wanted[name])} more are asked "
                        "for meanwhile: the rollout stops where they run out"
                    )
                break


def _text(value: Decimal) -> str:
    return f"{max(value, Decimal(0)).normalize():f}"
