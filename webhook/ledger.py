"""
Ledgers in the cluster: one ConfigMap for each group of each quota, written by compare-and-swap.

Each process has one writer for each ledger. It takes all that waits, works it out on the ledger as
it knows it, and writes once; after a conflict it reads and works it out again. Nothing is refused
by a ledger that was read before the request came. `policies.quota.ledger` has the rules.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from structlog.typing import FilteringBoundLogger

from policies.quota import ledger as rules
from policies.quota.ledger import Amounts, Hold, Ledger, Short
from policies.quota.trees import Account
from webhook.apiserver import Conflicting, NotFound
from webhook.errors import NotReachable
from webhook.usage import Usage

LABEL = "kubectl-ml.io/ledger"
WAIT_SECONDS = 3.0  # in all; the webhook has 5
WRITERS = 8  # writes at once
_JITTER_SECONDS = 0.02

T = TypeVar("T")


class Busy(Exception):  # noqa: N818 -- named for what it is
    """Raised when a reservation can't be made in time: it is refused, and may be tried again."""


class Api(Protocol):
    """Sends requests to the API server."""

    def ask(self, method: str, path: str, *, what: str, body: Any = None) -> Any:
        """Send one request; see `apiserver`."""
        ...


class Counter(Protocol):
    """Knows what is in use."""

    usage: Usage

    def is_counted(self, policy: str, digest: str) -> bool:
        """Tell whether everything there is was charged by a policy."""
        ...

    def refresh(self, version: int | None = None) -> None:
        """Read everything live, unless somebody did since `version`."""
        ...

    @property
    def floor(self) -> int:
        """Give the version up to which everything is in the table."""
        ...


class Recorder(Protocol):
    """Counts what became of reservations."""

    def reserved(self, policy: str, outcome: str) -> None:
        """Count a reservation: reserved, refused, busy."""
        ...

    def ledger_corrected(self) -> None:
        """Count a ledger that was lost or edited."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A ledger as it was written, and when we read it (time.monotonic, before the question)."""

    ledger: Ledger
    version: str  # resourceVersion; empty: it isn't there
    read: float


@dataclass(slots=True, kw_only=True, eq=False)
class _Wish:
    """One thing to be done to a ledger, and who waits for it."""

    hold: Hold | None  # None: only `release`
    budget: Amounts = field(default_factory=dict)
    release: str = ""  # a hold's key
    anyway: bool = False
    keep: bool = True  # False: only find out
    came: float = field(default_factory=time.monotonic)
    done: asyncio.Future[tuple[Short, ...]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def on(self, ledger: Ledger) -> tuple[Ledger, tuple[Short, ...]]:
        """Do it."""
        if self.hold is None:
            return ledger.release(self.release), ()
        after, short = ledger.reserve(self.hold, self.budget, anyway=self.anyway)
        return (after if self.keep else ledger), short

    @property
    def late(self) -> bool:
        """Tell whether nobody waits any more."""
        return time.monotonic() > self.came + WAIT_SECONDS


_Result: TypeAlias = tuple[_Wish, tuple[Short, ...]]


class Ledgers:
    """All ledgers, as far as this process has to do with them."""

    def __init__(
        self,
        api: Api,
        *,
        namespace: str,
        counter: Counter,
        recorder: Recorder,
        log: FilteringBoundLogger,
    ) -> None:
        self.api = api
        self.counter = counter
        self.recorder = recorder
        self.log = log
        self.namespace = namespace
        self._writers: dict[Account, _Writer] = {}
        self._pool = ThreadPoolExecutor(max_workers=WRITERS, thread_name_prefix="ledger")

    async def reserve(
        self,
        account: Account,
        digest: str,
        hold: Hold,
        budget: Amounts,
        *,
        anyway: bool = False,
        keep: bool = True,
    ) -> tuple[Short, ...]:
        """
        Reserve, and tell what doesn't fit; it is reserved only where all fits, or `anyway`.

        `keep=False` only finds out. Raises Busy where that takes too long.
        """
        wish = _Wish(hold=hold, budget=budget, anyway=anyway, keep=keep)
        return await self._wish(account, digest, wish)

    async def release(self, account: Account, digest: str, key: str) -> None:
        """Give back at once; where that can't be done the hold expires."""
        try:
            await self._wish(account, digest, _Wish(hold=None, release=key))
        except Busy:
            return

    async def _wish(self, account: Account, digest: str, wish: _Wish) -> tuple[Short, ...]:
        writer = self._writers.get(account)
        if writer is None:
            writer = self._writers[account] = _Writer(self, account)
        writer.add(wish, digest)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await wish.done
        except TimeoutError:
            raise Busy("it took too long") from None

    async def asked(self, call: Callable[[], T]) -> T:
        """Ask the API server without holding up the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def saw(self, config_map: Any) -> None:
        """Take a ledger as the watch saw it; called in the event loop."""
        written = read(config_map, time.monotonic())
        if written is not None:
            writer = self._writers.get((written.ledger.policy, written.ledger.group))
            if writer is not None:
                writer.saw(written)

    def path(self, name: str = "") -> str:
        """Give the path of a ledger."""
        base = f"/api/v1/namespaces/{self.namespace}/configmaps"
        return f"{base}/{name}" if name else base

    def close(self) -> None:
        """End."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class _Writer:
    """The one writer of one ledger in this process."""

    def __init__(self, ledgers: Ledgers, account: Account) -> None:
        self._ledgers = ledgers
        self._account = account
        self._digest = ""
        self._waiting: list[_Wish] = []
        self._there: Written | None = None
        self._made: dict[str, Hold] = {}  # by this process, and perhaps not seen yet
        self._task: asyncio.Task[None] | None = None

    def add(self, wish: _Wish, digest: str) -> None:
        """Take one more wish."""
        self._digest = digest
        self._waiting.append(wish)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    def saw(self, written: Written) -> None:
        """Take what somebody wrote, if it is newer."""
        if self._there is None or _newer(written.version, self._there.version):
            self._there = written

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            while batch := [wish for wish in batch if not wish.late and not wish.done.done()]:
                todo = batch
                try:
                    results = await self._ledgers.asked(lambda todo=todo: self._settled(todo))  # type: ignore[misc]
                except Conflicting:
                    results = []
                except NotReachable as error:
                    results = []
                    self._ledgers.log.warning(
                        "a ledger can't be written", account=self._account, error=str(error)
                    )
                except Exception:
                    results = []
                    self._ledgers.log.exception("a ledger can't be worked on")
                for wish, short in results:
                    self._answer(wish, short)
                batch = [wish for wish in batch if wish not in {one for one, _ in results}]
                if batch:
                    await asyncio.sleep(random.uniform(0, _JITTER_SECONDS))  # noqa: S311 -- no secret
                batch += self._waiting
                self._waiting = []

    def _settled(self, batch: list[_Wish]) -> list[_Result]:
        """
        Do what can be done, in a thread, without the event loop between reading and writing.

        The others write meanwhile, so the shorter that is, the fewer conflicts.
        """
        while True:
            there, self._there = self._there or self._read(), None
            ledger, results = self._current(there), []
            for wish in batch:
                ledger, short = wish.on(ledger)
                results.append((wish, short))
            try:
                if ledger != there.ledger or not there.version:
                    there = self._write(ledger, there)
            except Conflicting:
                if all(wish.late for wish in batch):
                    raise
                time.sleep(random.uniform(0, _JITTER_SECONDS))  # noqa: S311 -- no secret
                continue
            # What is refused by a ledger that was read before it came is asked again.
            stale = [
                wish
                for wish, short in results
                if short and not wish.anyway and wish.came > there.read
            ]
            if not stale:
                self._there = there
            return [one for one in results if one[0] not in stale]

    def _answer(self, wish: _Wish, short: tuple[Short, ...]) -> None:
        self._made.pop(wish.release, None)
        if wish.hold is not None and wish.keep and (not short or wish.anyway):
            self._made[wish.hold.key] = wish.hold
            if wish.done.cancelled():  # it was refused for being late
                self._waiting.append(_Wish(hold=None, release=wish.hold.key))
        if not wish.done.done():
            wish.done.set_result(short)

    def _current(self, there: Written) -> Ledger:
        """Give the ledger as it is, or counted anew where it isn't there or counts otherwise."""
        if there.version and there.ledger.digest == self._digest:
            return there.ledger
        counter, policy = self._ledgers.counter, self._account[0]
        if not counter.is_counted(policy, self._digest):
            counter.refresh(counter.floor + 1)
            if not counter.is_counted(policy, self._digest):
                raise NotReachable("what is in use isn't counted yet")
        if there.version:
            counter.refresh(int(there.version))
        self._forget()
        usage = counter.usage
        with usage.lock:
            return Ledger(
                policy=policy,
                group=self._account[1],
                digest=self._digest,
                holds={**self._made, **there.ledger.holds},
            ).recount(usage.used(self._account), lambda key: usage.seen(key, policy))

    def _forget(self) -> None:
        now = time.time()
        self._made = {key: hold for key, hold in self._made.items() if hold.until >= now}

    def _read(self) -> Written:
        began = time.monotonic()
        ledgers = self._ledgers
        empty = Ledger(policy=self._account[0], group=self._account[1])
        try:
            found = ledgers.api.ask("GET", ledgers.path(name_of(self._account)), what="a ledger")
        except NotFound:
            return Written(ledger=empty, version="", read=began)
        written = read(found, began)
        if written is None or (written.ledger.policy, written.ledger.group) != self._account:
            ledgers.log.warning("a ledger was edited; it is counted anew", account=self._account)
            ledgers.recorder.ledger_corrected()
            return Written(ledger=empty, version=found["metadata"]["resourceVersion"], read=began)
        return written

    def _write(self, ledger: Ledger, there: Written) -> Written:
        ledgers = self._ledgers
        body = config_map(ledger, ledgers.namespace, there.version)
        method, path = "POST", ledgers.path()
        if there.version:
            method, path = "PUT", ledgers.path(name_of(self._account))
        began = time.monotonic()
        found = ledgers.api.ask(method, path, what="a ledger", body=body)
        return Written(ledger=ledger, version=found["metadata"]["resourceVersion"], read=began)


# --- as the cluster has it -----------------------------------------------------------------


def name_of(account: Account) -> str:
    """Name the ConfigMap of a ledger."""
    digest = hashlib.blake2b("\0".join(account).encode(), digest_size=12).hexdigest()
    return f"kubectl-ml-quota-{digest}"


def config_map(ledger: Ledger, namespace: str, version: str) -> dict[str, Any]:
    """Write a ledger as a ConfigMap, over `version` of it."""
    metadata = {
        "name": name_of((ledger.policy, ledger.group)),
        "namespace": namespace,
        "labels": {LABEL: "true"},
    }
    if version:
        metadata["resourceVersion"] = version
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"ledger": rules.dumps(ledger)},
    }


def read(config_map: Any, when: float) -> Written | None:
    """Read a ledger from its ConfigMap; None where it isn't one."""
    try:
        ledger = rules.loads((config_map.get("data") or {}).get("ledger") or "")
    except rules.Unreadable:
        return None
    return Written(ledger=ledger, version=config_map["metadata"]["resourceVersion"], read=when)


def _newer(one: str, other: str) -> bool:
    return not other or int(one) > int(other)
