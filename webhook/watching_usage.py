"""
Fills the table of what is in use: follows every kind that makes pods, while there is a quota.

A thread for each kind that the API server serves lists and watches it. What is seen is charged with
the policies in force; when those change, everything is listed anew, beside the watches, and where
the labels of a namespace do, what is in it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from policies.model import Facts, PolicySet
from policies.quota.trees import Entry, entry_of
from policies.workloads import catalogue
from policies.workloads.catalogue import Kind
from webhook.apiserver import Forbidden, NotFound
from webhook.charged import Charged
from webhook.errors import NotReachable, NotReady
from webhook.following import PACE, Collection, Follower, Pace, Recorder, Watcher
from webhook.usage import Usage

LOOK_SECONDS = 0.2  # between two looks at whether policies or namespaces changed
KINDS_SECONDS = 30.0  # between two looks at which kinds are served
COUNT_SECONDS = 30.0  # for which a process that starts isn't ready before it has counted


class Api(Protocol):
    """Answers what is asked of the API server; see `apiserver`."""

    def groups(self) -> Any:
        """Read the API groups that are served."""
        ...

    def ask(self, method: str, path: str, *, what: str, body: Any = None) -> Any:
        """Send one request."""
        ...

    def objects(self, group: str, version: str, plural: str) -> Watcher:
        """List and follow all objects of a kind."""
        ...


class Policies(Protocol):
    """Holds the policies in force."""

    @property
    def current(self) -> PolicySet:
        """Give the set in force, or raise NotReady."""
        ...


class FactsSource(Protocol):
    """Holds the facts."""

    @property
    def known(self) -> Facts | None:
        """Give the facts as they are now; None: there are none yet."""
        ...


class UsageWatch:
    """Follows what is in use, from `start` on until `stop`."""

    def __init__(
        self,
        api: Api,
        *,
        usage: Usage,
        policies: Policies,
        facts: FactsSource,
        recorder: Recorder,
        log: FilteringBoundLogger,
        pace: Pace = PACE,
        count_seconds: float = COUNT_SECONDS,
    ) -> None:
        self.usage = usage
        self._api = api
        self._count_seconds = count_seconds
        self._began = time.monotonic()
        self._has_counted = False  # once, or there was nothing to count for
        self._policies = policies
        self._facts = facts
        self._recorder = recorder
        self._log = log
        self._pace = pace
        self.charged = Charged()
        self._stopped = threading.Event()
        self._watched: dict[str, tuple[Kind, Watcher]] = {}  # by KIND.GROUP
        self._versions: dict[str, str] = {}
        self._followers: dict[str, Follower] = {}
        self._charged_by: tuple[PolicySet, Mapping[str, Any]] | None = None
        self._counted: frozenset[tuple[str, str]] = frozenset()  # policies that all is charged by
        self._floor = 0  # everything that was written up to this version is in the table
        self._refreshing = threading.Lock()
        self._listers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="usage")
        self._looked = float("-inf")

    # --- what the server asks -----------------------------------------------------------------

    @property
    def unready(self) -> str:
        """
        Say why a process that starts can't hold anybody to a quota yet; nothing where it can.

        Other replicas answer meanwhile. What can't be counted for long keeps nobody from the rest.
        """
        if self._has_counted or time.monotonic() > self._began + self._count_seconds:
            return ""
        return "what is in use isn't counted yet"

    def is_counted(self, policy: str, digest: str) -> bool:
        """Tell whether everything there is was charged by a policy."""
        return (policy, digest) in self._counted

    @property
    def floor(self) -> int:
        """Give the version up to which everything is in the table."""
        return self._floor

    def refresh(self, version: int | None = None) -> None:
        """
        Read everything live, unless somebody did since `version`; raises NotReachable.

        Who comes while another reads waits, and reads again only if that was too early.
        """
        with self._refreshing:
            if version is not None and self._floor >= version:
                return
            policies, facts = self._policies.current, self._facts.known or Facts()
            self._find_kinds(policies)
            versions = list(
                self._listers.map(
                    lambda one: self._list(one, policies, facts), list(self._watched.values())
                )
            )
            found = [one for one in versions if one]
            if found:
                self._floor = max(self._floor, min(found))
            self._counted = frozenset((one.name, one.digest) for one in policies.quotas)
            self._charged_by = (policies, facts.namespaces)

    async def see(self, kind: str, group: str, namespace: str, name: str, uid: str) -> None:
        """Read one object live that isn't in the table yet, if it is the one with that uid."""
        found = self._watched.get(f"{kind}.{group}" if group else kind)
        if found is None:
            return
        known, _ = found
        path = f"{self._path(known)}/namespaces/{namespace}/{known.plural}/{name}"
        try:
            obj = await asyncio.to_thread(self._api.ask, "GET", path, what="an owner")
        except (NotFound, NotReachable):
            return
        if obj["metadata"].get("uid") == uid:
            self._take(known, obj)

    def entry(self, kind: Kind, obj: Any, policies: PolicySet, facts: Facts) -> Entry:
        """Charge an object that is there, unless it was charged as it is before."""
        version = int(obj["metadata"].get("resourceVersion") or 0)
        essence = self.charged.essence(obj, kind, policies, facts)
        known = self.usage.entry(str(obj["metadata"]["uid"]))
        if known and essence and known.essence == essence:
            return replace(known, version=version)
        found = self.charged.there(obj, kind, policies, facts, essence=essence)
        return entry_of(obj, kind=kind.name, charges=found, version=version, essence=essence)

    # --- threads --------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to follow."""
        self._began = time.monotonic()
        Follower(
            name="usage",
            follow=self._look,
            meanwhile=lambda: "what is covered by a quota is refused until it can be counted",
            recorder=self._recorder,
            log=self._log,
            pace=self._pace,
            every_seconds=LOOK_SECONDS,
            stopped=self._stopped,
        ).start()

    def stop(self) -> None:
        """Follow no more."""
        self._stopped.set()
        for one in self._followers.values():
            one.stop()
        self._listers.shutdown(wait=False, cancel_futures=True)

    def _look(self) -> Iterator[None]:
        """Charge everything anew where policies changed, and what is in namespaces that did."""
        try:
            policies = self._policies.current
        except NotReady:
            return
        facts = self._facts.known
        if facts is None:
            return
        if not policies.quotas:
            self._counted, self._charged_by, self._looked = frozenset(), None, float("-inf")
            self._leave(set(self._watched))
            self._has_counted = True
            return
        now = time.monotonic()
        if now > self._looked + KINDS_SECONDS:
            self._looked = now
            self._find_kinds(policies)
        if self._charged_by is None or self._charged_by[0] is not policies:
            self.refresh()
        elif others := _others(self._charged_by[1], facts.namespaces):
            self._charge_again(others)
            self._charged_by = (policies, facts.namespaces)
        self._has_counted = True
        yield

    def _charge_again(self, namespaces: set[str]) -> None:
        """Read what is in namespaces that have other labels now."""
        for name, namespace in sorted(self.usage.places(namespaces)):
            kind, _ = self._watched[name]
            path = f"{self._path(kind)}/namespaces/{namespace}/{kind.plural}"
            try:
                found = self._api.ask("GET", path, what=f"the {kind.plural} of {namespace}")
            except (NotFound, Forbidden):  # gone, or said by who lists them all
                continue
            for one in found["items"]:
                self._take(kind, one)

    def _path(self, kind: Kind) -> str:
        base = f"/apis/{kind.group}" if kind.group else "/api"
        return f"{base}/{self._versions[kind.name]}"

    def _find_kinds(self, policies: PolicySet) -> None:
        """Follow the kinds that are served and aren't followed yet."""
        served = {"": ["v1"]}
        for group in self._api.groups().get("groups") or ():
            served[group["name"]] = [one["version"] for one in group["versions"]]
        known = catalogue.of(policies).kinds.values()
        self._leave(set(self._watched) - {kind.name for kind in known})
        for kind in known:
            version = next((one for one in served.get(kind.group, ()) if one in kind.versions), "")
            if kind.name in self._watched or not version or _makes_none(kind):
                continue
            source = self._api.objects(kind.group, version, kind.plural)
            self._watched[kind.name], self._versions[kind.name] = (kind, source), version
            self._follow(kind, source)

    def _leave(self, names: set[str]) -> None:
        """Follow some kinds no more."""
        for name in names:
            del self._watched[name]
            self._followers.pop(name).stop()
            self.usage.leave(name)

    def _follow(self, kind: Kind, source: Watcher) -> None:
        def listed(found: list[Any]) -> None:
            self._take_all(kind, found, int(collection.as_of))

        def changed(event: str, found: Any) -> None:
            if event == "DELETED":
                self.usage.drop(str(found["metadata"]["uid"]))
            else:
                self._take(kind, found)

        collection = Collection(source=source, listed=listed, changed=changed, optional=True)
        follower = Follower(
            name=f"usage of {kind.plural}",
            follow=collection.follow,
            meanwhile=lambda: "what was known last is in use",
            recorder=self._recorder,
            log=self._log,
            pace=self._pace,
            stopped=threading.Event(),
        )
        self._followers[kind.name] = follower
        follower.start()

    def _list(self, one: tuple[Kind, Watcher], policies: PolicySet, facts: Facts) -> int:
        kind, source = one
        try:
            answer = source.list()
        except NotFound:
            return 0
        except Forbidden as error:  # said, rather than that nothing be counted any more
            self._log.error(
                "what is in use of a kind isn't counted", kind=kind.name, why=str(error)
            )
            return 0
        version = int(answer["metadata"]["resourceVersion"])
        entries = [self.entry(kind, found, policies, facts) for found in answer["items"]]
        self.usage.listed(kind.name, entries, version)
        return version

    def _take_all(self, kind: Kind, found: list[Any], version: int) -> None:
        """Charge all objects of a kind, and again if policies or namespaces changed meanwhile."""
        while True:
            policies, facts = self._in_force() or PolicySet(), self._facts.known or Facts()
            entries = [self.entry(kind, one, policies, facts) for one in found]
            self.usage.listed(kind.name, entries, version)
            if self._is_still_so(policies, facts):
                return

    def _take(self, kind: Kind, obj: Any) -> None:
        """Charge an object that changed, and again if policies or namespaces changed meanwhile."""
        while (policies := self._in_force()) is not None:
            facts = self._facts.known or Facts()
            self.usage.put(self.entry(kind, obj, policies, facts))
            if self._is_still_so(policies, facts):
                return

    def _in_force(self) -> PolicySet | None:
        try:
            return self._policies.current
        except NotReady:
            return None

    def _is_still_so(self, policies: PolicySet, facts: Facts) -> bool:
        """Tell whether what an object was charged by is in force still; else nobody would see."""
        now, current = self._facts.known, self._in_force()
        return (current is None or current is policies) and (
            now is None or now is facts or now.namespaces == facts.namespaces
        )


def _makes_none(kind: Kind) -> bool:
    return bool(kind.template or kind.cluster_scoped or (kind.no_pods and kind.no_pods.always))


def _others(before: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
    """Name the namespaces with other labels than before; what was in those that went is gone."""
    if before is now:
        return set()
    return {name for name, labels in now.items() if before.get(name) != labels}
