"""
What is in use: every object that a quota covers, as it was seen last, in trees by controller.

What a tree uses is in `policies.quota.trees`; here is what each group uses, kept up to date.

The table is filled by threads that watch, and read by the event loop and by who recounts; a lock is
held for moments only. Versions are resourceVersions, which can be compared since Kubernetes 1.35
(KEP-5504) and could in fact before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal

from policies.quota.charges import Charge
from policies.quota.ledger import Amounts, Seen, key_of
from policies.quota.trees import Account, Entry, Forest

GONE_SECONDS = 600  # how long it is remembered that an object was there
_ZERO = Decimal(0)
_LAST = 2**63


class Usage:
    """The table."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.dirty: set[Account] = set()  # whose sum changed since somebody took it
        self._forest = Forest()
        self._entries = self._forest.entries
        self._by_key: dict[str, str] = {}  # as ledgers name it -> uid
        self._gone: dict[str, float] = {}  # uid -> when
        self._trees: dict[str, Mapping[Account, Amounts]] = {}  # what each root's tree uses
        self._roots: dict[Account, set[str]] = {}
        self._sums: dict[Account, dict[str, Decimal]] = {}

    # --- filling it ---------------------------------------------------------------------------

    def put(self, entry: Entry) -> None:
        """Take an object as it is now; what is older than what was seen changes nothing."""
        with self.lock:
            known = self._entries.get(entry.uid)
            if entry.uid in self._gone or (known and known.version > entry.version):
                return
            if known and known.essence and known.essence == entry.essence:
                self._entries[entry.uid] = entry  # a later version of the same
                return
            before = self._forest.root(entry.uid) if known else ""
            self._forest.plant(entry)
            self._by_key[key_of(entry.uid)] = entry.uid
            stale = (
                {before, *self._forest.members.get(entry.uid, ())} if known is None else {before}
            )
            self._count_again({*stale, self._forest.root(entry.uid)})

    def drop(self, uid: str) -> None:
        """Forget an object that is gone."""
        with self.lock:
            known = self._entries.get(uid)
            self._gone[uid] = time.monotonic()
            self._by_key[key_of(uid)] = uid
            if known is None:
                return
            root = self._forest.root(uid)
            self._forest.fell(uid)
            self._count_again({root, uid, *self._forest.members.get(uid, ())})

    def listed(self, kind: str, entries: Iterable[Entry], version: int) -> None:
        """Take a list of all objects of a kind, as of `version`."""
        with self.lock:
            there = set()
            for entry in entries:
                there.add(entry.uid)
                self.put(entry)
            for uid, known in list(self._entries.items()):
                if known.kind == kind and uid not in there and known.version <= version:
                    self.drop(uid)
            self._forget()

    def leave(self, kind: str) -> None:
        """Forget all objects of a kind that isn't followed any more; they may come back."""
        with self.lock:
            for uid in [uid for uid, known in self._entries.items() if known.kind == kind]:
                self.drop(uid)
                del self._gone[uid]
                del self._by_key[key_of(uid)]

    def _forget(self) -> None:
        end = time.monotonic() - GONE_SECONDS
        for uid in [uid for uid, when in self._gone.items() if when < end]:
            del self._gone[uid]
            self._by_key.pop(key_of(uid), None)

    # --- trees ----------------------------------------------------------------------------------

    def _count_again(self, uids: set[str]) -> None:
        for uid in sorted(uids - {""}):
            entry = self._entries.get(uid)
            for account, amounts in self._trees.pop(uid, {}).items():
                self._add(account, amounts, -1)
                self._leave(account, uid)
            if entry is None or self._forest.root(uid) != uid:
                continue
            self._trees[uid] = self._forest.uses(uid)
            for account, amounts in self._trees[uid].items():
                self._add(account, amounts, 1)
                self._roots.setdefault(account, set()).add(uid)

    def _leave(self, account: Account, root: str) -> None:
        """Forget a root, and an account that has none any more."""
        roots = self._roots[account]
        roots.discard(root)
        if not roots:
            del self._roots[account], self._sums[account]

    def _add(self, account: Account, amounts: Amounts, sign: int) -> None:
        sums = self._sums.setdefault(account, {})
        for name, value in amounts.items():
            sums[name] = sums.get(name, _ZERO) + sign * value
        self.dirty.add(account)

    # --- reading it -----------------------------------------------------------------------------

    def take_dirty(self) -> set[Account]:
        """Give the accounts whose sums changed since the last time."""
        with self.lock:
            dirty, self.dirty = self.dirty, set()
            return dirty

    def used(self, account: Account) -> Amounts:
        """Give what the objects of a group use."""
        with self.lock:
            return {name: value for name, value in self._sums.get(account, {}).items() if value}

    def accounts(self) -> list[Account]:
        """List the accounts that use something."""
        with self.lock:
            return [one for one, sums in self._sums.items() if any(sums.values())]

    def places(self, namespaces: Collection[str]) -> set[tuple[str, str]]:
        """Tell of which kinds there are objects in some namespaces: kind and namespace."""
        with self.lock:
            entries = self._entries.values()
            return {(one.kind, one.namespace) for one in entries if one.namespace in namespaces}

    def seen(self, key: str, account: Account) -> Seen | None:
        """
        Tell how an object was seen last, by a ledger's key; None: it never was.

        What its owner is charged with, or another group, isn't counted of the object itself.
        """
        policy, group = account
        with self.lock:
            uid = self._by_key.get(key)
            if uid is None:
                return None
            entry = self._entries.get(uid)
            if entry is None:
                return Seen(counted={}, version=_LAST)
            charge = entry.charges.get(policy)
            if charge and (charge.group != group or self._forest.is_covered(entry, policy)):
                charge = None
            return Seen(counted=charge.amounts if charge else {}, version=entry.version)

    def holders(self, account: Account) -> list[tuple[str, Amounts]]:
        """List the workloads of a group with what each uses."""
        with self.lock:
            return [
                holder
                for uid in sorted(self._roots.get(account, ()))
                for holder in self._holders(uid, account)
            ]

    def _holders(self, root: str, account: Account) -> Iterator[tuple[str, Amounts]]:
        """Name the root of a tree, unless it is another's: then what was made in it."""
        top = self._entries[root]
        own = top.charges.get(account[0])
        if own is None or own.group == account[1]:
            yield top.name, self._trees[root][account]
            return
        for entry, one, amounts in self._forest.holders(root):
            if one == account:
                yield entry.name, amounts

    def entry(self, uid: str) -> Entry | None:
        """Give an object as it was seen last."""
        with self.lock:
            return self._entries.get(uid)

    def room(self, owner: str, policy: str, namespace: str) -> tuple[Charge, Amounts] | None:
        """
        Tell what the tree of a live owner may still make under a policy.

        Gives the charge of the topmost owner that the policy covers, and what it has left of it;
        None where the owner isn't there, in this namespace, or isn't covered. What replaces a pod
        that is being deleted has its place.
        """
        with self.lock:
            found = self._entries.get(owner)
            if found is None or found.namespace != namespace:
                return None
            charged = self._forest.payer(found, policy, leaving=False)
            if charged is None:
                return None
            charge = charged.charges[policy]
            members = self._forest.used_by_members(charged, policy, leaving=False)
            left = {
                name: value - members.get(name, _ZERO) for name, value in charge.amounts.items()
            }
            return charge, {name: max(value, _ZERO) for name, value in left.items()}
