"""
What objects use together: trees by controller, and what each adds to the groups of a policy.

    Deployment (asks for 5 at its peak)
      ReplicaSet (3)  ReplicaSet (2)
        Pod Pod Pod     Pod Pod

A tree uses the larger of what its root asks for at its peak and what its members ask for now; so
owned pods are free within what their owner is charged with, and what is more is charged. A Pod runs
itself: what it asks for makes room for nothing that names it as its owner. A workload that is being
deleted is its root's business; a pod that is runs until it is gone, and counts until then. An owner
is in the namespace of what it owns: who names another's object gains nothing by it. Nor does a
person where users are the groups: what she made counts for her, whoever's workload it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from policies.quota.charges import NONE, Charge
from policies.quota.ledger import Amounts

Account: TypeAlias = tuple[str, str]  # policy, group

POD = "Pod"
_ZERO = Decimal(0)
_NO_PERSON = (NONE, "system:serviceaccount:")  # nobody wrote who, or a program did, for its owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    One object as it was seen last; `charges` by policy name, `steady` the same without peaks.

    `essence` is a digest of what it was charged by; empty: it isn't known.
    """

    uid: str
    kind: str  # KIND.GROUP
    namespace: str
    name: str
    version: int
    owner: str  # uid of the controller; empty: none
    terminating: bool
    charges: Mapping[str, Charge]
    steady: Mapping[str, Amounts]
    essence: bytes = b""

    @property
    def covers(self) -> frozenset[str]:
        """Name the policies under which its members are free within its own charge."""
        return frozenset() if self.kind == POD else frozenset(self.charges)


@dataclass(slots=True, kw_only=True)
class Forest:
    """Objects by uid, and who controls whom."""

    entries: dict[str, Entry] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)  # uid of an owner, seen or not

    def plant(self, entry: Entry) -> None:
        """Take an object in, under its owner."""
        known = self.entries.get(entry.uid)
        if known is not None and known.owner != entry.owner:
            self._disown(known)
        self.entries[entry.uid] = entry
        if entry.owner:
            self.members.setdefault(entry.owner, set()).add(entry.uid)

    def fell(self, uid: str) -> None:
        """Take an object out; what it owned stays."""
        self._disown(self.entries.pop(uid))

    def _disown(self, entry: Entry) -> None:
        members = self.members.get(entry.owner)
        if members is not None:
            members.discard(entry.uid)
            if not members:
                del self.members[entry.owner]

    def owner_of(self, entry: Entry) -> Entry | None:
        """Give the owner of an object, if it is there."""
        owner = self.entries.get(entry.owner)
        return owner if owner is not None and owner.namespace == entry.namespace else None

    def is_covered(self, entry: Entry, policy: str) -> bool:
        """Tell whether an owner is charged with what an object asks for under a policy."""
        payer = self.payer(entry, policy)
        return payer is not None and payer.uid != entry.uid

    def payer(self, entry: Entry, policy: str, *, leaving: bool = True) -> Entry | None:
        """Give who pays for an object: the topmost of it and its owners, `leaving` or not."""
        chain: dict[str, Entry] = {}
        one: Entry | None = entry
        while one is not None and one.uid not in chain:
            chain[one.uid] = one
            one = self.owner_of(one)
        payer: Entry | None = None
        for one in reversed(chain.values()):
            own = one.charges.get(policy)
            if payer and own and is_apart(own, payer.charges[policy]):
                payer = None
            if payer is None and policy in one.covers and (leaving or not one.terminating):
                payer = one
        return payer

    def root(self, uid: str) -> str:
        """Climb to the topmost owner that is there."""
        seen = {uid}
        while (entry := self.entries.get(uid)) and (owner := self.owner_of(entry)):
            uid = owner.uid
            if uid in seen:  # owners in a circle: whoever wrote that gains nothing
                return min(seen)
            seen.add(uid)
        return uid

    def uses(self, root: str) -> dict[Account, Amounts]:
        """Tell what the tree of a root adds to each account."""
        found: dict[Account, Amounts] = {}
        for _, account, amounts in self._contributions(self.entries[root], {}, set()):
            found[account] = total(found.get(account, {}), amounts)
        return found

    def holders(self, root: str) -> Iterator[tuple[Entry, Account, Amounts]]:
        """Tell who holds what of what a tree uses: its root, or what another person made in it."""
        top = self.entries[root]
        found: dict[tuple[str, Account], Amounts] = {}
        for entry, account, amounts in self._contributions(top, {}, set()):
            own = top.charges.get(account[0])
            key = (entry.uid if own and own.group != account[1] else root, account)
            found[key] = total(found.get(key, {}), amounts)
        for (uid, account), amounts in found.items():
            yield self.entries[uid], account, amounts

    def used_by_members(self, entry: Entry, policy: str, *, leaving: bool = True) -> Amounts:
        """Tell what the members of an object ask for now, with pods that are `leaving` or not."""
        payer = entry.charges.get(policy)
        return self._used_by_members(entry, payer, {entry.uid}, leaving) if payer else {}

    def _contributions(
        self, entry: Entry, covered: Mapping[str, Charge], met: set[str]
    ) -> Iterator[tuple[Entry, Account, Amounts]]:
        """Tell what an object and its members add, apart from policies that cover an owner."""
        if entry.uid in met:
            return
        met.add(entry.uid)
        covering = dict(covered)
        for name, charge in entry.charges.items():
            if name in covered and not is_apart(charge, covered[name]):
                continue
            covering.pop(name, None)
            if name in entry.covers:
                covering[name] = charge
            inner = self.used_by_members(entry, name) if name in entry.covers else {}
            yield entry, (name, charge.group), _most(charge.amounts, inner)
        for member in self._members_of(entry):
            yield from self._contributions(member, covering, met)

    def _used_by_members(
        self, entry: Entry, payer: Charge, met: set[str], leaving: bool
    ) -> Amounts:
        used: Amounts = {}
        policy = payer.policy.name
        for member in self._members_of(entry):
            if member.uid in met:
                continue
            charge = member.charges.get(policy)
            if charge and is_apart(charge, payer):
                continue
            met.add(member.uid)
            counts = not member.terminating or (leaving and member.kind == POD)
            own = member.steady.get(policy, {}) if counts else {}
            together = total if member.kind == POD else _most
            inner = self._used_by_members(member, payer, met, leaving)
            used = total(used, together(own, inner))
        return used

    def _members_of(self, entry: Entry) -> list[Entry]:
        found = (self.entries.get(uid) for uid in sorted(self.members.get(entry.uid, ())))
        return [one for one in found if one is not None and one.namespace == entry.namespace]


def is_apart(member: Charge, owner: Charge) -> bool:
    """Tell whether a person made a member who isn't the one that its owner is charged to."""
    return (
        member.policy.group_by.by == "user"
        and member.group != owner.group
        and not member.group.startswith(_NO_PERSON)
    )


def total(one: Amounts, other: Amounts) -> Amounts:
    """Add two amounts."""
    return {name: one.get(name, _ZERO) + other.get(name, _ZERO) for name in {*one, *other}}


def _most(one: Amounts, other: Amounts) -> Amounts:
    return {name: max(one.get(name, _ZERO), other.get(name, _ZERO)) for name in {*one, *other}}


def entry_of(
    obj: Any, *, kind: str, charges: Iterable[Charge], version: int = 0, essence: bytes = b""
) -> Entry:
    """Make the entry of an object."""
    metadata = obj["metadata"]
    owner = ""
    for one in metadata.get("ownerReferences") or ():
        if one.get("controller") is True:
            owner = str(one.get("uid") or "")
    by_policy = {one.policy.name: one for one in charges}
    return Entry(
        uid=str(metadata["uid"]),
        kind=kind,
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata["name"]),
        version=version,
        owner=owner,
        terminating="deletionTimestamp" in metadata,
        charges=by_policy,
        steady={name: one.steady for name, one in by_policy.items()},
        essence=essence,
    )
