"""
A TrainJob (trainer.kubeflow.org): a runtime that the admins made says how, the run says what.

What the pods need beyond that (labels, claims) goes into a runtime patch of our own.
"""

from __future__ import annotations

from kubectl_ml.backends import trainer
from kubectl_ml.backends.backend import Backend, State
from kubectl_ml.training import AUTO, TrainSpec
from policies.model import Manifest

API_VERSION = "trainer.kubeflow.org/v1alpha1"
RUNTIME_KIND = "ClusterTrainingRuntime"
MANAGER = "kubectl-ml.io/train"  # each who patches has an entry of his own
NODE = "node"  # the job and the container that train, in the trainer's runtimes


def objects(spec: TrainSpec) -> list[Manifest]:
    """Make the TrainJob and the claims."""
    job: Manifest = {
        "apiVersion": API_VERSION,
        "kind": "TrainJob",
        "metadata": trainer.metadata(spec),
        "spec": {
            "runtimeRef": {
                "apiGroup": "trainer.kubeflow.org",
                "kind": RUNTIME_KIND,
                "name": spec.runtime,
            },
            **({"activeDeadlineSeconds": spec.max_seconds} if spec.max_seconds else {}),
            "trainer": _trainer(spec),
            "runtimePatches": [_patch(spec)],
        },
    }
    return [job, *trainer.claims(spec)]


def _trainer(spec: TrainSpec) -> Manifest:
    found: Manifest = {"image": spec.image, "numNodes": spec.nodes}
    if spec.command:
        found["command"] = list(spec.command)
    if spec.processes != AUTO:  # then the runtime says it
        found["numProcPerNode"] = int(spec.processes)
    if variables := trainer.merged_env(spec, ()):
        found["env"] = variables
    if wanted := trainer.resources(spec):
        found["resourcesPerNode"] = wanted
    return found


def _patch(spec: TrainSpec) -> Manifest:
    pod: Manifest = {"metadata": {"labels": trainer.labels(spec)}}
    if spec.volumes:
        pod["spec"] = {
            "volumes": trainer.volumes(spec),
            "containers": [{"name": NODE, "volumeMounts": trainer.volume_mounts(spec)}],
        }
    jobs = [{"name": NODE, "template": {"spec": {"template": pod}}}]
    return {
        "manager": MANAGER,
        "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": jobs}}},
    }


def cannot(spec: TrainSpec) -> tuple[str, ...]:
    """Say what a TrainJob can't be told: its runtime decides it."""
    sentences = []
    if spec.elastic:
        sentences.append("--elastic: a TrainJob has a fixed number of nodes")
    if spec.retries:
        sentences.append(
            f"--retries: a TrainJob starts anew as often as its runtime ({spec.runtime}) says"
        )
    if spec.run_as_user:
        sentences.append(
            f"--run-as-user: a TrainJob's user is what its runtime ({spec.runtime}) says"
        )
    return tuple(sentences)


def uses(spec: TrainSpec) -> tuple[tuple[str, str, str], ...]:
    """Name the runtime."""
    return ((API_VERSION, RUNTIME_KIND, spec.runtime),)


def state(found: Manifest) -> State:
    """Read how far a TrainJob is."""
    statuses = (found.get("status") or {}).get("jobsStatus") or ()
    return trainer.state(
        found,
        pods=(found["spec"].get("trainer") or {}).get("numNodes", 1),
        running=any(each.get("ready") for each in statuses),
        succeeded=("Complete",),
    )


BACKEND: Backend[TrainSpec] = Backend(
    name="trainjob",
    api_version=API_VERSION,
    kind="TrainJob",
    objects=objects,
    state=state,
    uses=uses,
    cannot=cannot,
)
