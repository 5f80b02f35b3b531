"""What is peculiar to single kinds: where their pods hide, and what their operators do."""

from __future__ import annotations

from typing import Any

import pytest

from policies.model import Manifest
from tests.builders import (
    INJECTED,
    at,
    but_kueues,
    container,
    controlled_by,
    intents,
    messages,
    mutated,
    pod,
    review,
    workload,
)

GPU = {"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}}
REPLICA_SET = controlled_by("ReplicaSet", "apps/v1", "bert-predictor-5d9c7b8f4")


# --- KServe -----------------------------------------------------------------------------------


def kserve_pod(component: str, **wanted: Any) -> Manifest:
    """Build a pod as KServe makes it: with the annotations of the InferenceService, too."""
    labels = {"serving.kserve.io/inferenceservice": "bert", "component": component}
    spec = {"containers": [container("kserve-container")]}
    return pod(owner=REPLICA_SET, labels=labels, spec=spec, **wanted)


@pytest.mark.parametrize(
    ("component", "wanted", "devices"),
    [
        pytest.param("predictor", {}, True, id="predictor"),
        pytest.param("transformer", {}, False, id="transformer"),
        pytest.param("explainer", {}, False, id="explainer"),
        pytest.param("transformer", {"roles": "transformer"}, True, id="transformer-by-its-role"),
        pytest.param("predictor", {"roles": "transformer"}, False, id="not-the-predictor-then"),
    ],
)
def test_annotations_that_kserve_copies_reach_only_the_roles_that_compute(
    component: str, wanted: dict[str, Any], devices: bool
) -> None:
    decision = review(kserve_pod(component, accelerator="gpu", **wanted))

    found = decision.object["spec"]["containers"][0].get("resources")
    assert found == (GPU if devices else None)
    assert bool(decision.missed) is devices


@pytest.mark.parametrize(
    ("app", "device"), [("isvc.bert-predictor-worker", True), ("isvc.bert-predictor", False)]
)
def test_a_predictors_workers_are_told_from_their_head(app: str, device: bool) -> None:
    """KServe calls the component of both predictor."""
    made = kserve_pod("predictor", accelerator="gpu", roles="worker")
    made["metadata"]["labels"]["app"] = app

    found = mutated(made)["spec"]["containers"][0].get("resources")

    assert found == (GPU if device else None)


@pytest.mark.parametrize(
    ("api_version", "kind", "spec", "at", "name"),
    [
        (
            "serving.kserve.io/v1alpha1",
            "LLMInferenceService",
            {"model": {"uri": "hf://a/b"}},
            (),
            "main",
        ),
        ("core.openfunction.io/v1beta2", "Function", {"serving": {}}, ("serving",), "function"),
    ],
)
def test_a_template_that_is_left_to_the_operator_receives(
    api_version: str, kind: str, spec: Manifest, at: tuple[str, ...], name: str
) -> None:
    metadata = {"name": "x", "annotations": intents(accelerator="l4:2")}
    found = {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}

    rendered = review(found, stage="template").object["spec"]
    carried_to = mutated(found)["spec"]

    for step in at:
        rendered, carried_to = rendered[step], carried_to[step]
    [main] = rendered["template"]["containers"]
    assert (main["name"], main["resources"]["limits"]) == (name, {"nvidia.com/gpu": "2"})
    assert carried_to["annotations"]["kubectl-ml.io/accelerator"] == "l4:2"
    assert "template" not in carried_to


def test_intents_of_an_object_without_any_template_are_warned_about() -> None:
    graph = {"name": "c", "implementation": "TRITON_SERVER"}
    found = {
        "apiVersion": "machinelearning.seldon.io/v1",
        "kind": "SeldonDeployment",
        "metadata": {"name": "x", "annotations": intents(accelerator="l4")},
        "spec": {"predictors": [{"name": "p", "graph": graph}]},
    }

    assert review(found).warnings == (
        "intents: this SeldonDeployment holds no pod template, so they don't reach its pods; "
        "write one, or write the intents where the template is",
    )


def test_a_graphs_router_gets_none_of_the_devices_that_its_annotations_ask_for() -> None:
    """KServe copies the object's annotations to it."""
    labels = {"serving.kserve.io/inferencegraph": "bert"}
    owner = controlled_by("ReplicaSet", "apps/v1", "bert-5d9c7b8f4")
    made = pod(
        owner=owner, labels=labels, spec={"containers": [container("graph")]}, accelerator="gpu"
    )

    assert "resources" not in mutated(made)["spec"]["containers"][0]


def test_a_trial_that_is_a_string_is_left_as_it_is_with_a_warning() -> None:
    text = "apiVersion: batch/v1\nkind: Job\nspec: {template: {spec: {containers: [{name: a}]}}}"
    found = {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": "tune", "annotations": intents(accelerator="a100:2")},
        "spec": {"trialTemplate": {"trialSpec": text}},
    }

    decision = review(found)

    assert decision.patch == []
    assert decision.warnings == (
        "intents: this Experiment holds no pod template, so they don't reach its pods; write one, "
        "or write the intents where the template is",
        "intents: spec.trialTemplate.trialSpec is a string, to which nothing can be added; write "
        "it as a map",
    )


def test_a_transformers_own_intent_survives_what_kserve_copies() -> None:
    service = workload("InferenceService", accelerator="gpu")
    service["spec"]["transformer"]["annotations"] = intents(accelerator="l4")

    annotations = mutated(service)["spec"]["transformer"]["annotations"]
    made = kserve_pod("transformer")
    made["metadata"]["annotations"] = {**service["metadata"]["annotations"], **annotations}

    assert mutated(made)["spec"]["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-L4"}


def test_a_models_container_receives_at_the_template_stage() -> None:
    service = workload("InferenceService", accelerator="gpu")
    service["spec"] = {"predictor": {"model": {"modelFormat": {"name": "huggingface"}}}}

    predictor = review(service, stage="template").object["spec"]["predictor"]

    assert predictor["model"]["resources"] == GPU
    assert predictor["model"]["volumeMounts"] == [{"name": "dshm", "mountPath": PATH}]
    assert "containers" not in predictor


@pytest.mark.parametrize("ports", [[], [{"containerPort": 8080}]], ids=["none", "one"])
def test_a_sidecar_stands_in_knatives_template_where_a_container_says_its_port(
    ports: list[Any],
) -> None:
    service = workload(
        "Service", pod(spec={"containers": [container(ports=ports)]}), sidecars="logs"
    )

    spec = review(service, stage="template").object["spec"]["template"]["spec"]

    names = [one["name"] for one in spec["containers"]]
    assert names == ["user-container", *(["logs"] if ports else [])]


PATH = "/dev/shm"  # noqa: S108 -- a path in a pod


# --- Knative ----------------------------------------------------------------------------------


def test_a_container_of_a_knative_service_may_go_without_a_name() -> None:
    service = workload("Service", accelerator="gpu")
    del service["spec"]["template"]["spec"]["containers"][0]["name"]

    spec = review(service, stage="template").object["spec"]["template"]["spec"]

    assert spec["containers"][0]["resources"] == GPU


# --- TrainJob ---------------------------------------------------------------------------------

KUEUES = {"manager": "kueue.x-k8s.io/manager", "trainingRuntimeSpec": {"x": 1}}


def test_patches_of_other_managers_are_left_alone() -> None:
    plain = workload("TrainJob", accelerator="gpu", queue="team-a")
    plain["spec"]["runtimePatches"] = [KUEUES]

    patches = mutated(plain)["spec"]["runtimePatches"]

    assert patches[0] == KUEUES
    assert [one["manager"] for one in patches] == [KUEUES["manager"], "kubectl-ml.io/intents"]


def test_our_patch_stays_ours_when_kueue_adds_its_own() -> None:
    plain = workload("TrainJob", accelerator="gpu", queue="team-a")
    stored = mutated(plain)
    stored["spec"]["runtimePatches"].append(KUEUES)

    assert review(stored, old=stored).patch == []
    restored = mutated(plain, old=stored)["spec"]["runtimePatches"]
    assert [one["manager"] for one in restored] == ["kubectl-ml.io/intents"]


def test_resources_per_node_of_the_users_stay() -> None:
    plain = workload("TrainJob", accelerator="gpu:2", queue="team-a")
    plain["spec"]["trainer"]["resourcesPerNode"] = {"limits": {"nvidia.com/gpu": "4"}}

    decision = review(plain)

    assert decision.object["spec"]["trainer"]["resourcesPerNode"] == {
        "limits": {"nvidia.com/gpu": "4"}
    }
    assert decision.warnings == (
        'devices: container "node" asks for nvidia.com/gpu: 4 itself, not 2; '
        "kept as it was written",
    )


@pytest.mark.parametrize(
    ("runtime", "jobs"),
    [
        pytest.param({"name": "deepspeed-distributed"}, ["node", "launcher"], id="deepspeed"),
        pytest.param({"name": "mlx-distributed"}, ["node", "launcher"], id="mlx"),
        pytest.param({"name": "torch-distributed"}, ["node"], id="torch"),
        pytest.param(
            {"kind": "TrainingRuntime", "name": "mlx-distributed"}, ["node"], id="of-a-namespace"
        ),
    ],
)
def test_a_launcher_that_is_a_node_receives_as_the_nodes_do(
    runtime: dict[str, str], jobs: list[str]
) -> None:
    plain = workload("TrainJob", accelerator="gpu", sidecars="logs")
    plain["spec"]["runtimeRef"] = runtime
    intents = {"kubectl-ml.io/accelerator": "gpu", "kubectl-ml.io/sidecars": "logs"}

    [patch] = mutated(plain)["spec"]["runtimePatches"]

    template = {"metadata": {"annotations": intents}}
    assert patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"] == [
        {"name": name, "template": {"spec": {"template": template}}} for name in jobs
    ]


def test_what_a_launcher_received_is_given_back_when_it_is_applied_anew() -> None:
    plain = workload("TrainJob", accelerator="gpu", queue="team-a")
    plain["spec"]["runtimeRef"] = {"name": "deepspeed-distributed"}
    plain["spec"]["runtimePatches"] = [KUEUES]
    stored = but_kueues(mutated(plain))

    assert but_kueues(mutated(plain, old=stored)) == stored


# --- the Job family ---------------------------------------------------------------------------


def test_an_mpi_launcher_gets_no_devices_from_copied_annotations() -> None:
    labels = {"training.kubeflow.org/job-role": "launcher"}
    owner = controlled_by("Job", "batch/v1", "bert-launcher")

    launcher = mutated(pod(labels=labels, owner=owner, sidecars="logs"))

    assert at(launcher, "spec", "containers", 0, "resources") is None
    assert launcher["spec"]["initContainers"][0]["name"] == "logs"


def test_each_replicated_job_is_a_role_by_its_name() -> None:
    plain = workload("JobSet", accelerator="gpu", roles="driver")

    assert messages(review(plain)) == [
        'kubectl-ml.io/roles: this JobSet has no role "driver"; it has workers'
    ]


def test_a_workload_without_a_name_yet_has_the_prefix_of_its_name() -> None:
    plain = workload("Deployment", dapr="true")
    plain["metadata"] = {**plain["metadata"], "generateName": "bert-"}
    del plain["metadata"]["name"]

    annotations = mutated(plain)["spec"]["template"]["metadata"]["annotations"]

    assert annotations["dapr.io/app-id"] == "bert"


def test_the_app_of_a_pod_is_named_after_its_deployment() -> None:
    owner = controlled_by("ReplicaSet", "apps/v1", "reco-5d9c7b8f4")

    annotations = mutated(pod("reco-5d9c7b8f4-x2x9q", owner=owner, dapr="true"))["metadata"][
        "annotations"
    ]

    assert annotations["dapr.io/app-id"] == "reco"


# --- what other admission does ----------------------------------------------------------------


def test_defaults_that_the_api_server_adds_to_ours_do_not_make_it_another() -> None:
    stored = mutated(pod(accelerator="a100:2", sidecars="logs", mounts="s3://b/k:/data"))
    for one in (*stored["spec"]["containers"], *stored["spec"]["initContainers"]):
        one |= {"imagePullPolicy": "IfNotPresent", "terminationMessagePath": "/dev/termination-log"}
        one.setdefault("volumeMounts", []).append(
            {"name": "kube-api-access", "mountPath": "/var/run/secrets", "readOnly": True}
        )
    stored["spec"]["volumes"].append({"name": "kube-api-access", "projected": {}})
    stored["spec"]["volumes"][0]["emptyDir"]["sizeLimit"] = "16384Mi"

    decision = review(stored)

    assert (decision.patch, decision.warnings, decision.missed) == ([], (), ())


def test_kueues_flavor_and_a_second_look_change_nothing() -> None:
    stored = mutated(workload("Job", accelerator="a100:2", queue="team-a"))
    stored["spec"]["suspend"] = False
    stored["spec"]["template"]["spec"]["nodeSelector"] = {"cloud.provider.com/accelerator": "a100"}
    stored["spec"]["template"]["metadata"]["labels"] = {"kueue.x-k8s.io/podset": "main"}

    assert review(stored, old=stored).patch == []
    assert INJECTED in stored["metadata"]["annotations"]


def test_a_graph_whose_pods_have_its_own_annotations_is_not_marked() -> None:
    plain: Manifest = {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "InferenceGraph",
        "metadata": {"name": "iris", "annotations": intents(accelerator="a100:2")},
        "spec": {"nodes": {"root": {"routerType": "Sequence", "steps": []}}},
    }

    assert mutated(plain) == plain


@pytest.mark.parametrize("is_worker", [True, False])
def test_an_mpi_launcher_gets_devices_where_it_is_a_worker(is_worker: bool) -> None:
    plain = workload("MPIJob", accelerator="gpu")
    plain["spec"]["runLauncherAsWorker"] = is_worker

    specs = review(plain, stage="template").object["spec"]["mpiReplicaSpecs"]

    found = {
        role: one["template"]["spec"]["containers"][0].get("resources")
        for role, one in specs.items()
    }
    assert found == {"Worker": GPU, "Launcher": GPU if is_worker else None}


def test_what_a_crossplane_object_only_observes_is_left_alone() -> None:
    plain: Manifest = {
        "apiVersion": "kubernetes.crossplane.io/v1alpha2",
        "kind": "Object",
        "metadata": {"name": "bert", "annotations": intents(accelerator="gpu")},
        "spec": {
            "managementPolicies": ["Observe"],
            "forProvider": {"manifest": workload("Job")},
        },
    }

    assert review(plain, stage="template").patch == []
