"""
What other injectors ought to have done to a bare pod by the time it is judged.

A bare pod's intents become the labels and annotations that Dapr and Istio read only when we
are called; a webhook that came before us, and isn't called again, has missed them, unless the
registration `0.mutate.kubectl-ml.io` had us called before it. In the end the pod shows it: their
mark is ours, and nothing of theirs is there.

    dapr.io/enabled: "true", set for an intent, and no container "daprd"  ->  a warning
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from policies import istio
from policies.daprd import ENABLED
from policies.inject.pod import PodDraft
from policies.inject.prepared import FAMILIES
from policies.model import Facts

PROXY = "istio-proxy"
DAPRD = "daprd"
_INSTEAD = "or use a Deployment or a Job"
_BY_AN_ADMIN = (
    'use a Deployment or a Job, or have an admin register policy "{}" '
    "(python -m webhook.registrations --policies)"
)


def sentences(pod: PodDraft, facts: Facts) -> Iterator[str]:
    """Say what is missing in a signed pod of the marks that we set and what others make of them."""
    if not pod.claims.by_policy:
        return
    there = pod.names("containers", "initContainers")
    enabled, instead = _ours(pod, "annotations", ENABLED)
    if enabled and facts.has("dapr") and DAPRD not in there:
        yield (
            "dapr: Dapr saw this bare pod before its annotations were there, and added no sidecar; "
            f'write {ENABLED}: "true" and dapr.io/app-id yourself, {instead}'
        )
    switched, instead = _ours(pod, "labels", istio.INJECT)
    if not facts.has("istio") or switched not in _SWITCHED or _SWITCHED[switched](there):
        return
    added = "added no proxy" if switched == "true" else "added its proxy"
    yield (
        f"mesh: Istio saw this bare pod before its label was there, and {added}; write the label "
        f'{istio.INJECT}: "{switched}" yourself, {instead}'
    )


# What a pod holds if Istio saw how it is switched.
_SWITCHED: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "true": lambda there: PROXY in there,
    "false": lambda there: PROXY not in there,
}


def _ours(pod: PodDraft, member: str, key: str) -> tuple[str, str]:
    """Give a mark that we set, and what else to do; empty where it is somebody else's, or not."""
    at = pod.pointer(("metadata", member, key))
    author = next((policy for policy, where, _ in pod.claims if where == at), "")
    if not author:
        return "", ""
    name = author.rpartition("@")[0]
    return str(pod.draft.get(("metadata", member, key))), (
        _INSTEAD if name in FAMILIES else _BY_AN_ADMIN.format(name)
    )
