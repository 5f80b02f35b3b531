"""Workflows: the containers of Argo's and Tekton's pods, and those of a user's notebook server."""

from __future__ import annotations

from typing import Any

import pytest

from policies.model import Manifest
from tests.builders import container, controlled_by, intents, messages, mutated, pod, review

GPU = {"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}}
STEPS = [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]
HELD_BACK = (
    "intents: the template of a {}.tekton.dev can't hold affinity, tolerations; "
    "what needs them is added to its pods when they are created"
)


def tekton(kind: str, spec: Manifest, version: str = "v1", **wanted: str) -> Manifest:
    return {
        "apiVersion": f"tekton.dev/{version}",
        "kind": kind,
        "metadata": {"name": "bert", "annotations": intents(**wanted)},
        "spec": spec,
    }


def steps_of(obj: Any, kind: str) -> Any:
    spec = obj["spec"]
    if kind.startswith("Pipeline"):
        return spec.get("pipelineSpec", spec)["tasks"][0]["taskSpec"]["steps"]
    return spec.get("taskSpec", spec)["steps"]


def written(kind: str) -> Manifest:
    task = {"steps": [dict(one) for one in STEPS]}
    pipeline = {"tasks": [{"name": "x", "taskSpec": task}]}
    run = {"TaskRun": {"taskSpec": task}, "PipelineRun": {"pipelineSpec": pipeline}}
    return run.get(kind, pipeline if kind == "Pipeline" else task)


@pytest.mark.parametrize("kind", ["Task", "TaskRun", "Pipeline", "PipelineRun"])
@pytest.mark.parametrize(
    ("version", "member"), [("v1", "computeResources"), ("v1beta1", "resources")]
)
def test_a_tekton_step_gets_devices_and_the_memory_beside_them(
    kind: str, version: str, member: str
) -> None:
    plain = tekton(kind, written(kind), version, accelerator="gpu", shm="1Gi")

    decision = review(plain, stage="template")

    mount = [{"name": "dshm", "mountPath": "/dev/shm"}]  # noqa: S108 -- what is mounted
    assert steps_of(decision.object, kind) == [
        {"name": "a", "image": "i", member: GPU, "volumeMounts": mount},
        {"name": "b", "image": "i"},
    ]


def test_where_a_tekton_pod_runs_is_left_to_its_creation() -> None:
    plain = tekton("TaskRun", written("TaskRun"), accelerator="a100")

    decision = review(plain, stage="template")

    assert decision.warnings == (HELD_BACK.format("TaskRun"),)
    assert decision.object["spec"].keys() == {"taskSpec"}


@pytest.mark.parametrize(
    ("task", "wanted", "devices"),
    [
        pytest.param("x", {}, True, id="any-task"),
        pytest.param("x", {"roles": "x"}, True, id="the-one-that-is-named"),
        pytest.param("y", {"roles": "x"}, False, id="another"),
    ],
)
def test_annotations_that_tekton_copies_reach_the_tasks_that_receive(
    task: str, wanted: dict[str, str], devices: bool
) -> None:
    labels = {"tekton.dev/taskRun": "bert-x", "tekton.dev/pipelineTask": task}
    owner = controlled_by("TaskRun", "tekton.dev/v1")
    spec = {"containers": [container("step-a"), container("step-b")]}

    made = pod(owner=owner, labels=labels, spec=spec, accelerator="gpu", **wanted)

    found = [one.get("resources") for one in mutated(made)["spec"]["containers"]]
    assert found == [GPU if devices else None, None]


@pytest.mark.parametrize(
    ("parts", "first", "receives"),
    [
        pytest.param(
            {
                "owner": controlled_by("Workflow", "argoproj.io/v1alpha1"),
                "labels": {"workflows.argoproj.io/workflow": "bert"},
            },
            "wait",
            "main",
            id="argo-and-kubeflow-pipelines",
        ),
        pytest.param(
            {"labels": {"app.kubernetes.io/managed-by": "kubespawner"}},
            "proxy",
            "notebook",
            id="kubespawner",
        ),
        pytest.param({}, "main", "other", id="no-label-and-the-first-receives"),
    ],
)
def test_a_pod_is_known_by_its_labels(parts: dict[str, Any], first: str, receives: str) -> None:
    names = [first, receives] if parts else [receives, first]
    made = pod(spec={"containers": [container(one) for one in names]}, accelerator="gpu", **parts)

    found = {one["name"]: one.get("resources") for one in mutated(made)["spec"]["containers"]}

    assert found == {first: None, receives: GPU}


STRING = (
    "intents: {} is a string, to which nothing can be added{}; write the intents into what it holds"
)
OPAQUE = " (it is a string that can't be read as an object)"


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        pytest.param(
            "{apiVersion: batch/v1, kind: Job, metadata: {name: x}}",
            (STRING.format("spec.templates.0.resource.manifest", ""),),
            id="a-job",
        ),
        pytest.param(
            "{{inputs.parameters.manifest}}",
            (STRING.format("spec.templates.0.resource.manifest", OPAQUE),),
            id="a-placeholder",
        ),
        pytest.param("{apiVersion: v1, kind: ConfigMap}", (), id="no-pods"),
    ],
)
@pytest.mark.parametrize("stage", ["template", "admission"])
def test_what_is_made_of_a_string_gets_no_intents_and_that_is_said(
    manifest: str, expected: tuple[str, ...], stage: str
) -> None:
    plain: Manifest = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "bert", "annotations": intents(accelerator="gpu")},
        "spec": {
            "entrypoint": "a",
            "podSpecPatch": "{{workflow.parameters.patch}}",
            "templates": [
                {"name": "a", "resource": {"action": "create", "manifest": manifest}},
                {"name": "b", "container": {"image": "{{inputs.parameters.image}}"}},
            ],
        },
    }

    decision = review(plain, stage=stage)

    assert decision.warnings == expected
    made = decision.object["spec"]
    assert made["podSpecPatch"] == plain["spec"]["podSpecPatch"]
    assert made["templates"][0] == plain["spec"]["templates"][0]
    assert made["templates"][1]["container"]["image"] == "{{inputs.parameters.image}}"


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("x", []),
        ("there", []),
        ("y", ['kubectl-ml.io/roles: this PipelineRun has no role "y"; it has there, x']),
    ],
)
def test_the_tasks_of_a_pipeline_are_its_roles_wherever_they_are_written(
    role: str, expected: list[str]
) -> None:
    run = written("PipelineRun")
    run["pipelineSpec"]["tasks"].append({"name": "there", "taskRef": {"name": "t"}})

    decision = review(tekton("PipelineRun", run, accelerator="gpu", roles=role))

    assert [one.partition(" There ")[0] for one in messages(decision)] == expected
