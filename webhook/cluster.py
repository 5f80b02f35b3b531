"""
Facts from the cluster, kept fresh: labels of namespaces, what is installed, the version.

Two threads ask the API server: one follows the namespaces (list, then watch from there on), one
looks each minute at what doesn't change by itself. What they find replaces the facts as a whole.
While the API server is away, what was known last stays in force.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from policies.model import Facts, Request
from webhook.apiserver import Expired, Watched
from webhook.errors import NotReachable, NotReady

# Which API group tells that a system is there.
SYSTEMS = {
    "batch.volcano.sh": "volcano",
    "dapr.io": "dapr",
    "kueue.x-k8s.io": "kueue",
    "networking.istio.io": "istio",
    "scheduling.volcano.sh": "volcano",
    "serving.knative.dev": "knative",
    "serving.kserve.io": "kserve",
}

_LEADING_DIGITS = re.compile(r"\d+")


class Api(Protocol):
    """Answers what is asked of the API server; see `apiserver`."""

    def version(self) -> Any:
        """Read `/version`."""
        ...

    def groups(self) -> Any:
        """Read the API groups that are served."""
        ...

    def namespaces(self) -> Any:
        """List the namespaces."""
        ...

    def watch_namespaces(self, version: str) -> Iterator[Watched]:
        """Follow the namespaces from a version on."""
        ...


class Recorder(Protocol):
    """Counts what went wrong."""

    def api_server_failed(self) -> None:
        """Count a question that the API server didn't answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """
    How often things are done.

    - `discovery_seconds`: between two looks at versions and API groups.
    - `retry_seconds`: before a first try again, doubled for each further one.
    - `retry_at_most_seconds`: the longest of these waits.
    - `namespace_seconds`: how long a review waits for a namespace that we haven't heard of: whoever
      makes a namespace and a workload in one go is faster than our watch. A webhook's answer has
      2 s in all.
    """

    discovery_seconds: float = 60
    retry_seconds: float = 0.25
    retry_at_most_seconds: float = 10
    namespace_seconds: float = 0.5


class ClusterFacts:
    """The facts about one cluster, from `start` on until `stop`."""

    def __init__(
        self,
        api: Api,
        *,
        recorder: Recorder,
        log: FilteringBoundLogger,
        pace: Pace = Pace(),
    ) -> None:
        self._api = api
        self._recorder = recorder
        self._log = log
        self._pace = pace
        self._lock = threading.Lock()  # the two threads each replace their part
        self._stopped = threading.Event()
        self._current: Facts | None = None
        self._namespaces: Mapping[str, Mapping[str, str]] | None = None
        self._version = ""  # of the namespaces: where the watch goes on
        self._found: tuple[tuple[int, int], frozenset[str]] | None = None

    # What the server asks, in its own thread

    @property
    def unready(self) -> str:
        """Say why there are no facts yet; nothing where there are."""
        return "" if self._current else "the cluster's namespaces and API groups aren't read yet"

    async def facts_for(self, request: Request) -> Facts:
        """Give the facts as they are now; a namespace that is too new is waited for, a moment."""
        facts = self._current
        if facts is None:
            raise NotReady(f"not ready: {self.unready}")
        if request.namespace and request.namespace not in facts.namespaces:
            return await self._with(request.namespace)
        return facts

    async def _with(self, namespace: str) -> Facts:
        end = time.monotonic() + self._pace.namespace_seconds
        while True:
            facts = self._current
            assert facts is not None  # noqa: S101 -- the caller saw some, and they only get newer
            if namespace in facts.namespaces:
                return facts
            if time.monotonic() > end:
                self._log.warning("a namespace is not known; taken as unlabelled", name=namespace)
                return facts
            await asyncio.sleep(0.01)

    # What the threads do

    def start(self) -> None:
        """Begin to ask."""
        for name, follow in (
            ("namespaces", self._follow_namespaces),
            ("discovery", self._follow_discovery),
        ):
            # Daemons, because a watch that nothing happens on is waited for and can't be woken.
            threading.Thread(target=self._repeat, args=(follow,), name=name, daemon=True).start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()

    def _repeat(self, follow: Callable[[], Iterator[None]]) -> None:
        """Do it again and again; it yields each time that the API server answered."""
        failures = 0
        while not self._stopped.is_set():
            try:
                for _ in follow():
                    failures = self._answered(failures)
                    if self._stopped.is_set():
                        return
            except NotReachable as error:
                failures = self._failed(failures, str(error))
            except Exception:  # noqa: BLE001 -- else this thread would end, and the facts grow old
                self._log.exception("an answer of the API server can't be read")
                failures = self._failed(failures, "see the exception")
            self._stopped.wait(self._retry_seconds(failures))

    def _failed(self, failures: int, error: str) -> int:
        self._recorder.api_server_failed()
        if failures == 0:  # said once, not at each try
            known = "what was known last stays in force" if self._current else "not ready yet"
            self._log.warning("the cluster can't be read", error=error, meanwhile=known)
        return failures + 1

    def _answered(self, failures: int) -> int:
        if failures:
            self._log.info("the cluster can be read again", tries=failures)
        return 0

    def _retry_seconds(self, failures: int) -> float:
        longest = self._pace.retry_seconds * 2.0 ** min(failures, 16)
        # Not all replicas at the same moment.
        return min(longest, self._pace.retry_at_most_seconds) * random.uniform(0.5, 1)  # noqa: S311 -- no secret

    def _follow_namespaces(self) -> Iterator[None]:
        """List, unless we know where to go on, and watch until the API server ends that."""
        version, self._version = self._version, ""  # after a failure: list again
        if not version:
            version = self._list_namespaces()
            yield
        try:
            for kind, namespace in self._api.watch_namespaces(version):
                version = namespace["metadata"]["resourceVersion"]
                self._take_namespace(kind, namespace)
                yield
        except Expired:
            return
        self._version = version

    def _list_namespaces(self) -> str:
        listed = self._api.namespaces()
        with self._lock:
            self._namespaces = {name_of(each): labels_of(each) for each in listed["items"]}
            self._publish()
        return str(listed["metadata"]["resourceVersion"])

    def _take_namespace(self, kind: str, namespace: Any) -> None:
        if kind == "BOOKMARK":
            return
        name, labels = name_of(namespace), labels_of(namespace)
        with self._lock:
            known = dict(self._namespaces or {})
            if kind == "DELETED":
                known.pop(name, None)
            elif known.get(name) == labels:
                return
            else:
                known[name] = labels
            self._namespaces = known
            self._publish()

    def _follow_discovery(self) -> Iterator[None]:
        """Look once, then wait for the next time."""
        found = (kube_version(self._api.version()), installed(self._api.groups()))
        with self._lock:
            if found != self._found:
                self._found = found
                self._publish()
        yield
        self._stopped.wait(self._pace.discovery_seconds)

    def _publish(self) -> None:
        """Replace the facts, once both halves are there; the lock is held."""
        if self._namespaces is None or self._found is None:
            return
        first = self._current is None
        version, systems = self._found
        self._current = Facts(kube_version=version, namespaces=self._namespaces, installed=systems)
        if first:
            self._log.info(
                "cluster read",
                kube_version=f"{version[0]}.{version[1]}",
                installed=sorted(systems),
                namespaces=len(self._namespaces),
            )


# --- reading the answers -------------------------------------------------------------------


def name_of(namespace: Any) -> str:
    """Read a namespace's name."""
    return str(namespace["metadata"]["name"])


def labels_of(namespace: Any) -> Mapping[str, str]:
    """Read a namespace's labels."""
    return namespace["metadata"].get("labels") or {}


def kube_version(answer: Any) -> tuple[int, int]:
    """Read `{"major": "1", "minor": "36+"}`; a managed cluster's minor has a plus."""
    return _number(answer.get("major")), _number(answer.get("minor"))


def _number(text: Any) -> int:
    digits = _LEADING_DIGITS.match(str(text))
    if digits is None:
        raise NotReachable(f'the API server calls its version "{text}"')
    return int(digits.group())


def installed(answer: Any) -> frozenset[str]:
    """Tell which systems are there by the API groups that are served."""
    groups = (group["name"] for group in answer.get("groups") or ())
    return frozenset(SYSTEMS[group] for group in groups if group in SYSTEMS)
