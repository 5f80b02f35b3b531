"""`kubectl ml demand` as it is called: what it prints and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kubectl_ml.program import invoke

POD = "{containers: [{name: c, image: i}]}"
GOOD = f"{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: good}}, spec: {{replicas: 2, template: {{spec: {POD}}}}}}}"  # noqa: E501 -- one document
BAD = [
    pytest.param("apps/v1", "Deployment", "replicas: five", 'spec.replicas is "five"', id="text"),
    pytest.param("apps/v1", "Deployment", "replicas: -3", "spec.replicas is -3", id="negative"),
    pytest.param("apps/v1", "StatefulSet", "replicas: 1.5", "spec.replicas is 1.5", id="fraction"),
    pytest.param("batch/v1", "Job", "parallelism: two", 'spec.parallelism is "two"', id="job"),
    pytest.param("batch/v1", "Job", "completions: -1", "spec.completions is -1", id="completions"),
]


@pytest.mark.parametrize(("api_version", "kind", "count", "what"), BAD)
def test_a_count_that_is_none_is_refused_and_the_rest_is_printed(
    tmp_path: Path, api_version: str, kind: str, count: str, what: str
) -> None:
    file = tmp_path / "both.yaml"
    bad = (
        f"{{apiVersion: {api_version}, kind: {kind}, metadata: {{name: bad}}, "
        f"spec: {{{count}, template: {{spec: {POD}}}}}}}"
    )
    file.write_text(f"{bad}\n---\n{GOOD}\n")

    outcome = invoke("demand", "-f", file, "-o", "json")

    printed = json.loads(outcome.out)
    assert [(one["name"], one["steady"]["pods"]) for one in printed["items"]] == [("good", 2)]
    assert printed["total"]["steady"]["pods"] == 2
    assert outcome.err == (
        f'error: {file}: {kind} "bad": {what}, which the API server refuses; '
        "write a whole number that isn't negative\n"
        "hint: these weren't counted; all others were\n"
    )
    assert outcome.code == 1


def test_a_placeholder_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(GOOD.replace("replicas: 2", "replicas: '${REPLICAS}'"))

    assert invoke("demand", "-f", file).code == 0


# --- a TrainJob's runtime ----------------------------------------------------------------------

NODE = "template: {spec: {template: {spec: {containers: [{name: node, image: i}]}}}}"
MPI = (
    "{numNodes: 1, mpi: {runLauncherAsNode: true}}",
    f"[{{name: node, {NODE}}}, {{name: launcher, {NODE}}}]",
)
PLAIN = ("{numNodes: 5}", f"[{{name: node, {NODE}}}]")


def runtime(kind: str, name: str, shape: tuple[str, str]) -> str:
    policy, jobs = shape
    return (
        f"{{apiVersion: trainer.kubeflow.org/v1alpha1, kind: {kind}, metadata: {{name: {name}}}, "
        f"spec: {{mlPolicy: {policy}, template: {{spec: {{replicatedJobs: {jobs}}}}}}}}}"
    )


def training(runtime_ref: str, nodes: str) -> str:
    return (
        "{apiVersion: trainer.kubeflow.org/v1alpha1, kind: TrainJob, metadata: {name: bert}, "
        f"spec: {{runtimeRef: {runtime_ref}, trainer: {{{nodes}}}}}}}"
    )


CLUSTER_MPI = runtime("ClusterTrainingRuntime", "ours", MPI)
UNKNOWN = (
    'Warning: TrainJob "bert": spec.runtimeRef: the ClusterTrainingRuntime "ours" isn\'t among '
    "the manifests, so its nodes are counted by spec.trainer.numNodes alone; give its manifest "
    "too\n"
)
NO_PODS = 'Warning: {0} "{1}": a {0} makes no pods itself\n'


@pytest.mark.parametrize(
    ("documents", "pods", "err"),
    [
        pytest.param([training("{name: ours}", "numNodes: 3")], 3, UNKNOWN, id="not-there"),
        pytest.param(
            [training("{name: torch-distributed}", "numNodes: 3")], 3, "", id="a-shipped-one"
        ),
        pytest.param(
            [CLUSTER_MPI, training("{name: ours}", "numNodes: 3")],
            3,
            NO_PODS.format("ClusterTrainingRuntime", "ours"),
            id="launcher-as-node",
        ),
        pytest.param(
            [training("{name: ours}", "numNodes: 1"), CLUSTER_MPI],
            2,
            NO_PODS.format("ClusterTrainingRuntime", "ours"),
            id="launcher-as-node-beside-the-least-of-nodes",
        ),
        pytest.param(
            [
                runtime("TrainingRuntime", "ours", PLAIN),
                training("{kind: TrainingRuntime, name: ours}", ""),
            ],
            5,
            NO_PODS.format("TrainingRuntime", "ours"),
            id="the-runtimes-own-number",
        ),
        pytest.param(
            [
                runtime("ClusterTrainingRuntime", "mlx-distributed", PLAIN),
                training("{name: mlx-distributed}", "numNodes: 3"),
            ],
            3,
            NO_PODS.format("ClusterTrainingRuntime", "mlx-distributed"),
            id="a-shipped-name-for-something-else",
        ),
    ],
)
def test_a_training_has_the_nodes_that_its_runtime_gives_it(
    tmp_path: Path, documents: list[str], pods: int, err: str
) -> None:
    file = tmp_path / "all.yaml"
    file.write_text("\n---\n".join(documents))

    outcome = invoke("demand", "-f", file, "-o", "json")

    assert json.loads(outcome.out)["total"]["steady"]["pods"] == pods
    assert outcome.err == err
