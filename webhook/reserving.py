"""
Reservations: what a request takes of every ledger that covers it, all or nothing.

Whatever waits for the same ledgers is one batch: it is worked out on all of them at once, one
request after another, and each ledger is written once. Batches that share no ledger go on beside
each other. Where another process wrote first, what concerns that ledger is worked out again.
Nothing is refused by a ledger that was read before the request came; and what is refused is asked
again for a moment, since what was deleted just before is still counted until our watches saw it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from policies.quota.ledger import Amounts, Hold, Ledger, Opened, Short
from policies.quota.trees import Account
from webhook.apiserver import Conflicting
from webhook.errors import NotReachable
from webhook.ledger import LOST_SECONDS, Access, Full, Known, Store, Written

WAIT_SECONDS = 3.0  # in all; the webhook has 5
WRITERS = 8  # batches, and writes, at once
_JITTER_SECONDS = 0.02
_TURN_SECONDS = 0.06
_AGAIN_SECONDS = 0.25  # until what is refused is asked again: the leader looks every 0.2 s
_PATIENCE_SECONDS = 0.7  # for how long
_FULL_SECONDS = 0.1  # until the leader has made room in a ledger that is full, perhaps
# The API server keeps 25 idle connections to a webhook (client-go, transport/cache.go). Who waits
# together isn't answered all at once, else it closes the others and soon makes as many anew, which
# costs more than a review does.
_PORTION = 8
_PORTION_SECONDS = 0.01

S = TypeVar("S")
T = TypeVar("T")


class Busy(Exception):  # noqa: N818 -- named for what it is
    """Raised when a reservation can't be made in time: it is refused, and may be tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """
    What one object takes of one ledger, counted for the policy with this digest.

    `anyway` reserves what doesn't fit, too: the policy only warns, or an exception lets it off.
    """

    account: Account
    digest: str
    hold: Hold
    budget: Amounts
    anyway: bool = False


Found: TypeAlias = tuple[tuple[Short, ...], ...]  # what doesn't fit, for each reservation


@dataclass(slots=True, kw_only=True, eq=False)
class _Wish:
    """All that one request takes, and who waits for it."""

    reservations: Sequence[Reservation]
    keep: bool = True  # False: only find out
    release: bool = False  # give back instead
    patient: bool = False  # what is refused is asked again
    came: float = field(default_factory=time.monotonic)
    since: float = field(default_factory=time.monotonic)  # only what is read later may refuse it
    written: bool = False  # in some ledger, perhaps
    accounts: set[Account] = field(init=False)  # the ledgers that it takes from
    done: asyncio.Future[Found] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def __post_init__(self) -> None:
        self.accounts = {one.account for one in self.reservations}

    @property
    def late(self) -> bool:
        """Tell whether nobody waits any more."""
        return self.done.done() or time.monotonic() > self.came + WAIT_SECONDS

    @property
    def is_create(self) -> bool:
        """Tell whether the holds are nobody else's: an update's may be an earlier update's, too."""
        return not any(one.hold.version for one in self.reservations)

    def on(self, opened: Mapping[Account, Opened]) -> Found:
        """Take from all ledgers, or from none."""
        if self.release:
            self._give_back(opened)
            return ()
        found = tuple(opened[one.account].short(one.hold, one.budget) for one in self.reservations)
        if not self.keep:
            return found
        if self.refused(found):
            self._give_back(opened)
            return found
        for one in self.reservations:
            opened[one.account].put(one.hold)
        return found

    def refused(self, found: Found) -> set[Account]:
        """Name the ledgers that refuse."""
        each = zip(self.reservations, found, strict=False)  # nothing is found of a release
        return {one.account for one, short in each if short and not one.anyway}

    def waits(self, found: Found) -> bool:
        """Tell whether what refuses it may be gone already: it is asked again."""
        if not self.patient or time.monotonic() > self.came + _PATIENCE_SECONDS:
            return False
        refusing = self.refused(found)
        return bool(refusing) and not any(
            short.asks > short.budget
            for one, shorts in zip(self.reservations, found, strict=True)
            if one.account in refusing
            for short in shorts
        )

    def tell(self, found: Found) -> None:
        """Answer, unless nobody waits any more."""
        if not self.done.done():
            self.done.set_result(found)

    def _give_back(self, opened: Mapping[Account, Opened]) -> None:
        for one in self.reservations if self.is_create else ():
            opened[one.account].release(one.hold.key)


class Ledgers:
    """All ledgers, as far as this process has to do with them; called in the event loop."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._stores: dict[Account, Store] = {}
        self._known: dict[Account, Known] = {}
        self._waiting: list[_Wish] = []
        self._busy: set[Account] = set()  # ledgers that are worked on
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = False
        self._batches = ThreadPoolExecutor(WRITERS, thread_name_prefix="ledger")
        self._writes = ThreadPoolExecutor(WRITERS, thread_name_prefix="ledger-write")

    async def reserve(
        self, reservations: Sequence[Reservation], *, keep: bool = True, patient: bool = True
    ) -> Found:
        """
        Reserve in all ledgers or, where something doesn't fit, in none; tell what doesn't.

        `keep=False` only finds out. What is refused is asked again for a moment, unless it could
        never fit or `patient` is False. Raises Busy where it takes too long; what was reserved on
        the way is given back then, or expires.
        """
        wish = _Wish(reservations=reservations, keep=keep, patient=patient)
        for one in reservations:
            self._store(one).digest = one.digest
        self._add([wish])
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await wish.done
        except TimeoutError:
            raise Busy("it took too long") from None

    def _store(self, reservation: Reservation) -> Store:
        """Give the ledger of a reservation, as this process knows it."""
        account = reservation.account
        store = self._stores.get(account)
        if store is None:
            store = self._stores[account] = Store(
                self.access, account, reservation.digest, known=self._known
            )
        return store

    async def asked(self, call: Callable[[], T]) -> T:
        """Ask the API server without holding up the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._batches, call)

    def saw(self, written: Written) -> None:
        """Take a ledger as the watch saw it."""
        account = (written.ledger.policy, written.ledger.group)
        known = self._known.get(account)
        if known is None or known.version < int(written.version):
            self._known[account] = Known(ledger=written.ledger, version=int(written.version))
        store = self._stores.get(account)
        if store is not None:
            store.watched(replace(written, read=float("-inf")))  # it may have changed since

    def lost(self, account: Account, ledger: Ledger | None, version: int) -> None:
        """Take that a ledger is gone, or none any more; what was reserved in it counts still."""
        now, known = time.monotonic(), self._known.get(account)
        for one in [one for one, it in list(self._known.items()) if it.until < now]:
            del self._known[one]
        if known is None or known.version <= version:
            empty = Ledger(policy=account[0], group=account[1])
            self._known[account] = Known(
                ledger=ledger or (known.ledger if known else empty),
                version=version,
                lost=True,
                until=now + LOST_SECONDS,
            )
        store = self._stores.get(account)
        waits = account in self._busy or any(account in one.accounts for one in self._waiting)
        if store is not None and not waits and store.is_idle:
            del self._stores[account]

    def close(self) -> None:
        """End."""
        for pool in (self._batches, self._writes):
            pool.shutdown(wait=False, cancel_futures=True)

    # --- batches --------------------------------------------------------------------------------

    def _add(self, wishes: Iterable[_Wish]) -> None:
        self._waiting += wishes
        if not self._starting:  # once for all that come now
            self._starting = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        """Begin with all that waits for no ledger that is worked on."""
        self._starting = False
        free, blocked, waiting = list[_Wish](), set(self._busy), list[_Wish]()
        for wish in self._waiting:
            if blocked.isdisjoint(wish.accounts):
                free.append(wish)
            else:  # nobody overtakes it
                blocked |= wish.accounts
                waiting.append(wish)
        self._waiting = waiting
        for batch in _apart(free):
            accounts = set[Account]().union(*(wish.accounts for wish in batch))
            self._busy |= accounts
            task = asyncio.create_task(self._work(batch, accounts))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self, batch: list[_Wish], accounts: set[Account]) -> None:
        """Do what can be done of a batch; the rest waits for its turn again."""
        answered: list[tuple[_Wish, Found]] = []
        try:
            waits = [wish for wish in batch if not wish.late]
            answered = await self.asked(lambda: self._settled(waits)) if waits else []
        except NotReachable as error:
            self.access.log.warning("a ledger can't be written", error=str(error))
        except Exception:
            self.access.log.exception("a ledger can't be worked on")
        again = self._answer(batch, answered)
        if again or any(self._stores[account].is_shared for account in accounts):
            # Who wrote has the newest ledger, and would be first again: others are to have a turn.
            pause = _JITTER_SECONDS if again else _TURN_SECONDS
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 -- no secret
        self._busy -= accounts
        self._waiting = again + self._waiting
        self._add(())

    def _answer(self, batch: list[_Wish], answered: list[tuple[_Wish, Found]]) -> list[_Wish]:
        """Answer, and give what has to be done still."""
        later = asyncio.get_running_loop().call_later
        for number, (wish, found) in enumerate(answered):
            self._remember(wish, found)
            wait = number // _PORTION * _PORTION_SECONDS
            if wish.waits(found):
                later(_AGAIN_SECONDS, self._ask_again, wish)
            elif wait and time.monotonic() + wait < wish.came + WAIT_SECONDS:
                later(wait, wish.tell, found)
            else:
                wish.tell(found)
        settled = {wish for wish, _ in answered if not wish.done.cancelled()}
        left = [wish for wish in batch if wish not in settled]
        # What is late was refused for it: what it took goes back, if that is no update's.
        late = [wish for wish in left if wish.late and wish.written and not wish.release]
        return [
            *(wish for wish in left if not wish.late),
            *(_Wish(reservations=one.reservations, release=True) for one in late if one.is_create),
        ]

    def _ask_again(self, wish: _Wish) -> None:
        wish.since = time.monotonic()
        for one in wish.reservations:
            self._store(one)  # the ledger may have been lost meanwhile
        self._add([wish])

    def _remember(self, wish: _Wish, found: Found) -> None:
        """Note what this process made, for a ledger that has to be counted anew."""
        for one in wish.reservations:
            store = self._stores[one.account]
            if wish.release or wish.refused(found):
                store.made.pop(one.hold.key, None)
            elif wish.keep:
                store.remember(one.hold)

    # --- in a thread ----------------------------------------------------------------------------

    def _settled(self, batch: list[_Wish]) -> list[tuple[_Wish, Found]]:
        """
        Do what can be done, in a thread, without the event loop between reading and writing.

        The others write meanwhile, so the shorter that is, the fewer conflicts.
        """
        portion = len(batch)
        while batch := [wish for wish in batch if not wish.late]:
            now = batch[:portion]
            there, opened = self._open(now)
            results = [(wish, wish.on(opened)) for wish in now]
            lost, full = self._write(now, there, opened)
            answered = []
            for wish, found in results:
                stale = self._doubted(wish, found, there)
                if not stale and wish.accounts.isdisjoint(lost):
                    answered.append((wish, found))
                lost |= stale
            for account in there.keys() - lost:  # those are read again
                self._stores[account].keep(there[account])
            if answered:  # who has an answer doesn't wait for the others
                return answered
            if not full:
                time.sleep(random.uniform(0, _JITTER_SECONDS))  # noqa: S311 -- no secret
            elif portion == 1:
                self.access.log.warning(
                    "a ledger is full until the leader has counted", on=now[0].accounts
                )
                time.sleep(_FULL_SECONDS)
            portion = max(1, portion // 2) if full else portion
        return []

    def _doubted(self, wish: _Wish, found: Found, there: Mapping[Account, Written]) -> set[Account]:
        """Name the ledgers that refuse, and were read before the request came."""
        stale = {one for one in wish.refused(found) if wish.since > there[one].read}
        for account in stale:
            self._stores[account].doubt()
        return stale

    def _open(self, batch: list[_Wish]) -> tuple[dict[Account, Written], dict[Account, Opened]]:
        """Give the ledgers of a batch as they are, and to be worked on."""
        accounts = sorted(set[Account]().union(*(wish.accounts for wish in batch)))
        stores = [self._stores[account] for account in accounts]
        there = dict(zip(accounts, self._each(Store.take, stores), strict=True))
        opened = {one.account: Opened(one.current(there[one.account])) for one in stores}
        return there, opened

    def _write(
        self, batch: list[_Wish], there: dict[Account, Written], opened: Mapping[Account, Opened]
    ) -> tuple[set[Account], set[Account]]:
        """Write what changed into `there`; give what was not, and which of it is full."""
        if not any(wish.keep for wish in batch):
            return set(), set()
        changed = {account: one.closed() for account, one in opened.items()}
        wanted = [
            account
            for account, ledger in changed.items()
            if ledger is not there[account].ledger or not there[account].version
        ]
        full: set[Account] = set()

        def write(account: Account) -> Written | None:
            try:
                return self._stores[account].write(changed[account], there[account])
            except Conflicting:
                pass
            except Full:
                full.add(account)
            except NotReachable as error:
                self.access.log.warning("a ledger can't be written", error=str(error))
            return None

        written = dict(zip(wanted, self._each(write, wanted), strict=True))
        there |= {account: one for account, one in written.items() if one}
        for wish in batch:
            wish.written |= any(written.get(one) for one in wish.accounts)
        return {account for account, one in written.items() if one is None}, full

    def _each(self, call: Callable[[S], T], of: Sequence[S]) -> list[T]:
        """Call beside each other what may ask the API server."""
        return [call(of[0])] if len(of) == 1 else list(self._writes.map(call, of))


def _apart(wishes: Iterable[_Wish]) -> Iterator[list[_Wish]]:
    """Part what shares no ledger, each part in the order in which it came."""
    parts: dict[Account, list[_Wish]] = {}
    for wish in wishes:
        met = {id(parts[one]): parts[one] for one in wish.accounts if one in parts}.values()
        whole = max(met, key=len, default=[])
        for part in met:
            if part is not whole:
                whole += part
                parts |= {account: whole for one in part for account in one.accounts}
        whole.append(wish)
        parts |= dict.fromkeys(wish.accounts, whole)
    for part in {id(one): one for one in parts.values()}.values():
        yield sorted(part, key=lambda wish: wish.came)
