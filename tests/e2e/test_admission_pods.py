"""What the real controllers make of a workload, and where the real scheduler puts it."""

from typing import Any

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import crds, errors
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import Installed

A100_NODES = [
    {
        "matchExpressions": [
            {
                "key": "nvidia.com/gpu.product",
                "operator": "In",
                "values": ["NVIDIA-A100-SXM4-80GB"],
            }
        ]
    }
]
POLICIES = """
apiVersion: kubectl-ml.io/v1alpha1
kind: Accelerator
metadata: {name: a100}
spec:
  resource: nvidia.com/gpu
  nodeSelector: {nvidia.com/gpu.product: NVIDIA-A100-SXM4-80GB}
  tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]
  shm: 16Gi
  perDevice: {cpu: "8", memory: 64Gi}
---
apiVersion: kubectl-ml.io/v1alpha1
kind: DataSource
metadata: {name: imagenet}
spec: {pvc: {name: imagenet}, readOnly: true}
---
apiVersion: kubectl-ml.io/v1alpha1
kind: InjectionPolicy
metadata: {name: tools}
spec:
  match: {kinds: [Pod]}
  inject:
    sidecars: [{offered: true, container: {name: tools, image: registry.example.com/tools:1}}]
    env: [{name: TEAM, value: ml}]
"""
ANY_GPU = """
apiVersion: kubectl-ml.io/v1alpha1
kind: Accelerator
metadata: {name: any-gpu}
spec:
  resource: nvidia.com/gpu
  nodeSelector: {nvidia.com/gpu.present: "true"}
  tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]
"""
WANTED = {
    "accelerator": "a100:2",
    "mounts": "imagenet:/data, scratch://10Gi:/tmp/work",
    "sidecars": "tools",
    "experiment": "bert-42",
}


def what_was_injected(made: Any) -> Any:
    """Say in short what a pod got."""
    spec = made["spec"]
    main = next(one for one in spec["containers"] if one["name"] == "main")
    names = {
        "containers": [one["name"] for one in spec["containers"]],
        "initContainers": [one["name"] for one in spec.get("initContainers", ())],
    }
    return {
        **names,
        "resources": main["resources"],
        "env": {one["name"]: one["value"] for one in main["env"]},
        "mounts": {
            one["mountPath"]: one.get("readOnly", False)
            for one in main["volumeMounts"]
            if "serviceaccount" not in one["mountPath"]
        },
        "nodeSelector": spec.get("nodeSelector", {}),
        "tolerations": acting.tolerated(made),
    }


EXPECTED = {
    "containers": ["main", "tools"],
    "initContainers": [],
    "resources": {
        "limits": {"nvidia.com/gpu": "2"},
        "requests": {"cpu": "16", "memory": "128Gi", "nvidia.com/gpu": "2"},
    },
    "env": {
        "MLFLOW_EXPERIMENT_NAME": "bert-42",
        "TEAM": "ml",
        "WANDB_RUN_GROUP": "bert-42",
    },
    "mounts": {"/data": True, "/dev/shm": False, "/tmp/work": False},  # noqa: S108 -- in a pod
    "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"},
    "tolerations": ["nvidia.com/gpu", "sku", "dedicated"],
}


def test_a_deployments_pods_carry_the_injection(installed: Installed, enabled: Place):
    with installed.policies(POLICIES):
        enabled.apply(acting.deployment(**WANTED))

        made = enabled.pod()

    assert what_was_injected(made) == EXPECTED


def test_a_jobs_pods_carry_the_injection_and_end(installed: Installed, enabled: Place):
    with installed.policies(POLICIES):
        enabled.apply(acting.job(**WANTED))

        made = enabled.pod()

    # a sidecar of what ends is a native one
    native = {"containers": ["main"], "initContainers": ["tools"]}
    assert what_was_injected(made) == {**EXPECTED, **native}


def test_a_job_whose_pods_were_injected_completes(enabled: Place):
    enabled.apply(acting.job(accelerator="t4", sidecars="logs"))

    enabled.kubectl("wait", "job", "run", "--for=condition=Complete", "--timeout=30s")

    assert [pod["spec"]["nodeName"] for pod in enabled.all("Pod")] == ["gpu-t4-0"]


@pytest.mark.parametrize(
    ("accelerator", "node"), [("a100:2", "gpu-a100-0"), ("t4:2", "gpu-t4-0"), ("", "cpu-0")]
)
def test_the_scheduler_puts_a_pod_on_the_node_that_has_its_device(
    enabled: Place, accelerator: str, node: str
):
    enabled.apply(acting.pod(**({"accelerator": accelerator} if accelerator else {})))

    made = enabled.pod(lambda pod: pod["spec"].get("nodeName"))

    assert made["spec"]["nodeName"] == node


def test_a_daemon_sets_pods_land_on_the_tainted_gpu_nodes_alone(
    installed: Installed, enabled: Place
):
    with installed.policies(ANY_GPU):
        enabled.apply(acting.daemon_set(accelerator="any-gpu"))

        made = enabled.pods(2, lambda pod: pod["status"]["phase"] == "Running")

    status = enabled.get("DaemonSet", "each")["status"]
    assert sorted(pod["spec"]["nodeName"] for pod in made) == ["gpu-a100-0", "gpu-t4-0"]
    assert [acting.devices(pod) for pod in made] == [{"nvidia.com/gpu": "1"}] * 2
    assert (status["desiredNumberScheduled"], status["numberMisscheduled"]) == (2, 0)


def test_a_daemon_sets_pods_land_on_the_nodes_of_their_class(enabled: Place):
    enabled.apply(acting.daemon_set(accelerator="a100"))

    made = enabled.wait("DaemonSet", "each", lambda it: it["status"].get("numberReady"))

    assert made["status"]["desiredNumberScheduled"] == 1
    assert [pod["spec"]["nodeName"] for pod in enabled.pods(1)] == ["gpu-a100-0"]


def test_a_stateful_set_has_one_revision_and_its_pods_the_injection(enabled: Place):
    enabled.apply(acting.stateful_set(replicas=2, accelerator="t4", sidecars="logs"))

    made = enabled.pods(2, lambda pod: pod["status"]["phase"] == "Running")

    assert [acting.devices(pod) for pod in made] == [{"nvidia.com/gpu": "1"}] * 2
    assert [len(pod["spec"]["containers"]) for pod in made] == [2, 2]
    assert len(enabled.all("ControllerRevision")) == 1


def test_a_cron_jobs_pods_carry_the_injection(enabled: Place):
    enabled.apply(acting.cron_job(accelerator="t4", sidecars="logs"))

    enabled.kubectl("create", "job", "now", "--from=cronjob/nightly")

    made = enabled.pod()
    assert acting.devices(made) == {"nvidia.com/gpu": "1"}
    assert [one["name"] for one in made["spec"]["initContainers"]] == ["logs"]


def test_the_job_that_the_cron_job_controller_makes_is_as_its_template(enabled: Place):
    manifest = acting.cron_job(accelerator="t4")
    manifest["spec"]["schedule"] = "* * * * *"
    manifest["spec"]["suspend"] = True
    enabled.apply(manifest)
    past = {"status": {"lastScheduleTime": "2020-01-01T00:00:00Z"}}
    enabled.admin.patch(enabled.path("CronJob", "nightly") + "/status", past)
    enabled.user.patch(enabled.path("CronJob", "nightly"), {"spec": {"suspend": False}})

    made = enabled.pod()

    enabled.user.patch(enabled.path("CronJob", "nightly"), {"spec": {"suspend": True}})
    cron_job = enabled.get("CronJob", "nightly")
    template = cron_job["spec"]["jobTemplate"]["spec"]["template"]
    (job,) = enabled.all("Job")
    assert acting.devices(made) == {"nvidia.com/gpu": "1"}
    assert template["metadata"]["annotations"] == job["spec"]["template"]["metadata"]["annotations"]
    assert template["spec"] == job["spec"]["template"]["spec"]


@pytest.mark.parametrize("by", ["intent", "label"])
def test_a_queued_jobs_template_holds_devices_and_placement(kueue: None, enabled: Place, by: str):
    manifest = acting.job(accelerator="a100:2", sidecars="logs")
    if by == "intent":
        manifest["metadata"]["annotations"]["kubectl-ml.io/queue"] = "team-a"
    else:
        manifest["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "team-a"}

    enabled.apply(manifest)

    stored = enabled.get("Job", "run")
    assert stored["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert acting.devices(stored) == {"nvidia.com/gpu": "2"}
    assert "nvidia.com/gpu" in acting.tolerated(stored)
    assert acting.nodes_wanted(stored) or stored["spec"]["template"]["spec"]["nodeSelector"]
    assert [
        (one["name"], bool(one["resources"]["requests"]))
        for one in stored["spec"]["template"]["spec"]["initContainers"]
    ] == [("logs", True)]


def test_a_queued_jobs_pod_is_its_template(kueue: None, enabled: Place):
    enabled.apply(acting.job(accelerator="a100:2", sidecars="logs", queue="team-a"))
    assert enabled.get("Job", "run")["spec"]["suspend"] is True
    enabled.admin.patch(enabled.path("Job", "run"), {"spec": {"suspend": False}})  # as Kueue does

    made = enabled.pod()

    template = enabled.get("Job", "run")["spec"]["template"]
    assert acting.devices(made) == acting.devices({"spec": {"template": template}})
    assert acting.nodes_wanted(made) == acting.nodes_wanted({"spec": {"template": template}})
    assert [one["name"] for one in made["spec"]["initContainers"]] == ["logs"]
    injected = template["metadata"]["annotations"][acting.INJECTED]
    assert made["metadata"]["annotations"][acting.INJECTED] == injected


@pytest.fixture
def kueue(installed: Installed) -> None:
    """Have Kueue's kinds, and a webhook that knows of them."""
    try:
        crds.load(installed.control_plane, "localqueues.kueue.x-k8s.io")
    except errors.NotAvailableError as error:
        pytest.skip(str(error))
    installed.stop()
    installed.start()


# What LimitRanger set


def limit_range() -> Manifest:
    limits = {
        "type": "Container",
        "default": {"cpu": "1", "memory": "1Gi"},
        "defaultRequest": {"cpu": "500m", "memory": "512Mi"},
    }
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "defaults"},
        "spec": {"limits": [limits]},
    }


def test_limit_rangers_defaults_give_way_to_the_classs(installed: Installed, enabled: Place):
    with installed.policies(POLICIES):
        enabled.admin.create(enabled.path("LimitRange"), limit_range())
        enabled.apply(acting.deployment(accelerator="a100:2"))

        made = enabled.pod(lambda pod: pod["spec"].get("nodeName"))

    assert made["spec"]["containers"][0]["resources"]["requests"] == {
        "cpu": "16",
        "memory": "128Gi",
        "nvidia.com/gpu": "2",
    }
    assert made["spec"]["nodeName"] == "gpu-a100-0"


def test_what_the_user_asked_for_beside_limit_rangers_defaults_stays(
    installed: Installed, enabled: Place
):
    asked = {"requests": {"cpu": "2"}, "limits": {"cpu": "4"}}
    with installed.policies(POLICIES):
        enabled.admin.create(enabled.path("LimitRange"), limit_range())
        pod_spec = acting.spec(acting.container(resources=asked))
        enabled.apply(acting.deployment(pod_spec=pod_spec, accelerator="a100:2"))

        made = enabled.pod()

    resources = made["spec"]["containers"][0]["resources"]
    assert (resources["requests"]["cpu"], resources["limits"]["cpu"]) == ("2", "4")
    assert resources["requests"]["memory"] == "128Gi"


# A pod failure policy reads the exit codes of sidecars, too


def failing(container: str | None) -> Manifest:
    """Write a Job that gives up at any exit code but 1; `container`: whose."""
    codes: Manifest = {"operator": "NotIn", "values": [1]}
    if container:
        codes["containerName"] = container
    rule = {"action": "FailJob", "onExitCodes": codes}
    # no node has this class, so that no kubelet but the test's reports on the pods
    manifest = acting.job(accelerator="h100", sidecars="logs")
    manifest["spec"]["podFailurePolicy"] = {"rules": [rule]}
    return manifest


def ended(name: str, code: int) -> Manifest:
    return {
        "name": name,
        "image": "registry.example.com/train:1",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}},
    }


def report(place: Place, pod: Any, phase: str, *, main: int, sidecar: int) -> None:
    status = {
        "phase": phase,
        "containerStatuses": [ended("main", main)],
        "initContainerStatuses": [ended("logs", sidecar)],
    }
    place.set_status(pod["metadata"]["name"], status)


def test_a_pod_failure_policy_that_would_read_our_sidecars_end_is_warned_about(enabled: Place):
    said = enabled.try_apply(failing(None))

    assert said.returncode == 0
    assert said.stderr.startswith("Warning: ")
    assert "containerName" in said.stderr


def test_a_job_with_a_pod_failure_policy_and_a_native_sidecar_ends_well(enabled: Place):
    said = enabled.try_apply(failing("main"))
    first = enabled.pod()
    report(enabled, first, "Failed", main=1, sidecar=143)

    second = next(
        pod for pod in enabled.pods(2) if acting.of(pod, "name") != acting.of(first, "name")
    )
    report(enabled, second, "Succeeded", main=0, sidecar=0)

    enabled.kubectl("wait", "job", "run", "--for=condition=Complete", "--timeout=30s")
    assert (said.returncode, said.stderr) == (0, "")
