"""
Dapr: the `dapr` intent becomes the annotations that Dapr's own injector reads.

    kubectl-ml.io/dapr: app-id=reco,app-port=8080

They are set on the template, because Dapr's injector may run before ours at the Pod. A `dapr.io/*`
annotation that the user wrote wins. Source: docs.dapr.io, "Dapr arguments and annotations".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from policies.inject.pod import Author, PodDraft, family_author
from policies.inject.prepared import Rule
from policies.intents import Intents
from policies.peers import MAX_APP_ID

POLICY = "dapr"
DIGEST = "00000001"
PREFIX = "dapr.io/"
SYSTEM = "dapr"


def inject(pod: PodDraft, intents: Intents, rules: list[Rule], *, name: str) -> None:
    """Set Dapr's annotations from the intent, then from policies; `name` is the workload's."""
    if pod.metadata is None:
        return
    author = family_author(POLICY, DIGEST)
    if intents.dapr is not None:
        _annotate(pod, author, {"enabled": "true", **intents.dapr})
    for rule in rules:
        if rule.inject.dapr is not None:
            _annotate(pod, rule.author, rule.inject.dapr)
    enabled = pod.draft.get((*pod.metadata, "annotations", PREFIX + "enabled")) == "true"
    if enabled and name and (intents.dapr is not None or pod.claims.by_policy):
        _default_app_id(pod, author, intents, name)


def _default_app_id(pod: PodDraft, author: Author, intents: Intents, name: str) -> None:
    """Name the app after its workload, as Dapr would after each pod; an id that is set stays."""
    app_id = re.sub(r"[^-a-z0-9]+", "-", name.lower())[:MAX_APP_ID].strip("-")
    path = (*(pod.metadata or ()), "annotations", PREFIX + "app-id")
    if app_id and pod.draft.get(path) in (None, app_id):
        pod.put(author, path, app_id)


def _annotate(pod: PodDraft, author: Author, wanted: Mapping[str, str]) -> None:
    for key, value in wanted.items():
        path = (*(pod.metadata or ()), "annotations", key if "/" in key else PREFIX + key)
        pod.put(author, path, value, quiet=True)
