"""
A PyTorchJob (kubeflow.org/v1): the training operator sets the rendezvous environment.

The first node is its Master, the others are Workers; an elastic run has Workers only.
"""

from __future__ import annotations

from kubectl_ml.backends import trainer
from kubectl_ml.backends.backend import Backend, State, condition
from kubectl_ml.training import TrainSpec
from policies.model import Manifest

CONTAINER = "pytorch"  # the operator looks for this name


def objects(spec: TrainSpec) -> list[Manifest]:
    """Make the PyTorchJob and the claims."""
    policy: Manifest = {"cleanPodPolicy": "None", "backoffLimit": spec.retries}
    if spec.max_seconds:
        policy["activeDeadlineSeconds"] = spec.max_seconds
    job: Manifest = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": trainer.metadata(spec),
        "spec": {
            "runPolicy": policy,
            "nprocPerNode": spec.processes,
            **_elastic(spec),
            "pytorchReplicaSpecs": _replicas(spec),
        },
    }
    return [job, *trainer.claims(spec)]


def _elastic(spec: TrainSpec) -> Manifest:
    if not spec.elastic:
        return {}
    return {
        "elasticPolicy": {
            "minReplicas": spec.elastic.least,
            "maxReplicas": spec.elastic.most,
            "maxRestarts": spec.retries,
            "rdzvBackend": "c10d",
        }
    }


def _replicas(spec: TrainSpec) -> Manifest:
    if spec.elastic:
        return {"Worker": _role(spec, spec.elastic.most)}
    workers = {"Worker": _role(spec, spec.nodes - 1)} if spec.nodes > 1 else {}
    return {"Master": _role(spec, 1), **workers}


def _role(spec: TrainSpec, replicas: int) -> Manifest:
    return {
        "replicas": replicas,
        "restartPolicy": "OnFailure" if spec.retries else "Never",
        "template": trainer.template(spec, container_name=CONTAINER),
    }


def state(found: Manifest) -> State:
    """Read how far a PyTorchJob is."""
    roles = found["spec"].get("pytorchReplicaSpecs") or {}
    return trainer.state(
        found,
        pods=sum(each.get("replicas", 1) for each in roles.values()),
        running=bool(condition(found, "Running")),
        succeeded=("Succeeded",),
    )


BACKEND: Backend[TrainSpec] = Backend(
    name="pytorchjob",
    api_version="kubeflow.org/v1",
    kind="PyTorchJob",
    objects=objects,
    state=state,
)
