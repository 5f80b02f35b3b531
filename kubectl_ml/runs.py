"""
What `train` and `serve` made, found again by its label over every backend.

A kind that isn't installed has nothing to show; one that may not be read is said so on stderr,
and never keeps the others from being shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from kubectl_ml import backends
from kubectl_ml.backends.backend import NAME_LABEL, Backend, Phase, State
from kubectl_ml.cluster import Cluster
from kubectl_ml.errors import NotAllowed, NotFound, NotInstalled, PluginError
from policies.intents import PREFIX
from policies.model import Manifest

_POD = ("v1", "Pod")
_INDEX = "batch.kubernetes.io/job-completion-index"
_REPLICA = "training.kubeflow.org/replica-index"
_ROLE = "training.kubeflow.org/replica-type"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training or server: its workload as it is now, what it says of itself, its pods."""

    backend: Backend[Any]
    workload: Manifest
    pods: tuple[Manifest, ...] = ()

    @property
    def name(self) -> str:
        """Say what the user called it."""
        return str(self.workload["metadata"]["labels"][NAME_LABEL])

    @property
    def namespace(self) -> str:
        """Say where it is."""
        return str(self.workload["metadata"]["namespace"])

    @property
    def title(self) -> str:
        """Name it as sentences do: `job "bert"`."""
        return f'{self.backend.name} "{self.name}"'

    @property
    def state(self) -> State:
        """Read how far it is."""
        return self.backend.state(self.workload)

    @property
    def ready(self) -> int:
        """Count the pods that are ready, or have done what they are for."""
        return sum(is_ready(pod) for pod in self.pods)

    @property
    def wanted(self) -> int:
        """Say how many pods it is to have."""
        return self.state.pods or sum(not is_over(pod) for pod in self.pods)

    @property
    def progress(self) -> str:
        """Say how many of the pods are as they should be: `2/4 pods ready`, `4/4 pods done`."""
        phases = {(pod.get("status") or {}).get("phase") for pod in self.pods}
        word = "done" if phases == {"Succeeded"} else "ready"
        return f"{self.ready}/{self.wanted} pods {word}"

    @property
    def devices(self) -> str:
        """Say what it asked for: `a100:2 x4` for each of four pods."""
        annotations = self.workload["metadata"].get("annotations") or {}
        asked = str(annotations.get(f"{PREFIX}accelerator") or _limits(self.pods))
        times = f" x{self.wanted}" if asked and self.wanted > 1 else ""
        return f"{asked}{times}"

    @property
    def age_seconds(self) -> float:
        """Say how old it is."""
        return seconds_since(self.workload["metadata"].get("creationTimestamp", ""))


def find(
    cluster: Cluster,
    *,
    name: str = "",
    everywhere: bool = False,
    among: Sequence[Backend[Any]] = backends.ALL,
    denied: list[str] | None = None,
) -> list[Run]:
    """
    Find the runs, all or those of this name, in our namespace or in every one.

    Kinds that may not be read are told of, unless one of the name was found without them; they
    are added to `denied`, too.
    """
    denied = [] if denied is None else denied
    namespace = None if everywhere else cluster.namespace
    labels = f"{NAME_LABEL}={name}" if name else NAME_LABEL
    workloads = [
        (backend, found)
        for backend in among
        for found in _listed(
            cluster,
            (backend.api_version, backend.kind),
            namespace=namespace,
            labels=labels,
            denied=denied,
        )
        if not _is_part(found)
    ]
    if workloads and name:
        denied.clear()
    pods = (
        _listed(cluster, _POD, namespace=namespace, labels=labels, denied=denied)
        if workloads
        else []
    )
    for sentence in denied:
        click.echo(f"note: {sentence}", err=True)
    runs = [
        Run(backend=backend, workload=found, pods=tuple(_pods_of(found, pods)))
        for backend, found in workloads
    ]
    return sorted(runs, key=lambda run: (run.namespace, run.name, run.backend.name))


def one(cluster: Cluster, name: str, among: Sequence[Backend[Any]] = backends.ALL) -> Run:
    """Find the one run of this name."""
    found = find(cluster, name=name, among=among)
    if not found:
        raise NotFound(
            f'there is no "{name}" in namespace "{cluster.namespace}"',
            hint="kubectl ml list -A shows what there is; -n names another namespace",
        )
    if len(found) > 1:
        raise PluginError(
            f"several are called so: {', '.join(run.title for run in found)}",
            hint=f"--backend {found[0].backend.name} says which is meant",
        )
    return found[0]


def again(cluster: Cluster, run: Run) -> Run:
    """Look at a run once more; raise `NotFound` where it is gone."""
    workload = cluster.get(
        run.backend.api_version,
        run.backend.kind,
        run.workload["metadata"]["name"],
        namespace=run.namespace,
    )
    labels = f"{NAME_LABEL}={run.name}"
    pods = _listed(cluster, _POD, namespace=run.namespace, labels=labels, denied=[])
    return Run(backend=run.backend, workload=workload, pods=tuple(_pods_of(workload, pods)))


def _listed(
    cluster: Cluster,
    kind: tuple[str, str],
    *,
    namespace: str | None,
    labels: str,
    denied: list[str],
) -> list[Manifest]:
    """List what is there; a kind that may not be read is named in `denied`."""
    try:
        return cluster.find_all(*kind, namespace=namespace, labels=labels)
    except NotInstalled:
        return []
    except NotAllowed as error:
        if error.status == 401:
            raise
        if cluster.serves(*kind):  # else it isn't there: rights are asked for first
            denied.append(f"no {kind[1]}s are shown: {error.message}")
        return []


def _is_part(found: Manifest) -> bool:
    """Tell whether another object made it: the Job of a JobSet has our label, too."""
    owners = found["metadata"].get("ownerReferences") or ()
    return any(owner.get("controller") for owner in owners)


def _pods_of(workload: Manifest, pods: Sequence[Manifest]) -> Iterator[Manifest]:
    """Give a workload's pods by rank."""
    mine = [pod for pod in pods if _belongs(pod, workload)]
    yield from sorted(mine, key=lambda pod: (rank(pod, mine), _created(pod)))


def _belongs(pod: Manifest, workload: Manifest) -> bool:
    of_pod, of_workload = pod["metadata"], workload["metadata"]
    return bool(
        of_pod["namespace"] == of_workload["namespace"]
        and of_pod["labels"][NAME_LABEL] == of_workload["labels"][NAME_LABEL]
    )


def _created(pod: Manifest) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))


def rank(pod: Manifest, pods: Sequence[Manifest]) -> int:
    """Say which of the run's nodes a pod is; the pods of a server are numbered by name."""
    metadata = pod["metadata"]
    index = (metadata.get("annotations") or {}).get(_INDEX)
    if index is not None:
        return int(index)
    labels = metadata.get("labels") or {}
    if _REPLICA in labels:
        masters = any(
            (each["metadata"].get("labels") or {}).get(_ROLE) == "master" for each in pods
        )
        return int(labels[_REPLICA]) + (masters and labels.get(_ROLE) != "master")
    return sorted(each["metadata"]["name"] for each in pods).index(metadata["name"])


def latest(pods: Sequence[Manifest]) -> dict[int, Manifest]:
    """Give the newest pod of each rank: the others were tried before it."""
    newest: dict[int, Manifest] = {}
    for pod in sorted(pods, key=_created):
        newest[rank(pod, pods)] = pod
    return dict(sorted(newest.items()))


def is_over(pod: Manifest) -> bool:
    """Tell whether a pod has ended."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def is_ready(pod: Manifest) -> bool:
    """Tell whether a pod is ready, or has done what it is for."""
    status = pod.get("status") or {}
    if status.get("phase") == "Succeeded":
        return True
    conditions = status.get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def is_active(run: Run) -> bool:
    """Tell whether a run is neither done nor lost."""
    return run.state.phase not in (Phase.SUCCEEDED, Phase.FAILED)


def _limits(pods: Sequence[Manifest]) -> str:
    """Say which devices a pod has: `nvidia.com/gpu:2`."""
    for pod in pods:
        for container in pod["spec"]["containers"]:
            limits = (container.get("resources") or {}).get("limits") or {}
            if devices := [f"{key}:{value}" for key, value in limits.items() if "/" in key]:
                return ",".join(devices)
    return ""


def seconds_since(timestamp: str) -> float:
    """Say how long ago a Kubernetes timestamp is."""
    if not timestamp:
        return 0.0
    return max(0.0, time.time() - datetime.fromisoformat(timestamp).timestamp())


def age(seconds: float) -> str:
    """Write a span of time as kubectl does: `45s`, `3m12s`, `5h`, `2d`."""
    whole = int(seconds)
    if whole < 120:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10:
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    return f"{hours}h" if hours < 48 else f"{hours // 24}d"
