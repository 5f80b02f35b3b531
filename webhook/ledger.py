"""
Ledgers in the cluster: one ConfigMap for each group of each quota, written by compare-and-swap.

`Store` is one of them as this process knows it; `policies.quota.ledger` has the rules, and
`webhook.reserving` what a request does with those that cover it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from policies.quota import ledger as rules
from policies.quota.ledger import Hold, Ledger
from policies.quota.trees import Account
from webhook.apiserver import Conflicting, NotFound
from webhook.errors import NotReachable
from webhook.usage import Usage

LABEL = "kubectl-ml.io/ledger"
PREFIX = "kubectl-ml-quota-"  # of their names
SHARED_SECONDS = 1.0  # how long it counts that another process has reserved
MANY = 1000  # holds that are remembered at least
LOST_SECONDS = 70.0  # how long what was in a ledger that is lost is remembered: longer than holds
TOLD_SECONDS = 2.0  # until the watch tells of a ledger that is gone, with all that was in it
_LOOK_SECONDS = 0.02
MAX_BYTES = 3300  # of what is written into the object, whose metadata takes some 700 more


class Full(Exception):  # noqa: N818 -- named for what it is
    """Raised when a ledger has no room for a hold until what is seen made room."""


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
class Access:
    """What a ledger is read, counted and written with."""

    api: Api
    namespace: str
    counter: Counter
    recorder: Recorder
    log: FilteringBoundLogger

    def path(self, name: str = "") -> str:
        """Give the path of a ledger, or of them all."""
        base = f"/api/v1/namespaces/{self.namespace}/configmaps"
        return f"{base}/{name}" if name else base


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A ledger as it was written, and when we read it (time.monotonic, before the question)."""

    ledger: Ledger
    version: str  # resourceVersion; empty: it isn't there
    read: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """
    A ledger as the watch told of it last, whoever wrote it.

    A `lost` one was deleted or edited at `version`; what was in it until then is counted on.
    """

    ledger: Ledger
    version: int
    lost: bool = False
    until: float = float("inf")  # time.monotonic: how long it is remembered


class Store:
    """One ledger in the API server, as this process knows it; used by one thread at a time."""

    def __init__(
        self,
        access: Access,
        account: Account,
        digest: str = "",
        *,
        known: MutableMapping[Account, Known] | None = None,
    ) -> None:
        self.account = account
        self._known_to_all = {} if known is None else known
        self.digest = digest  # of the policy in force
        self.made: dict[str, Hold] = {}  # by this process, and perhaps not seen yet
        self._access = access
        self._there: Written | None = None
        self._foreign = float("-inf")
        self._known = 0  # the newest version that we wrote, or lost against another with
        self._doubted = False  # it refuses, and may be older than the request
        self._many = MANY

    @property
    def is_shared(self) -> bool:
        """Tell whether another process reserves here, too, just now."""
        return time.monotonic() < self._foreign + SHARED_SECONDS

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing that this process made may be under way."""
        self._forget()
        return not self.made

    def remember(self, hold: Hold) -> None:
        """Note what this process made, and forget now and then what nobody waits for any more."""
        self.made[hold.key] = hold
        if len(self.made) > self._many:
            self._forget()
            self._many = 2 * len(self.made) + MANY

    def watched(self, written: Written) -> None:
        """Take what the watch tells of."""
        if any(key not in self.made for key in written.ledger.holds):
            self._foreign = time.monotonic()
        if int(written.version) > self._known:  # else it is the echo of what we know better
            self.keep(written)

    def take(self) -> Written:
        """Give the ledger as it was read last, or read it; it is to be given back by `keep`."""
        there, self._there = self._there, None
        doubted, self._doubted = self._doubted, False
        return self._read() if there is None or doubted else there

    def doubt(self) -> None:
        """Have it read the next time, whatever the watch brings."""
        self._doubted = True

    def keep(self, written: Written) -> None:
        """Remember the ledger as it is, unless a newer one is known."""
        if self._there is None or _newer(written.version, self._there.version):
            self._there = written

    def current(self, there: Written) -> Ledger:
        """Give the ledger as it is, or counted anew where it isn't there or counts otherwise."""
        if there.version and there.ledger.digest == self.digest:
            return there.ledger
        return self.counted_anew(there)

    def counted_anew(self, there: Written) -> Ledger:
        """Count what is in use, from a table that is as new as the ledger."""
        counter, policy = self._access.counter, self.account[0]
        if not counter.is_counted(policy, self.digest):
            counter.refresh(counter.floor + 1)
            if not counter.is_counted(policy, self.digest):
                raise NotReachable("what is in use isn't counted yet")
        known = self._known_to_all.get(self.account)
        if there.version:
            counter.refresh(int(there.version))
        elif known and known.lost:  # the leader may have counted what our table doesn't have yet
            counter.refresh(known.version)
        self._forget()
        usage = counter.usage
        with usage.lock:
            return Ledger(
                policy=policy,
                group=self.account[1],
                digest=self.digest,
                holds={**self.made, **there.ledger.holds},
            ).recount(usage.used(self.account), lambda key: usage.seen(key, self.account))

    def _forget(self) -> None:
        now = time.time()
        self.made = {key: hold for key, hold in self.made.items() if hold.until >= now}

    def _read(self) -> Written:
        began = time.monotonic()
        access = self._access
        try:
            found = access.api.ask("GET", access.path(name_of(self.account)), what="a ledger")
        except NotFound:
            return Written(ledger=self._left(""), version="", read=began)
        written = read(found, began)
        if written is None or (written.ledger.policy, written.ledger.group) != self.account:
            access.log.warning("a ledger was edited; it is counted anew", account=self.account)
            access.recorder.ledger_corrected()
            version = found["metadata"]["resourceVersion"]
            return Written(ledger=self._left(version), version=version, read=began)
        return written

    def _left(self, edited: str) -> Ledger:
        """
        Give what others reserved in a ledger that is lost, when the watch has told of that.

        `edited` is the version of what it was made into; empty: it isn't there.
        """
        empty = Ledger(policy=self.account[0], group=self.account[1])
        until = time.monotonic() + TOLD_SECONDS
        while not self._is_told(edited):
            if time.monotonic() > until:
                known = self._known_to_all.get(self.account)
                self._known_to_all[self.account] = Known(
                    ledger=known.ledger if known else empty,
                    version=max(self._access.counter.floor + 1, int(edited or self._known)),
                    lost=True,
                    until=until + LOST_SECONDS,
                )
                break
            time.sleep(_LOOK_SECONDS)
        known, now = self._known_to_all.get(self.account), time.time()
        holds = known.ledger.holds if known else {}
        return replace(empty, holds={key: one for key, one in holds.items() if one.until >= now})

    def _is_told(self, edited: str) -> bool:
        """Tell whether the watch has told of the loss, and of all that was written before."""
        known = self._known_to_all.get(self.account)
        if known is None:
            return not edited  # there was none, as far as anybody knows
        return known.lost and known.version >= int(edited or self._known)

    def write(self, ledger: Ledger, there: Written) -> Written:
        """Write over what is there; raises Conflicting where somebody was faster, and Full."""
        access = self._access
        body = config_map(ledger, access.namespace, there.version)
        grows = len(ledger.holds) > len(there.ledger.holds)
        if grows and len(body["data"]["ledger"].encode()) > MAX_BYTES:
            raise Full
        method, path = "POST", access.path()
        if there.version:
            method, path = "PUT", access.path(name_of(self.account))
        began = time.monotonic()
        try:
            found = access.api.ask(method, path, what="a ledger", body=body)
        except Conflicting:
            self._known = max(self._known, int(there.version or 0))
            raise
        except NotFound as error:
            if not there.version:
                raise  # nor is there a place for it
            raise Conflicting(str(error)) from error  # it was taken away, as nothing was in it
        version = found["metadata"]["resourceVersion"]
        self._known = max(self._known, int(version))
        return Written(ledger=ledger, version=version, read=began)


# --- as the cluster has it -----------------------------------------------------------------


def name_of(account: Account) -> str:
    """Name the ConfigMap of a ledger."""
    digest = hashlib.blake2b("\0".join(account).encode(), digest_size=12).hexdigest()
    return f"{PREFIX}{digest}"


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
    """Read a ledger from its ConfigMap; None where it isn't one, or is a copy of one."""
    metadata = config_map["metadata"]
    try:
        ledger = rules.loads((config_map.get("data") or {}).get("ledger") or "")
    except rules.Unreadable:
        return None
    if LABEL not in (metadata.get("labels") or {}):
        return None
    if metadata["name"] != name_of((ledger.policy, ledger.group)):
        return None
    return Written(ledger=ledger, version=metadata["resourceVersion"], read=when)


def _newer(one: str, other: str) -> bool:
    return not other or int(one) > int(other)
