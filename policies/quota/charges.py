"""
What an object is charged with, by policy: its group, and its demand in the budget's own keys.

    of(rendered, kind, …) -> (Charge(policy=gpus, group="nlp", amounts={"accelerators.a100": 4}),)

A device counts for each class whose nodes its pod may land on: what names no nodes counts for every
class of its resource. Else a budget would be evaded by not saying what one wants.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from policies import conditions, intents
from policies.cost import budget
from policies.match import Predicate, Target, compiled
from policies.model import Accelerator, Facts, Match, PolicyException, Request
from policies.patch import Path, lookup
from policies.quota import budgets, nodes
from policies.quota.ledger import Amounts
from policies.quota.policy import GroupBy, QuotaPolicy
from policies.quota.reading import DEVICES
from policies.workloads import demand, requests
from policies.workloads.catalogue import Catalogue, Kind
from policies.workloads.requests import PodRequest
from policies.workloads.shares import Share

PODS = "pods"
_COUNT = "devices"  # devices without weights; no budget has a key of that name
_LONGEST = (
    128  # characters of a group's name: an expression may give anything, and ledgers are small
)
NONE = "<none>"  # the group of what has no label, no creator, no queue
CREATOR = intents.CREATOR
_POD = "Pod"
_ZERO = Decimal(0)
_ONE = Decimal(1)
_QUEUE_LABELS = ("kueue.x-k8s.io/queue-name", "kai.scheduler/queue", "volcano.sh/queue-name")
_QUEUE_ANNOTATIONS = ("scheduling.volcano.sh/queue-name", f"{intents.PREFIX}queue")
# What a rolling update adds, and the field that says so.
_SURGE: Mapping[str, str] = {
    "Deployment.apps": "spec.strategy.rollingUpdate.maxSurge",
    "Rollout.argoproj.io": "spec.strategy.canary.maxSurge",
    "LeaderWorkerSet.leaderworkerset.x-k8s.io": (
        "spec.rolloutStrategy.rollingUpdateConfiguration.maxSurge"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """
    What one policy charges one object with, at its peak.

    `steady` is what it asks for now, without a peak. `endless` are keys without an upper bound.
    `surge` is the part of `amounts` that a rolling update adds, by the field `surge_field`.
    `devices` is their number, whatever they weigh. `schedule` names the one that holds.
    `exempt`: an exception lets it off; it counts still.
    """

    policy: QuotaPolicy
    group: str
    amounts: Amounts
    steady: Amounts = field(default_factory=dict)
    endless: frozenset[str] = frozenset()
    surge: Amounts = field(default_factory=dict)
    surge_field: str = ""
    devices: Decimal = _ZERO
    schedule: str = ""
    exempt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """One policy, ready to be asked."""

    policy: QuotaPolicy
    covers: Predicate
    keys: frozenset[str]
    exceptions: tuple[tuple[PolicyException, Predicate], ...] = ()

    def is_for(self, target: Target) -> bool:
        """Tell whether it covers a target, which it does where that can't be found out."""
        return self._holds(self.covers, target, unknown=True)

    def lets_off(self, target: Target, now: float | None) -> bool:
        """Tell whether an exception holds for a target."""
        return any(
            (one.expires is None or now is None or now < one.expires)
            and self._holds(holds, target, unknown=False)
            for one, holds in self.exceptions
        )

    def _holds(self, predicate: Predicate, target: Target, *, unknown: bool) -> bool:
        try:
            return predicate(target)
        except conditions.EvaluationError as error:
            counts = "it counts" if unknown else "no exception counts"
            target.faults.append(f"{self.policy.name}: {counts}: spec.{error}")
            return unknown


def ready(policy: QuotaPolicy, exceptions: tuple[PolicyException, ...]) -> Quota:
    """Make a policy ready: what names `Pod`, or no kind, is for every workload."""
    return Quota(
        policy=policy,
        covers=compiled(_of_any_kind(policy.match)),
        keys=budgets.keys(policy),
        exceptions=tuple(
            (one, compiled(_of_any_kind(one.match)))
            for one in exceptions
            if policy.name in one.policies
        ),
    )


def _of_any_kind(match: Match) -> Match:
    return replace(match, kinds=()) if _POD in match.kinds else match


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What an object asks for in budget keys: at its peak, and at the steady state."""

    peak: Share
    steady: Share


def count(obj: Any, kind: Kind, known: Catalogue, classes: Classes) -> Counted:
    """Count what a rendered object asks for; what is held back asks for nothing."""
    if demand.is_held(obj, kind):
        return Counted(peak=Share(), steady=Share())
    found = demand.of(obj, kind, known, classes.accelerators, also=classes.count)
    return Counted(peak=found.peak, steady=found.steady)


def charge(
    quota: Quota,
    counted: Counted,
    request: Request,
    *,
    target: Target,
    facts: Facts,
    kind: Kind,
) -> Charge:
    """Charge one object that a policy covers."""
    peak, steady = (_amounts(one, quota.keys) for one in (counted.peak, counted.steady))
    surging = _SURGE.get(kind.name, "")
    surge = {name: value - steady.get(name, _ZERO) for name, value in peak.items()}
    schedule = budgets.schedule_of(quota.policy, facts.now)
    return Charge(
        policy=quota.policy,
        group=group_of(quota.policy.group_by, request, target, facts),
        amounts=peak,
        steady=steady,
        endless=frozenset(_endless(counted.peak, quota.keys)),
        surge={name: value for name, value in surge.items() if value > 0} if surging else {},
        surge_field=surging,
        devices=counted.peak.amounts.values.get(_COUNT, _ZERO),
        schedule=schedule.title if schedule else "",
        exempt=quota.lets_off(target, facts.now),
    )


def _amounts(share: Share, keys: frozenset[str]) -> Amounts:
    found = {name: share.amounts.values[name] for name in keys if share.amounts.values.get(name)}
    if PODS in keys and share.pods:
        found[PODS] = Decimal(share.pods)
    return found


def _endless(share: Share, keys: frozenset[str]) -> Iterator[str]:
    yield from (name for name in share.endless if name in keys)
    if PODS in keys and share.pods is None:
        yield PODS


# --- groups ------------------------------------------------------------------------------------


def group_of(by: GroupBy, request: Request, target: Target, facts: Facts) -> str:
    """Name the group of an object; what has none is in `<none>`, and what is endless is cut."""
    found = _GROUPS[by.by](by.of, request, target, facts) or NONE
    if len(found) <= _LONGEST:
        return found
    digest = hashlib.blake2b(found.encode(errors="replace"), digest_size=6).hexdigest()
    return f"{found[: _LONGEST - len(digest) - 1]}…{digest}"


def _namespace(_of: str, request: Request, target: Target, facts: Facts) -> str:
    return target.namespace


def _namespace_label(of: str, request: Request, target: Target, facts: Facts) -> str:
    return target.namespace_labels.get(of, "")


def _user(_of: str, request: Request, target: Target, facts: Facts) -> str:
    found = lookup(request.object, ("metadata", "annotations", CREATOR))
    return found if isinstance(found, str) else ""


def _queue(_of: str, request: Request, target: Target, facts: Facts) -> str:
    places: list[Path] = [("metadata", "labels", key) for key in _QUEUE_LABELS]
    places.append(("spec", "queue"))
    places += [("metadata", "annotations", key) for key in _QUEUE_ANNOTATIONS]
    for place in places:
        found = lookup(request.object, place)
        if isinstance(found, str) and found:
            return found
    return ""


def _expression(of: str, request: Request, target: Target, facts: Facts) -> str:
    bound = conditions.bind(
        {
            "object": request.object,
            "oldObject": None,
            "request": {"namespace": target.namespace, "name": request.name},
            "namespaceObject": {
                "metadata": {"name": target.namespace, "labels": dict(target.namespace_labels)}
            },
            "params": None,
            "variables": {},
        }
    )
    try:
        with budget.policy():
            found = conditions.compiled(of, "STRING").value(bound)
    except conditions.EvaluationError:
        return ""
    return found if isinstance(found, str) else ""


_GROUPS: Mapping[str, Callable[[str, Request, Target, Facts], str]] = {
    "namespace": _namespace,
    "namespaceLabel": _namespace_label,
    "user": _user,
    "queue": _queue,
    "expression": _expression,
}


# --- classes -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Class:
    """One device class: the key that budgets have for it, where its nodes are, what it weighs."""

    key: str
    nodes: nodes.Nodes
    weight: Decimal


class Classes:
    """Device classes, ready to count pods by: also by the resource that they are asked for by."""

    def __init__(self, accelerators: Mapping[str, Accelerator]) -> None:
        self.accelerators = accelerators
        self._by_name: dict[str, _Class] = {}
        self._by_resource: dict[str, list[_Class]] = {}
        for one in accelerators.values():
            made = self._by_name[one.name] = _Class(
                key=f"{DEVICES}.{one.name}",
                nodes=nodes.of_labels(one.node_selector),
                weight=Decimal(str(one.weight)),
            )
            self._by_resource.setdefault(_resource(one), []).append(made)

    def count(self, request: PodRequest, spec: Any, classes: Mapping[str, str]) -> None:
        """Count a pod's devices by class, and by weight, beside their resources."""
        amounts = request.amounts.values
        devices = [name for name in amounts if requests.is_device(name)]
        if not devices:
            return
        may = nodes.of_pod(spec)
        weighed = count = _ZERO
        for resource in devices:
            number = amounts[resource]
            named = self._by_name.get(classes.get(resource, ""))
            within = nodes.both(may, named.nodes) if named else may
            found = [
                one
                for one in self._by_resource.get(resource, ())
                if not nodes.apart(within, one.nodes)
            ]
            for one in found:
                amounts[one.key] = number
            weighed += number * (named.weight if named else max(_weights(found)))
            count += number
        if weighed:
            amounts[DEVICES] = weighed
        if count:
            amounts[_COUNT] = count


def _weights(classes: list[_Class]) -> Iterable[Decimal]:
    return [one.weight for one in classes] or [_ONE]


def _resource(accelerator: Accelerator) -> str:
    return accelerator.resource or f"deviceclass/{accelerator.device_class_name}"
