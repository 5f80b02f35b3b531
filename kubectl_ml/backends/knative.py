"""
Serving with Knative: a Service that counts requests, scales to zero and keeps its revisions.

    --scale min=0,max=5,target=10    the `scale` intent, which becomes Knative's annotations
    --canary 10                      10 percent to the newest revision, the rest to the one before
    --expose iris.example.com        a DomainMapping; else only the cluster sees the Service
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kubectl_ml.backends import predictor
from kubectl_ml.backends.backend import Backend
from kubectl_ml.errors import PluginError
from kubectl_ml.serving import ServeSpec, intent_annotations
from policies.model import Manifest

API_VERSION = "serving.knative.dev/v1"
KIND = "Service"
VISIBILITY = "networking.knative.dev/visibility"
CONTAINER = "user-container"  # what Knative calls it itself
# Fetching and loading a large model takes longer than the ten minutes that are the default.
_PATIENCE = {"serving.knative.dev/progress-deadline": "3600s"}


def objects(spec: ServeSpec) -> list[Manifest]:
    """Write the objects; raise where something can't be had on this backend."""
    if spec.triggers:
        raise PluginError(
            "--trigger is KEDA's; Knative counts requests itself",
            hint="leave --trigger out, or --backend deployment",
        )
    predictor.refuse_extras(spec, kserve=False)
    if spec.model and spec.model.scheme == "https":
        raise PluginError(
            f'--model "{spec.model.text}": only KServe fetches from https',
            hint="--backend kserve, or put the model into a bucket or on a volume",
        )
    return [_service(spec), *([domain_mapping(spec, spec.name)] if spec.expose else [])]


def stable_revision(name: str, existing: Manifest | None) -> str:
    """
    Say which revision keeps the rest of the traffic, by the Service that is there.

    While a canary is on, that is the one which the canary left it to; else the newest ready one.
    """
    if existing is None:
        raise PluginError(
            f'--canary: "{name}" isn\'t served yet, so there is nothing to split traffic with',
            hint="leave --canary out the first time",
        )
    for target in _list(existing.get("spec"), "traffic"):
        if target.get("revisionName") and target.get("percent"):
            return str(target["revisionName"])
    status = existing.get("status")
    ready = status.get("latestReadyRevisionName") if isinstance(status, dict) else None
    if not ready:
        raise PluginError(
            f'--canary: "{name}" has no ready revision yet to keep the rest of the traffic',
            hint=f"kubectl get ksvc {name} says why; then run this again",
        )
    return str(ready)


def _list(found: Any, key: str) -> list[dict[str, Any]]:
    value = found.get(key) if isinstance(found, dict) else None
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _service(spec: ServeSpec) -> Manifest:
    metadata = predictor.metadata(spec, intent_annotations(spec, mount_model=True))
    if not spec.expose:
        metadata["labels"] = metadata["labels"] | {VISIBILITY: "cluster-local"}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": metadata,
        "spec": {
            "template": {
                "metadata": {"labels": predictor.labels(spec), "annotations": dict(_PATIENCE)},
                "spec": {"containers": [_container(spec)], **_limits(spec)},
            },
            "traffic": _traffic(spec),
        },
    }


def _limits(spec: ServeSpec) -> Manifest:
    found = {"containerConcurrency": spec.concurrency, "timeoutSeconds": spec.timeout_seconds}
    return {name: value for name, value in found.items() if value}


def _container(spec: ServeSpec) -> Manifest:
    """Give the container; Knative starts and restarts by its readiness probe alone."""
    container = predictor.container(spec, name=CONTAINER)
    probe = predictor.probes(spec)["readinessProbe"]
    return container | {"readinessProbe": probe}


def _traffic(spec: ServeSpec) -> list[Manifest]:
    newest: Manifest = {"latestRevision": True} | ({"tag": spec.tag} if spec.tag else {})
    if not spec.canary:
        return [newest | {"percent": 100}]
    if not spec.around.stable_revision:
        raise PluginError(
            f'--canary needs the cluster: which revision of "{spec.name}" keeps the rest of the '
            "traffic is read there",
            hint="--dry-run=server changes nothing either",
        )
    rest = {"revisionName": spec.around.stable_revision, "percent": 100 - spec.canary}
    return [newest | {"percent": spec.canary}, {"latestRevision": False} | rest]


def domain_mapping(spec: ServeSpec, service: str) -> Manifest:
    """Give a host to a Knative Service; the cluster must let the namespace claim it."""
    return {
        "apiVersion": "serving.knative.dev/v1beta1",
        "kind": "DomainMapping",
        "metadata": predictor.metadata(spec) | {"name": spec.expose},
        "spec": {"ref": {"apiVersion": API_VERSION, "kind": KIND, "name": service}},
    }


def cannot(spec: ServeSpec) -> tuple[str, ...]:
    """Say what is in the way, as if the revision that keeps the traffic were known."""
    known = replace(spec.around, stable_revision=spec.around.stable_revision or spec.name)
    return predictor.refusals(objects)(replace(spec, around=known))


BACKEND: Backend[ServeSpec] = Backend(
    name="knative",
    api_version=API_VERSION,
    kind=KIND,
    objects=objects,
    state=predictor.state,
    cannot=cannot,
)
