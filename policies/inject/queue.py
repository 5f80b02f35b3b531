"""
Queues: the `queue` intent becomes what Kueue reads, else what Volcano or KAI does.

    kubectl-ml.io/queue: team-a

Kueue manages whole objects: its label, and its priority class where a policy names one, go onto the
object that it suspends: the workload, a CronJob's job template, the pods of kinds that it knows
only by their pods; never onto a pod whose owner is managed. Its own webhook suspends the object.
Volcano and KAI manage pods: their mark and their scheduler go into each pod template too, and the
queue into the field that an operator makes its PodGroup from.
Sources: kueue pkg/controller/constants, volcano pkg/controllers/podgroup, KAI pkg/podgrouper.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from policies.inject.pod import Author, PodDraft, family_author
from policies.intents import Intents
from policies.model import Facts
from policies.patch import Path, lookup

POLICY = "queue"
DIGEST = "00000001"
SYSTEMS = ("kueue", "volcano", "kai")  # the first that is installed is meant
KUEUE = "kueue.x-k8s.io/queue-name"
KUEUE_PRIORITY = "kueue.x-k8s.io/priority-class"
VOLCANO = "scheduling.volcano.sh/queue-name"
KAI = "kai.scheduler/queue"
_MARKS = {
    "kueue": ("labels", KUEUE),
    "volcano": ("annotations", VOLCANO),
    "kai": ("labels", KAI),
}
# What Kueue's own webhook writes into the template of a queued Deployment, whose pods it counts. It
# comes before ours, and so doesn't see the label that we set (pkg/controller/jobs/deployment).
_MANAGED = "kueue.x-k8s.io/managed"
_SUSPENDED_BY = "kueue.x-k8s.io/pod-suspending-parent"
_PARENTS = {"Deployment.apps": "deployment"}
_SCHEDULERS = {"volcano": "volcano", "kai": "kai-scheduler"}
_DEFAULT_SCHEDULER = "default-scheduler"  # what the API server writes where nothing was set
# Where operators read the queue of the PodGroup that they make.
_OF_RUN_POLICY = ("spec", "runPolicy", "schedulingPolicy", "queue")
_OF_VOLCANO: dict[str, Path] = {
    "Job.batch.volcano.sh": ("spec", "queue"),
    "CronJob.batch.volcano.sh": ("spec", "jobTemplate", "spec", "queue"),
    "SparkApplication.sparkoperator.k8s.io": ("spec", "batchSchedulerOptions", "queue"),
    **{
        f"{kind}.kubeflow.org": _OF_RUN_POLICY
        for kind in ("PyTorchJob", "TFJob", "XGBoostJob", "PaddleJob", "JAXJob", "MPIJob")
    },
    **{
        f"{kind}.ray.io": ("metadata", "labels", "volcano.sh/queue-name")
        for kind in ("RayCluster", "RayJob", "RayService")
    },
}
# Their operator writes queue and scheduler of the pods itself.
_OWN_PODS = frozenset({"Job.batch.volcano.sh", "CronJob.batch.volcano.sh"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """What policies say of queues: the queue by default, and Kueue's priority class."""

    queue: tuple[Author, str] | None = None
    priority: tuple[Author, str] | None = None


def inject(
    pod: PodDraft,
    intents: Intents,
    given: Default,
    *,
    facts: Facts,
    places: Iterable[Path],
    kind: str = "",
) -> None:
    """Queue an object: `places` is the metadata that a queue of objects reads."""
    author, name = _wanted(intents, given)
    system = system_of(facts)
    if name and system == "volcano" and kind in _OF_VOLCANO:
        pod.put(author, _OF_VOLCANO[kind], name)
    member, mark = _MARKS[system]
    for place in places:
        if name:
            pod.put(author, (*place, member, mark), name)
        if name and system == "kueue" and kind in _PARENTS and place != ("metadata",):
            pod.put(author, (*place, "labels", _MANAGED), "true")
            pod.put(author, (*place, "annotations", _SUSPENDED_BY), _PARENTS[kind])
        if given.priority and pod.draft.get((*place, "labels", KUEUE)):
            by, priority = given.priority
            pod.put(by, (*place, "labels", KUEUE_PRIORITY), priority, quiet=True)


def inject_pods(
    pod: PodDraft, intents: Intents, given: Default, *, facts: Facts, kind: str = ""
) -> None:
    """Mark a pod, or a template's pods, for a scheduler that has queues of its own."""
    author, name = _wanted(intents, given)
    system = system_of(facts)
    if not name or system not in _SCHEDULERS or kind in _OWN_PODS or pod.metadata is None:
        return
    if not pod.allows("schedulerName"):
        pod.warn(
            f"{POLICY}: the template of these pods can't hold schedulerName, so {system} doesn't "
            f'see queue "{name}"; give it to them by an InjectionPolicy for Pod'
        )
        return
    member, mark = _MARKS[system]
    pod.put(author, (*pod.metadata, member, mark), name)
    path, scheduler = (*pod.spec, "schedulerName"), _SCHEDULERS[system]
    pod.put(author, path, scheduler, unset=_DEFAULT_SCHEDULER)


def warn_of_order(pod: PodDraft, intents: Intents, facts: Facts) -> None:
    """Warn about a bare pod that Kueue, whose webhook saw it before us, doesn't hold back."""
    label = pod.draft.get(("metadata", "labels", KUEUE))
    if intents.queue and not label and facts.has("kueue"):
        pod.warn(
            f"{POLICY}: Kueue sees a bare pod before this intent becomes its label, and doesn't "
            f"hold it back; write the label {KUEUE}: {intents.queue} yourself, or use a Job"
        )


def _wanted(intents: Intents, given: Default) -> tuple[Author, str]:
    if intents.queue or not given.queue:
        return family_author(POLICY, DIGEST), intents.queue
    return given.queue


def system_of(facts: Facts) -> str:
    """Name the system whose queues are meant."""
    return next(filter(facts.has, SYSTEMS), SYSTEMS[0])


def queued_by(obj: Any, places: Iterable[Path], kind: str = "") -> str:
    """Name the system in whose queue an object is; empty where it is in none."""
    for metadata in places:
        labels = lookup(obj, (*metadata, "labels"))
        annotations = lookup(obj, (*metadata, "annotations"))
        if isinstance(labels, dict):
            if labels.get(KUEUE):
                return "kueue"
            if labels.get(KAI):
                return "kai"
        if isinstance(annotations, dict) and annotations.get(VOLCANO):
            return "volcano"
    path = _OF_VOLCANO.get(kind)
    return "volcano" if path and lookup(obj, path) else ""
