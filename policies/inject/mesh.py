"""
Mesh: Istio on or off for these pods, by the labels that Istio reads.

    kubectl-ml.io/mesh: "false"

Where the namespace is in ambient mode, that is the label `istio.io/dataplane-mode`; else it is
`sidecar.istio.io/inject`. Both are set on the template, because Istio's injector may run before
ours at the Pod. A policy may give Istio's own labels and annotations besides, for pods that aren't
switched off: when the program starts, which ports the proxy leaves alone. The port that a policy
has scraped is left alone, too. In pods that finish the proxy is asked to be a native sidecar, and
in those that fetch data before they start, whose init container has no network without the proxy.
"""

from __future__ import annotations

from collections.abc import Callable

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
    pod: PodDraft,
    intents: Intents,
    rules: list[Rule],
    *,
    facts: Facts,
    namespace: str,
    fetches: Callable[[], bool],
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
        _be_native(pod, author, facts, fetches)


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


def _be_native(pod: PodDraft, author: Author, facts: Facts, fetches: Callable[[], bool]) -> None:
    """Ask for a native sidecar where an ordinary one starts too late, or never ends."""
    if not (pod.finishes or fetches()):
        return
    if facts.kube_version >= NATIVE_SINCE:
        _put(pod, author, istio.NATIVE, "true")
        return
    none = "Kubernetes {}.{} has no native sidecars".format(*facts.kube_version)
    if pod.finishes:
        pod.warn(
            f"{POLICY}: {none}, so Istio's keeps this pod from finishing until the program calls "
            f"{_SHUTDOWN}"
        )
    if fetches():
        pod.warn(
            f"{POLICY}: {none}, so Istio's isn't there yet when an init container fetches what is "
            "mounted, and it has no network; leave the storage's addresses out "
            "(traffic.sidecar.istio.io/excludeOutboundIPRanges), or mount a claim"
        )
