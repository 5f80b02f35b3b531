"""
Which system serves, and what it must be told: the one place that asks the cluster for it.

    auto: KServe for --model where it is installed, Knative for --image, else a Deployment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kubectl_ml.backends import deployment, knative, kserve
from kubectl_ml.errors import NotFound, PluginError
from kubectl_ml.serving import NAME_LABEL, ServeSpec
from policies.model import Manifest

AUTO, DEPLOYMENT, KNATIVE, KSERVE = "auto", "deployment", "knative", "kserve"
BACKENDS = (AUTO, KSERVE, KNATIVE, DEPLOYMENT)
_KEDA = ("keda.sh/v1alpha1", "ScaledObject")
_KNATIVE = (knative.API_VERSION, knative.KIND)
_KSERVE = (kserve.API_VERSION, kserve.KIND)
_HEADS = {  # the object that each backend makes in any case
    DEPLOYMENT: ("apps/v1", "Deployment"),
    KNATIVE: _KNATIVE,
    KSERVE: _KSERVE,
}
_EXTRAS = (  # what a backend makes only where it is asked to
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    _KEDA,
    ("networking.k8s.io/v1", "Ingress"),
    ("serving.knative.dev/v1beta1", "DomainMapping"),
)


class Cluster(Protocol):
    """What is asked of a cluster to choose a backend."""

    def serves(self, api_version: str, kind: str) -> bool:
        """Tell whether the cluster knows this kind."""

    def get(self, api_version: str, kind: str, name: str, *, namespace: str = "") -> Manifest:
        """Get an object; raise NotFound where there is none."""


class Listing(Cluster, Protocol):
    """What is asked of a cluster to find what an earlier run made."""

    def list(
        self, api_version: str, kind: str, *, namespace: str | None = "", labels: str = ""
    ) -> list[Manifest]:
        """List the objects with these labels."""


def choose(asked: str, spec: ServeSpec, cluster: Cluster | None) -> str:
    """Say which backend serves; without a cluster, `auto` is what every cluster has."""
    if asked != AUTO:
        if cluster is not None:
            _require(asked, cluster)
        return asked
    if cluster is None:
        return DEPLOYMENT
    if spec.model and cluster.serves(*_KSERVE):
        return KSERVE
    if not spec.model and cluster.serves(*_KNATIVE):
        return KNATIVE
    return DEPLOYMENT


def _require(backend: str, cluster: Cluster) -> None:
    if not cluster.serves(*_HEADS[backend]):
        raise PluginError(
            f"--backend {backend}: this cluster has no {_HEADS[backend][1]} "
            f"({_HEADS[backend][0]}), so it isn't installed",
            hint="--backend auto takes what is there",
        )


def objects(backend: str, spec: ServeSpec, cluster: Cluster | None) -> tuple[Manifest, ...]:
    """Write the objects for this backend; raise where it can't do what is asked."""
    if backend == KNATIVE:
        return knative.objects(spec, stable=_stable(spec, cluster))
    if backend == KSERVE:
        return kserve.objects(spec, has_knative=_serves(cluster, _KNATIVE))
    return deployment.objects(spec, keda=_serves(cluster, _KEDA) if _asks_keda(spec) else None)


def _serves(cluster: Cluster | None, kind: tuple[str, str]) -> bool | None:
    return None if cluster is None else cluster.serves(*kind)


def _asks_keda(spec: ServeSpec) -> bool:
    return bool(spec.triggers) or spec.scale.get("min") == "0"


def _stable(spec: ServeSpec, cluster: Cluster | None) -> str:
    if not spec.canary:
        return ""
    if cluster is None:
        raise PluginError(
            f'--canary needs the cluster: which revision of "{spec.name}" keeps the rest of the '
            "traffic is read there",
            hint="--dry-run=server changes nothing either",
        )
    return knative.stable_revision(spec, _found(cluster, _KNATIVE, spec))


def _found(cluster: Cluster, kind: tuple[str, str], spec: ServeSpec) -> Manifest | None:
    try:
        return cluster.get(*kind, spec.name, namespace=spec.namespace)
    except NotFound:
        return None


def check_no_other(backend: str, spec: ServeSpec, cluster: Cluster) -> None:
    """Raise where this name is served by another backend: the two would fight for its Service."""
    for other, kind in _HEADS.items():
        if other == backend or not cluster.serves(*kind):
            continue
        found = _found(cluster, kind, spec)
        if found is not None and _is_ours(found, spec) and not _is_owned(found):
            raise PluginError(
                f'"{spec.name}" is served by the backend {other}, and {backend} is asked for',
                hint=f"--backend {other}, or first: kubectl ml delete {spec.name}",
            )


def stale(spec: ServeSpec, wanted: Sequence[Manifest], cluster: Listing) -> list[Manifest]:
    """Find what an earlier `serve` of this name made and this one doesn't ask for any more."""
    kept = {_key(manifest) for manifest in wanted}
    return [
        found
        for kind in _EXTRAS
        if cluster.serves(*kind)
        for found in cluster.list(
            *kind, namespace=spec.namespace, labels=f"{NAME_LABEL}={spec.name}"
        )
        if _key(found) not in kept and not _is_owned(found)
    ]


def _key(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _is_ours(found: Manifest, spec: ServeSpec) -> bool:
    return bool((found["metadata"].get("labels") or {}).get(NAME_LABEL) == spec.name)


def _is_owned(found: Manifest) -> bool:
    return bool(found["metadata"].get("ownerReferences"))
