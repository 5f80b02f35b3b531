"""
An indexed Job and a headless Service: it needs nothing but Kubernetes.

Each node is a pod with a number and a host name, `bert-0.bert`. A pod that failed is made anew
with the same number, up to `--retries` times; when one has failed for good, all end.
"""

from __future__ import annotations

from kubectl_ml.backends import trainer
from kubectl_ml.backends.backend import Backend, State
from kubectl_ml.training import TrainSpec
from policies.model import Manifest

CONTAINER = "trainer"


def objects(spec: TrainSpec) -> list[Manifest]:
    """Make the Job, the Service that names its pods, and the claims."""
    service = [_service(spec)] if spec.distributed else []
    return [_job(spec), *service, *trainer.claims(spec)]


def _job(spec: TrainSpec) -> Manifest:
    master = f"{spec.name}-0.{spec.name}"
    pod = trainer.template(
        spec,
        container_name=CONTAINER,
        env=trainer.rendezvous(spec, master=master, rank=trainer.COMPLETION_INDEX),
        **({"subdomain": spec.name} if spec.distributed else {}),
        restartPolicy="Never",
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": trainer.metadata(spec),
        "spec": trainer.indexed(spec, pod, retries=_retries(spec)),
    }


def _retries(spec: TrainSpec) -> Manifest:
    """
    Say how often pods are made anew.

    When one of several fails the others do, too: counted for the whole Job, one failure would use
    up as many retries as there are nodes.
    """
    if spec.pods > 1 and spec.retries:
        return {"backoffLimitPerIndex": spec.retries, "maxFailedIndexes": 0}
    return {"backoffLimit": spec.retries}


def _service(spec: TrainSpec) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": spec.name, "labels": trainer.labels(spec)},
        "spec": {
            "clusterIP": "None",
            # They look for each other before any of them is ready.
            "publishNotReadyAddresses": True,
            "selector": trainer.labels(spec),
            "ports": [{"name": "rendezvous", "port": trainer.PORT, "protocol": "TCP"}],
        },
    }


def state(found: Manifest) -> State:
    """Read how far a Job is."""
    return trainer.state(
        found,
        pods=found["spec"].get("parallelism", 1),
        running=bool((found.get("status") or {}).get("ready")),
        succeeded=("Complete", "SuccessCriteriaMet"),
    )


BACKEND: Backend[TrainSpec] = Backend(
    name="job", api_version="batch/v1", kind="Job", objects=objects, state=state
)
