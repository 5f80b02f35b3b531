"""How many pods each kind makes and what they ask for, counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from policies import load
from policies.workloads import catalogue, demand
from policies.workloads.counts import Range
from policies.workloads.shares import Demand

GPU = (
    "{containers: [{name: c, image: i, resources: {requests: {cpu: 2, memory: 4Gi}, "
    "limits: {nvidia.com/gpu: 8}}}]}"
)
CPU = "{containers: [{name: c, image: i, resources: {requests: {cpu: 500m}}}]}"
UNBOUNDED = "unbounded"


def demand_of(text: str) -> Demand:
    obj = yaml.safe_load(text)
    known = catalogue.builtin()
    kind = known.of(obj)
    assert kind is not None
    return demand.of(obj, kind, known, load.library().accelerators)


def figures(text: str) -> list[tuple[str, Any, Any, str, str]]:
    """Give each role with its pods and GPUs, steady and peak."""
    return [
        (
            role.name,
            shown(role.steady.pods),
            shown(role.peak.pods),
            role.steady.quantities().get("nvidia.com/gpu", "0"),
            role.peak.quantities().get("nvidia.com/gpu", "0"),
        )
        for role in demand_of(text).roles
    ]


def shown(pods: int | None) -> Any:
    return UNBOUNDED if pods is None else pods


def workload(api_version: str, kind: str, spec: str, more: str = "") -> str:
    return f"{{apiVersion: {api_version}, kind: {kind}, metadata: {{name: x{more}}}, spec: {spec}}}"


def deployment(spec: str) -> str:
    return workload("apps/v1", "Deployment", f"{{{spec} template: {{spec: {GPU}}}}}")


def job(spec: str, more: str = "") -> str:
    return workload("batch/v1", "Job", f"{{{spec} template: {{spec: {GPU}}}}}", more)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(workload("v1", "Pod", GPU), [("pod", 1, 1, "8", "8")], id="pod"),
        pytest.param(
            workload("v1", "Pod", GPU[:-1] + ", schedulingGates: [{name: a}]}"),
            [("pod", 0, 1, "0", "8")],
            id="pod-gated",
        ),
        pytest.param(deployment(""), [("pod", 1, 2, "8", "16")], id="deployment-defaults"),
        pytest.param(
            # 25 % of 10, rounded up
            deployment("replicas: 10,"),
            [("pod", 10, 13, "80", "104")],
            id="deployment",
        ),
        pytest.param(
            deployment("replicas: 10, strategy: {type: Recreate},"),
            [("pod", 10, 10, "80", "80")],
            id="deployment-recreated",
        ),
        pytest.param(
            deployment("replicas: 10, strategy: {rollingUpdate: {maxSurge: 0}},"),
            [("pod", 10, 10, "80", "80")],
            id="deployment-without-surge",
        ),
        pytest.param(
            deployment("replicas: 0,"), [("pod", 0, 0, "0", "0")], id="deployment-at-zero"
        ),
        pytest.param(
            workload("apps/v1", "StatefulSet", f"{{replicas: 3, template: {{spec: {GPU}}}}}"),
            [("pod", 3, 3, "24", "24")],
            id="statefulset",
        ),
        pytest.param(
            workload("apps/v1", "DaemonSet", f"{{template: {{spec: {GPU}}}}}"),
            [("pod", UNBOUNDED, UNBOUNDED, UNBOUNDED, UNBOUNDED)],
            id="daemonset",
        ),
        pytest.param(
            workload("apps/v1", "DaemonSet", f"{{template: {{spec: {GPU}}}}}")[:-1]
            + ", status: {desiredNumberScheduled: 5}}",
            [("pod", 5, 5, "40", "40")],
            id="daemonset-live",
        ),
        pytest.param(job(""), [("pod", 1, 1, "8", "8")], id="job"),
        pytest.param(
            job("parallelism: 4, completions: 10,"), [("pod", 4, 4, "32", "32")], id="job-parallel"
        ),
        pytest.param(
            job("parallelism: 4, completions: 2,"), [("pod", 2, 2, "16", "16")], id="job-few"
        ),
        pytest.param(
            job("parallelism: 4, suspend: true,"), [("pod", 0, 4, "0", "32")], id="job-suspended"
        ),
        pytest.param(job("managedBy: kueue.x-k8s.io/multikueue,"), [], id="job-of-another-cluster"),
        pytest.param(
            job("")[:-1] + ', status: {conditions: [{type: Complete, status: "True"}]}}',
            [],
            id="job-over",
        ),
        pytest.param(
            workload(
                "batch/v1",
                "CronJob",
                f"{{jobTemplate: {{spec: {{parallelism: 2, template: {{spec: {GPU}}}}}}}}}",
            ),
            [("pod", 0, UNBOUNDED, "0", UNBOUNDED)],
            id="cronjob-overlapping",
        ),
        pytest.param(
            workload(
                "batch/v1",
                "CronJob",
                "{concurrencyPolicy: Forbid, jobTemplate: {spec: "
                f"{{parallelism: 2, template: {{spec: {GPU}}}}}}}}}",
            ),
            [("pod", 0, 2, "0", "16")],
            id="cronjob",
        ),
        pytest.param(
            workload("serving.knative.dev/v1", "Service", f"{{template: {{spec: {GPU}}}}}"),
            [("pod", 0, UNBOUNDED, "0", UNBOUNDED)],
            id="knative-unbounded",
        ),
        pytest.param(
            workload(
                "serving.knative.dev/v1",
                "Service",
                '{template: {metadata: {annotations: {autoscaling.knative.dev/min-scale: "1", '
                f'autoscaling.knative.dev/max-scale: "5"}}}}, spec: {GPU}}}}}',
            ),
            [("pod", 1, 5, "8", "40")],
            id="knative",
        ),
        pytest.param(
            workload(
                "serving.kserve.io/v1beta1",
                "InferenceService",
                "{predictor: {minReplicas: 2, maxReplicas: 6, model: "
                "{modelFormat: {name: a}, resources: {limits: {nvidia.com/gpu: 1}}}}, "
                f"transformer: {CPU}}}",
            ),
            [("predictor", 2, 6, "2", "6"), ("transformer", 1, UNBOUNDED, "0", "0")],
            id="inferenceservice",
        ),
        pytest.param(
            workload(
                "serving.kserve.io/v1beta1",
                "InferenceService",
                "{predictor: {model: {modelFormat: {name: a}}}}",
                ", annotations: {serving.kserve.io/deploymentMode: ModelMesh}",
            ),
            [],
            id="inferenceservice-of-modelmesh",
        ),
        pytest.param(
            # two groups of 4 ranks each, 2 GPUs a pod: 4 * 2 / 2 nodes, one of them the head
            workload(
                "serving.kserve.io/v1beta1",
                "InferenceService",
                "{predictor: {maxReplicas: 1, model: {resources: {limits: {nvidia.com/gpu: 2}}}, "
                "workerSpec: {pipelineParallelSize: 2, tensorParallelSize: 4, containers: "
                "[{name: worker-container, resources: {limits: {nvidia.com/gpu: 2}}}]}}}",
                ", annotations: {serving.kserve.io/deploymentMode: RawDeployment}",
            ),
            [("predictor", 1, 1, "2", "2"), ("worker", 3, 3, "6", "6")],
            id="inferenceservice-over-nodes",
        ),
        pytest.param(
            workload(
                "serving.kserve.io/v1alpha1",
                "LLMInferenceService",
                f"{{replicas: 2, parallelism: {{data: 8, dataLocal: 2}}, template: {GPU}, "
                f"worker: {GPU}}}",
            ),
            [("decode", 2, 2, "16", "16"), ("worker", 6, 6, "48", "48")],
            id="llminferenceservice",
        ),
        pytest.param(
            workload(
                "kubeflow.org/v1",
                "PyTorchJob",
                f"{{pytorchReplicaSpecs: {{Master: {{template: {{spec: {GPU}}}}}, "
                f"Worker: {{replicas: 3, template: {{spec: {GPU}}}}}}}}}",
            ),
            [("master", 1, 1, "8", "8"), ("worker", 3, 3, "24", "24")],
            id="pytorchjob",
        ),
        pytest.param(
            workload(
                "kubeflow.org/v1",
                "PyTorchJob",
                "{elasticPolicy: {minReplicas: 2, maxReplicas: 6}, "
                f"pytorchReplicaSpecs: {{Worker: {{template: {{spec: {GPU}}}}}}}}}",
            ),
            [("worker", 2, 6, "16", "48")],
            id="pytorchjob-elastic",
        ),
        pytest.param(
            workload(
                "kubeflow.org/v2beta1",
                "MPIJob",
                f"{{mpiReplicaSpecs: {{Launcher: {{template: {{spec: {CPU}}}}}, "
                f"Worker: {{replicas: 4, template: {{spec: {GPU}}}}}}}}}",
            ),
            [("worker", 4, 4, "32", "32"), ("launcher", 1, 1, "0", "0")],
            id="mpijob",
        ),
        pytest.param(
            workload(
                "trainer.kubeflow.org/v1alpha1",
                "TrainJob",
                "{runtimeRef: {name: torch}, trainer: {numNodes: 3, resourcesPerNode: "
                "{limits: {nvidia.com/gpu: 4}}}}",
            ),
            [("trainer", 3, 3, "12", "12")],
            id="trainjob",
        ),
        pytest.param(
            workload(
                "trainer.kubeflow.org/v1alpha1",
                "TrainJob",
                "{runtimeRef: {name: deepspeed-distributed}, "
                "trainer: {numNodes: 3, resourcesPerNode: {limits: {nvidia.com/gpu: 2}}}}",
            ),
            [("trainer", 2, 2, "4", "4"), ("launcher", 1, 1, "2", "2")],
            id="trainjob-whose-launcher-is-a-node",
        ),
        pytest.param(
            workload(
                "trainer.kubeflow.org/v1alpha1",
                "TrainJob",
                "{runtimeRef: {name: mlx-distributed}, "
                "trainer: {numNodes: 1, resourcesPerNode: {limits: {nvidia.com/gpu: 2}}}}",
            ),
            [("trainer", 1, 1, "2", "2"), ("launcher", 1, 1, "2", "2")],
            id="trainjob-of-one-node-and-a-launcher-that-is-a-node",
        ),
        pytest.param(
            workload(
                "trainer.kubeflow.org/v1alpha1",
                "TrainJob",
                "{runtimeRef: {kind: TrainingRuntime, name: mlx-distributed}, "
                "trainer: {numNodes: 3, resourcesPerNode: {limits: {nvidia.com/gpu: 2}}}}",
            ),
            [("trainer", 3, 3, "6", "6")],
            id="trainjob-of-a-namespaces-runtime-of-a-shipped-name",
        ),
        pytest.param(
            workload(
                "jobset.x-k8s.io/v1alpha2",
                "JobSet",
                "{replicatedJobs: [{name: w, replicas: 2, template: {spec: {parallelism: 3, "
                f"completions: 3, template: {{spec: {GPU}}}}}}}}}]}}",
            ),
            [("w", 6, 6, "48", "48")],
            id="jobset",
        ),
        pytest.param(
            workload(
                "leaderworkerset.x-k8s.io/v1",
                "LeaderWorkerSet",
                "{replicas: 2, rolloutStrategy: {rollingUpdateConfiguration: {maxSurge: 1}}, "
                f"leaderWorkerTemplate: {{size: 4, leaderTemplate: {{spec: {CPU}}}, "
                f"workerTemplate: {{spec: {GPU}}}}}}}",
            ),
            [("leader", 2, 3, "0", "0"), ("worker", 6, 9, "48", "72")],
            id="leaderworkerset",
        ),
        pytest.param(
            workload(
                "leaderworkerset.x-k8s.io/v1",
                "LeaderWorkerSet",
                f"{{leaderWorkerTemplate: {{size: 4, workerTemplate: {{spec: {GPU}}}}}}}",
            ),
            [("worker", 4, 4, "32", "32")],
            id="leaderworkerset-without-leader",
        ),
        pytest.param(
            workload(
                "kubeflow.org/v1beta1",
                "Experiment",
                "{parallelTrialCount: 3, trialTemplate: {trialSpec: "
                f"{job('parallelism: 2,')}}}}}",
            ),
            [("suggestion", 1, 1, "0", "0"), ("pod", 6, 6, "48", "48")],
            id="katib",
        ),
        pytest.param(
            workload("kubeflow.org/v1", "Notebook", f"{{template: {{spec: {GPU}}}}}"),
            [("notebook", 1, 1, "8", "8")],
            id="notebook",
        ),
        pytest.param(
            workload(
                "kubeflow.org/v1",
                "Notebook",
                f"{{template: {{spec: {GPU}}}}}",
                ', annotations: {kubeflow-resource-stopped: "2026-01-01T00:00:00Z"}',
            ),
            [("notebook", 0, 1, "0", "8")],
            id="notebook-stopped",
        ),
        pytest.param(
            workload(
                "sparkoperator.k8s.io/v1beta2",
                "SparkApplication",
                "{driver: {}, executor: {instances: 3, gpu: {name: nvidia.com/gpu, quantity: 2}}}",
            ),
            [("executor", 3, 3, "6", "6"), ("driver", 1, 1, "0", "0")],
            id="spark",
        ),
        pytest.param(
            workload(
                "sparkoperator.k8s.io/v1beta2",
                "SparkApplication",
                "{driver: {}, dynamicAllocation: {enabled: true, minExecutors: 1, "
                "initialExecutors: 2, maxExecutors: 9}, executor: {}}",
            ),
            [("executor", 2, 9, "0", "0"), ("driver", 1, 1, "0", "0")],
            id="spark-dynamic",
        ),
        pytest.param(
            workload(
                "ray.io/v1",
                "RayCluster",
                f"{{headGroupSpec: {{template: {{spec: {CPU}}}}}, workerGroupSpecs: "
                f"[{{groupName: g, replicas: 2, numOfHosts: 2, template: {{spec: {GPU}}}}}]}}",
            ),
            [("worker", 4, 4, "32", "32"), ("head", 1, 1, "0", "0")],
            id="raycluster",
        ),
        pytest.param(
            workload(
                "ray.io/v1",
                "RayCluster",
                "{enableInTreeAutoscaling: true, "
                f"headGroupSpec: {{template: {{spec: {CPU}}}}}, workerGroupSpecs: "
                f"[{{groupName: g, minReplicas: 1, maxReplicas: 4, template: {{spec: {GPU}}}}}]}}",
            ),
            [("worker", 1, 4, "8", "32"), ("head", 1, 1, "0", "0")],
            id="raycluster-autoscaled",
        ),
        pytest.param(
            workload(
                "ray.io/v1",
                "RayService",
                f"{{rayClusterConfig: {{headGroupSpec: {{template: {{spec: {CPU}}}}}, "
                "workerGroupSpecs: "
                f"[{{groupName: g, replicas: 2, template: {{spec: {GPU}}}}}]}}}}",
            ),
            [("worker", 2, 4, "16", "32"), ("head", 1, 2, "0", "0")],
            id="rayservice",
        ),
        pytest.param(
            workload(
                "ray.io/v1",
                "RayJob",
                f"{{suspend: true, rayClusterSpec: {{headGroupSpec: {{template: {{spec: {GPU}}}}}"
                "}}",
            ),
            [("head", 0, 1, "0", "8"), ("submitter", 0, 1, "0", "0")],
            id="rayjob-suspended",
        ),
        pytest.param(
            workload(
                "argoproj.io/v1alpha1",
                "Workflow",
                "{entrypoint: main, templates: [{name: main, steps: [[{name: a, template: train, "
                "withItems: [1, 2, 3]}], [{name: b, template: test}]]}, "
                "{name: train, container: {image: i, resources: {limits: {nvidia.com/gpu: 1}}}}, "
                "{name: test, script: {image: i, source: x}}]}",
            ),
            [("train", 3, 3, "3", "3"), ("test", 1, 1, "0", "0")],
            id="workflow",
        ),
        pytest.param(
            workload(
                "argoproj.io/v1alpha1",
                "Rollout",
                f"{{replicas: 4, strategy: {{blueGreen: {{}}}}, template: {{spec: {GPU}}}}}",
            ),
            [("pod", 4, 8, "32", "64")],
            id="rollout-blue-green",
        ),
        pytest.param(
            workload(
                "argoproj.io/v1alpha1",
                "Rollout",
                f"{{replicas: 4, strategy: {{canary: {{}}}}, template: {{spec: {GPU}}}}}",
            ),
            [("pod", 4, 5, "32", "40")],
            id="rollout-canary",
        ),
        pytest.param(
            workload(
                "batch.volcano.sh/v1alpha1",
                "Job",
                f"{{tasks: [{{name: w, replicas: 3, template: {{spec: {GPU}}}}}]}}",
            ),
            [("w", 3, 3, "24", "24")],
            id="volcano",
        ),
        pytest.param(
            workload(
                "workload.codeflare.dev/v1beta2",
                "AppWrapper",
                f"{{components: [{{template: {job('parallelism: 2,')}}}]}}",
            ),
            [("pod", 2, 2, "16", "16")],
            id="appwrapper",
        ),
        pytest.param(
            workload(
                "keda.sh/v1alpha1",
                "ScaledJob",
                "{maxReplicaCount: 5, jobTargetRef: {parallelism: 2, template: "
                f"{{spec: {GPU}}}}}}}",
            ),
            [("pod", 0, 10, "0", "80")],
            id="scaledjob",
        ),
        pytest.param(
            workload(
                "machinelearning.seldon.io/v1",
                "SeldonDeployment",
                "{predictors: [{name: p, replicas: 2, componentSpecs: [{spec: "
                f"{GPU}, hpaSpec: {{maxReplicas: 5}}}}]}}]}}",
            ),
            [("predictor", 2, 5, "16", "40")],
            id="seldon",
        ),
        pytest.param(
            workload(
                "core.openfeature.dev/v1beta1", "Flagd", "{featureFlagSource: a, replicas: 2}"
            ),
            [("flagd", 2, 2, "0", "0")],
            id="flagd",
        ),
        pytest.param(
            workload("core.openfeature.dev/v1beta1", "Flagd", "{featureFlagSource: a}"),
            [("flagd", 1, 1, "0", "0")],
            id="flagd-of-its-default",
        ),
        pytest.param(
            workload("kubeflow.org/v1beta1", "Workspace", "{kind: jupyterlab, podTemplate: {}}"),
            [("workspace", 1, 1, "0", "0")],
            id="workspace",
        ),
        pytest.param(
            workload(
                "kubeflow.org/v1beta1",
                "Workspace",
                "{kind: jupyterlab, paused: true, podTemplate: {}}",
            ),
            [("workspace", 0, 1, "0", "0")],
            id="workspace-paused",
        ),
        pytest.param(
            workload(
                "core.openfunction.io/v1beta2",
                "Function",
                f"{{serving: {{scaleOptions: {{maxReplicas: 3}}, template: {GPU}}}}}",
            ),
            [("function", 0, 3, "0", "24")],
            id="openfunction",
        ),
        pytest.param(
            workload(
                "tekton.dev/v1",
                "PipelineRun",
                "{pipelineSpec: {tasks: [{name: a, taskSpec: {steps: [{name: s, image: i, "
                "computeResources: {limits: {nvidia.com/gpu: 1}}}, {name: t, image: i, "
                "computeResources: {limits: {nvidia.com/gpu: 1}}}]}}, {name: b, taskRef: {name: x}"
                "}]}}",
            ),
            [("a", 1, 1, "2", "2"), ("b", 1, 1, "0", "0")],
            id="pipelinerun",
        ),
        pytest.param(
            workload(
                "trainer.kubeflow.org/v1alpha1",
                "TrainingRuntime",
                "{template: {spec: {replicatedJobs: [{name: node, template: {spec: {template: "
                f"{{spec: {GPU}}}}}}}}}]}}}}}}",
            ),
            [],
            id="a-template-makes-none",
        ),
    ],
)
def test_pods_and_devices(text: str, expected: list[tuple[str, Any, Any, str, str]]) -> None:
    assert figures(text) == expected


TABLE = Path(__file__).parent / "testdata" / "demands.yaml"
STANDS_FOR = {
    "GPU": yaml.safe_load(GPU)["containers"],
    "GPU1": yaml.safe_load(GPU)["containers"][0],
    "CPU": yaml.safe_load(CPU)["containers"],
    "CPU1": yaml.safe_load(CPU)["containers"][0],
}


def counted() -> list[tuple[Any, list[tuple[Any, ...]]]]:
    return [
        (written_out(one["manifest"]), [tuple(map(str, role)) for role in one["roles"]])
        for one in yaml.safe_load(TABLE.read_text())
    ]


def written_out(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: written_out(one) for key, one in value.items()}
    if isinstance(value, list):
        return [written_out(one) for one in value]
    return STANDS_FOR.get(value, value) if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [pytest.param(*one, id=f"{one[0]['kind']}-{number}") for number, one in enumerate(counted())],
)
def test_every_other_kind(manifest: Any, expected: list[tuple[Any, ...]]) -> None:
    found = figures(yaml.safe_dump(manifest, sort_keys=False))

    assert [tuple(map(str, role)) for role in found] == expected


def summed_up() -> list[tuple[Any, str, dict[str, Any]]]:
    """Give the manifests of the table of which it says what all of it asks for."""
    return [
        (written_out(one["manifest"]), when, one[when])
        for one in yaml.safe_load(TABLE.read_text())
        for when in ("steady", "peak")
        if when in one
    ]


@pytest.mark.parametrize(
    ("manifest", "when", "expected"),
    [
        pytest.param(*one, id=f"{one[0]['kind']}-{one[1]}-{number}")
        for number, one in enumerate(summed_up())
    ],
)
def test_what_the_whole_object_asks_for(manifest: Any, when: str, expected: dict[str, Any]) -> None:
    share = getattr(demand_of(yaml.safe_dump(manifest, sort_keys=False)), when)

    assert {"pods": shown(share.pods), **share.quantities()} == expected


def manifests() -> list[Any]:
    """Give what is counted by hand, of every kind."""
    (table,) = (mark for mark in test_pods_and_devices.pytestmark if mark.name == "parametrize")
    found = [yaml.safe_load(one.values[0]) for one in table.args[1]]
    return found + [manifest for manifest, _ in counted()]


def test_every_kind_of_the_catalogue_is_counted_by_hand() -> None:
    kinds = catalogue.builtin()

    names = {kind.name for kind in map(kinds.of, manifests()) if kind is not None}

    assert {kind.name for kind in kinds.kinds.values()} - names == set()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            "{containers: [{resources: {requests: {cpu: 1, memory: 1Gi}}}, "
            "{resources: {requests: {cpu: 500m}, limits: {memory: 512Mi}}}]}",
            {"cpu": "1500m", "memory": "1536Mi"},
            id="containers-add-up-and-a-limit-implies-a-request",
        ),
        pytest.param(
            "{initContainers: [{resources: {requests: {cpu: 4}}}], "
            "containers: [{resources: {requests: {cpu: 1}}}]}",
            {"cpu": "4"},
            id="an-init-container-may-be-the-most",
        ),
        pytest.param(
            "{initContainers: [{restartPolicy: Always, resources: {requests: {cpu: 1}}}, "
            "{resources: {requests: {cpu: 4}}}], containers: [{resources: {requests: {cpu: 2}}}]}",
            {"cpu": "5"},
            id="an-init-container-runs-beside-native-sidecars-before-it",
        ),
        pytest.param(
            "{initContainers: [{resources: {requests: {cpu: 4}}}, "
            "{restartPolicy: Always, resources: {requests: {cpu: 1}}}], "
            "containers: [{resources: {requests: {cpu: 4}}}]}",
            {"cpu": "5"},
            id="and-not-beside-those-after-it",
        ),
        pytest.param(
            "{resources: {requests: {cpu: 3}}, containers: [{resources: {requests: "
            "{cpu: 1, memory: 1G}}}], overhead: {cpu: 250m, memory: 64M}}",
            {"cpu": "3250m", "memory": "1064M"},
            id="the-pods-own-request-and-overhead",
        ),
        pytest.param(
            "{containers: [{resources: {limits: {nvidia.com/gpu: 2, amd.com/gpu: '1'}}}]}",
            {"amd.com/gpu": "1", "nvidia.com/gpu": "2"},
            id="devices-by-their-limit",
        ),
    ],
)
def test_what_one_pod_asks_for(spec: str, expected: dict[str, str]) -> None:
    assert demand_of(workload("v1", "Pod", spec)).steady.quantities() == expected


def test_a_sequence_of_steps_needs_what_its_largest_needs() -> None:
    found = demand_of(
        workload(
            "argoproj.io/v1alpha1",
            "Workflow",
            "{entrypoint: main, templates: [{name: main, steps: [[{name: a, template: one}], "
            "[{name: b, template: two}]]}, {name: one, container: {resources: {requests: {cpu: 4}}}"
            "}, {name: two, container: {resources: {requests: {memory: 8Gi}}}}]}",
        )
    )

    assert (found.peak.pods, found.peak.quantities()) == (1, {"cpu": "4", "memory": "8Gi"})


def test_parallelism_bounds_a_workflow_of_unknown_size() -> None:
    found = demand_of(
        workload(
            "argoproj.io/v1alpha1",
            "Workflow",
            "{entrypoint: main, parallelism: 2, templates: [{name: main, dag: {tasks: [{name: a, "
            "template: one, withParam: '{{x}}'}]}}, "
            "{name: one, container: {resources: {requests: {cpu: 4}}}}]}",
        )
    )

    assert (found.peak.pods, found.peak.quantities()) == (2, {"cpu": "8"})


def test_placeholders_are_left_out_and_said_so() -> None:
    found = demand_of(
        workload(
            "v1",
            "Pod",
            "{containers: [{resources: {requests: {cpu: '{{inputs.cpu}}', memory: 1Gi}}}]}",
        )
    )

    assert found.steady.quantities() == {"memory": "1Gi"}
    assert found.notes == (
        "pod: cpu: {{inputs.cpu}} can't be read as a quantity and isn't counted",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            workload("v1", "Pod", CPU, ', annotations: {gpu-memory: "2000"}'),
            "pod: gpu-memory: 2000 is a part of a GPU whose size isn't known here, "
            "and isn't counted",
            id="a-part-of-a-gpu-by-its-memory",
        ),
        pytest.param(
            workload(
                "argoproj.io/v1alpha1",
                "Rollout",
                "{workloadRef: {kind: Deployment, name: d}, strategy: {canary: {}}}",
            ),
            'spec.workloadRef: the template is the Deployment "d"\'s; '
            "what its pods ask for isn't counted",
            id="a-template-elsewhere",
        ),
        pytest.param(
            workload("tekton.dev/v1", "PipelineRun", "{pipelineRef: {name: p}}"),
            'spec.pipelineRef: the pipeline "p" is in another object; its pods aren\'t counted',
            id="a-pipeline-elsewhere",
        ),
        pytest.param(
            workload("kubeflow.org/v1beta1", "Workspace", "{kind: jupyterlab, podTemplate: {}}"),
            'spec.kind: the WorkspaceKind "jupyterlab" says what its pod asks for; '
            "it isn't counted",
            id="the-pod-of-a-workspace",
        ),
    ],
)
def test_what_cannot_be_counted_is_said(text: str, expected: str) -> None:
    assert demand_of(text).notes == (expected,)


SENSOR = "spec.triggers.0.template"


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        pytest.param(
            f"{{k8s: {{source: {{resource: {job('parallelism: 2,')}}}}}}}",
            f"{SENSOR}.k8s.source.resource: each event makes a Job of 2 pods, cpu 4, memory 8Gi, "
            "nvidia.com/gpu 16, which is counted once it is there, not with the Sensor",
            id="an-object",
        ),
        pytest.param(
            '{argoWorkflow: {source: {inline: "{apiVersion: argoproj.io/v1alpha1, kind: Workflow, '
            'spec: {entrypoint: a, templates: [{name: a, container: {image: i}}]}}"}}}',
            f"{SENSOR}.argoWorkflow.source.inline: each event makes a Workflow of 1 pod, which is "
            "counted once it is there, not with the Sensor",
            id="a-workflow-in-a-string",
        ),
        pytest.param(
            "{k8s: {source: {git: {url: x}}}}",
            f"{SENSOR}.k8s.source: what a trigger creates is read from git; it isn't known here",
            id="from-elsewhere",
        ),
        pytest.param(
            f"{{k8s: {{operation: delete, source: {{resource: {job('')}}}}}}}",
            None,
            id="what-is-deleted",
        ),
    ],
)
def test_a_sensor_says_what_its_triggers_make(trigger: str, expected: str | None) -> None:
    sensor = f"{{triggers: [{{template: {trigger}}}]}}"

    found = demand_of(workload("argoproj.io/v1alpha1", "Sensor", sensor))

    assert found.notes == ((expected,) if expected else ())


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        pytest.param(
            "Workflow",
            "{workflowTemplateRef: {name: shared}}",
            'spec.workflowTemplateRef: the workflow "shared" is in another object; '
            "its pods aren't counted",
            id="a-whole-workflow",
        ),
        pytest.param(
            "Workflow",
            "{entrypoint: a, templates: [{name: a, dag: {tasks: [{name: s, templateRef: "
            "{name: wt, template: t}}]}}]}",
            'spec.templates.0.dag.tasks.0.templateRef: the template "wt" is in another object; '
            "its pods aren't counted",
            id="a-template",
        ),
    ],
)
def test_parts_of_a_workflow_that_are_elsewhere_are_said(
    kind: str, spec: str, expected: str
) -> None:
    assert demand_of(workload("argoproj.io/v1alpha1", kind, spec)).notes == (expected,)


def test_the_intent_of_a_kind_whose_template_holds_no_devices_counts() -> None:
    found = demand_of(
        "{apiVersion: sparkoperator.k8s.io/v1beta2, kind: SparkApplication, metadata: {name: x}, "
        "spec: {driver: {}, executor: {instances: 3, annotations: "
        "{kubectl-ml.io/accelerator: 'l4:2'}}}}"
    )

    assert found.peak.quantities()["nvidia.com/gpu"] == "6"


def test_spark_writes_memory_as_the_jvm_does() -> None:
    found = demand_of(
        workload(
            "sparkoperator.k8s.io/v1beta2",
            "SparkApplication",
            "{type: Scala, driver: {memory: 512m}, executor: {memory: 10g, cores: 2}}",
        )
    )

    # 512 + 384 at the least; 10240 + a tenth
    assert [role.peak.quantities() for role in found.roles] == [
        {"cpu": "2", "memory": "11Gi"},
        {"cpu": "1", "memory": "896Mi"},
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            # 2048 + 384 at the least, twice; 1024 + 384
            workload(
                "sparkoperator.k8s.io/v1alpha1",
                "SparkConnect",
                "{server: {cores: 1, memory: 1g}, "
                "executor: {instances: 2, cores: 2, memory: 2g}}",
            ),
            [("executor", {"cpu": "4", "memory": "4864Mi"}),
             ("server", {"cpu": "1", "memory": "1408Mi"})],
            id="sparkconnect-without-templates",
        ),
        pytest.param(
            # the submitter beside the head: 500m and 200Mi
            workload(
                "ray.io/v1",
                "RayJob",
                "{submissionMode: SidecarMode, rayClusterSpec: "
                f"{{headGroupSpec: {{template: {{spec: {CPU}}}}}}}}}",
            ),
            [("head", {"cpu": "1", "memory": "200Mi"})],
            id="rayjob-submitted-beside-its-head",
        ),
        pytest.param(
            # 3 masters of 1 + 500m, 2 workers of 2 + 250m; nobody knows what a fuse asks for
            workload(
                "data.fluid.io/v1alpha1",
                "AlluxioRuntime",
                "{replicas: 2, master: {replicas: 3, resources: {requests: {cpu: 1}}}, "
                "jobMaster: {resources: {requests: {cpu: 500m}}}, "
                "worker: {resources: {requests: {cpu: 2, memory: 4Gi}}}, "
                "jobWorker: {resources: {requests: {cpu: 250m}}}}",
            ),
            [("master", {"cpu": "4500m"}), ("worker", {"cpu": "4500m", "memory": "8Gi"}),
             ("fuse", {})],
            id="alluxio-with-its-job-servers",
        ),
    ],
)  # fmt: skip
def test_what_an_operator_adds_of_its_own(
    text: str, expected: list[tuple[str, dict[str, str]]]
) -> None:
    found = [(role.name, role.steady.quantities()) for role in demand_of(text).roles]

    assert found == expected


@given(st.integers(0, 500), st.integers(0, 500))
def test_more_replicas_never_ask_for_less(few: int, more: int) -> None:
    few, more = sorted((few, more))
    less, most = (demand_of(deployment(f"replicas: {count},")) for count in (few, more))

    assert (less.steady.pods or 0) <= (most.steady.pods or 0)
    assert (less.peak.pods or 0) <= (most.peak.pods or 0)


LWS = "leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"
GROUP = f"leaderWorkerTemplate: {{size: 4, workerTemplate: {{spec: {GPU}}}}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # 25 % of 7, rounded up, is 2
        pytest.param(deployment("replicas: 2,"), (1, 9), id="deployment"),
        pytest.param(
            deployment("strategy: {rollingUpdate: {maxSurge: 3}},"), (1, 10), id="surge-by-number"
        ),
        pytest.param(deployment("strategy: {type: Recreate},"), (1, 7), id="recreated"),
        pytest.param(
            workload("apps/v1", "StatefulSet", f"{{replicas: 3, template: {{spec: {GPU}}}}}"),
            (1, 7),
            id="statefulset",
        ),
        pytest.param(
            workload(
                "argoproj.io/v1alpha1",
                "Rollout",
                f"{{strategy: {{blueGreen: {{}}}}, template: {{spec: {GPU}}}}}",
            ),
            (1, 14),
            id="blue-green",
        ),
        # a replica is a group of 4
        pytest.param(workload(*LWS, f"{{replicas: 2, {GROUP}}}"), (4, 28), id="leaderworkerset"),
        pytest.param(
            workload(
                *LWS,
                f"{{{GROUP}, rolloutStrategy: {{rollingUpdateConfiguration: {{maxSurge: 1}}}}}}",
            ),
            (4, 32),
            id="leaderworkerset-with-surge",
        ),
        # only the workers are scaled
        pytest.param(
            workload(
                "kubeflow.org/v1",
                "PyTorchJob",
                f"{{pytorchReplicaSpecs: {{Master: {{template: {{spec: {GPU}}}}}, "
                f"Worker: {{replicas: 3, template: {{spec: {GPU}}}}}}}}}",
            ),
            (2, 8),
            id="pytorchjob",
        ),
    ],
)
def test_an_autoscaler_sets_the_range(text: str, expected: tuple[int, int]) -> None:
    obj = yaml.safe_load(text)
    known = catalogue.builtin()
    kind = known.of(obj)
    assert kind is not None

    found = demand.of(obj, kind, known, {}, range_of=Range(1, 7))

    assert (found.steady.pods, found.peak.pods) == expected
    assert sum(role.steady.pods or 0 for role in found.roles) == expected[0]
    assert sum(role.peak.pods or 0 for role in found.roles) == expected[1]
    assert obj == yaml.safe_load(text)


SELDON = "machinelearning.seldon.io/v1"
ORCHESTRATOR = "svcOrchSpec: {resources: {requests: {cpu: 500m}}"
COMPONENT = "{spec: {containers: [{name: c, resources: {requests: {cpu: 1}}}]}}"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            f"{{predictors: [{{replicas: 2, componentSpecs: [{COMPONENT}, {COMPONENT}], "
            f"{ORCHESTRATOR}}}}}]}}",
            [("predictor", 2, "3"), ("predictor", 2, "2")],
            id="beside-the-first-component",
        ),
        pytest.param(
            f"{{predictors: [{{componentSpecs: [{COMPONENT}]}}, "
            f"{{componentSpecs: [{COMPONENT}], {ORCHESTRATOR}}}}}]}}",
            [("predictor", 1, "1"), ("predictor", 1, "1500m")],
            id="of-the-second-predictor",
        ),
        pytest.param(
            f"{{predictors: [{{replicas: 2, graph: {{}}, {ORCHESTRATOR}}}}}]}}",
            [("predictor", 2, "1")],
            id="beside-a-server-of-its-own",
        ),
        pytest.param(
            "{annotations: {seldon.io/engine-separate-pod: 'true'}, predictors: [{replicas: 2, "
            f"componentSpecs: [{COMPONENT}], {ORCHESTRATOR}, replicas: 3}}}}]}}",
            [("predictor", 2, "2"), ("orchestrator", 3, "1500m")],
            id="in-a-pod-of-its-own",
        ),
        pytest.param(
            "{annotations: {seldon.io/engine-separate-pod: 'true'}, predictors: [{replicas: 2, "
            f"componentSpecs: [{COMPONENT}]}}]}}",
            [("predictor", 2, "2"), ("orchestrator", 2, "0")],
            id="in-as-many-pods-as-its-predictor",
        ),
    ],
)
def test_seldons_orchestrator_is_counted(spec: str, expected: Any) -> None:
    found = demand_of(workload(SELDON, "SeldonDeployment", spec))

    assert [
        (role.name, role.steady.pods, role.steady.quantities().get("cpu", "0"))
        for role in found.roles
    ] == expected
