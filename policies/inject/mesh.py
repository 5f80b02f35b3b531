"""
Mesh: Istio on or off for these pods, by the labels that Istio reads.

    kubectl-ml.io/mesh: "false"

Where the namespace is in ambient mode, that is the label `istio.io/dataplane-mode`; else it is
`sidecar.istio.io/inject`. Both are set on the template, because Istio's injector may run before
ours at the Pod. A policy may give Istio's own labels and annotations besides, for pods that aren't
switched off: when the program starts, which ports the proxy leaves alone. The port that a policy
has scraped is left alone, too, and in pods that finish the proxy is asked to be a native sidecar.
"""

from __future__ import annotations

from policies import istio
from policies.inject import ports
from policies.inject.pod import Author, PodDraft, family_author
from policies.inject.prepared import Rule
from policies.intents import Intents
from policies.model import Facts

POLICY = "mesh"
DIGEST = "00000001"
SYSTEM = "istio"
NATIVE_SINCE = (1, 29)  # KEP-753: on by default
_SHUTDOWN = "POST http://localhost:15020/quitquitquitquit"


def inject(
    pod: PodDraft, intents: Intents, rules: list[Rule], *, facts: Facts, namespace: str
) -> None:
    """Set Istio's label from the intent, else from policies; then what policies give besides."""
    if pod.metadata is None:
        return
    ambient = facts.namespaces.get(namespace, {}).get(istio.MODE) == "ambient"
    author, value = _switch(intents, rules)
    if value:
        key, value = (istio.MODE, _mode(value)) if ambient else (istio.INJECT, value)
        pod.put(author, (*pod.metadata, "labels", key), value, quiet=author.name != POLICY)
    if _label(pod, istio.INJECT) == "false" or _label(pod, istio.MODE) == "none":
        return
    _settings(pod, rules)
    if value and _label(pod, istio.INJECT) == "true":
        _exclude_metrics(pod, rules)
        if pod.finishes:
            _end_with_the_pod(pod, author, facts)


def _settings(pod: PodDraft, rules: list[Rule]) -> None:
    for rule in rules:
        for key, setting in rule.inject.mesh.items():
            if "/" in key:
                _put(pod, rule.author, key, setting)


def _label(pod: PodDraft, key: str) -> object:
    return pod.draft.get((*(pod.metadata or ()), "labels", key))


def _switch(intents: Intents, rules: list[Rule]) -> tuple[Author, str]:
    """Find who says whether the mesh is on, and what; the intent is asked first."""
    family = family_author(POLICY, DIGEST)
    if intents.mesh:
        return family, intents.mesh
    for rule in rules:
        if "inject" in rule.inject.mesh:
            return rule.author, rule.inject.mesh["inject"]
    return family, ""


def _mode(value: str) -> str:
    return "ambient" if value == "true" else "none"


def _put(pod: PodDraft, author: Author, key: str, value: str) -> None:
    member = "labels" if istio.is_label(key) else "annotations"
    pod.put(author, (*(pod.metadata or ()), member, key), value, quiet=True)


def _exclude_metrics(pod: PodDraft, rules: list[Rule]) -> None:
    """Let Prometheus, which has no certificate of the mesh, reach the port that it scrapes."""
    for rule in rules:
        port = ports.number(pod, rule.inject.scrape.get("port", ""))
        if port:
            _put(pod, rule.author, istio.EXCLUDE_INBOUND, port)


def _end_with_the_pod(pod: PodDraft, author: Author, facts: Facts) -> None:
    """Ask for a native sidecar; where there is none, only the program itself can end Istio's."""
    if facts.kube_version >= NATIVE_SINCE:
        _put(pod, author, istio.NATIVE, "true")
        return
    major, minor = facts.kube_version
    pod.warn(
        f"{POLICY}: Kubernetes {major}.{minor} has no native sidecars, so Istio's keeps this pod "
        f"from finishing until the program calls {_SHUTDOWN}"
    )
