"""Intents travel from a workload to its pods: what goes where, and what goes in early."""

from __future__ import annotations

from typing import Any

import pytest

from policies import engine
from policies.model import Facts, Manifest
from tests.builders import (
    INJECTED,
    KINDS,
    PREFIX,
    applied,
    at,
    container,
    controlled_by,
    deployment,
    intents,
    job,
    messages,
    mutated,
    pod,
    pods_of,
    policies,
    request,
    review,
    workload,
)

WANTED: dict[str, Any] = {
    "accelerator": "a100:2",
    "shm": "1Gi",
    "mounts": "pvc://data:/data",
    "sidecars": "logs",
    "experiment": "bert-42",
}
REST: dict[str, Any] = {key: WANTED[key] for key in ("sidecars", "experiment")}
EARLY = ("DaemonSet", "TrainJob")


def carried(obj: Manifest) -> dict[str, dict[str, str]]:
    """Read the intents of each template."""
    return {
        role: {
            key.removeprefix(PREFIX): value
            for key, value in (metadata.get("annotations") or {}).items()
            if key.startswith(PREFIX) and key != INJECTED
        }
        for role, (metadata, _) in pods_of(obj).items()
    }


def specs(obj: Manifest) -> dict[str, Manifest]:
    return {role: spec for role, (_, spec) in pods_of(obj).items()}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param("Deployment", {"pod": WANTED}, id="Deployment"),
        pytest.param("StatefulSet", {"pod": WANTED}, id="StatefulSet"),
        pytest.param("ReplicaSet", {"pod": WANTED}, id="ReplicaSet"),
        pytest.param("DaemonSet", {"pod": WANTED}, id="DaemonSet"),
        pytest.param("Job", {"pod": WANTED}, id="Job"),
        pytest.param("CronJob", {"pod": WANTED}, id="CronJob"),
        pytest.param("Service", {"pod": WANTED}, id="Knative-Service"),
        pytest.param(
            "InferenceService", {"predictor": WANTED, "transformer": REST}, id="InferenceService"
        ),
        pytest.param("PyTorchJob", {"master": WANTED, "worker": WANTED}, id="PyTorchJob-all-roles"),
        pytest.param("MPIJob", {"worker": WANTED, "launcher": REST}, id="MPIJob-workers-compute"),
        pytest.param("TrainJob", {"trainer": WANTED}, id="TrainJob-by-a-runtime-patch"),
        pytest.param("JobSet", {"workers": WANTED}, id="JobSet"),
    ],
)
def test_intents_reach_the_templates(kind: str, expected: dict[str, Any]) -> None:
    plain = workload(kind, **WANTED)

    after = mutated(plain)

    assert carried(after) == expected


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in EARLY])
def test_pod_specs_stay_as_they_were(kind: str) -> None:
    plain = workload(kind, **WANTED)

    assert specs_without_metadata(mutated(plain)) == specs_without_metadata(plain)


def specs_without_metadata(obj: Manifest) -> Any:
    return {
        role: {key: value for key, value in spec.items() if key not in ("annotations", "labels")}
        for role, spec in specs(obj).items()
    }


def test_a_train_job_gets_its_devices_through_the_runtime_patch_only_when_queued() -> None:
    after = mutated(workload("TrainJob", **WANTED))

    assert at(after, "spec", "trainer") == {"numNodes": 2}
    assert [one["manager"] for one in after["spec"]["runtimePatches"]] == ["kubectl-ml.io/intents"]
    assert "spec" not in pods_template(after)


def pods_template(obj: Manifest) -> Any:
    jobs = obj["spec"]["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]
    return jobs["replicatedJobs"][0]["template"]["spec"]["template"]


@pytest.mark.parametrize(
    ("kind", "roles", "expected"),
    [
        pytest.param(
            "MPIJob", "launcher", {"worker": {}, "launcher": {"accelerator": "gpu"}}, id="launcher"
        ),
        pytest.param(
            "MPIJob",
            "worker,launcher",
            {"worker": {"accelerator": "gpu"}, "launcher": {"accelerator": "gpu"}},
            id="both",
        ),
        pytest.param(
            "PyTorchJob",
            "Worker",
            {"master": {}, "worker": {"accelerator": "gpu"}},
            id="in-any-case",
        ),
        pytest.param(
            "InferenceService",
            "transformer",
            {
                "predictor": {},
                "transformer": {"accelerator": "gpu"},
            },
            id="transformer",
        ),
    ],
)
def test_roles_say_who_computes(kind: str, roles: str, expected: dict[str, Any]) -> None:
    after = mutated(workload(kind, accelerator="gpu", roles=roles))

    assert carried(after) == expected


def test_roles_scale_and_queue_are_used_up() -> None:
    after = mutated(
        workload("InferenceService", roles="predictor", scale="min=1", queue="team-a", mesh="true")
    )

    assert carried(after) == {"predictor": {"mesh": "true"}, "transformer": {"mesh": "true"}}


def test_a_templates_own_intent_beats_the_workloads() -> None:
    after = mutated(workload("Deployment", pod(accelerator="l4"), accelerator="a100:2", shm="1Gi"))

    assert carried(after) == {"pod": {"accelerator": "l4", "shm": "1Gi"}}


def test_a_templates_own_scale_beats_the_workloads() -> None:
    after = mutated(workload("Service", pod(scale="max=9"), scale="min=1,max=3"))

    annotations = at(after, "spec", "template", "metadata", "annotations")
    assert annotations["autoscaling.knative.dev/max-scale"] == "9"


def test_inject_false_is_carried_and_nothing_else_is_set() -> None:
    plain = workload("Job", inject="false", accelerator="a100", queue="team-a", dapr="true")

    after = mutated(plain)

    assert carried(after) == {"pod": {"inject": "false"}}
    assert "labels" not in after["metadata"]
    assert specs(after) == specs(plain)


def test_an_unusable_intent_is_not_carried_but_the_others_are() -> None:
    decision = review(workload("Deployment", accelerator="a100:0", shm="1Gi"))

    assert carried(decision.object) == {"pod": {"shm": "1Gi"}}
    assert messages(decision) == [
        'kubectl-ml.io/accelerator "a100:0": the count "0" is not a whole number from 1 to 999'
    ]


@pytest.mark.parametrize(
    ("kind", "owner"),
    [
        pytest.param("ReplicaSet", controlled_by("Deployment", "apps/v1"), id="ReplicaSet"),
        pytest.param("Job", controlled_by("CronJob", "batch/v1"), id="Job-of-a-CronJob"),
        pytest.param(
            "Job", controlled_by("JobSet", "jobset.x-k8s.io/v1alpha2"), id="Job-of-JobSet"
        ),
        pytest.param(
            "JobSet", controlled_by("TrainJob", "trainer.kubeflow.org/v1alpha1"), id="JobSet"
        ),
        pytest.param(
            "Service",
            controlled_by("InferenceService", "serving.kserve.io/v1beta1"),
            id="Knative-Service-of-an-InferenceService",
        ),
        pytest.param(
            "Deployment",
            controlled_by("Revision", "serving.knative.dev/v1"),
            id="Deployment-of-a-Knative-Revision",
        ),
    ],
)
def test_what_a_workload_makes_is_left_to_its_pods(kind: str, owner: Manifest) -> None:
    made = workload(kind, pod(**WANTED), owner=owner, **WANTED)

    assert review(made).patch == []


def test_an_owned_workload_of_an_unknown_operator_is_mutated() -> None:
    made = workload("Job", owner=controlled_by("Study", "example.com/v1"), accelerator="a100")

    assert carried(mutated(made)) == {"pod": {"accelerator": "a100"}}


# --- early ------------------------------------------------------------------------------------


def test_a_daemon_set_has_its_placement_in_the_template() -> None:
    spec = specs(mutated(workload("DaemonSet", accelerator="l4")))["pod"]

    assert spec == {
        "containers": [container()],
        "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"},
        "tolerations": [
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
            {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
            {"key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
        ],
    }


COUNTED = ("Job", "CronJob", "PyTorchJob", "MPIJob", "TrainJob", "JobSet")
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"


@pytest.mark.parametrize("kind", [kind for kind in COUNTED if kind != "TrainJob"])
def test_a_queued_template_has_all_that_counts(kind: str) -> None:
    after = mutated(workload(kind, accelerator="l4:2", sidecars="logs", queue="team-a"))

    role = "worker" if kind == "MPIJob" else next(iter(specs(after)))
    spec = specs(after)[role]
    assert spec["containers"][0]["resources"] == {
        "limits": {"nvidia.com/gpu": "2"},
        "requests": {"nvidia.com/gpu": "2"},
    }
    assert spec["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-L4"}
    assert [one["key"] for one in spec["tolerations"]] == ["nvidia.com/gpu", "sku", "dedicated"]
    assert [one["name"] for one in spec["initContainers"]] == ["logs"]


def test_a_queued_train_job_has_all_that_its_trainer_takes() -> None:
    after = mutated(workload("TrainJob", accelerator="l4:2", queue="team-a"))

    assert after["spec"]["trainer"]["resourcesPerNode"] == {
        "limits": {"nvidia.com/gpu": "2"},
        "requests": {"nvidia.com/gpu": "2"},
    }
    spec = specs(after)["trainer"]
    assert spec["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-L4"}
    assert [one["key"] for one in spec["tolerations"]] == ["nvidia.com/gpu", "sku", "dedicated"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (*COUNTED, *EARLY)])
def test_templates_that_no_queue_counts_stay_as_they_were(kind: str) -> None:
    plain = workload(kind, accelerator="l4:2", queue="team-a")

    assert specs_without_metadata(mutated(plain)) == specs_without_metadata(plain)


@pytest.mark.parametrize(
    ("labels", "annotations"),
    [
        pytest.param({QUEUE_LABEL: "mine"}, {}, id="kueue"),
        pytest.param({"kai.scheduler/queue": "mine"}, {}, id="kai"),
        pytest.param({}, {"scheduling.volcano.sh/queue-name": "mine"}, id="volcano"),
    ],
)
def test_a_queue_label_of_its_own_counts_too(labels: Any, annotations: Any) -> None:
    after = mutated(job(labels=labels, annotations=annotations, accelerator="l4"))

    assert specs(after)["pod"]["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-L4"}


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        pytest.param("Job", ("metadata",), id="Job"),
        pytest.param("Deployment", ("metadata",), id="Deployment"),
        pytest.param("PyTorchJob", ("metadata",), id="PyTorchJob"),
        pytest.param("CronJob", ("spec", "jobTemplate", "metadata"), id="CronJob-its-jobs"),
        pytest.param("Service", ("spec", "template", "metadata"), id="Knative-Service-its-pods"),
        pytest.param("InferenceService", ("spec", "predictor"), id="InferenceService-its-pods"),
    ],
)
def test_the_queue_is_named_where_the_queue_looks(kind: str, place: tuple[str, ...]) -> None:
    after = mutated(workload(kind, queue="team-a"))

    assert at(after, *place, "labels") == {QUEUE_LABEL: "team-a"}


@pytest.mark.parametrize(
    ("installed", "labels", "annotation"),
    [
        pytest.param(None, {QUEUE_LABEL: "team-a"}, None, id="all-known-systems"),
        pytest.param({"kueue", "volcano"}, {QUEUE_LABEL: "team-a"}, None, id="both"),
        pytest.param({"volcano"}, None, "team-a", id="only-volcano"),
    ],
)
def test_kueue_goes_before_volcano(installed: Any, labels: Any, annotation: Any) -> None:
    facts = Facts(installed=installed and frozenset(installed))

    metadata = mutated(job(queue="team-a"), facts=facts)["metadata"]

    assert metadata.get("labels") == labels
    assert metadata["annotations"].get("scheduling.volcano.sh/queue-name") == annotation


def test_without_a_queueing_system_the_user_is_told() -> None:
    decision = review(job(queue="team-a"), facts=Facts(installed=frozenset()))

    assert decision.warnings == (
        "intents: kubectl-ml.io/queue needs kueue or volcano or kai, which isn't installed",
    )


def test_a_queue_of_the_users_stays() -> None:
    decision = review(job(labels={QUEUE_LABEL: "mine"}, queue="team-a"))

    assert decision.object["metadata"]["labels"] == {QUEUE_LABEL: "mine"}
    assert decision.warnings == (
        'queue: /metadata/labels/kueue.x-k8s.io~1queue-name is "mine", not "team-a"; '
        "kept as it was written",
    )


# --- what only the workload can carry ---------------------------------------------------------


def test_a_knative_service_scales_by_its_templates_annotations() -> None:
    after = mutated(
        workload("Service", scale="min=0,max=5,target=10,metric=concurrency,window=60s")
    )

    found = at(after, "spec", "template", "metadata", "annotations")
    assert found == {
        "autoscaling.knative.dev/min-scale": "0",
        "autoscaling.knative.dev/max-scale": "5",
        "autoscaling.knative.dev/target": "10",
        "autoscaling.knative.dev/metric": "concurrency",
        "autoscaling.knative.dev/window": "60s",
        "autoscaling.knative.dev/scale-to-zero-pod-retention-period": "5m",
        "serving.knative.dev/progress-deadline": "1800s",
    }


def test_an_inference_service_scales_by_its_fields() -> None:
    after = mutated(workload("InferenceService", scale="min=0,max=5,target=10,metric=concurrency"))

    found = {key: after["spec"]["predictor"].get(key) for key in SCALING}
    assert found == {
        "minReplicas": 0,
        "maxReplicas": 5,
        "scaleTarget": 10,
        "scaleMetric": "concurrency",
    }


SCALING = ("minReplicas", "maxReplicas", "scaleTarget", "scaleMetric")


def test_what_the_user_set_of_scaling_stays() -> None:
    mine = {"autoscaling.knative.dev/min-scale": "2"}
    plain = workload("Service", pod(annotations=mine), scale="min=0")

    found = at(mutated(plain), "spec", "template", "metadata", "annotations")

    assert found["autoscaling.knative.dev/min-scale"] == "2"


AUTOSCALING = "autoscaling.knative.dev/"


@pytest.mark.parametrize(
    ("mine", "warnings"),
    [
        pytest.param({}, (), id="nothing"),
        pytest.param({"min-scale": "2", "max-scale": "5"}, (), id="valid"),
        pytest.param(
            {"min-scale": "5", "max-scale": "2", "window": "2s"},
            (
                'knative: window "2s" is not a duration from 6s to 1h; write "60s"; '
                "Knative refuses it",
                "knative: max-scale=2 is less than min-scale=5; Knative refuses it",
            ),
            id="out-of-bounds",
        ),
        pytest.param(
            {"initial-scale": "0"},
            (
                "knative: autoscaling.knative.dev/initial-scale=0 is taken only where Knative's "
                'config-autoscaler has allow-zero-initial-scale: "true"',
            ),
            id="initially-none",
        ),
    ],
)
def test_what_knative_refuses_of_the_users_own_scaling_is_warned_about(
    mine: dict[str, str], warnings: tuple[str, ...]
) -> None:
    annotations = {AUTOSCALING + key: value for key, value in mine.items()}

    decision = review(workload("Service", pod(annotations=annotations)))

    assert (decision.warnings, decision.violations) == (warnings, ())


def test_scaling_on_the_service_itself_is_warned_about() -> None:
    service = workload("Service", annotations={AUTOSCALING + "min-scale": "1"})

    assert review(service).warnings == (
        "knative: autoscaling.knative.dev/min-scale is on the object, where Knative refuses it; "
        "move it to spec.template.metadata.annotations",
    )


def test_a_dapr_configuration_that_cant_be_is_refused() -> None:
    [violation] = review(deployment(dapr="config=Not_A_Name")).violations

    assert (violation.code, violation.message) == (
        422,
        'kubectl-ml.io/dapr "config=Not_A_Name": config "Not_A_Name" is not the name of a '
        'Configuration; use lower case letters, digits, "-" and "."',
    )


@pytest.mark.parametrize("kind", ["Deployment", "Job", "CronJob", "Service"])
def test_dapr_is_written_on_the_template(kind: str) -> None:
    after = mutated(workload(kind, dapr="app-port=8080"))

    found = pods_of(after)["pod"][0]["annotations"]
    assert {
        key: found.get(key) for key in ("dapr.io/enabled", "dapr.io/app-id", "dapr.io/app-port")
    } == {
        "dapr.io/enabled": "true",
        "dapr.io/app-id": "bert",
        "dapr.io/app-port": "8080",
    }


def test_the_mesh_is_labelled_on_every_template() -> None:
    after = mutated(workload("MPIJob", mesh="false"))

    assert {role: metadata["labels"] for role, (metadata, _) in pods_of(after).items()} == {
        "worker": {"sidecar.istio.io/inject": "false"},
        "launcher": {"sidecar.istio.io/inject": "false"},
    }


# --- the template stage -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "TrainJob"])
def test_rendered_templates_are_what_the_pods_will_be(kind: str) -> None:
    # Without a port Knative's template would take no sidecar.
    one = pod(spec={"containers": [container(ports=[{"containerPort": 8080}])]})
    wanted = {**WANTED, "accelerator": "l4:2", "mounts": "memory://1Gi:/data"}
    if kind == "InferenceService":  # its transformer has none
        del wanted["sidecars"]
    plain = workload(kind, one, **wanted)
    rendered = review(plain, stage="template").object
    admitted = pods_of(mutated(plain))

    for role, (_, spec) in pods_of(rendered).items():
        before = admitted[role]
        owner = controlled_by(kind, plain["apiVersion"])
        metadata = {**before[0], "name": "bert-0", "ownerReferences": [owner]}
        made = mutated({**pod(), "metadata": metadata, "spec": only_pod(before[1])})
        rejected = REJECTED_BY_KNATIVE if kind in ("Service", "InferenceService") else ()
        assert set(only_pod(spec)) | set(rejected) == set(made["spec"]) | set(rejected)
        assert spec["containers"] == made["spec"]["containers"]


REJECTED_BY_KNATIVE = ("nodeSelector", "tolerations", "affinity", "initContainers", "volumes")


def only_pod(spec: Manifest) -> Manifest:
    return {key: value for key, value in spec.items() if key not in ("annotations", "labels")}


def test_a_knative_template_never_gets_what_knative_rejects() -> None:
    plain = workload("Service", accelerator="a100:2", mounts="s3://b/k:/data, memory://1Gi:/cache")

    spec = specs(review(plain, stage="template").object)["pod"]

    assert set(spec) == {"containers", "volumes"}
    assert [one["emptyDir"]["medium"] for one in spec["volumes"]] == ["Memory", "Memory"]


def test_an_early_sidecar_is_not_injected_again_into_the_pod() -> None:
    after = mutated(job(sidecars="logs", queue="team-a"))
    metadata, spec = pods_of(after)["pod"]
    made = {
        **pod(owner=controlled_by("Job", "batch/v1")),
        "spec": spec,
    }
    made["metadata"] = {**metadata, **made["metadata"]}

    assert review(made).patch == []


def test_policies_that_name_a_kind_act_on_its_template() -> None:
    given = """
kind: InjectionPolicy
metadata: {name: team}
spec:
  match: {kinds: [Deployment.apps, DaemonSet.apps, Job.batch]}
  inject: {env: [{name: TEAM, value: ml}]}
"""
    for kind in ("Deployment", "DaemonSet", "Job"):
        spec = specs(mutated(workload(kind), given))["pod"]
        assert spec["containers"][0].get("env") == [{"name": "TEAM", "value": "ml"}], kind
    assert "env" not in specs(mutated(workload("StatefulSet"), given))["pod"]["containers"][0]
    assert "env" not in mutated(pod(), given)["spec"]["containers"][0]


def test_an_object_that_makes_no_pods_is_left_alone_with_a_warning() -> None:
    found = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "annotations": intents(accelerator="a100", shm="1Gi")},
    }

    decision = review(found)

    assert decision.patch == []
    assert decision.warnings == (
        "intents: kubectl-ml.io/accelerator changes nothing here: a ConfigMap makes no pods",
        "intents: kubectl-ml.io/shm changes nothing here: a ConfigMap makes no pods",
    )


@pytest.mark.parametrize("stage", ["admission", "template"])
def test_what_tells_how_many_workers_there_are_goes_in_early(stage: str) -> None:
    found = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": "llama",
            "annotations": {
                "serving.kserve.io/deploymentMode": "RawDeployment",
                **intents(accelerator="a100:2", sidecars="logs"),
            },
        },
        "spec": {
            "predictor": {
                "model": {"modelFormat": {"name": "huggingface"}},
                "workerSpec": {
                    "pipelineParallelSize": 2,
                    "containers": [{"name": "worker-container", "image": "w"}],
                },
            }
        },
    }
    decision = review(found, stage=stage)

    predictor = applied(found, decision)["spec"]["predictor"]
    [worker] = predictor["workerSpec"]["containers"]  # KServe refuses a second one
    wanted = {"nvidia.com/gpu": "2"}
    assert worker["resources"]["limits"] == predictor["model"]["resources"]["limits"] == wanted
    assert [one["name"] for one in predictor["containers"]] == ["logs"]


@pytest.mark.parametrize("stage", ["admission", "template"])
def test_a_worker_without_containers_gets_one_that_its_runtimes_is_merged_with(stage: str) -> None:
    found = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": "llama",
            "annotations": {
                "serving.kserve.io/deploymentMode": "RawDeployment",
                **intents(accelerator="a100:2"),
            },
        },
        "spec": {
            "predictor": {
                "model": {"modelFormat": {"name": "huggingface"}},
                "workerSpec": {"pipelineParallelSize": 2, "tensorParallelSize": 2},
            }
        },
    }
    decision = review(found, stage=stage)

    once = applied(found, decision)
    [worker] = once["spec"]["predictor"]["workerSpec"]["containers"]
    assert (worker["name"], worker["resources"]["limits"]) == (
        "worker-container",
        {"nvidia.com/gpu": "2"},
    )
    assert review(once, stage=stage).patch == []
    plain = {**once, "metadata": {**once["metadata"], "annotations": dict(
        item for item in once["metadata"]["annotations"].items() if "accelerator" not in item[0]
    )}}  # fmt: skip
    gone = applied(plain, review(plain, operation="UPDATE", old=once))
    assert "containers" not in gone["spec"]["predictor"]["workerSpec"]


@pytest.mark.parametrize("stage", ["admission", "template"])
@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
def test_a_model_of_modelmesh_is_left_alone_with_a_warning(stage: str, operation: str) -> None:
    found = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": "iris",
            "annotations": {
                "serving.kserve.io/deploymentMode": "ModelMesh",
                **intents(accelerator="a100", roles="predictor", queue="team-a", dapr="true"),
            },
        },
        "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}}}},
    }
    plain = {**found, "metadata": {"name": "iris", "annotations": {}}}

    decision = review(found, stage=stage, operation=operation, old=plain)

    assert (decision.patch, decision.violations) == ([], ())
    assert decision.warnings == (
        "intents: this InferenceService makes no pods: ModelMesh loads the model into the pods of "
        "a ServingRuntime; write the intent there",
    )


@pytest.mark.parametrize("kind", [*KINDS, "Pod"])
def test_without_intents_the_library_changes_nothing(kind: str) -> None:
    plain = pod() if kind == "Pod" else workload(kind)

    for stage in ("admission", "template"):
        decision = review(plain, stage=stage)
        assert (decision.patch, decision.warnings, decision.violations) == ([], (), ())


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"namespace": "kube-system"}, id="kube-system"),
        pytest.param({"operation": "DELETE"}, id="delete"),
        pytest.param({"operation": "CONNECT"}, id="connect"),
        pytest.param({"subresource": "scale"}, id="scale"),
        pytest.param({"subresource": "status"}, id="status"),
    ],
)
def test_some_requests_are_left_alone(parts: dict[str, Any]) -> None:
    for obj in (pod(**WANTED), job(**WANTED)):
        decision = review(obj, **parts)
        assert (decision.patch, decision.violations) == ([], ())


def test_a_version_that_the_catalogue_does_not_list_is_still_that_kind() -> None:
    newer = {**workload("MPIJob", accelerator="a100"), "apiVersion": "kubeflow.org/v1"}

    assert carried(mutated(newer))["worker"] == {"accelerator": "a100"}


def ray(**annotations: str) -> Manifest:
    """Build a cluster whose head and workers have containers of their own names."""

    def group(name: str, **members: Any) -> Manifest:
        return {"template": {"spec": {"containers": [container(name)]}}, **members}

    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "bert", "annotations": intents(**annotations)},
        "spec": {"headGroupSpec": group("head"), "workerGroupSpecs": [group("w", groupName="a")]},
    }


@pytest.mark.parametrize("stage", ["admission", "template"])
def test_containers_of_one_role_can_be_named_at_the_workload(stage: str) -> None:
    decision = review(ray(accelerator="gpu", containers="w", experiment="x"), stage=stage)

    assert decision.violations == ()
    if stage == "template":  # the head has the default, as its pods will
        groups = [decision.object["spec"][key] for key in ("headGroupSpec", "workerGroupSpecs")]
        found = [one["template"]["spec"]["containers"][0] for one in (groups[0], groups[1][0])]
        assert ["env" in one for one in found] == [True, True]
        assert ["resources" in one for one in found] == [False, True]


def test_explain_says_what_waits_for_the_pods_and_why_a_sidecar_is_an_ordinary_one() -> None:
    given = """
kind: InjectionPolicy
metadata: {name: near}
spec:
  inject:
    topologySpread: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]
    affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone}]}}
    sidecars: [{container: {name: agent, image: agent:1}}]
"""
    skipped = engine.explain(request(deployment()), policies(given), Facts()).skipped

    later = "its pods get it, with the label that tells those of one workload"
    ordinary = (
        'the sidecar "agent" is an ordinary container, because this pod doesn\'t finish and its '
        "policy doesn't say restartPolicy: Always"
    )
    assert {(one.path.removeprefix("/spec/template/spec/"), one.why) for one in skipped} == {
        ("affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution", later),
        ("topologySpreadConstraints", later),
        ("initContainers", ordinary),
    }


def test_a_container_that_no_role_has_is_refused() -> None:
    assert messages(review(ray(accelerator="gpu", containers="v"))) == [
        'kubectl-ml.io/containers: there is no container "v"; it has head',
        'kubectl-ml.io/containers: there is no container "v"; it has w',
    ]


def test_devices_that_no_role_receives_are_refused() -> None:
    alone = ray(accelerator="gpu", shm="1Gi", experiment="x")
    del alone["spec"]["workerGroupSpecs"]

    assert messages(review(alone)) == [
        f"kubectl-ml.io/{key} reaches no pod: of its roles this RayCluster has none that computes, "
        "but head; write kubectl-ml.io/roles: head, or take it out"
        for key in ("accelerator", "shm")
    ]
    alone["metadata"]["annotations"]["kubectl-ml.io/roles"] = "head"
    assert messages(review(alone)) == []


def test_a_pod_of_a_role_without_the_named_container_has_the_default() -> None:
    plain = pod(
        labels={"ray.io/cluster": "bert", "ray.io/node-type": "head"},
        owner=controlled_by("RayCluster", "ray.io/v1"),
        containers="w",
        experiment="x",
    )

    decision = review(plain)

    assert at(decision.object, "spec", "containers", 0, "env") is not None
    assert decision.warnings == ()
