"""
Why something isn't ready, in the words of those who know: conditions, containers and events.

The cluster says it in many places: a container that waits for its image, a pod that fits on no
node, a controller that was refused a pod by a quota or a policy, a queue that has no room.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubectl_ml import backends
from kubectl_ml.backends.backend import NAME_LABEL, Phase
from kubectl_ml.cluster import Cluster
from kubectl_ml.errors import ClusterError, NotAllowed, NotInstalled
from kubectl_ml.runs import Run, is_ready
from policies.model import Manifest

_STARTING = frozenset({"ContainerCreating", "PodInitializing"})  # as it should be
_KUEUE = ("kueue.x-k8s.io/v1beta1", "kueue.x-k8s.io/v1beta2")


class Events:
    """The warnings about the objects of one run, the newest for each; empty if not allowed."""

    def __init__(self, cluster: Cluster, run: Run) -> None:
        self.note = ""
        self._by_uid: dict[str, str] = {}
        try:
            found = cluster.find_all("v1", "Event", namespace=run.namespace, fields="type=Warning")
        except NotAllowed as error:
            self.note = f"events are not shown: {error.message}"
            return
        for event in sorted(found, key=_when):
            about = event.get("involvedObject") or {}
            text = f"{event.get('reason', '')}: {_line(event.get('message', ''))}"
            self._by_uid[about.get("uid", "")] = text

    def about(self, found: Manifest) -> str:
        """Give the newest warning about an object, or nothing."""
        return self._by_uid.get(found["metadata"].get("uid", "-"), "")


def _when(event: Manifest) -> str:
    series = event.get("series") or {}
    times = (event.get("lastTimestamp"), series.get("lastObservedTime"), event.get("eventTime"))
    return str(next((each for each in times if each), ""))


def of_pod(pod: Manifest, events: Events) -> str:
    """Say why a pod isn't ready; nothing where it is."""
    if is_ready(pod):
        return ""
    status = pod.get("status") or {}
    containers = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    said = next(filter(None, map(_of_container, containers)), "")
    return said or _unmet(status) or _line(status.get("message", "")) or events.about(pod)


def _of_container(status: Manifest) -> str:
    state = status.get("state") or {}
    name = status["name"]
    if waiting := state.get("waiting"):
        if waiting.get("reason") in _STARTING:
            return ""
        message = _line(waiting.get("message", ""))
        return f"{waiting.get('reason', 'Waiting')}: {name}" + (f": {message}" if message else "")
    ended = state.get("terminated") or {}
    if ended.get("exitCode"):
        return f"{ended.get('reason', 'Error')}: {name} ended with {ended['exitCode']}"
    return ""


def _unmet(status: Manifest) -> str:
    """Say what keeps a pod from its node."""
    for each in status.get("conditions") or ():
        if each["type"] == "PodScheduled" and each["status"] == "False":
            return f"{each.get('reason', 'Unschedulable')}: {_line(each.get('message', ''))}"
    return ""


def of_run(cluster: Cluster, run: Run, events: Events) -> Iterator[str]:
    """Say why a run isn't further, beside what its pods say."""
    state = run.state
    if state.phase in (Phase.SUCCEEDED, Phase.READY):
        return
    if state.reason or state.message:
        yield ": ".join(filter(None, [state.reason, _line(state.message)]))
    if state.phase is Phase.QUEUED:
        yield _queued(cluster, run)
    for found in [run.workload, *_between(cluster, run)]:
        if said := events.about(found):
            yield said


def distinct(whys: Iterable[str]) -> list[str]:
    """Leave out what only repeats an earlier one, as an event repeats a condition."""
    found: list[str] = []
    for why in whys:
        reason, _, _ = why.partition(": ")
        if not any(_repeats(why, each, reason) for each in found):
            found.append(why)
    return found


def _repeats(why: str, before: str, reason: str) -> bool:
    said, colon, message = before.partition(": ")
    return why == before or bool(colon and said == reason and why.endswith(message))


def _queued(cluster: Cluster, run: Run) -> str:
    """Say what the queue says: Kueue has a Workload for each object that it holds back."""
    uid = run.workload["metadata"].get("uid", "")
    for api_version in _KUEUE:
        try:
            held = cluster.find_all(
                api_version,
                "Workload",
                namespace=run.namespace,
                labels=f"kueue.x-k8s.io/job-uid={uid}",
            )
        except ClusterError:
            continue
        for each in held:
            for condition in (each.get("status") or {}).get("conditions") or ():
                if condition["type"] == "QuotaReserved" and condition["status"] == "False":
                    return f"in the queue: {_line(condition.get('message', ''))}"
    return "in the queue: waits to be admitted"


def _between(cluster: Cluster, run: Run) -> Iterable[Manifest]:
    """Give what stands between a workload and its pods: what is refused a pod says so there."""
    kind = ("apps/v1", "ReplicaSet") if run.backend in backends.SERVING else ("batch/v1", "Job")
    if kind == (run.backend.api_version, run.backend.kind):
        return []
    try:
        return cluster.find_all(*kind, namespace=run.namespace, labels=f"{NAME_LABEL}={run.name}")
    except (NotAllowed, NotInstalled):
        return []


def _line(text: str) -> str:
    return " ".join(text.split())
