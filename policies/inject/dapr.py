"""
Dapr: the `dapr` intent becomes the annotations that Dapr's own injector reads.

    kubectl-ml.io/dapr: app-id=reco,app-port=8080

They are set on the template, because Dapr's injector may run before ours at the Pod. A `dapr.io/*`
annotation that the user wrote wins; what Dapr would not read is warned about. In pods that finish
Dapr's sidecar is asked to be a native one, so that it ends with them. Source: docs.dapr.io, "Dapr
arguments and annotations" and "Running Dapr with a Kubernetes Job".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from policies import daprd
from policies.daprd import ENABLED, NATIVE, PREFIX
from policies.inject.pod import Author, PodDraft, family_author
from policies.inject.prepared import Rule
from policies.intents import Intents, nearest
from policies.model import Facts
from policies.peers import MAX_APP_ID

POLICY = "dapr"
DIGEST = "00000001"
SYSTEM = "dapr"
NATIVE_SINCE = (1, 29)  # KEP-753: on by default
_SHUTDOWN = "POST http://localhost:3500/v1.0/shutdown"


def inject(pod: PodDraft, intents: Intents, rules: list[Rule], *, name: str, facts: Facts) -> None:
    """Set Dapr's annotations from the intent, then from policies; `name` is the workload's."""
    if pod.metadata is None:
        return
    author = family_author(POLICY, DIGEST)
    if intents.dapr is not None:
        _annotate(pod, author, {"enabled": "true", **intents.dapr})
    for rule in rules:
        if rule.inject.dapr is not None:
            _defaults(pod, rule.author, rule.inject.dapr)
    found = _annotations(pod)
    if not daprd.is_true(found.get(ENABLED)):
        return
    ours = intents.dapr is not None or any(rule.inject.dapr is not None for rule in rules)
    if ours and name:
        _default_app_id(pod, author, name)
    check(pod)
    if ours and pod.finishes and NATIVE not in found:
        _end_with_the_pod(pod, author, facts)


def _default_app_id(pod: PodDraft, author: Author, name: str) -> None:
    """Name the app after its workload, as Dapr would after each pod; an id that is set stays."""
    app_id = re.sub(r"[^-a-z0-9]+", "-", name.lower())[:MAX_APP_ID].strip("-")
    path = (*(pod.metadata or ()), "annotations", PREFIX + "app-id")
    if app_id and pod.draft.get(path) in (None, app_id):
        pod.put(author, path, app_id)


def _annotate(pod: PodDraft, author: Author, wanted: Mapping[str, str]) -> None:
    for key, value in wanted.items():
        path = (*(pod.metadata or ()), "annotations", key if "/" in key else PREFIX + key)
        pod.put(author, path, value, quiet=True)


def _defaults(pod: PodDraft, author: Author, wanted: Mapping[str, str]) -> None:
    """Set what a policy gives, but for a default that doesn't go with what the user set."""
    for key, value in wanted.items():
        full, present = key if "/" in key else PREFIX + key, _annotations(pod)
        if full not in present:
            known = {*daprd.faults(present)}
            new = [one for one in daprd.faults({**present, full: value}) if one not in known]
            if new:
                pod.warn(f'{author.name}: {full} "{value}" is left out, because {new[0]}')
                continue
        _annotate(pod, author, {key: value})


def _annotations(pod: PodDraft) -> Mapping[str, Any]:
    return pod.draft.get((*(pod.metadata or ()), "annotations")) or {}


def check(pod: PodDraft) -> None:
    """Warn about what Dapr would not read of a pod's annotations, whoever wrote them."""
    found = _annotations(pod)
    if not daprd.is_true(found.get(ENABLED)):
        return
    for sentence in daprd.faults(found):
        pod.warn(f"{POLICY}: {sentence}")
    for key in daprd.unknown(found):
        pod.warn(f"{POLICY}: Dapr knows no {key}{nearest(key, daprd.known())}")


def _end_with_the_pod(pod: PodDraft, author: Author, facts: Facts) -> None:
    """Ask for a native sidecar; where there is none, only the program itself can end Dapr's."""
    if facts.kube_version < NATIVE_SINCE:
        major, minor = facts.kube_version
        pod.warn(
            f"{POLICY}: Kubernetes {major}.{minor} has no native sidecars, so Dapr's keeps this "
            f"pod from finishing until the program calls {_SHUTDOWN}"
        )
        return
    pod.put(author, (*(pod.metadata or ()), "annotations", NATIVE), "true")
    pod.warn(
        f"{POLICY}: {NATIVE} is set, so that Dapr's sidecar ends with this pod; a Dapr that is too "
        f"old to know it needs the program to call {_SHUTDOWN} at its end"
    )
