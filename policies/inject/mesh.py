"""
Mesh: Istio's sidecar on or off for these pods, by the label that Istio's injector reads.

    kubectl-ml.io/mesh: "false"

Set on the template, because Istio's injector may run before ours at the Pod.
"""

from __future__ import annotations

from policies.inject.pod import PodDraft, family_author
from policies.inject.prepared import Rule
from policies.intents import Intents

POLICY = "mesh"
DIGEST = "00000001"
SYSTEM = "istio"
LABEL = "sidecar.istio.io/inject"


def inject(pod: PodDraft, intents: Intents, rules: list[Rule]) -> None:
    """Set Istio's label from the intent, else from policies."""
    if pod.metadata is None:
        return
    path = (*pod.metadata, "labels", LABEL)
    if intents.mesh:
        pod.put(family_author(POLICY, DIGEST), path, intents.mesh)
        return
    for rule in rules:
        if rule.inject.mesh:
            pod.put(rule.author, path, rule.inject.mesh, quiet=True)
