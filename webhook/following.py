"""
Follows what the API server holds, in threads: asks again and again, and goes on where it was.

The official client is synchronous, so each question that may take long has a thread of its own.
They are few, and asleep in a read nearly always; what they find is handed over as a whole, so the
event loop never waits for them.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from webhook.apiserver import Expired, Forbidden, NotFound, Watched
from webhook.errors import NotReachable


class NotServed(Exception):  # noqa: N818 -- named for what it is
    """Raised when a resource isn't served yet: there is nothing to follow, and nothing failed."""


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
    - `retry_at_most_seconds`: the longest of these waits, and how often we look for a resource that
      isn't served yet.
    - `namespace_seconds`: how long a review waits for a namespace that we haven't heard of: whoever
      makes a namespace and a workload in one go is faster than our watch. A webhook's answer has
      2 s in all.
    """

    discovery_seconds: float = 60
    retry_seconds: float = 0.25
    retry_at_most_seconds: float = 10
    namespace_seconds: float = 0.5


PACE = Pace()


class Followed(Protocol):
    """Asks the API server from `start` on until `stop`."""

    def start(self) -> None:
        """Begin to ask."""
        ...

    def stop(self) -> None:
        """Ask no more."""
        ...


@dataclass(kw_only=True)
class Follower:
    """
    One thread that repeats `follow`, which yields each time that the API server answered.

    `every_seconds` pass between two times. Failures are counted, waited out longer and longer, and
    said once; `meanwhile` says what is in force until then.
    """

    name: str
    follow: Callable[[], Iterator[None]]
    meanwhile: Callable[[], str]
    recorder: Recorder
    log: FilteringBoundLogger
    pace: Pace = PACE
    every_seconds: float = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin to ask."""
        # A daemon, because a watch that nothing happens on is waited for and can't be woken.
        threading.Thread(target=self._repeat, name=self.name, daemon=True).start()

    def stop(self) -> None:
        """Ask no more."""
        self.stopped.set()

    def _repeat(self) -> None:
        failures = 0
        while not self.stopped.is_set():
            try:
                for _ in self.follow():
                    failures = self._answered(failures)
                    if self.stopped.is_set():
                        return
            except NotServed:
                self.stopped.wait(self.pace.retry_at_most_seconds)
                continue
            except NotReachable as error:
                failures = self._failed(failures, str(error))
            except Exception:  # else this thread would end, and what it knows grow old
                self.log.exception("an answer of the API server can't be read")
                failures = self._failed(failures, "see the exception")
            self.stopped.wait(self._wait_seconds(failures))

    def _failed(self, failures: int, error: str) -> int:
        self.recorder.api_server_failed()
        if failures == 0:  # said once, not at each try
            self.log.warning(
                "the cluster can't be read",
                what=self.name,
                error=error,
                meanwhile=self.meanwhile(),
            )
        return failures + 1

    def _answered(self, failures: int) -> int:
        if failures:
            self.log.info("the cluster can be read again", what=self.name, tries=failures)
        return 0

    def _wait_seconds(self, failures: int) -> float:
        if not failures and self.every_seconds:
            return self.every_seconds
        longest = self.pace.retry_seconds * 2.0 ** min(failures, 16)
        # Not all replicas at the same moment.
        return min(longest, self.pace.retry_at_most_seconds) * random.uniform(0.5, 1)  # noqa: S311 -- no secret


class Watcher(Protocol):
    """Lists the objects of one resource, and follows them."""

    def list(self) -> Any:
        """Give the list as the API server does."""
        ...

    def watch(self, version: str) -> Iterator[Watched]:
        """Follow the changes from a version on, until the server ends it."""
        ...


@dataclass(kw_only=True)
class Collection:
    """
    The objects of one resource: listed once, then watched from there on.

    `listed` gets all of them, `changed` each change after that (`ADDED`, `MODIFIED`, `DELETED`).
    After a failure they are listed again, so nothing that was missed stays missed. An `optional`
    resource that isn't served has no objects.
    """

    source: Watcher
    listed: Callable[[list[Any]], None]
    changed: Callable[[str, Any], None]
    optional: bool = False
    as_of: str = "0"  # of which version the list is that `listed` gets
    _version: str = ""  # where the watch goes on

    def follow(self) -> Iterator[None]:
        """List, unless we know where to go on, and watch until the API server ends that."""
        version, self._version = self._version, ""  # after a failure: list again
        if not version:
            version = self._list()
            yield
        try:
            for kind, found in self.source.watch(version):
                version = found["metadata"]["resourceVersion"]
                if kind != "BOOKMARK":
                    self.changed(kind, found)
                yield
        except Expired:
            return
        self._version = version

    def _list(self) -> str:
        try:
            answer = self.source.list()
        except NotFound as error:
            if not self.optional:
                raise
            self.as_of = "0"
            self.listed([])
            raise NotServed(str(error)) from error
        self.as_of = str(answer["metadata"]["resourceVersion"])
        self.listed(answer["items"])
        return self.as_of


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may not be read, by rights that are older than we are, is as good as not there."""

    source: Watcher

    def list(self) -> Any:
        """Give the list as the API server does."""
        try:
            return self.source.list()
        except Forbidden as error:
            raise NotFound(str(error)) from error

    def watch(self, version: str) -> Iterator[Watched]:
        """Follow the changes from a version on, until the server ends it."""
        return self.source.watch(version)
