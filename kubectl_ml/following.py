"""
Waiting for a run, and printing what its pods write meanwhile.

    waited_for     until it is done, has failed, or the time is over
    follow         the logs of all ranks as they come, `[rank] line`
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from kubectl_ml import flags, runs
from kubectl_ml.cluster import Cluster
from kubectl_ml.errors import ClusterError, NotFound, PluginError, TimedOut
from kubectl_ml.progress import Progress
from kubectl_ml.runs import Run
from policies.model import Manifest

LOOK_SECONDS = 1.0
BLIP_SECONDS = 60.0  # an API server that is replaced is away for less
_COLORS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


def progress() -> Progress:
    """Make the line that says how far it is."""
    return Progress(sys.stderr, live=flags.colors(sys.stderr))


def waited_for(cluster: Cluster, run: Run, *, timeout_seconds: float | None) -> Run:
    """Wait until a run is done or has failed; raise where it fails or the time is over."""
    until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    line = progress()
    try:
        while True:
            line.say(how_far(run))
            if run.state.done or run.state.failed:
                break
            left = LOOK_SECONDS if until is None else until - time.monotonic()
            if left <= 0:
                raise TimedOut(
                    f"{run.title} is still {run.state.phase.value} after {timeout_seconds:g} s",
                    hint=f"kubectl ml status {run.name}{cluster.flags} says why",
                )
            time.sleep(min(LOOK_SECONDS, left))
            run = _again(cluster, run, line)
    except NotFound as error:
        raise PluginError(
            f"{run.title} was deleted meanwhile",
            hint=f"kubectl ml list{cluster.flags} shows what is there",
        ) from error
    finally:
        line.clear()
    if run.state.failed:
        raise failure(cluster, run)
    return run


def _again(cluster: Cluster, run: Run, line: Progress) -> Run:
    """Look again; a server that doesn't answer for a while ends no wait of hours."""
    until = time.monotonic() + BLIP_SECONDS
    while True:
        try:
            return runs.again(cluster, run)
        except ClusterError as error:
            if 400 <= error.status < 500 and error.status != 429:
                raise
            if time.monotonic() > until:
                raise
            line.say(f"{error.message}; trying again")
            time.sleep(2 * LOOK_SECONDS)


def how_far(run: Run) -> str:
    """Say in a line how far it is: `job "bert": Running, 2/4 pods ready`."""
    return f"{run.title}: {run.state.phase.value}, {run.progress}"


def ended(run: Run) -> str:
    """Say how it ended and how old it was then: `job "bert": Succeeded after 12s`."""
    return f"{run.title}: {run.state.phase.value} after {runs.age(run.age_seconds)}"


def failure(cluster: Cluster, run: Run) -> PluginError:
    """Say that a run has failed, and why."""
    state = run.state
    why = ": ".join(filter(None, [state.reason, " ".join(state.message.split())]))
    return PluginError(
        f"{run.title} failed" + (f": {why}" if why else ""),
        hint=f"kubectl ml status {run.name}{cluster.flags} and kubectl ml logs {run.name}"
        f"{cluster.flags} say more",
    )


@dataclass(slots=True)
class Printer:
    """Prints lines of many logs, whole, each with the number of its rank."""

    prefixed: bool
    colored: bool
    line: Progress
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def all_of(self, lines: Iterable[bytes], rank: int) -> None:
        """Print the lines of one rank as they come."""
        prefix = self._prefix(rank) if self.prefixed else b""
        for line in lines:
            with self._lock:
                self.line.clear()
                out = sys.stdout.buffer
                out.write(prefix + line)
                out.flush()

    def _prefix(self, rank: int) -> bytes:
        if not self.colored:
            return f"[{rank}] ".encode()
        return f"\x1b[{_COLORS[rank % len(_COLORS)]}m[{rank}]\x1b[0m ".encode()


class Follower:
    """Follows the logs of a run's pods, each in a thread of its own, as they start."""

    def __init__(
        self,
        printer: Printer,
        lines_of: Callable[[Manifest], Iterable[bytes]],
        *,
        ranks: int | None,
    ) -> None:
        self._printer = printer
        self._lines_of = lines_of
        self._only = ranks
        self._threads: dict[str, threading.Thread] = {}
        self._faults: list[ClusterError] = []

    def look(self, run: Run) -> None:
        """Start to follow the pods that have started since."""
        for pod in run.pods:
            uid, rank = pod["metadata"]["uid"], runs.rank(pod, run.pods)
            if uid in self._threads or not has_started(pod) or self._only not in (None, rank):
                continue
            thread = threading.Thread(target=self._follow, args=(pod, rank), daemon=True)
            self._threads[uid] = thread
            thread.start()

    def _follow(self, pod: Manifest, rank: int) -> None:
        try:
            self._printer.all_of(self._lines_of(pod), rank)
        except NotFound:  # it was deleted meanwhile, which ends its log
            pass
        except ClusterError as error:
            self._faults.append(error)
        except BrokenPipeError:
            self._faults.append(ClusterError("nobody reads the output any more"))

    def check(self) -> None:
        """Raise what went wrong in a thread."""
        if self._faults:
            raise self._faults[0]

    @property
    def started(self) -> bool:
        """Tell whether any log is followed."""
        return bool(self._threads)

    @property
    def ended(self) -> bool:
        """Tell whether all logs have come to their end."""
        return not any(thread.is_alive() for thread in self._threads.values())

    def finish(self, *, timeout_seconds: float = 10.0) -> None:
        """Wait for the rest of the logs."""
        for thread in self._threads.values():
            thread.join(timeout_seconds)
        self.check()


def has_started(pod: Manifest, container: str = "") -> bool:
    """Tell whether a container of the pod has a log."""
    wanted = container or main_container(pod)
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if status["name"] == wanted:
            state = status.get("state") or {}
            return "running" in state or "terminated" in state
    return False


def main_container(pod: Manifest) -> str:
    """Name the container whose log is meant: not a sidecar's."""
    annotations = pod["metadata"].get("annotations") or {}
    named = annotations.get("kubectl.kubernetes.io/default-container")
    return str(named or pod["spec"]["containers"][0]["name"])


def follow(
    cluster: Cluster,
    run: Run,
    *,
    rank: int | None = None,
    container: str = "",
    tail: int | None = None,
) -> Run:
    """Print the logs as they come until the run is over; give it back as it is then."""
    line = progress()
    printer = Printer(prefixed=rank is None, colored=flags.colors(sys.stdout), line=line)

    def lines_of(pod: Manifest) -> Iterable[bytes]:
        return cluster.logs(
            pod["metadata"]["name"],
            namespace=run.namespace,
            container=container or main_container(pod),
            follow=True,
            tail=tail,
        )

    follower = Follower(printer, lines_of, ranks=rank)
    try:
        while True:
            follower.look(run)
            follower.check()
            if not runs.is_active(run) and follower.ended:
                break
            if not follower.started:
                line.say(how_far(run))
            time.sleep(LOOK_SECONDS)
            run = _again(cluster, run, line)
        follower.finish()
    except NotFound as error:
        raise PluginError(
            f"{run.title} was deleted meanwhile",
            hint=f"kubectl ml list{cluster.flags} shows what is there",
        ) from error
    finally:
        line.clear()
    return run
