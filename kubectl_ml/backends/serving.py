"""
Which system serves, and what must be known of the cluster for that.

    auto: KServe for --model where it is installed, Knative for --image, else a Deployment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from kubectl_ml import dapr_objects, objects
from kubectl_ml.backends import deployment, knative, kserve, predictor
from kubectl_ml.backends.backend import NAME_LABEL, Backend
from kubectl_ml.errors import NotAllowed, NotFound, NotInstalled, PluginError
from kubectl_ml.serving import ServeSpec, Surroundings
from policies.model import Manifest

AUTO = "auto"
BACKENDS = {each.name: each for each in (kserve.BACKEND, knative.BACKEND, deployment.BACKEND)}
_KEDA = ("keda.sh/v1alpha1", "ScaledObject")
_AUTOSCALERS = (("autoscaling/v2", "HorizontalPodAutoscaler"), _KEDA)
_MAPPING = ("serving.knative.dev/v1beta1", "DomainMapping")
_EXTRAS = {  # what a backend makes only where it is asked to
    "deployment": (*_AUTOSCALERS, ("networking.k8s.io/v1", "Ingress")),
    "knative": (_MAPPING,),
    "kserve": (_MAPPING,),
}


class Cluster(Protocol):
    """What is asked of a cluster before something is served there."""

    @property
    def flags(self) -> str:
        """Give what a command needs to come to this cluster and namespace."""

    def serves(self, api_version: str, kind: str) -> bool:
        """Tell whether the cluster knows this kind."""

    def get(self, api_version: str, kind: str, name: str) -> Manifest:
        """Get an object; raise NotFound where there is none."""

    def find_all(self, api_version: str, kind: str, *, labels: str = "") -> list[Manifest]:
        """List the objects with these labels."""


def made(backend: Backend[ServeSpec], spec: ServeSpec) -> list[Manifest]:
    """Write the backend's objects, and those of Dapr's beside them."""
    own = predictor.metadata(spec)
    return [
        *backend.objects(spec),
        *dapr_objects.of(spec.dapr_parts, metadata=own, app_id=spec.app_id),
    ]


def choose(
    asked: str, spec: ServeSpec, cluster: Cluster | None
) -> tuple[Backend[ServeSpec], ServeSpec]:
    """Say which backend serves, and complete the spec with what that one must know."""
    if cluster is None:
        return BACKENDS[deployment.BACKEND.name if asked == AUTO else asked], spec
    spec = replace(spec, around=_surroundings(spec, cluster))
    backend = _installed(asked, cluster) if asked != AUTO else _best(spec, cluster)
    if backend is knative.BACKEND and spec.canary:
        revision = knative.stable_revision(
            spec.name, _found(cluster, backend.api_version, backend.kind, spec.name)
        )
        spec = replace(spec, around=replace(spec.around, stable_revision=revision))
    return backend, spec


def _surroundings(spec: ServeSpec, cluster: Cluster) -> Surroundings:
    asks_keda = spec.triggers or spec.scale.get("min") == "0"
    return Surroundings(
        keda=cluster.serves(*_KEDA) if asks_keda else None, knative=_has(knative.BACKEND, cluster)
    )


def _has(backend: Backend[ServeSpec], cluster: Cluster) -> bool:
    return cluster.serves(backend.api_version, backend.kind)


def _installed(asked: str, cluster: Cluster) -> Backend[ServeSpec]:
    backend = BACKENDS[asked]
    if not _has(backend, cluster):
        raise PluginError(
            f"--backend {asked}: this cluster doesn't know {backend.kind} ({backend.api_version})",
            hint="--backend auto takes what is installed",
        )
    return backend


def _best(spec: ServeSpec, cluster: Cluster) -> Backend[ServeSpec]:
    """Take the first that is installed and can do all that is asked."""
    first = kserve.BACKEND if spec.model else knative.BACKEND
    for backend in (first, deployment.BACKEND, knative.BACKEND, kserve.BACKEND):
        if _has(backend, cluster) and not backend.cannot(spec):
            return backend
    return deployment.BACKEND  # which says what is in the way


def check_room(
    backend: Backend[ServeSpec], spec: ServeSpec, made: Sequence[Manifest], cluster: Cluster
) -> None:
    """Raise where a kind isn't there, or what is there is somebody else's or another backend's."""
    for each in made:
        found = _found(cluster, each["apiVersion"], each["kind"], each["metadata"]["name"])
        if found is not None and not _is_ours(found, spec):
            raise PluginError(
                f"{objects.title(found)} is there already and wasn't made by kubectl ml serve, so "
                "it isn't changed",
                hint="choose another name, or delete it with kubectl delete",
            )
        if found is not None and each["kind"] == kserve.KIND:
            kserve.check_there(each, found, cluster.flags)
    for other in BACKENDS.values():
        if other is backend or not _has(other, cluster):
            continue
        found = _found(cluster, other.api_version, other.kind, spec.name)
        if found is not None and _is_ours(found, spec):
            raise PluginError(
                f'"{spec.name}" is served by the backend {other.name}, and can\'t be served by '
                f"{backend.name} beside that",
                hint=f"--backend {other.name}, or first: "
                f"kubectl ml delete {spec.name}{cluster.flags}",
            )


def _found(cluster: Cluster, api_version: str, kind: str, name: str) -> Manifest | None:
    try:
        return cluster.get(api_version, kind, name)
    except (NotFound, NotAllowed):  # who can't even look didn't make it
        return None


def stale(
    backend: Backend[ServeSpec], spec: ServeSpec, wanted: Sequence[Manifest], cluster: Cluster
) -> list[Manifest]:
    """Find what an earlier `serve` of this name made and this one doesn't ask for any more."""
    kept = {(each["kind"], each["metadata"]["name"]) for each in wanted}
    return [
        found
        for kind in (*_EXTRAS[backend.name], *dapr_objects.KINDS)
        for found in _labelled(cluster, kind, spec)
        if (found["kind"], found["metadata"]["name"]) not in kept
        and _is_ours(found, spec)
        and _is_of(found, backend)
    ]


def _labelled(cluster: Cluster, kind: tuple[str, str], spec: ServeSpec) -> list[Manifest]:
    try:
        return cluster.find_all(*kind, labels=f"{NAME_LABEL}={spec.name}")
    except (NotInstalled, NotAllowed):
        return []


def is_autoscaler(found: Manifest) -> bool:
    """Tell whether it scales: there is to be no second one, not even for a moment."""
    return (found["apiVersion"], found["kind"]) in _AUTOSCALERS


def _is_ours(found: Manifest, spec: ServeSpec) -> bool:
    """Tell whether `serve` made it: a run of `train` has the same name label, and a Service."""
    labels = found["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in predictor.labels(spec).items())


def _is_of(found: Manifest, backend: Backend[ServeSpec]) -> bool:
    """Tell whether it goes with the backend's object: KEDA's autoscaler is of a ScaledObject."""
    owners = found["metadata"].get("ownerReferences") or ()
    return all(owner.get("kind") == backend.kind for owner in owners)
