"""Whether manifests would fit into their groups' budgets, and what would have to go if not."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from kubectl_ml import objects
from kubectl_ml.errors import PluginError
from kubectl_ml.quotas import Holder, Seen, asks_labels
from policies import engine
from policies.model import Manifest, Violation
from policies.patch import lookup
from policies.quota import budgets, verdicts
from policies.quota.charges import CREATOR, Charge
from policies.quota.ledger import Amounts, Hold, Ledger, Short, key_of
from policies.quota.trees import Account
from policies.workloads import catalogue

_ZERO = Decimal(0)
_RESERVED = "reserved"
UNUSABLE = 422  # the code of intents that can't be used


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one policy says of one object; `to_go` makes room where something doesn't fit."""

    policy: str
    group: str
    enforcement: str
    object: str
    asks: Amounts
    sentences: tuple[str, ...]
    to_go: tuple[Holder, ...]
    exempt: bool = False  # an exception lets it in
    never: Amounts = field(default_factory=dict)  # by how much it asks for more than the budget

    @property
    def fits(self) -> bool:
        """Tell whether the policy would let it in."""
        return not self.sentences or self.enforcement != "Deny"


@dataclass(slots=True, kw_only=True)
class Fitting:
    """Objects put in one after another: each finds taken what those before it took."""

    seen: Seen
    verdicts: list[Verdict] = field(default_factory=list)
    _ledgers: dict[Account, Ledger] = field(default_factory=dict)

    def add(self, manifest: Manifest) -> None:
        """Ask the policies about one object."""
        kind = catalogue.of(self.seen.policies).of(manifest)
        if kind is None:
            return
        namespace = objects.namespace_of(manifest, default=self.seen.namespace)
        self._check_labels(namespace)
        self.seen.note_unasked(namespace)
        self.verdicts += self._unusable(manifest, namespace)
        name = objects.called(manifest)
        before = self._before(kind.name, namespace, name)
        for charge in self._charges(manifest, namespace):
            there = before.get(charge.policy.name)
            counted = there.amounts if there and there.group == charge.group else {}
            short = self._reserve(charge, counted, f"{kind.name}/{namespace}/{name}")
            holders = self._holders(charge)
            found: list[Violation] = []
            if not charge.exempt:
                found += verdicts.alone(charge, name, kind.name)
                listed = [(one.name, one.amounts) for one in holders if counted or one.name != name]
                found += verdicts.over(charge, short, listed, name)
            mine = [one for one in holders if (one.namespace, one.name) == (namespace, one.name)]
            never = _never(charge, short)
            others = [one for one in mine if (one.kind, one.name) != (kind.name, name)]
            self.verdicts.append(
                Verdict(
                    policy=charge.policy.name,
                    group=charge.group,
                    enforcement=charge.policy.enforcement,
                    object=objects.reference(manifest, namespace=namespace),
                    asks=charge.amounts,
                    exempt=charge.exempt,
                    sentences=tuple(one.message for one in found),
                    to_go=tuple(to_go(short, others)) if found and not never else (),
                    never=never if found else {},
                )
            )

    def _unusable(self, manifest: Manifest, namespace: str) -> Iterator[Verdict]:
        """Find intents that can't be used: nothing is known of what they would ask for."""
        request = objects.request(manifest, namespace=namespace, user=self.seen.facts.user)
        decision = engine.review(request, self.seen.policies, self.seen.facts)
        for one in decision.violations:
            if one.code == UNUSABLE:
                yield Verdict(
                    policy=one.policy,
                    group="",
                    enforcement="Deny",
                    object=objects.reference(manifest, namespace=namespace),
                    asks={},
                    sentences=(one.message,),
                    to_go=(),
                )

    def _check_labels(self, namespace: str) -> None:
        """Raise where labels that can't be read decide."""
        if namespace in self.seen.facts.namespaces:
            return
        names = [one.name for one in self.seen.policies.quotas if asks_labels(one)]
        if names:
            go = "goes" if len(names) == 1 else "go"
            raise PluginError(
                f'{", ".join(names)} {go} by the labels of namespace "{namespace}", which isn\'t '
                "there or which you can't get",
                hint=f"kubectl get namespace {namespace} says which; an admin can give the right "
                "to get it",
            )

    def _charges(self, manifest: Manifest, namespace: str) -> tuple[Charge, ...]:
        user = self.seen.facts.user
        if user.username and lookup(manifest, ("metadata", "annotations", CREATOR)) is None:
            metadata = manifest.get("metadata") or {}
            annotations = {**(metadata.get("annotations") or {}), CREATOR: user.username}
            manifest = {**manifest, "metadata": {**metadata, "annotations": annotations}}
        request = objects.request(manifest, namespace=namespace, user=user)
        return engine.charges(request, self.seen.policies, self.seen.facts)

    def _before(self, kind: str, namespace: str, name: str) -> Mapping[str, Charge]:
        for one in self.seen.forest.entries.values():
            if (one.kind, one.namespace, one.name) == (kind, namespace, name):
                return one.charges
        return {}

    def _holders(self, charge: Charge) -> list[Holder]:
        return self.seen.holders.get((charge.policy.name, charge.group), [])

    def _reserve(self, charge: Charge, counted: Amounts, name: str) -> tuple[Short, ...]:
        account = (charge.policy.name, charge.group)
        ledger = self._ledgers.get(account) or self._ledger(charge)
        hold = Hold(key=key_of(name), asked=charge.amounts, counted=counted, until=_until())
        budget = budgets.of(charge.policy, charge.group, self.seen.facts.now)
        self._ledgers[account], short = ledger.reserve(hold, budget)
        return short

    def _ledger(self, charge: Charge) -> Ledger:
        use = self.seen.use(charge.policy, charge.group)
        hold = Hold(key=_RESERVED, asked=use.reserved, until=_until())
        return Ledger(
            policy=charge.policy.name, group=charge.group, used=use.used, holds={hold.key: hold}
        )


def _never(charge: Charge, shorts: Iterable[Short]) -> Amounts:
    """Find what is asked for beyond the whole budget, which nothing that goes makes room for."""
    over = {one.name: charge.amounts.get(one.name, _ZERO) - one.budget for one in shorts}
    return {name: value for name, value in over.items() if value > 0}


def _until() -> int:
    return int(time.time())


def to_go(shorts: Iterable[Short], holders: Sequence[Holder]) -> Iterator[Holder]:
    """
    Choose the fewest holders that make room, largest first; none where all together don't.

    Of several that suffice as the last one it is the smallest.
    """
    chosen: list[Holder] = []
    for short in shorts:
        key = short.name
        missing = short.over - sum((one.amounts.get(key, _ZERO) for one in chosen), _ZERO)
        left = [one for one in holders if one not in chosen and one.amounts.get(key)]
        left.sort(key=lambda one: -one.amounts[key])
        while missing > 0:
            if not left:
                return
            enough = [one for one in left if one.amounts[key] >= missing]
            one = enough[-1] if enough else left[0]
            left.remove(one)
            chosen.append(one)
            missing -= one.amounts[key]
    yield from sorted(chosen, key=lambda one: (-max(one.amounts.values()), one.name))
