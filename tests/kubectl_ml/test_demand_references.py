"""Objects with a part of their pods in another object: found beside them, or in the cluster."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.kubectl_ml.apiserver import APIServer
from tests.kubectl_ml.program import Outcome, invoke

ML = Callable[..., Outcome]
CPU = "resources: {{requests: {{cpu: '{0}'}}}}"


def container(cpu: int) -> str:
    return f"{{name: c, image: i, {CPU.format(cpu)}}}"


def steps(cpu: int) -> str:
    return f"{{steps: [{{name: s, image: i, computeR{CPU.format(cpu)[1:]}}}]}}"


def tekton(kind: str, name: str, spec: str, intents: str = "") -> str:
    metadata = f"{{name: {name}, namespace: ml, annotations: {{{intents}}}}}"
    return f"{{apiVersion: tekton.dev/v1, kind: {kind}, metadata: {metadata}, spec: {spec}}}"


def argo(kind: str, name: str, spec: str, intents: str = "") -> str:
    metadata = f"{{name: {name}, namespace: ml, annotations: {{{intents}}}}}"
    head = f"apiVersion: argoproj.io/v1alpha1, kind: {kind}"
    return f"{{{head}, metadata: {metadata}, spec: {spec}}}"


L4 = "kubectl-ml.io/accelerator: 'l4:1'"
RUN = tekton("PipelineRun", "run", "{pipelineRef: {name: build}}", L4)
PIPELINE = tekton(
    "Pipeline",
    "build",
    f"{{tasks: [{{name: a, taskRef: {{name: fit}}}}, {{name: b, taskSpec: {steps(1)}}}]}}",
)
TASK = tekton("Task", "fit", steps(3))
TASK_RUN = tekton("TaskRun", "once", "{taskRef: {name: fit}}")
FAN = (
    "{entrypoint: fan, templates: ["
    "{name: fan, dag: {tasks: [{name: p, template: work}, {name: q, template: work}, "
    "{name: r, templateRef: {name: all, template: c, clusterScope: true}}]}}, "
    f"{{name: work, container: {container(2)}}}]}}"
)
SHARED = argo("WorkflowTemplate", "shared", FAN, L4)
ALL = argo(
    "ClusterWorkflowTemplate", "all", f"{{templates: [{{name: c, container: {container(5)}}}]}}"
)
STEP = (
    "{entrypoint: main, templates: [{name: main, steps: [[{name: x, "
    "templateRef: {name: shared, template: fan}, withItems: [1, 2]}]]}]}"
)
WHOLE = "{workflowTemplateRef: {name: shared}}"
ROLLOUT = argo(
    "Rollout",
    "web",
    "{replicas: 3, workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web}}",
)
DEPLOYMENT = (
    f"{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web, namespace: ml, annotations: "
    f"{{{L4}}}}}, spec: {{replicas: 0, template: {{spec: {{containers: [{container(1)}]}}}}}}}}"
)
EXPERIMENT = """
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: tune, namespace: ml}
spec:
  parallelTrialCount: 3
  trialTemplate:
    configMap: {configMapName: trials, configMapNamespace: ml, templatePath: job.yaml}
"""
TRIALS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: trials, namespace: ml}
data:
  job.yaml: |
    apiVersion: batch/v1
    kind: Job
    spec:
      parallelism: 2
      template:
        spec:
          containers:
          - name: main
            image: i
            args: [--lr, "${trialParameters.lr}"]
            resources: {requests: {cpu: 2}}
"""
GPU = "nvidia.com/gpu"

CASES = [
    pytest.param([RUN, PIPELINE, TASK], [("a", 1, "3", "1"), ("b", 1, "1", "1")], id="pipeline"),
    pytest.param([TASK_RUN, TASK], [("task", 1, "3", None)], id="task"),
    pytest.param(
        [argo("Workflow", "wf", STEP), SHARED, ALL],
        [("shared/work", 4, "8", "4"), ("all/c", 2, "10", None)],
        id="templates-of-templates",
    ),
    pytest.param(
        [argo("Workflow", "wf", WHOLE), SHARED, ALL],
        [("work", 2, "4", "2"), ("all/c", 1, "5", None)],
        id="a-whole-workflow",
    ),
    pytest.param(
        [EXPERIMENT, TRIALS],
        [("suggestion", 1, None, None), ("pod", 6, "12", None)],
        id="trials-in-a-config-map",
    ),
    pytest.param([ROLLOUT, DEPLOYMENT], [("pod", 3, "3", "3")], id="rollout"),
]


def counted(outcome: Outcome, kind: str) -> list[tuple[str, int, str, str | None]]:
    """List the roles of the one object of a kind: name, pods, cpu, devices."""
    [found] = [one for one in json.loads(outcome.out)["items"] if one["kind"] == kind]
    steady = [(role["name"], role["steady"]) for role in found["roles"]]
    return [
        (name, one["pods"], one["requests"].get("cpu"), one["requests"].get(GPU))
        for name, one in steady
    ]


@pytest.mark.parametrize("order", [1, -1], ids=["before", "after"])
@pytest.mark.parametrize(("documents", "roles"), CASES)
def test_what_stands_in_another_manifest_is_counted(
    documents: list[str], roles: list[Any], order: int
) -> None:
    text = "\n---\n".join(documents[::order])

    outcome = invoke("demand", "-f", "-", "-o", "json", stdin=text.encode())

    assert counted(outcome, yaml.safe_load(documents[0])["kind"]) == roles
    assert "another object" not in outcome.err


PLURALS = {
    "tekton.dev/v1": {
        "PipelineRun": "pipelineruns",
        "Pipeline": "pipelines",
        "Task": "tasks",
        "TaskRun": "taskruns",
    },
    "argoproj.io/v1alpha1": {
        "Workflow": "workflows",
        "WorkflowTemplate": "workflowtemplates",
        "ClusterWorkflowTemplate": "clusterworkflowtemplates",
        "Rollout": "rollouts",
    },
    "apps/v1": {"Deployment": "deployments"},
    "kubeflow.org/v1beta1": {"Experiment": "experiments"},
    "v1": {"ConfigMap": "configmaps"},
}


@pytest.mark.parametrize(("documents", "roles"), CASES)
def test_what_stands_in_another_object_of_the_cluster_is_counted(
    server: APIServer, ml: ML, documents: list[str], roles: list[Any]
) -> None:
    for found in map(yaml.safe_load, documents):
        version, kind = found["apiVersion"], found["kind"]
        server.kinds[version] = PLURALS[version]
        within = "" if kind.startswith("Cluster") else "/namespaces/ml"
        name = found["metadata"]["name"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        server.objects[f"{base}{within}/{PLURALS[version][kind]}/{name}"] = found
    first = yaml.safe_load(documents[0])

    outcome = ml("demand", f"{first['kind']}/{first['metadata']['name']}", "-o", "json")

    assert counted(outcome, first["kind"]) == roles
    assert outcome.err == ""


@pytest.mark.parametrize(
    ("document", "pods", "said"),
    [
        pytest.param(
            RUN,
            0,
            'PipelineRun "run": spec.pipelineRef: the pipeline "build" is in another object; its '
            "pods aren't counted",
            id="pipeline",
        ),
        pytest.param(
            TASK_RUN,
            1,
            'TaskRun "once": spec.taskRef: the task "fit" is in another object; what its pod asks '
            "for isn't counted",
            id="task",
        ),
        pytest.param(
            tekton(
                "PipelineRun",
                "run",
                PIPELINE.split("spec: ", 1)[1][:-1].join(["{pipelineSpec: ", "}"]),
            ),
            2,
            'PipelineRun "run": spec.pipelineSpec.tasks.0.taskRef: the task "fit" is in another '
            "object; what its pod asks for isn't counted",
            id="task-of-a-pipeline",
        ),
        pytest.param(
            argo("Workflow", "wf", STEP),
            0,
            'Workflow "wf": spec.templates.0.steps.0.0.templateRef: the template "shared" is in '
            "another object; its pods aren't counted",
            id="template",
        ),
        pytest.param(
            EXPERIMENT,
            1,
            'Experiment "tune": spec.trialTemplate.configMap: the trials are in the ConfigMap '
            '"trials"; their pods aren\'t counted',
            id="trials",
        ),
        pytest.param(
            ROLLOUT,
            3,
            'Rollout "web": spec.workloadRef: the template is the Deployment "web"\'s; what its '
            "pods ask for isn't counted",
            id="rollout",
        ),
    ],
)
def test_what_is_nowhere_to_be_found_is_said(document: str, pods: int, said: str) -> None:
    outcome = invoke("demand", "-f", "-", "-o", "json", stdin=document.encode())

    assert json.loads(outcome.out)["total"]["steady"]["pods"] == pods
    assert outcome.err.splitlines() == [f"Warning: {said}"]


def test_an_object_of_another_namespace_is_not_meant() -> None:
    elsewhere = PIPELINE.replace("namespace: ml", "namespace: other")

    outcome = invoke("demand", "-f", "-", stdin=f"{RUN}\n---\n{elsewhere}\n".encode())

    assert 'the pipeline "build" is in another object' in outcome.err
