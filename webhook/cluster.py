"""
Facts from the cluster, kept fresh: the namespaces, what is installed, the version.

Threads ask the API server: three follow the namespaces, their LimitRanges and their ResourceQuotas
(list, then watch from there on), one looks each minute at what doesn't change by itself. What they
find replaces the facts as a whole; bounds, of which a quota's change with each pod, are read as
they are. While the API server is away, what was known last stays in force.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeAlias

from structlog.typing import FilteringBoundLogger

from policies import variables
from policies.model import DOMAIN, Facts, Manifest, Request
from webhook.bounds import Bounds
from webhook.errors import NotReachable, NotReady
from webhook.following import PACE, Allowed, Collection, Follower, Pace, Recorder, Watcher
from webhook.runtimes import Launchers
from webhook.served_fields import ServedFields

# Which API group tells that a system is there.
SYSTEMS = {
    "batch.volcano.sh": "volcano",
    "dapr.io": "dapr",
    "kueue.x-k8s.io": "kueue",
    "networking.istio.io": "istio",
    "resource.k8s.io": "dra",
    "scheduling.run.ai": "kai",
    "scheduling.volcano.sh": "volcano",
    "serving.knative.dev": "knative",
    "serving.kserve.io": "kserve",
}

REGISTRATIONS = (f"validate.{DOMAIN}", f"enforce.{DOMAIN}")
Sent: TypeAlias = frozenset[tuple[str, str, str]] | None
Fields: TypeAlias = frozenset[tuple[str, str]]

_LEADING_DIGITS = re.compile(r"\d+")


class Api(Protocol):
    """Answers what is asked of the API server; see `apiserver`."""

    def version(self) -> Any:
        """Read `/version`."""
        ...

    def groups(self) -> Any:
        """Read the API groups that are served."""
        ...

    def registration(self, name: str) -> Any:
        """Read one of our validating registrations, or raise NotReachable."""
        ...

    def openapi(self, path: str = "/openapi/v3") -> Any:
        """Read where each group's schemas are, or the schemas at one of these places."""
        ...

    @property
    def namespaces(self) -> Watcher:
        """Lists and follows the namespaces."""
        ...

    def objects(self, group: str, version: str, plural: str) -> Watcher:
        """List and follow all objects of one kind."""
        ...


class ClusterFacts:
    """The facts about one cluster, from `start` on until `stop`."""

    def __init__(
        self,
        api: Api,
        *,
        recorder: Recorder,
        log: FilteringBoundLogger,
        pace: Pace = PACE,
    ) -> None:
        self._api = api
        self._recorder = recorder
        self._log = log
        self._pace = pace
        self._lock = threading.Lock()  # the two threads each replace their part
        self._stopped = threading.Event()
        self._current: Facts | None = None
        self._namespaces: Mapping[str, Manifest] | None = None  # as expressions see them
        self._fields = ServedFields(api)
        self._launchers = Launchers(api=api, changed=self._take_launchers)
        self._found: tuple[tuple[int, int], frozenset[str], Fields, Sent] | None = None
        self._logged: tuple[tuple[int, int], list[str]] | None = None
        self._ranges, self._quotas = Bounds(), Bounds()

    # What the server asks, in its own thread

    @property
    def unready(self) -> str:
        """Say why there are no facts yet; nothing where there are."""
        return (
            ""
            if self._current
            else "the cluster's namespaces, their bounds and API groups aren't read yet"
        )

    @property
    def known(self) -> Facts | None:
        """Give the facts as they are now; None: there are none yet."""
        return self._current

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
        namespaces = Collection(
            source=self._api.namespaces, listed=self._list_namespaces, changed=self._take_namespace
        )
        for name, follow, seconds in (
            ("namespaces", namespaces.follow, 0.0),
            ("limit ranges", self._bounds("limitranges", self._ranges), 0.0),
            ("resource quotas", self._bounds("resourcequotas", self._quotas), 0.0),
            ("discovery", self._follow_discovery, self._pace.discovery_seconds),
            *((name, one.follow, 0.0) for name, one in self._launchers.collections()),
        ):
            Follower(
                name=name,
                follow=follow,
                meanwhile=self._meanwhile,
                recorder=self._recorder,
                log=self._log,
                pace=self._pace,
                every_seconds=seconds,
                stopped=self._stopped,
            ).start()

    def _bounds(self, plural: str, into: Bounds) -> Callable[[], Iterator[None]]:
        def listed(found: list[Any]) -> None:
            into.listed(found)
            with self._lock:
                self._publish()

        source = Allowed(self._api.objects("", "v1", plural))
        return Collection(source=source, listed=listed, changed=into.changed, optional=True).follow

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()

    def _meanwhile(self) -> str:
        return "what was known last stays in force" if self._current else "not ready yet"

    def _list_namespaces(self, listed: list[Any]) -> None:
        with self._lock:
            self._namespaces = {name_of(each): variables.namespace(each) for each in listed}
            self._publish()

    def _take_namespace(self, kind: str, namespace: Any) -> None:
        name, seen = name_of(namespace), variables.namespace(namespace)
        with self._lock:
            known = dict(self._namespaces or {})
            if kind == "DELETED":
                known.pop(name, None)
            elif known.get(name) == seen:
                return
            else:
                known[name] = seen
            self._namespaces = known
            self._publish()

    def _take_launchers(self) -> None:
        with self._lock:
            self._publish()

    def _follow_discovery(self) -> Iterator[None]:
        """Look once."""
        found = (
            kube_version(self._api.version()),
            installed(self._api.groups()),
            self._fields.look(),
            sent(self._api),
        )
        with self._lock:
            if found != self._found:
                self._found = found
                self._publish()
        yield

    def _publish(self) -> None:
        """Replace the facts, once all parts are there; the lock is held."""
        if self._namespaces is None or self._found is None:
            return
        if not (self._ranges.read and self._quotas.read):
            return
        version, systems, fields, asked_about = self._found
        read = version, sorted(systems)
        self._current = Facts(
            kube_version=version,
            namespaces={name: labels_of(one) for name, one in self._namespaces.items()},
            namespace_objects=self._namespaces,
            limit_ranges=self._ranges.by_namespace,
            resource_quotas=self._quotas.by_namespace,
            installed=systems,
            fields=fields,
            launchers=self._launchers.known,
            sent=asked_about,
        )
        if read != self._logged:  # first, and when something is installed, taken out, upgraded
            self._logged = read
            self._log.info(
                "cluster read",
                kube_version=f"{version[0]}.{version[1]}",
                installed=read[1],
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


def sent(api: Api) -> Sent:
    """Read what our registrations send to /validate; None where they can't be read."""
    found: set[tuple[str, str, str]] = set()
    for name in REGISTRATIONS:
        try:
            registration = api.registration(name)
        except NotReachable:  # not there, or an installation whose rights are older than we are
            return None
        for webhook in registration.get("webhooks") or ():
            for rule in webhook.get("rules") or ():
                found.update(
                    itertools.product(rule["apiGroups"], rule["resources"], rule["operations"])
                )
    return frozenset(found)


def _number(text: Any) -> int:
    digits = _LEADING_DIGITS.match(str(text))
    if digits is None:
        raise NotReachable(f'the API server calls its version "{text}"')
    return int(digits.group())


def installed(answer: Any) -> frozenset[str]:
    """Tell which systems are there by the API groups that are served."""
    groups = (group["name"] for group in answer.get("groups") or ())
    return frozenset(SYSTEMS[group] for group in groups if group in SYSTEMS)
