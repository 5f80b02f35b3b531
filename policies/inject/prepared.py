"""
A policy set made ready for the hot path: matches compiled, containers completed, hashes at hand.

Made once a policy set, so that a review only looks things up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from policies import intents, match
from policies.conditions import EvaluationError
from policies.guard.rules import Guards
from policies.index import Index
from policies.inject import containers, sources
from policies.inject.pod import Author
from policies.inject.sources import Plan
from policies.intents import Device, Intents, Mount
from policies.match import Predicate, Target
from policies.model import (
    Facts,
    Inject,
    InjectionPolicy,
    Manifest,
    Match,
    PolicySet,
    Sidecar,
)
from policies.workloads import catalogue

if TYPE_CHECKING:
    from policies.quota.charges import Classes, Quota

POD = "Pod"
MAX_PLANS = 4096
# Who adds what intents ask for, beside the policies.
FAMILIES = frozenset(
    {"dapr", "devices", "intents", "knative", "kserve", "mesh", "mounts", "queue", "shm"}
)


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Rule:
    """One InjectionPolicy, ready to be asked and applied."""

    policy: InjectionPolicy
    author: Author
    matches: Predicate
    inject: Inject
    sidecars: tuple[Sidecar, ...]  # their containers completed
    init_containers: tuple[Manifest, ...]  # completed
    devices: tuple[Device, ...]
    mounts: tuple[Mount, ...]
    families: frozenset[str]  # that it gives something to: placement, environment, sidecars, …


class Prepared:
    """A policy set ready for use."""

    def __init__(self, policies: PolicySet) -> None:
        self.policies = policies
        self.catalogue = catalogue.of(policies)
        self.guards = Guards(policies.guards, policies.exceptions, policies.accelerators)
        self.quotas: tuple[Quota, ...] = ()
        self.classes: Classes | None = None  # where there are quotas
        if policies.quotas:
            self.quotas, self.classes = _quotas(policies)
        self.quotas_by_user = any(one.group_by.by == "user" for one in policies.quotas)
        self.opt_ins = frozenset(item.name for item in policies.injections if item.opt_in)
        self.authors = FAMILIES | {item.name for item in policies.injections}
        self.previews = any(item.mode == "Preview" for item in policies.injections)
        self._plans: dict[Any, Plan] = {}
        self._by_labels = any(
            source.namespaces and source.namespaces.selector
            for source in policies.data_sources.values()
        )
        self._rules = _by_mode(policies.injections)

    def rules(self, target: Target, wanted: Intents, mode: str = "Apply") -> list[Rule]:
        """Find the policies for one target, in their order; of those to opt into, the wanted."""
        found = [
            rule
            for name in ("", *dict.fromkeys(wanted.profile))
            if (mode, name) in self._rules
            for rule in self._rules[mode, name].candidates(target)
            if _matches(rule, target)
        ]
        if wanted.profile:
            found.sort(key=lambda rule: (rule.policy.order, rule.policy.name))
        return found

    def plan(self, mount: Mount, target: Target, facts: Facts) -> Plan:
        """Work out a mount as `sources.plan` does, once for all pods of a namespace."""
        if self._by_labels:
            return sources.plan(mount, self.policies, target, facts)
        key = (mount, target.namespace, facts.kube_version)
        found = self._plans.get(key)
        if found is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            found = self._plans[key] = sources.plan(mount, self.policies, target, facts)
        return found

    @staticmethod
    @lru_cache(maxsize=1024)
    def digest(parts: tuple[str, ...]) -> str:
        """Make one short hash of several."""
        if len(parts) == 1:
            return parts[0]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def _quotas(policies: PolicySet) -> tuple[tuple[Quota, ...], Classes]:
    from policies.quota import charges  # here, because a terminal hardly ever has quotas

    quotas = tuple(charges.ready(one, policies.exceptions) for one in policies.quotas)
    return quotas, charges.Classes(policies.accelerators)


@lru_cache(maxsize=4)
def prepare(policies: PolicySet) -> Prepared:
    """Make a policy set ready; the last few stay so."""
    return Prepared(policies)


def _matches(rule: Rule, target: Target) -> bool:
    try:
        return rule.matches(target)
    except EvaluationError as error:
        target.faults.append(f"{rule.policy.name}: nothing is added: spec.{error}")
        return False


def offered(rules: Iterable[Rule]) -> list[str]:
    """List the sidecars that rules offer by name."""
    return sorted({one.container["name"] for rule in rules for one in rule.sidecars if one.offered})


_FAMILIES = {
    "placement": (
        "node_selector", "tolerations", "affinity", "topology_spread", "scheduler_name",
        "priority_class_name", "runtime_class_name", "service_account_name", "image_pull_secrets",
        "security_context", "resources", "termination_grace_period_seconds",
    ),
    "environment": ("env", "env_from", "labels", "annotations", "tracking", "scrape"),
    "sidecars": ("sidecars", "init_containers"),
    "dapr": ("dapr",),
    "mesh": ("mesh",),
    "queue": ("queue", "queue_priority"),
}  # fmt: skip


def _by_mode(policies: Iterable[InjectionPolicy]) -> dict[tuple[str, str], Index[Rule]]:
    """File policies by their mode and, where one is to be opted into, by its name."""
    filed: dict[tuple[str, str], list[tuple[Match, Rule]]] = {}
    for policy in policies:
        key = (policy.mode, policy.name if policy.opt_in else "")
        filed.setdefault(key, []).append((policy.match, _rule(policy)))
    return {key: Index(items, default=POD) for key, items in filed.items()}


def _rule(policy: InjectionPolicy) -> Rule:
    inject = policy.inject
    return Rule(
        policy=policy,
        author=Author(name=policy.name, digest=policy.digest, on_conflict=policy.on_conflict),
        matches=match.compiled(policy.match),
        inject=inject,
        sidecars=tuple(
            Sidecar(
                container=containers.complete(one.container),
                offered=one.offered,
                volumes=one.volumes,
                volume_mounts=one.volume_mounts,
            )
            for one in inject.sidecars
        ),
        init_containers=tuple(containers.complete(one) for one in inject.init_containers),
        devices=intents.devices(inject.accelerator) if inject.accelerator else (),
        mounts=intents.mounts("\n".join(inject.mounts)) if inject.mounts else (),
        families=frozenset(
            family
            for family, members in _FAMILIES.items()
            if any(getattr(inject, member) not in (None, "", (), {}, 0) for member in members)
        ),
    )
