"""
Play the controllers: make the pod that would come of a workload.

One pod is shown for each workload, of the role that does the computing.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from policies.model import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """How one kind's pods come to be: by which template, owned by what, made by whom."""

    template: str  # path of the template, "/" between the members
    owner: str  # apiVersion/Kind of the pod's controller
    user: str  # the service account that creates the pod
    labels: dict[str, str] = field(default_factory=dict)
    container: str = ""  # the first container's name, where the operator sets it


_KUBERNETES = "system:serviceaccount:kube-system"
_REPLICA_SET = ("apps/v1/ReplicaSet", f"{_KUBERNETES}:replicaset-controller")
_JOB = ("batch/v1/Job", f"{_KUBERNETES}:job-controller")

CONTROLLERS = {
    "Deployment": Controller(template="spec/template", owner=_REPLICA_SET[0], user=_REPLICA_SET[1]),
    "StatefulSet": Controller(
        template="spec/template",
        owner="apps/v1/StatefulSet",
        user=f"{_KUBERNETES}:statefulset-controller",
    ),
    "DaemonSet": Controller(
        template="spec/template",
        owner="apps/v1/DaemonSet",
        user=f"{_KUBERNETES}:daemon-set-controller",
    ),
    "Job": Controller(template="spec/template", owner=_JOB[0], user=_JOB[1]),
    "CronJob": Controller(template="spec/jobTemplate/spec/template", owner=_JOB[0], user=_JOB[1]),
    "JobSet": Controller(
        template="spec/replicatedJobs/-1/template/spec/template",
        owner=_JOB[0],
        user=_JOB[1],
        labels={"jobset.sigs.k8s.io/replicatedjob-name": "workers"},
    ),
    "PyTorchJob": Controller(
        template="spec/pytorchReplicaSpecs/Worker/template",
        owner="kubeflow.org/v1/PyTorchJob",
        user="system:serviceaccount:kubeflow:training-operator",
        labels={"training.kubeflow.org/replica-type": "worker"},
    ),
    "MPIJob": Controller(
        template="spec/mpiReplicaSpecs/Worker/template",
        owner="kubeflow.org/v2beta1/MPIJob",
        user="system:serviceaccount:mpi-operator:mpi-operator",
        labels={"training.kubeflow.org/job-role": "worker"},
    ),
    "TrainJob": Controller(
        template="",
        owner=_JOB[0],
        user=_JOB[1],
        labels={"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"},
    ),
    "BertJob": Controller(
        template="spec/workers/0/template",
        owner="example.com/v1/BertJob",
        user="system:serviceaccount:example:bert-operator",
        labels={"example.com/role": "worker"},
    ),
    "Service": Controller(
        template="spec/template",
        owner=_REPLICA_SET[0],
        user=_REPLICA_SET[1],
        container="user-container",
    ),
    "InferenceService": Controller(
        template="",
        owner=_REPLICA_SET[0],
        user=_REPLICA_SET[1],
        labels={"serving.kserve.io/inferenceservice": "llama", "component": "predictor"},
    ),
}


def pod_of(workload: Manifest) -> tuple[Manifest, str]:
    """Make the workload's pod and tell which user creates it."""
    controller = CONTROLLERS[workload["kind"]]
    template = copy.deepcopy(_template(workload, controller))
    name = workload["metadata"]["name"]
    api_version, _, kind = controller.owner.rpartition("/")
    owner_name = name if kind == workload["kind"] else f"{name}-7d9c5"
    metadata = {
        "generateName": f"{owner_name}-",
        "namespace": workload["metadata"]["namespace"],
        **template.get("metadata", {}),
        "ownerReferences": [
            {
                "apiVersion": api_version,
                "kind": kind,
                "name": owner_name,
                "uid": "6f1c7d0a-0000-4000-8000-000000000000",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    if controller.labels:
        metadata["labels"] = {**metadata.get("labels", {}), **controller.labels}
    if controller.container:
        template["spec"]["containers"][0].setdefault("name", controller.container)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    return pod, controller.user


def _template(workload: Manifest, controller: Controller) -> Manifest:
    """Find the template; the operators of two kinds put it together themselves."""
    if workload["kind"] == "TrainJob":
        return _of_train_job(workload["spec"])
    if workload["kind"] == "InferenceService":
        return _of_predictor(workload["spec"]["predictor"])
    found: Any = workload
    for step in controller.template.split("/"):
        found = found[int(step)] if isinstance(found, list) else found[step]
    return dict(found)


def _of_train_job(spec: Manifest) -> Manifest:
    """Put the runtime's container and the job's own words together, as Kubeflow Trainer does."""
    metadata: Manifest = {}
    for patch in spec.get("runtimePatches", ()):
        (job,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
        metadata |= job["template"]["spec"]["template"].get("metadata", {})
    trainer = spec["trainer"]
    node = {"name": "node", "image": trainer["image"], "command": trainer["command"]}
    pod = {"restartPolicy": "Never", "containers": [node]}
    return {"metadata": metadata, "spec": pod}


def _of_predictor(predictor: Manifest) -> Manifest:
    """Turn a model into a container, as KServe's serving runtime does."""
    container = {
        "name": "kserve-container",
        "image": "kserve/huggingfaceserver:v0.15.2-gpu",
        "args": predictor["model"]["args"],
    }
    metadata = {"annotations": dict(predictor.get("annotations", {}))}
    return {"metadata": metadata, "spec": {"containers": [container]}}
