"""
The container that trains, the run's claims, and how torchrun's processes find each other.

`torchrun` reads each of its flags from `PET_…`, so `-- torchrun train.py` needs none. A program
that calls `init_process_group` itself, one a node, finds MASTER_ADDR, RANK and the like.
https://docs.pytorch.org/docs/stable/elastic/run.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubectl_ml import servers
from kubectl_ml.backends.backend import NAME_LABEL, Phase, State, condition
from kubectl_ml.training import TrainSpec, intent_annotations
from policies.model import Manifest

COMPONENT_LABEL = "app.kubernetes.io/component"
COMPONENT = "trainer"
PORT = 29500  # torchrun's own
QUEUE_LABELS = ("kueue.x-k8s.io/queue-name", "kai.scheduler/queue")

# A node that is drained or a pod that is evicted is no failure of the run.
IGNORE_DISRUPTIONS: Manifest = {
    "rules": [
        {
            "action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        }
    ]
}


def labels(spec: TrainSpec) -> dict[str, str]:
    """Give the labels of objects and pods: what the plugin lists by, and what sets them apart."""
    return {NAME_LABEL: spec.name, COMPONENT_LABEL: COMPONENT}


def metadata(spec: TrainSpec) -> Manifest:
    """Give the metadata of the workload, which says the intents."""
    found: Manifest = {"name": spec.name, "labels": labels(spec)}
    if annotations := intent_annotations(spec):
        found["annotations"] = annotations
    return found


def template(
    spec: TrainSpec, *, container_name: str, env: Sequence[Manifest] = (), **pod: object
) -> Manifest:
    """Give the pod template; `pod` adds to its spec."""
    pod_spec: Manifest = {**pod, "containers": [container(spec, container_name, env)]}
    if spec.volumes:
        pod_spec["volumes"] = volumes(spec)
        if spec.run_as_user:  # a new volume is root's, unless it is given to a group
            pod_spec["securityContext"] = {"fsGroup": spec.run_as_user}
    return {"metadata": {"labels": labels(spec)}, "spec": pod_spec}


def container(spec: TrainSpec, name: str, env: Sequence[Manifest]) -> Manifest:
    """Give the container; what the user says of a variable beats what we do."""
    found: Manifest = {"name": name, "image": spec.image}
    if spec.command:
        found["command"] = list(spec.command)
    if variables := merged_env(spec, env):
        found["env"] = variables
    if wanted := resources(spec):
        found["resources"] = wanted
    if spec.volumes:
        found["volumeMounts"] = volume_mounts(spec)
    found["securityContext"] = servers.security_context(user=spec.run_as_user, non_root=False)
    return found


def merged_env(spec: TrainSpec, env: Sequence[Manifest]) -> list[Manifest]:
    """Put the user's variables after ours, and in the place of those of the same name."""
    theirs = [{"name": name, "value": value} for name, value in spec.env]
    named = dict(spec.env)
    return [*(each for each in env if each["name"] not in named), *theirs]


def resources(spec: TrainSpec) -> Manifest:
    """Ask for processors and memory, and let memory be no more than that."""
    requests = {key: value for key, value in (("cpu", spec.cpus), ("memory", spec.memory)) if value}
    found: Manifest = {"requests": requests} if requests else {}
    if spec.memory:
        found["limits"] = {"memory": spec.memory}
    return found


def volumes(spec: TrainSpec) -> list[Manifest]:
    """Give the pod's volumes for the claims."""
    return [
        {"name": f"volume-{number}", "persistentVolumeClaim": {"claimName": each.claim}}
        for number, each in enumerate(spec.volumes)
    ]


def volume_mounts(spec: TrainSpec) -> list[Manifest]:
    """Say where the claims are mounted."""
    return [
        {"name": f"volume-{number}", "mountPath": each.path}
        for number, each in enumerate(spec.volumes)
    ]


def claims(spec: TrainSpec) -> list[Manifest]:
    """Give the claims; several nodes write into one only where its class can do that."""
    mode = "ReadWriteMany" if spec.pods > 1 else "ReadWriteOnce"
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": each.claim, "labels": labels(spec)},
            "spec": {
                "accessModes": [mode],
                "resources": {"requests": {"storage": each.size}},
                **({"storageClassName": each.storage_class} if each.storage_class else {}),
            },
        }
        for each in spec.volumes
    ]


def rendezvous(spec: TrainSpec, *, master: str, rank: Manifest) -> list[Manifest]:
    """
    Say to each pod how the others are found.

    master: the host name of the first pod; rank: the env value source of a pod's number.
    """
    if not spec.distributed:
        return _env({"PET_NNODES": "1", "PET_NPROC_PER_NODE": spec.processes})
    if spec.elastic:
        return _env(
            {
                "PET_NNODES": f"{spec.elastic.least}:{spec.elastic.most}",
                "PET_NPROC_PER_NODE": spec.processes,
                "PET_RDZV_BACKEND": "c10d",
                "PET_RDZV_ENDPOINT": f"{master}:{PORT}",
                "PET_RDZV_ID": spec.name,
                "PET_MAX_RESTARTS": str(spec.retries),
            }
        )
    fixed = {
        "PET_NNODES": str(spec.nodes),
        "PET_NPROC_PER_NODE": spec.processes,
        "PET_MASTER_ADDR": master,
        "PET_MASTER_PORT": str(PORT),
        "MASTER_ADDR": master,
        "MASTER_PORT": str(PORT),
        "WORLD_SIZE": str(spec.nodes),
    }
    ranks = [{"name": name, "valueFrom": rank} for name in ("PET_NODE_RANK", "RANK")]
    return [*_env(fixed), *ranks]


def _env(values: Mapping[str, str]) -> list[Manifest]:
    return [{"name": name, "value": value} for name, value in values.items()]


COMPLETION_INDEX: Manifest = {
    "fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}
}


def indexed(spec: TrainSpec, pod: Manifest, *, retries: Manifest) -> Manifest:
    """Give the spec of a Job with a numbered pod for each node."""
    found: Manifest = {
        "completionMode": "Indexed",
        "completions": spec.pods,
        "parallelism": spec.pods,
        **retries,
        "podFailurePolicy": IGNORE_DISRUPTIONS,
    }
    if spec.elastic:
        # Those that wait for room when the first is done are not needed any more.
        found["successPolicy"] = {"rules": [{"succeededIndexes": "0"}]}
    if spec.max_seconds:
        found["activeDeadlineSeconds"] = spec.max_seconds
    return found | {"template": pod}


def state(found: Manifest, *, pods: int, running: bool, succeeded: tuple[str, ...]) -> State:
    """Read a workload that finishes, by its conditions; `succeeded` are those that say so."""
    for phase, types in (
        (Phase.SUCCEEDED, succeeded),
        (Phase.FAILED, ("Failed", "FailureTarget")),
    ):
        if said := condition(found, *types):
            return _state(phase, pods, said)
    if found["metadata"].get("deletionTimestamp"):
        return _state(Phase.DELETING, pods, {})
    if _is_suspended(found):
        in_queue = any(label in (found["metadata"].get("labels") or {}) for label in QUEUE_LABELS)
        return _state(Phase.QUEUED if in_queue else Phase.SUSPENDED, pods, {})
    return _state(Phase.RUNNING if running else Phase.PENDING, pods, {})


def _state(phase: Phase, pods: int, said: Mapping[str, str]) -> State:
    return State(
        phase=phase, pods=pods, reason=said.get("reason", ""), message=said.get("message", "")
    )


def _is_suspended(found: Manifest) -> bool:
    spec = found["spec"]
    return bool(spec.get("suspend") or (spec.get("runPolicy") or {}).get("suspend"))
