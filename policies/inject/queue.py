"""
Queues: the `queue` intent becomes what Kueue reads, else what Volcano or KAI does.

    kubectl-ml.io/queue: team-a

Kueue manages whole objects: its label, and its priority class where a policy names one, go onto the
object that it suspends: the workload, a CronJob's job template, the pods of kinds that it knows
only by their pods; never onto a pod whose owner is managed. Its webhook comes before ours and
doesn't see the label: what it would write goes in too, `suspend` at CREATE among it, or pods would
be there before there is quota. From then on `suspend` is Kueue's: no UPDATE touches it.
Volcano and KAI manage pods: their mark and their scheduler go into each pod template too, and the
queue into the field that an operator makes its PodGroup from.
Sources: kueue pkg/controller/constants, volcano pkg/controllers/podgroup, KAI pkg/podgrouper.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from policies.inject import remains
from policies.inject.pod import Author, PodDraft, family_author
from policies.intents import Intents
from policies.model import Facts
from policies.patch import Path, element, lookup
from policies.workloads.catalogue import Kind

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
# What Kueue's own webhook writes into the templates of what it counts by pods. It comes before ours
# and isn't called again, so it doesn't see the label that we set (pkg/controller/jobs).
_MANAGED = "kueue.x-k8s.io/managed"
_SUSPENDED_BY = "kueue.x-k8s.io/pod-suspending-parent"
_GROUP = "kueue.x-k8s.io/pod-group-name"
_SERVING = "kueue.x-k8s.io/pod-group-serving"
_PARENTS = {
    "Deployment.apps": "deployment",
    "StatefulSet.apps": "statefulset",
    "LeaderWorkerSet.leaderworkerset.x-k8s.io": "leaderworkerset.x-k8s.io/leaderworkerset",
}
_HASH = 5  # how much of a hash Kueue's names have
_HOLDS = "kueue.x-k8s.io/admission"  # the gate of a pod that waits for Kueue
# What Kueue manages by default and suspends as a whole (config/components/manager), in the versions
# that it reads: an object that it doesn't manage would wait for ever.
_HELD = {
    "Job.batch": ("v1",),
    "JobSet.jobset.x-k8s.io": ("v1alpha2",),
    "TrainJob.trainer.kubeflow.org": ("v1alpha1",),
    "RayCluster.ray.io": ("v1",),
    "RayJob.ray.io": ("v1",),
    "MPIJob.kubeflow.org": ("v2beta1",),
    **{
        f"{kind}.kubeflow.org": ("v1",)
        for kind in ("PyTorchJob", "TFJob", "XGBoostJob", "PaddleJob", "JAXJob")
    },
}
_SUSPENDS = ("/spec/suspend", "/spec/runPolicy/suspend")
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
    templates: Iterable[Path] = (),
    kind: str = "",
) -> None:
    """
    Queue an object: `places` is the metadata that a queue of objects reads.

    `templates` is the metadata of its templates.
    """
    author, name = _wanted(intents, given)
    system = system_of(facts)
    if name and system == "volcano" and kind in _OF_VOLCANO:
        unset = remains.QUEUE if kind in _OWN_PODS else None
        pod.put(author, _OF_VOLCANO[kind], name, unset=unset)
    member, mark = _MARKS[system]
    places, templates = list(places), list(templates) if kind in _PARENTS else []
    for place in places:
        if name:
            pod.put(author, (*place, member, mark), name)
    for place in templates if name and system == "kueue" else ():
        _mark_template(pod, author, place, kind)
    if given.priority:
        by, priority = given.priority
        queued = [one for one in places if pod.draft.get((*one, "labels", KUEUE))]
        if ("metadata",) in queued:
            queued += [one for one in templates if one not in queued]
        for place in queued:
            pod.put(by, (*place, "labels", KUEUE_PRIORITY), priority, quiet=True)


def _mark_template(pod: PodDraft, author: Author, place: Path, kind: str) -> None:
    """Write into a template what tells Kueue whose its pods are, as Kueue's own webhook does."""
    annotations = {_SUSPENDED_BY: _PARENTS[kind]}
    labels = {}
    if kind == "LeaderWorkerSet.leaderworkerset.x-k8s.io":
        annotations[_SERVING] = "true"  # Kueue's controller marks the pods with their group
    else:
        labels[_MANAGED] = "true"
    if kind == "StatefulSet.apps":
        replicas = pod.draft.get(("spec", "replicas"))
        annotations |= {
            "kueue.x-k8s.io/pod-group-total-count": str(1 if replicas is None else replicas),
            "kueue.x-k8s.io/pod-group-fast-admission": "true",
            _SERVING: "true",
            "kueue.x-k8s.io/pod-group-pod-index-label": "apps.kubernetes.io/pod-index",
        }
        labels[_GROUP] = _workload_name("StatefulSet", "apps", pod.draft.get(("metadata", "name")))
    for member, marks in (("labels", labels), ("annotations", annotations)):
        for mark, value in marks.items():
            pod.put(author, (*place, member, mark), value)


def _workload_name(kind: str, group: str, name: Any) -> str:
    """Name Kueue's Workload of an object as Kueue does (pkg/controller/jobframework)."""
    prefix = f"{kind.lower()}-{name or ''}"[: 252 - _HASH]
    text = f"{kind}\n{group}\n{name or ''}\n"
    digest = hashlib.sha1(text.encode(), usedforsecurity=False)
    return f"{prefix}-{digest.hexdigest()[:_HASH]}"


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


def suspend(pod: PodDraft, kind: Kind, facts: Facts) -> None:
    """
    Have a new object wait for Kueue, as Kueue's webhook does with those that have its label.

    Only where the label is ours: it saw the user's. What the user wrote is kept.
    """
    versions, obj = _HELD.get(kind.name, ()), pod.draft.object
    if not kind.suspend or system_of(facts) != "kueue" or not facts.has("kueue"):
        return
    label = pod.pointer(("metadata", "labels", KUEUE))
    if pod.claims.before(label) is None or lookup(obj, ("spec", "clusterSelector")):
        return  # a RayJob on a cluster that is there: Kueue leaves it alone
    if str(obj.get("apiVersion")).rpartition("/")[2] in versions:
        unset = None if kind.kind in remains.UNDEFAULTED else False
        pod.put(family_author(POLICY, DIGEST), kind.suspend.path, True, unset=unset, quiet=True)


def is_dropped(obj: Any, old: Any, pointer: str) -> bool:
    """
    Tell whether a request lost the `suspend` that was set at CREATE, rather than ended it.

    A server-side apply of a manifest without it takes it out, and nobody owns the default that
    comes instead; whoever resumes an object (Kueue, a person) owns what they wrote.
    """
    path = tuple(pointer.split("/")[1:])
    if pointer not in _SUSPENDS or lookup(old, path) is not True or lookup(obj, path):
        return False
    managed = lookup(obj, ("metadata", "managedFields"))
    fields = tuple(f"f:{step}" for step in path)
    entries = managed if isinstance(managed, list) else []
    return bool(entries) and all(lookup(one, ("fieldsV1", *fields)) is None for one in entries)


def is_kueues(pointer: str) -> bool:
    """Tell whether a claim is on what Kueue changes as it likes once the object is there."""
    return pointer in _SUSPENDS or pointer.startswith("/spec/schedulingGates/")


def gate(pod: PodDraft, facts: Facts) -> None:
    """
    Have a new bare pod wait for Kueue, as Kueue's webhook does with those that have its label.

    Kueue takes the gate away, and no UPDATE gives it back.
    No finalizer: a pod without a group needs none, and none is left behind where Kueue doesn't
    manage pods. A group's pods need what only Kueue can tell, the hash of their role.
    """
    labels: Path = ("metadata", "labels")
    name = pod.draft.get((*labels, KUEUE))
    if not name or system_of(facts) != "kueue" or not facts.has("kueue"):
        return
    if pod.draft.get((*labels, _GROUP)):
        pod.warn(
            f"{POLICY}: Kueue sees a pod of a group before this intent becomes its label, and "
            f"doesn't hold it back; write the label {KUEUE}: {name} yourself, or use a Job"
        )
        return
    author = family_author(POLICY, DIGEST)
    pod.put(author, (*labels, _MANAGED), "true")
    gates = (*pod.spec, "schedulingGates")
    if element(pod.draft.get(gates), "name", _HOLDS) < 0:
        pod.add(author, gates, {"name": _HOLDS})
    pod.warn(
        f'{POLICY}: this pod waits until Kueue admits it to queue "{name}"; if it waits for ever, '
        'add "pod" to integrations.frameworks of Kueue\'s configuration, or use a Job'
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
    path = _OF_VOLCANO.get(kind)  # Volcano's own are in one, if in its default queue
    return "volcano" if kind in _OWN_PODS or (path and lookup(obj, path)) else ""
