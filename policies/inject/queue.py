"""
Queues: the `queue` intent becomes Kueue's label, or Volcano's annotation where only that is there.

    kubectl-ml.io/queue: team-a

Set on the object that the queue manages: the workload itself, a CronJob's job template, the pods
of kinds that the queue knows only by their pods. Source: kueue.sigs.k8s.io/docs/tasks/run,
volcano.sh/docs.
"""

from __future__ import annotations

from typing import Any

from policies.inject.pod import Author, PodDraft, family_author
from policies.intents import Intents
from policies.model import Facts
from policies.patch import Path, lookup

POLICY = "queue"
DIGEST = "00000001"
KUEUE = "kueue.x-k8s.io/queue-name"
VOLCANO = "scheduling.volcano.sh/queue-name"
KAI = "kai.scheduler/queue"


def inject(
    pod: PodDraft,
    intents: Intents,
    policy: tuple[Author, str] | None,
    *,
    metadata: Path,
    facts: Facts,
) -> None:
    """Queue the object whose metadata is at `metadata`."""
    author, name = family_author(POLICY, DIGEST), intents.queue
    if not name and policy:
        author, name = policy
    if not name:
        return
    if facts.has("kueue") or not facts.has("volcano"):
        pod.put(author, (*metadata, "labels", KUEUE), name)
    else:
        pod.put(author, (*metadata, "annotations", VOLCANO), name)


def queued_by(obj: Any, metadata: Path) -> str:
    """Name the system in whose queue an object is; empty where it is in none."""
    labels = lookup(obj, (*metadata, "labels")) or {}
    annotations = lookup(obj, (*metadata, "annotations")) or {}
    if isinstance(labels, dict):
        if labels.get(KUEUE):
            return "kueue"
        if labels.get(KAI):
            return "kai"
    if isinstance(annotations, dict) and annotations.get(VOLCANO):
        return "volcano"
    policy = lookup(obj, ("spec", "runPolicy", "schedulingPolicy", "queue"))
    return "volcano" if policy else ""
