"""
Kueue without the operators of what it manages: it counts an object by its template alone.

A control plane of its own, since two of the definitions can't be beside the operators of the other
tests: MPIJob v2beta1 has the name of the training operator's v1, and Kueue 0.15 reads TrainJobs as
Trainer 2.1 has them. It knows `podTemplateOverrides` and not the `runtimePatches` of 2.3, so there
the placement of a queued TrainJob isn't counted. Of a TrainJob it counts the pods that the
runtime's Jobs say (`parallelism`), whatever `numNodes` is. Nothing runs here but Kueue: no pods
are made.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest
import yaml

from tests.e2e import acting
from tests.e2e import installed as installation
from tests.e2e.acting import Place
from tests.e2e.controlplane import build, crds, errors
from tests.e2e.controlplane.client import Manifest
from tests.e2e.operators import foretold, programs, queues
from tests.e2e.planes import Planes

DEFINITIONS = (
    "leaderworkersets.leaderworkerset.x-k8s.io",
    "rayjobs.ray.io",
    "rayclusters.ray.io",
    "mpijobs.kubeflow.org.mpi-operator",
    "jobsets.jobset.x-k8s.io",
)
FRAMEWORKS = (
    *("batch/job", "pod", "leaderworkerset.x-k8s.io/leaderworkerset", "ray.io/rayjob"),
    *("ray.io/raycluster", "kubeflow.org/mpijob", "jobset.x-k8s.io/jobset"),
    "trainer.kubeflow.org/trainjob",
)
ALONE = replace(programs.KUEUE, configuration=partial(programs.kueue, frameworks=FRAMEWORKS))
TRAINER = "trainer.kubeflow.org/v1alpha1"
ASKED = {"requests": {"cpu": "1", "memory": "1Gi"}}
INTENTS = {"accelerator": "a100:2", "queue": queues.QUEUE}


@pytest.fixture(scope="module")
def alone(planes: Planes) -> Iterator[installation.Installed]:
    try:
        control_plane = planes("kueue")
        crds.load(control_plane, *DEFINITIONS)
        trainer = build.folder_of(ALONE.module, "github.com/kubeflow/trainer/v2")
        control_plane.kubectl("apply", "--server-side", "-k", str(trainer / "manifests/base/crds"))
        programs.start(control_plane, ALONE)
    except errors.NotAvailableError as error:
        pytest.skip(str(error))
    made = installation.Installed(control_plane, control_plane.directory)
    made.install()
    made.start()
    queues.set_up(control_plane.admin)
    yield made
    made.uninstall()


@pytest.fixture
def queued(alone: installation.Installed) -> Iterator[Place]:
    with acting.place(alone, installation.ENABLED) as place:
        queues.add_to(place)
        place.apply(runtime())
        yield place


def _template(name: str = "main") -> Manifest:
    return {"spec": acting.spec(acting.container(name, resources=ASKED))}


def _object(version: str, kind: str, spec: Manifest) -> Manifest:
    metadata = {"name": "bert", "annotations": acting.intents(**INTENTS)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def leader_worker_set() -> Manifest:
    """Write 2 groups of 3 pods."""
    group = {"size": 3, "workerTemplate": _template()}
    # Its operator's webhook would write the strategy and the policies.
    strategy = {
        "type": "RollingUpdate",
        "rollingUpdateConfiguration": {"maxUnavailable": 1, "maxSurge": 0},
    }
    spec = {"replicas": 2, "leaderWorkerTemplate": group, "rolloutStrategy": strategy}
    return _object("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", spec)


def ray_job() -> Manifest:
    """Write a head and 3 workers."""
    workers = {
        "groupName": "gpus",
        "replicas": 3,
        "minReplicas": 3,
        "maxReplicas": 3,
        "rayStartParams": {},
        "template": _template("worker"),
    }
    ray = {
        "headGroupSpec": {"rayStartParams": {}, "template": _template("head")},
        "workerGroupSpecs": [workers],
    }
    spec = {"entrypoint": "true", "shutdownAfterJobFinishes": True, "rayClusterSpec": ray}
    return _object("ray.io/v1", "RayJob", spec)


def mpi_job() -> Manifest:
    """Write a launcher and 3 workers."""
    roles = {
        "Launcher": {"replicas": 1, "template": _template("launcher")},
        "Worker": {"replicas": 3, "template": _template("worker")},
    }
    return _object("kubeflow.org/v2beta1", "MPIJob", {"mpiReplicaSpecs": roles})


def runtime() -> Manifest:
    """Write a runtime of one namespace."""
    pod = {"spec": acting.spec(acting.container("node"))}
    labels = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
    job = {"metadata": {"labels": labels}, "spec": {"parallelism": 3, "template": pod}}
    node = {"name": "node", "template": job}
    spec = {"mlPolicy": {"numNodes": 1}, "template": {"spec": {"replicatedJobs": [node]}}}
    made = {"apiVersion": TRAINER, "kind": "TrainingRuntime", "metadata": {"name": "ours"}}
    return {**made, "spec": spec}


def train_job() -> Manifest:
    """Write 3 nodes, with an override for them, which is where placement goes."""
    spec = {
        "runtimeRef": {"kind": "TrainingRuntime", "name": "ours"},
        "trainer": {"numNodes": 3, "resourcesPerNode": ASKED},
        "podTemplateOverrides": [{"targetJobs": [{"name": "node"}], "spec": {}}],
    }
    return _object(TRAINER, "TrainJob", spec)


KINDS = [
    pytest.param(leader_worker_set, 2, 12, id="leaderworkerset"),
    pytest.param(ray_job, 1, 6, id="rayjob"),
    pytest.param(mpi_job, 1, 6, id="mpijob"),
    pytest.param(train_job, 1, 6, id="trainjob"),
]


@pytest.mark.parametrize(("made", "count", "gpus"), KINDS)
def test_it_is_charged_to_the_right_flavor(
    queued: Place, made: Callable[[], Manifest], count: int, gpus: int
):
    manifest = made()
    expected = foretold.demand(queued, manifest)
    queued.apply(manifest)

    charges = queues.charged(queues.admitted(queued, count))

    assert expected["requests"][foretold.CLASS] == str(gpus)
    assert charges == {"a100": gpus}


PRIORITIZED = yaml.safe_dump(
    {
        "apiVersion": "kubectl-ml.io/v1alpha1",
        "kind": "InjectionPolicy",
        "metadata": {"name": "priorities"},
        "spec": {
            "match": {
                "kinds": [
                    "LeaderWorkerSet.leaderworkerset.x-k8s.io",
                    "RayJob.ray.io",
                    "MPIJob.kubeflow.org",
                    "TrainJob.trainer.kubeflow.org",
                ]
            },
            "inject": {"queue": {"priorityClass": queues.PRIORITY}},
        },
    }
)


@pytest.mark.parametrize(("made", "count", "gpus"), KINDS)
def test_its_priority_class_is_on_the_object(
    alone: installation.Installed,
    queued: Place,
    made: Callable[[], Manifest],
    count: int,
    gpus: int,
):
    manifest = made()
    with alone.policies(PRIORITIZED):
        queued.apply(manifest)
        found = queues.admitted(queued, count)

    kind = f"{manifest['kind']}.{manifest['apiVersion'].partition('/')[0]}".lower()
    printed = queued.kubectl("get", kind, "bert", "-ojson")
    there = yaml.safe_load(printed)
    assert [one["spec"].get("priority") for one in found] == [10] * count
    assert there["metadata"]["labels"][queues.PRIORITY_LABEL] == queues.PRIORITY
