"""
The training operator: what its webhook takes, and the pods that its controllers make.

This is version 1.9, the first with JAXJob. Of MPIJob it serves v1; v2beta1 is the MPI operator's,
another program.
"""

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane.client import Manifest
from tests.e2e.operators import foretold

# Where each kind has its replicas, its first role, and the container that its operator looks for.
KINDS = {
    "PyTorchJob": ("pytorchReplicaSpecs", "Master", "pytorch"),
    "TFJob": ("tfReplicaSpecs", "Chief", "tensorflow"),
    "XGBoostJob": ("xgbReplicaSpecs", "Master", "xgboost"),
    "PaddleJob": ("paddleReplicaSpecs", "Master", "paddle"),
    "JAXJob": ("jaxReplicaSpecs", "", "jax"),  # all are workers
    "MPIJob": ("mpiReplicaSpecs", "Launcher", "mpi"),
}
# How many of the 4 pods compute: a launcher only starts the others.
COMPUTING = {"MPIJob": 3}


def training(kind: str, **intents: str) -> Manifest:
    """Write a training of one pod of its first role and 3 workers, or of 4 workers."""
    member, first, container = KINDS[kind]
    main = acting.container(container, resources={"requests": {"cpu": "1", "memory": "1Gi"}})

    def role(replicas: int) -> Manifest:
        return {"replicas": replicas, "template": {"spec": acting.spec(main)}}

    roles = {first: role(1), "Worker": role(3)} if first else {"Worker": role(4)}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": kind,
        "metadata": {"name": "bert", "annotations": acting.intents(**intents)},
        "spec": {member: roles},
    }


@pytest.mark.parametrize("kind", KINDS)
def test_its_pods_are_as_many_and_ask_for_as_much_as_was_foretold(enabled: Place, kind: str):
    manifest = training(kind, accelerator="a100:2")
    expected = foretold.demand(enabled, manifest)
    enabled.apply(manifest)

    pods = enabled.pods(4)

    computing = COMPUTING.get(kind, 4)
    assert expected["requests"][foretold.CLASS] == str(2 * computing)
    assert foretold.asked(pods) == expected
    counts = sorted((foretold.devices([pod]) for pod in pods), reverse=True)
    assert counts == [2] * computing + [0] * (4 - computing)


@pytest.mark.parametrize("kind", KINDS)
def test_its_webhook_takes_what_render_prints(plain: Place, kind: str):
    wanted = {"accelerator": "a100:1", "mounts": "scratch://1Gi:/s", "shm": "1Gi"}
    manifest = foretold.folded(plain, training(kind, **wanted, sidecars="logs"))

    plain.apply(manifest)

    assert foretold.devices(plain.pods(4)) == COMPUTING.get(kind, 4)
