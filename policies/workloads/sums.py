"""Sums over a workflow's plan, and why an object can't be summed up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from policies.patch import Path
from policies.workloads import antichains, locate, steps
from policies.workloads.counts import Pods
from policies.workloads.shares import Share
from policies.workloads.steps import Plan


def no_count(at: Path, value: Any) -> str:
    """Say which field holds no count."""
    return (
        f"{locate.written(at)} is {json.dumps(value, default=str)}, which the API server refuses; "
        "write a whole number that isn't negative"
    )


def at_once(plan: Plan, one: Mapping[str, Share]) -> Share:
    """Add up what of a plan runs at once."""
    share = Share()
    if isinstance(plan, steps.Pod):
        share.add(one.get(plan.name) or Share(pods=1))
    elif isinstance(plan, steps.Repeated):
        share.add(at_once(plan.plan, one), plan.times)
    elif isinstance(plan, steps.Bounded):
        share.add(at_once(plan.plan, one))
        inside = [one.get(name) or Share(pods=1) for name in steps.runs(plan.plan)]
        _bound(share, inside, most=plan.most, pods=at_once(plan.plan, {}).pods)
    elif isinstance(plan, steps.Graph):
        return _of_graph(plan, [at_once(each, one) for each in plan.plans])
    else:
        for each in plan.plans:
            found = at_once(each, one)
            if isinstance(plan, steps.Together):
                share.add(found)
            else:
                share.at_least(found)
    return share


def _of_graph(plan: steps.Graph, shares: list[Share]) -> Share:
    """Find for each figure the most of it that tasks ask for that may run side by side."""
    pods = steps.most(plan, [share.pods for share in shares])
    found = Share(pods=pods, endless={name for share in shares for name in share.endless})
    for name in dict.fromkeys(name for share in shares for name in share.amounts.values):
        weights = [share.amounts.values.get(name, Decimal(0)) for share in shares]
        found.amounts.values[name] = antichains.heaviest(weights, plan.after)
        if any(name in share.amounts.binary for share in shares):
            found.amounts.binary.add(name)
    return found


def _bound(share: Share, units: Iterable[Share], *, most: int, pods: Pods) -> None:
    """Bound a sum by the pods that may run at once, each with what comes with it."""
    if pods is not None and pods <= most:
        return
    largest = Share(pods=1)
    for unit in units:
        largest.at_least(unit)
    for name, value in largest.amounts.values.items():
        bound = value * most
        if name in share.endless or share.amounts.values.get(name, Decimal(0)) > bound:
            share.amounts.values[name] = bound
    share.amounts.binary |= largest.amounts.binary
    share.endless = set(largest.endless)
    if largest.pods is not None:
        known = [largest.pods * most, *([] if share.pods is None else [share.pods])]
        share.pods = min(known)
