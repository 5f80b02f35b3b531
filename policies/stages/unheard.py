"""
What other injectors ought to have done to a bare pod by the time it is judged.

A bare pod's intents become the labels and annotations that Dapr and Istio read only when we
are called; a webhook that came before us, and isn't called again, has missed them. In the end the
pod shows it: their mark is ours, and nothing of theirs is there.

    dapr.io/enabled: "true", set for an intent, and no container "daprd"  ->  a warning
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies import istio
from policies.daprd import ENABLED
from policies.inject.pod import PodDraft
from policies.model import Facts

PROXY = "istio-proxy"
DAPRD = "daprd"
_INSTEAD = "or use a Deployment or a Job"


def sentences(pod: PodDraft, facts: Facts) -> Iterator[str]:
    """Say what is missing in a signed pod of the marks that we set and what others make of them."""
    if not pod.claims.by_policy:
        return
    there = pod.names("containers", "initContainers")
    if _ours(pod, "annotations", ENABLED) and facts.has("dapr") and DAPRD not in there:
        yield (
            "dapr: Dapr saw this bare pod before its annotations were there, and added no sidecar; "
            f'write {ENABLED}: "true" and dapr.io/app-id yourself, {_INSTEAD}'
        )
    switched = _ours(pod, "labels", istio.INJECT) if facts.has("istio") else None
    if switched == "true" and PROXY not in there:
        yield (
            "mesh: Istio saw this bare pod before its label was there, and added no proxy; write "
            f'the label {istio.INJECT}: "true" yourself, {_INSTEAD}'
        )
    if switched == "false" and PROXY in there:
        yield (
            "mesh: Istio saw this bare pod before its label was there, and added its proxy; write "
            f'the label {istio.INJECT}: "false" yourself, {_INSTEAD}'
        )


def _ours(pod: PodDraft, member: str, key: str) -> Any:
    """Give a mark that we set; None where it is somebody else's, or not there."""
    path = ("metadata", member, key)
    return None if pod.claims.before(pod.pointer(path)) is None else pod.draft.get(path)
