"""
What groups may use and use, as far as the user may see it.

Used and reserved are what the policy's status says. Who holds what comes from the workloads that
the user may list, charged as the webhook charges them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from kubectl_ml import in_force, objects, reach
from kubectl_ml.cluster import Cluster
from kubectl_ml.errors import NotAllowed, NotFound, NotInstalled
from policies import engine, quantity
from policies.model import API_VERSION, DOMAIN, Facts, Manifest, Match, PolicySet, User
from policies.quota import budgets, reading
from policies.quota.charges import NONE
from policies.quota.ledger import Amounts
from policies.quota.policy import QuotaPolicy
from policies.quota.trees import Account, Forest, entry_of, total
from policies.workloads import catalogue
from policies.workloads.catalogue import Kind

ENABLED = f"{DOMAIN}/enabled"  # the label of namespaces in which the webhook is asked
_ZERO = Decimal(0)
_NAMESPACE = "namespaceObject"  # what an expression calls it


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """One workload and what it uses of a budget, with what its pods use beyond it."""

    kind: str
    namespace: str
    name: str
    amounts: Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What one group may use under one policy, and uses; largest holders first."""

    policy: QuotaPolicy
    group: str
    budget: Amounts
    used: Amounts
    reserved: Amounts
    holders: tuple[Holder, ...]
    schedule: str = ""  # the one that holds

    def free(self, key: str) -> Decimal:
        """Tell how much is left; less than nothing where the budget is overdrawn."""
        taken = self.used.get(key, _ZERO) + self.reserved.get(key, _ZERO)
        return self.budget[key] - taken


@dataclass(slots=True, kw_only=True)
class Seen:
    """What the user may see of one cluster at one time."""

    policies: PolicySet
    facts: Facts
    namespace: str
    forest: Forest = field(default_factory=Forest)
    holders: dict[Account, list[Holder]] = field(default_factory=dict)
    statuses: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # by policy
    notes: dict[str, None] = field(default_factory=dict)  # an ordered set
    hidden: list[str] = field(default_factory=list)  # kinds that can't be listed elsewhere
    hidden_here: list[str] = field(default_factory=list)  # nor in our namespace
    unjudged: list[str] = field(default_factory=list)  # policies of the cluster without a status
    absent: bool = False  # our namespace isn't there
    unplaced: bool = False  # some policy may have a group for it; which isn't known
    beyond: dict[str, list[str]] = field(default_factory=dict)  # groups that no status tells of

    def use(self, policy: QuotaPolicy, group: str) -> Use:
        """Tell what a group uses."""
        holders = tuple(self.holders.get((policy.name, group), ()))
        used: Amounts = {}
        for one in holders:
            used = total(used, one.amounts)
        reserved: Amounts = {}
        status = self.statuses.get(policy.name)
        if status is not None:
            listed = status.get("groups") or ()
            found = next((one for one in listed if one["group"] == group), None)
            if found is not None or len(listed) >= int(status.get("groupsInAll") or 0):
                used, reserved = (_read(found, key) for key in ("used", "reserved"))
            elif group not in self.beyond.setdefault(policy.name, []):
                self.beyond[policy.name].append(group)
        elif policy.name in self.unjudged:
            self.notes[
                f"{policy.name} has no status: no webhook acts by it yet; its groups are "
                "counted by what you may see"
            ] = None
        elif self.hidden:
            self.notes[f"{policy.name} is counted by what you may see"] = None
        budget = budgets.of(policy, group, self.facts.now)
        schedule = budgets.schedule_of(policy, self.facts.now)
        if schedule is not None:
            self.notes[f"{policy.name}: the budget is that of schedule {schedule.title}"] = None
        return Use(
            policy=policy, group=group, budget=budget, used=used, reserved=reserved,
            holders=holders, schedule=schedule.title if schedule else "",
        )  # fmt: skip

    def untold(self, *, everywhere: bool) -> Iterator[str]:
        """Say which groups that were asked for a status leaves out: it is bounded."""
        for policy, status in self.statuses.items():
            listed, whole = len(status.get("groups") or ()), int(status.get("groupsInAll") or 0)
            beyond = self.beyond.get(policy, [])
            missing = whole - listed - len(beyond) if everywhere else 0
            said = []
            if beyond:
                who = f"{len(beyond)} others are" if len(beyond) > 1 else f"{beyond[0]} is"
                said.append(f"{who} counted by what you may see")
            if missing > 0:
                said.append(f"{missing} {'are' if missing > 1 else 'is'} not shown")
            if said:
                yield f"{policy} tells of {listed} of {whole} groups; {', '.join(said)}"

    def groups(self, policy: QuotaPolicy) -> list[str]:
        """Name the groups that use something, or have a budget of their own."""
        found = {group for name, group in self.holders if name == policy.name}
        listed = (self.statuses.get(policy.name) or {}).get("groups") or ()
        found |= {one["group"] for one in listed}
        named = [name for one in policy.overrides for name in one.groups]
        return sorted(found | {name for name in named if not set(name) & set("*?[")})

    def note_unasked(self, namespace: str) -> None:
        """Note that no webhook is asked in a namespace, as far as its labels are known."""
        labels = self.facts.namespaces.get(namespace)
        if self.policies.quotas and labels is not None and labels.get(ENABLED) != "true":
            self.notes[
                f'namespace "{namespace}" isn\'t labelled {ENABLED}=true: what it holds is '
                "counted, and nothing is refused there"
            ] = None

    def of_namespace(self, policy: QuotaPolicy) -> list[str]:
        """Name the groups that a namespace is in, by its name, its labels or its workloads."""
        by = policy.group_by
        labels = self.facts.namespaces.get(self.namespace)
        if self.absent or not reach.may_reach(policy.match, self.namespace, labels):
            return []
        if by.by == "namespace":
            return [self.namespace]
        if by.by == "namespaceLabel" and labels is not None:
            return [labels.get(by.of) or NONE]
        found = {
            group
            for (name, group), holders in self.holders.items()
            if name == policy.name and any(one.namespace == self.namespace for one in holders)
        }
        if by.by == "user" and self.facts.user.username:
            found.add(self.facts.user.username)
        if not found and policy.budget.amounts:
            self.unplaced = True
            word = "label" if by.by == "namespaceLabel" else by.by
            self.notes[
                f"{policy.name} groups by {word}; nothing that you may see of namespace "
                f'"{self.namespace}" is in a group of it yet'
            ] = None
        return sorted(found)

    def possible(self, policy: QuotaPolicy) -> set[str]:
        """Name every group that is known, idle ones too."""
        by, found = policy.group_by, set(self.groups(policy))
        for namespace, labels in self.facts.namespaces.items():
            if not reach.may_reach(policy.match, namespace, labels):
                continue
            if by.by == "namespace":
                found.add(namespace)
            elif by.by == "namespaceLabel":
                found.add(labels.get(by.of) or NONE)
        return found


def look(cluster: Cluster, policies: PolicySet) -> Seen:
    """Read what the user may read."""
    facts = replace(in_force.facts(cluster), now=time.time())
    seen = Seen(policies=policies, facts=facts, namespace=cluster.namespace)
    if not policies.quotas:
        return seen
    if any(one.group_by.by == "user" for one in policies.quotas):
        seen.facts = replace(facts, user=User(username=cluster.username()))
    _statuses(cluster, seen)
    _workloads(cluster, seen)
    if cluster.namespace not in facts.namespaces:
        _without_labels(cluster, seen)
    return seen


def _without_labels(cluster: Cluster, seen: Seen) -> None:
    """Say that our namespace isn't there, or that its labels are hidden."""
    by_labels = [one.name for one in seen.policies.quotas if asks_labels(one)]
    try:
        cluster.get("v1", "Namespace", cluster.namespace, namespace=None)
    except NotFound:
        seen.absent = True
        seen.notes[f'there is no namespace "{cluster.namespace}"'] = None
    except NotAllowed:
        if by_labels:
            go = "groups or chooses" if len(by_labels) == 1 else "group or choose"
            seen.notes[
                f'the labels of namespace "{cluster.namespace}" are hidden: you can\'t get '
                f"namespaces; {', '.join(by_labels)} {go} by them, so holders may be missing"
            ] = None


def asks_labels(policy: QuotaPolicy) -> bool:
    """Tell whether a namespace's labels decide what a policy makes of its workloads."""
    by = policy.group_by
    return (
        by.by == "namespaceLabel"
        or (by.by == "expression" and _NAMESPACE in by.of)
        or _chooses_by_labels(policy.match)
    )


def _chooses_by_labels(match: Match) -> bool:
    namespaces = match.namespaces
    return (
        (namespaces is not None and namespaces.selector is not None)
        or any(_NAMESPACE in expression for _, expression in match.conditions)
        or (match.exclude is not None and _chooses_by_labels(match.exclude))
    )


def _statuses(cluster: Cluster, seen: Seen) -> None:
    try:
        found = cluster.find_all(API_VERSION, "QuotaPolicy", namespace=None)
    except (NotAllowed, NotInstalled, NotFound) as error:
        seen.notes[f"what is reserved is hidden: {error.message}"] = None
        return
    digests = {one.name: one.digest for one in seen.policies.quotas}
    for one in found:
        name = one["metadata"]["name"]
        if name in digests and reading.quota_policy(name, one["spec"]).digest == digests[name]:
            if "status" in one:
                seen.statuses[name] = one["status"]
            else:
                seen.unjudged.append(name)


def _workloads(cluster: Cluster, seen: Seen) -> None:
    known = catalogue.of(seen.policies)
    groups = {"", *cluster.groups()}
    for kind in known.kinds.values():
        if kind.group not in groups or _makes_none(kind):
            continue
        for one in _listed(cluster, kind, seen):
            charges = engine.charges(
                objects.request(one, namespace=seen.namespace, user=seen.facts.user),
                seen.policies,
                seen.facts,
            )
            seen.forest.plant(entry_of(one, kind=kind.name, charges=charges))
    _hold(seen)
    if seen.hidden and seen.hidden == seen.hidden_here:
        seen.notes[
            f"workloads are hidden: you can't list {', '.join(seen.hidden)} in namespace "
            f'"{seen.namespace}", nor in others'
        ] = None
        return
    if seen.hidden:
        seen.notes[
            f"other namespaces' workloads are hidden: you can't list {', '.join(seen.hidden)} there"
        ] = None
    if seen.hidden_here:
        seen.notes[
            f'workloads of namespace "{seen.namespace}" are hidden: you can\'t list '
            f"{', '.join(seen.hidden_here)} there"
        ] = None


def _hold(seen: Seen) -> None:
    for uid in seen.forest.entries:
        if seen.forest.root(uid) != uid:
            continue
        for entry, account, amounts in seen.forest.holders(uid):
            if any(amounts.values()):
                holder = Holder(
                    kind=entry.kind, namespace=entry.namespace, name=entry.name, amounts=amounts
                )
                seen.holders.setdefault(account, []).append(holder)
    for holders in seen.holders.values():
        holders.sort(key=lambda one: (-max(one.amounts.values()), one.namespace, one.name))


def _makes_none(kind: Kind) -> bool:
    return bool(kind.template or kind.cluster_scoped or (kind.no_pods and kind.no_pods.always))


def _listed(cluster: Cluster, kind: Kind, seen: Seen) -> Iterator[Manifest]:
    """List a kind everywhere, else in our namespace; say what is hidden."""
    versions = [f"{kind.group}/{one}" if kind.group else one for one in kind.versions]
    version = next((one for one in versions if cluster.serves(one, kind.kind)), None)
    if version is None:
        return
    try:
        yield from cluster.find_all(version, kind.kind, namespace=None)
    except NotAllowed:
        seen.hidden.append(kind.plural)
        try:
            yield from cluster.find_all(version, kind.kind)
        except NotAllowed:
            seen.hidden_here.append(kind.plural)


def _read(found: Any, key: str) -> Amounts:
    amounts: Iterable[tuple[str, str]] = ((found or {}).get(key) or {}).items()
    return {name: quantity.parse(text) for name, text in amounts}
