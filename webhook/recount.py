"""
What the leader does for quotas: it puts what is in use into the ledgers, and sums up for people.

Only the leader turns reservations into usage. Before it writes a ledger that somebody else counted
anew (or that it never wrote, because another led) it reads everything live, so that nothing that
ledger knew is missing from its own table.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from policies.model import API_VERSION, PolicySet
from policies.quota import budgets
from policies.quota.ledger import Amounts, Ledger
from policies.quota.policy import QuotaPolicy
from policies.quota.trees import Account
from policies.quota.verdicts import amount
from webhook.apiserver import Conflicting, NotFound
from webhook.errors import NotReady
from webhook.leader import Leader
from webhook.ledger import LABEL, PREFIX, Api, Written, config_map, name_of, read
from webhook.reserving import Ledgers
from webhook.watching_usage import UsageWatch

RECOUNT_SECONDS = 0.2  # between two looks at what changed
STATUS_SECONDS = 1.0  # between two writes of a policy's status
EXPIRY_SECONDS = 5.0  # between two looks at what expired
IDLE_SECONDS = 600.0  # until a ledger of a group that has nothing any more is taken away
TRIES = 5  # to write a ledger that others write, too, before others' turn
MAX_GROUPS = 100  # in a status; those that use most
MAX_HOLDERS = 5  # of a group


class Recorder(Protocol):
    """Counts what was corrected."""

    def ledger_corrected(self) -> None:
        """Count a ledger that was lost or edited."""
        ...


class Recount:
    """The ledgers as the cluster has them, and the leader's work on them."""

    def __init__(
        self,
        api: Api,
        *,
        ledgers: Ledgers,
        watch: UsageWatch,
        policies: Any,
        leader: Leader,
        recorder: Recorder,
        log: FilteringBoundLogger,
        loop: asyncio.AbstractEventLoop,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._api = api
        self._ledgers = ledgers
        self._watch = watch
        self._policies = policies
        self._leader = leader
        self._recorder = recorder
        self._log = log
        self._lock = threading.Lock()
        self._there: dict[Account, Written] = {}
        self._changed: set[Account] = set()
        self._wrote: dict[Account, Amounts] = {}  # what we put in as used
        self._led = False
        self._expiry = self._summed_up = float("-inf")
        self._said: dict[str, Any] = {}
        self._loop = loop  # where the writers run
        self._idle_seconds = idle_seconds
        self._none: dict[str, tuple[str, float]] = {}  # what is no ledger: its version, since when
        self._idle: dict[Account, float] = {}  # ledgers of those that have nothing, since when

    # --- what the watch of the ledgers finds ------------------------------------------------------

    def listed(self, found: list[Any]) -> None:
        """Take all ledgers."""
        there = {}
        for one in filter(_is_ledger, found):
            written = read(one, time.monotonic())
            if written is None:
                self._edited(one)
            else:
                there[written.ledger.policy, written.ledger.group] = written
                self._tell(written)
        with self._lock:
            self._there = there
            self._changed |= set(there)

    def changed(self, event: str, found: Any) -> None:
        """Take one ledger that changed."""
        if not _is_ledger(found):
            return
        written = read(found, time.monotonic())
        if written is None:
            self._edited(found, event)
            return
        account = (written.ledger.policy, written.ledger.group)
        if event == "DELETED":
            self._lost(account, written.ledger, written.version)
            return
        with self._lock:
            self._there[account] = written
            self._changed.add(account)
        self._tell(written)

    def _tell(self, written: Written) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ledgers.saw, written)

    def _lost(self, account: Account, ledger: Ledger | None, version: str) -> None:
        """Take that a ledger is gone, or none any more."""
        with self._lock:
            self._there.pop(account, None)
            self._changed.add(account)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ledgers.lost, account, ledger, int(version))

    def _edited(self, found: Any, event: str = "") -> None:
        """Take that something is no ledger any more: whoever needs it counts anew, over it."""
        name, version = found["metadata"]["name"], found["metadata"]["resourceVersion"]
        for account in [one for one in list(self._there) if name_of(one) == name]:
            self._lost(account, None, version)
        self._none.pop(name, None)
        if not self._leader.holds or event == "DELETED":
            return
        if not name.startswith(PREFIX):
            self._log.warning("what is labelled as a ledger is none; it is left alone", name=name)
            return
        self._log.warning("a ledger was edited; it is counted anew", name=name)
        self._recorder.ledger_corrected()
        self._none[name] = (version, time.monotonic())

    def _take(self, name: str, version: str) -> None:
        """Delete a ledger, unless somebody wrote it since `version`."""
        preconditions = {"preconditions": {"resourceVersion": version}}
        self._ask("DELETE", self._ledgers.access.path(name), body=preconditions)

    # --- what the leader does -----------------------------------------------------------------

    def follow(self) -> Iterator[None]:
        """Put in what changed, once."""
        if not self._leader.holds:
            self._led = False
            return
        try:
            policies: PolicySet = self._policies.current
        except NotReady:
            return
        if not self._led:
            self._wrote.clear()
            with self._lock:
                self._changed |= set(self._there)
            self._led = True
        for _ in self._recount({one.name: one for one in policies.quotas}):
            self._tell_people(policies)  # thousands of groups take their time
            yield
        self._expire()
        self._tell_people(policies)
        yield

    def _tell_people(self, policies: PolicySet) -> None:
        """Sum up, once a second at most."""
        if time.monotonic() > self._summed_up + STATUS_SECONDS:
            self._summed_up = time.monotonic()
            self._sum_up(policies)

    def _recount(self, quotas: Mapping[str, QuotaPolicy]) -> Iterator[None]:
        with self._lock:
            accounts, self._changed = self._changed, set()
        accounts |= self._watch.usage.take_dirty()
        for account in sorted(accounts):
            written = self._there.get(account)
            if written is None:
                continue  # nobody reserved anything: the first who does counts
            try:
                self._put_in(account, written, quotas.get(account[0]))
            except Exception:
                with self._lock:
                    self._changed.add(account)
                raise
            yield

    def _put_in(self, account: Account, written: Written, policy: QuotaPolicy | None) -> None:
        if policy is None:
            self._take(name_of(account), written.version)
            return
        if not self._watch.is_counted(policy.name, policy.digest):
            with self._lock:
                self._changed.add(account)
            return
        self._write(account, written, policy.digest)

    def _lacks(self, account: Account, written: Written) -> bool:
        """Tell whether a ledger that we didn't write knows more than our table."""
        used = self._watch.usage.used(account)
        return any(used.get(name, 0) < value for name, value in written.ledger.used.items())

    def _write(self, account: Account, written: Written, digest: str, *, over: float = 0) -> None:
        """Put in what is in use; where somebody reserved meanwhile, into what is there then."""
        there: Written | None = written
        for _ in range(TRIES):
            if there is None or self._wrote_over(account, there, digest, over=over):
                return
            there = self._read(account)
        with self._lock:
            self._changed.add(account)

    def _wrote_over(self, account: Account, written: Written, digest: str, *, over: float) -> bool:
        """Write over what was read; False: somebody was faster."""
        if self._wrote.get(account) != written.ledger.used and self._lacks(account, written):
            self._watch.refresh(int(written.version))
        usage = self._watch.usage
        with usage.lock:
            ledger = written.ledger.recount(
                usage.used(account), lambda key: usage.seen(key, account), over=over
            )
        ledger = _counted_for(ledger, digest)
        if ledger == written.ledger:
            self._wrote[account] = ledger.used
            return True
        previously = self._wrote.get(account)
        if previously is not None and previously != written.ledger.used:
            self._log.warning("a ledger said otherwise and was corrected", account=account)
            self._recorder.ledger_corrected()
        body = config_map(ledger, self._ledgers.access.namespace, written.version)
        path = self._ledgers.access.path(name_of(account))
        try:
            found = self._api.ask("PUT", path, what="a ledger", body=body)
        except Conflicting:
            return False
        except NotFound:
            return True
        self._wrote[account] = ledger.used
        again = Written(
            ledger=ledger, version=found["metadata"]["resourceVersion"], read=time.monotonic()
        )
        with self._lock:
            there = self._there.get(account)
            if there is None or int(there.version) < int(again.version):
                self._there[account] = again
        self._tell(again)
        return True

    def _read(self, account: Account) -> Written | None:
        path = self._ledgers.access.path(name_of(account))
        try:
            found = self._api.ask("GET", path, what="a ledger")
        except NotFound:
            return None
        return read(found, time.monotonic())  # None: the watch tells of it, too

    def _expire(self) -> None:
        """End what no object came of, by a live read, and ledgers that nobody needs any more."""
        if time.monotonic() < self._expiry + EXPIRY_SECONDS:
            return
        self._expiry = time.monotonic()
        now = time.time()
        with self._lock:
            there = dict(self._there)
        self._take_away(there)
        late = [one for one, written in there.items() if any(written.ledger.expired(now))]
        if not late:
            return
        self._watch.refresh()
        for account in late:
            self._write(account, there[account], there[account].ledger.digest, over=now)

    def _take_away(self, there: Mapping[Account, Written]) -> None:
        """
        Delete what stayed empty, as it is: groups come and go, and may be named by anything.

        And what stayed no ledger; not sooner, so that who counts anew has been told of all of it.
        """
        now = time.monotonic()
        for name, (version, since) in list(self._none.items()):
            if now - since >= self._idle_seconds:
                self._take(name, version)
                self._none.pop(name, None)
        empty = {one for one, it in there.items() if not (it.ledger.used or it.ledger.holds)}
        self._idle = {one: self._idle.get(one, now) for one in empty}
        for account, since in self._idle.items():
            if now - since >= self._idle_seconds and not self._watch.usage.used(account):
                self._take(name_of(account), there[account].version)
                self._wrote.pop(account, None)

    # --- for people -----------------------------------------------------------------------------

    def _sum_up(self, policies: PolicySet) -> None:
        for policy in policies.quotas:
            if not self._watch.is_counted(policy.name, policy.digest):
                continue
            status = self._status(policy)
            if self._said.get(policy.name) == status:
                continue
            path = f"/apis/{API_VERSION}/quotapolicies/{policy.name}/status"
            try:
                self._api.ask("PATCH", path, what="the status of a quota", body={"status": status})
            except (NotFound, Conflicting):
                continue  # one of a directory, or gone since
            finally:
                self._said[policy.name] = status

    def _status(self, policy: QuotaPolicy) -> dict[str, Any]:
        usage = self._watch.usage
        with self._lock:
            ledgers = {one: it.ledger for one, it in self._there.items() if one[0] == policy.name}
        accounts = {one for one in usage.accounts() if one[0] == policy.name} | set(ledgers)
        groups = []
        now = time.time()
        for account in accounts:
            ledger = ledgers.get(account)
            used = ledger.used if ledger else usage.used(account)
            reserved = _reserved(ledger)
            if used or reserved:
                groups.append((account[1], used, reserved, budgets.of(policy, account[1], now)))
        groups.sort(key=lambda one: (-sum(one[1].values()), one[0]))
        return {
            "groups": [
                {
                    "group": group,
                    "used": _texts(used),
                    "reserved": _texts(reserved),
                    "budget": _texts(budget),
                }
                for group, used, reserved, budget in groups[:MAX_GROUPS]
            ],
            "groupsInAll": len(groups),
        }

    def _ask(self, method: str, path: str, *, body: Any = None) -> None:
        try:
            self._api.ask(method, path, what="a ledger", body=body)
        except (NotFound, Conflicting):
            return


def _is_ledger(config_map: Any) -> bool:
    return LABEL in (config_map["metadata"].get("labels") or {})


def _counted_for(ledger: Ledger, digest: str) -> Ledger:
    return ledger if ledger.digest == digest else replace(ledger, digest=digest)


def _reserved(ledger: Ledger | None) -> Amounts:
    if ledger is None:
        return {}
    names = {name for hold in ledger.holds.values() for name in hold.asked}
    found = {name: ledger.reserved(name) for name in sorted(names)}
    return {name: value for name, value in found.items() if value}


def _texts(amounts: Amounts) -> dict[str, str]:
    return {name: amount(name, value) for name, value in sorted(amounts.items()) if value}
