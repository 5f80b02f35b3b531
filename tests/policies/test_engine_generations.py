"""TrainJobs of each generation of Kubeflow's Trainer: intents go into the field that is served."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.model import Facts, Manifest
from policies.workloads import generations
from tests.builders import (
    INJECTED,
    at,
    but_kueues,
    intents,
    messages,
    mutated,
    plain,
    review,
    stripped,
    workload,
)

TRAIN = "TrainJob.trainer.kubeflow.org"
NODE = [{"name": "node"}]
ASKED = {"accelerator": "l4:2", "shm": "2Gi"}
QUEUED = {**ASKED, "queue": "team-a"}
MOUNT = {"name": "dshm", "mountPath": "/dev/shm"}  # noqa: S108 -- what is mounted
PLACED = {
    "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"},
    "tolerations": [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
        {"key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
    ],
    "containers": [{"name": "node", "volumeMounts": [MOUNT]}],
    "volumes": [{"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}],
}
GPUS = {"limits": {"nvidia.com/gpu": "2"}, "requests": {"nvidia.com/gpu": "2"}}
FIELDS = ("runtimePatches", "podTemplateOverrides", "podSpecOverrides")
every_generation = pytest.mark.parametrize("field", FIELDS)


def serving(field: str) -> Facts:
    return Facts(fields=frozenset({(TRAIN, field)}))


def without_record(node: Any) -> Any:
    """Leave out the provenance, and the annotations that this leaves empty."""
    if isinstance(node, dict):
        found = {key: without_record(one) for key, one in node.items() if key != INJECTED}
        return {key: one for key, one in found.items() if one != {}}
    return [without_record(one) for one in node] if isinstance(node, list) else node


def patched(template: Any, job: str = "node") -> Any:
    jobs = [{"name": job, "template": {"spec": {"template": template}}}]
    runtime = {"template": {"spec": {"replicatedJobs": jobs}}}
    return [{"manager": "kubectl-ml.io/intents", "trainingRuntimeSpec": runtime}]


CARRIED = {"metadata": {"annotations": intents(**ASKED)}}
WHOLE = {"metadata": {"annotations": intents(**ASKED)}, "spec": PLACED}


@pytest.mark.parametrize(
    ("field", "wanted", "overrides", "trainer"),
    [
        pytest.param("runtimePatches", ASKED, patched(CARRIED), {"numNodes": 2}, id="2.2"),
        pytest.param(
            "podTemplateOverrides",
            ASKED,
            [{"targetJobs": NODE, **CARRIED}],
            {"numNodes": 2},
            id="2.1",
        ),
        pytest.param(
            "podSpecOverrides",
            ASKED,
            [{"targetJobs": NODE, **PLACED}],
            {"numNodes": 2, "resourcesPerNode": GPUS},
            id="2.0-to-whose-pods-nothing-travels",
        ),
        pytest.param(
            "runtimePatches",
            QUEUED,
            patched(WHOLE),
            {"numNodes": 2, "resourcesPerNode": GPUS},
            id="2.2-queued",
        ),
        pytest.param(
            "podTemplateOverrides",
            QUEUED,
            [{"targetJobs": NODE, **WHOLE}],
            {"numNodes": 2, "resourcesPerNode": GPUS},
            id="2.1-queued",
        ),
        pytest.param(
            "podSpecOverrides",
            QUEUED,
            [{"targetJobs": NODE, **PLACED}],
            {"numNodes": 2, "resourcesPerNode": GPUS},
            id="2.0-queued",
        ),
    ],
)
def test_intents_go_into_the_field_that_the_cluster_serves(
    field: str, wanted: dict[str, str], overrides: Any, trainer: Any
) -> None:
    spec = without_record(mutated(workload("TrainJob", **wanted), facts=serving(field))["spec"])

    spec.pop("suspend", None)
    assert spec == {
        "runtimeRef": {"name": "torch-distributed"},
        "trainer": trainer,
        field: overrides,
    }


@pytest.mark.parametrize("field", FIELDS[1:])
def test_a_field_that_is_written_tells_the_generation_where_nothing_else_does(field: str) -> None:
    one = workload("TrainJob", **ASKED)
    one["spec"][field] = [{"targetJobs": NODE}]

    assert FIELDS[0] not in mutated(one)["spec"]
    assert mutated(one)["spec"][field] == mutated(one, facts=serving(field))["spec"][field]


def test_what_is_served_beats_what_is_written_for_another_cluster() -> None:
    one = workload("TrainJob", **ASKED)
    one["spec"]["runtimePatches"] = [{"manager": "me"}]

    spec = mutated(one, facts=serving("podTemplateOverrides"))["spec"]

    assert spec["runtimePatches"] == [{"manager": "me"}]  # which the API server will drop
    assert spec["podTemplateOverrides"] == [{"targetJobs": NODE, **CARRIED}]


@every_generation
def test_injecting_twice_changes_nothing(field: str) -> None:
    once = mutated(workload("TrainJob", **QUEUED), facts=serving(field))

    assert review(once, facts=serving(field)).patch == []
    assert review(once, old=once, facts=serving(field)).patch == []


@every_generation
def test_applying_the_manifest_again_gives_back_what_was_added(field: str) -> None:
    one = workload("TrainJob", **QUEUED)
    stored = but_kueues(mutated(one, facts=serving(field)))

    assert but_kueues(mutated(one, old=stored, facts=serving(field))) == stored


@every_generation
@pytest.mark.parametrize("told", [True, False], ids=["told", "not-told"])
def test_what_was_added_can_be_taken_out(field: str, told: bool) -> None:
    one = workload("TrainJob", **QUEUED)
    stored = mutated(one, facts=serving(field))

    found = stripped(stored, facts=serving(field) if told else None)

    assert (found.left, plain(found.object)) == ((), plain(one))


@pytest.mark.parametrize("field", FIELDS[1:])
def test_overrides_of_others_are_left_alone(field: str) -> None:
    """An override is for the jobs that it names, and a later one counts for what both say."""

    def override(job: str, value: str) -> Manifest:
        said = {"nodeSelector": {"a": value}}
        body = said if field == "podSpecOverrides" else {"spec": said}
        return {"targetJobs": [{"name": job}], **body}

    theirs = [override("node", "1"), override("model-initializer", "2"), override("node", "3")]
    one = workload("TrainJob", **ASKED)
    one["spec"][field] = theirs

    stored = mutated(one, facts=serving(field))

    assert stored["spec"][field][:2] == theirs[:2]
    assert [each["targetJobs"][0]["name"] for each in stored["spec"][field]] == [
        each["targetJobs"][0]["name"] for each in theirs
    ]
    assert plain(stripped(stored, facts=serving(field)).object) == plain(one)


def test_a_launcher_that_is_a_node_has_an_override_of_its_own() -> None:
    one = workload("TrainJob", **ASKED)
    one["spec"]["runtimeRef"] = {"name": "deepspeed-distributed"}

    spec = mutated(one, facts=serving("podTemplateOverrides"))["spec"]

    assert spec["podTemplateOverrides"] == [
        {"targetJobs": [{"name": name}], **CARRIED} for name in ("node", "launcher")
    ]


MPI = ("TrainingRuntime", "team", "mpi")
OTHERS = frozenset(
    {MPI, ("TrainingRuntime", "elsewhere", "near"), ("TrainingRuntime", "team", "b")}
)


@pytest.mark.parametrize(
    ("reference", "jobs"),
    [
        pytest.param({"kind": "TrainingRuntime", "name": "mpi"}, ["node", "launcher"], id="own"),
        pytest.param({"name": "mpi"}, ["node"], id="of-the-cluster-with-the-same-name"),
        pytest.param({"kind": "TrainingRuntime", "name": "near"}, ["node"], id="elsewhere"),
        pytest.param({"name": "deepspeed-distributed"}, ["node", "launcher"], id="shipped"),
    ],
)
@every_generation
def test_a_launcher_of_a_runtime_of_ones_own_receives_where_it_is_a_node(
    field: str, reference: dict[str, str], jobs: list[str]
) -> None:
    facts = replace(serving(field), launchers=OTHERS)
    one = workload("TrainJob", **QUEUED)
    one["spec"]["runtimeRef"] = reference

    stored = mutated(one, facts=facts, namespace="team")

    assert receiving(stored["spec"][field]) == jobs
    again = review(stored, facts=facts, namespace="team")
    assert again.patch == []
    assert plain(stripped(stored).object) == plain(one)


def receiving(overrides: Any) -> list[str]:
    """Name the jobs whose pods are placed."""
    found = [
        (one["targetJobs"][0]["name"], one.get("spec", one))
        for one in overrides
        if "targetJobs" in one
    ] or [
        (job["name"], job["template"]["spec"]["template"]["spec"])
        for one in overrides
        for job in one["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    ]
    return [name for name, spec in found if spec["nodeSelector"] == PLACED["nodeSelector"]]


def test_what_an_override_cannot_hold_is_said() -> None:
    """Nothing travels to these pods, so what their override can't hold would be lost."""
    one = workload("TrainJob", **ASKED, sidecars="logs")

    decision = review(one, facts=serving("podSpecOverrides"))

    assert decision.warnings == (
        "intents: the template of a TrainJob.trainer.kubeflow.org can't hold initContainers; "
        "its pods go without, for a Trainer of this age hands nothing on to them; write it into "
        "the template of its runtime",
    )
    assert messages(decision) == []


# --- what the API server says ------------------------------------------------------------------

URL = "/openapi/v3/apis/trainer.kubeflow.org/v1alpha1?hash=A1"


def document(*properties: str, kind: str = "TrainJob") -> Any:
    """Write a part of an OpenAPI document as an API server does."""
    named = {"group": "trainer.kubeflow.org", "kind": kind, "version": "v1alpha1"}
    spec = {"type": "object", "properties": {one: {"type": "array"} for one in properties}}
    schema = {"x-kubernetes-group-version-kind": [named], "properties": {"spec": spec}}
    return {"components": {"schemas": {"io.kubeflow.trainer.v1alpha1.TrainJob": schema}}}


def test_the_index_says_where_a_schema_is() -> None:
    index = {
        "paths": {
            "apis/trainer.kubeflow.org/v1alpha1": {"serverRelativeURL": URL},
            "apis/batch/v1": {"serverRelativeURL": "/openapi/v3/apis/batch/v1?hash=B2"},
        }
    }

    assert generations.documents(index) == {TRAIN: URL}


@pytest.mark.parametrize(
    ("found", "field"),
    [
        (document("runtimePatches", "trainer"), "runtimePatches"),
        (document("podTemplateOverrides"), "podTemplateOverrides"),
        (document("podSpecOverrides"), "podSpecOverrides"),
        (document("podSpecOverrides", "runtimePatches"), "runtimePatches"),
        (document("trainer"), ""),
        (document("runtimePatches", kind="Other"), ""),
        ({"kind": "Status"}, ""),
        (None, ""),
    ],
)
def test_the_schema_says_which_field_it_has(found: Any, field: str) -> None:
    assert generations.field_of(found, TRAIN) == field


@every_generation
def test_a_train_job_in_another_object_is_of_the_same_generation(field: str) -> None:
    inner = workload("TrainJob", **ASKED)
    outer = {
        "apiVersion": "workload.codeflare.dev/v1beta2",
        "kind": "AppWrapper",
        "metadata": {"name": "a"},
        "spec": {"components": [{"template": inner}]},
    }

    stored = mutated(outer, facts=serving(field))
    spec = stored["spec"]["components"][0]["template"]["spec"]

    assert [one for one in FIELDS if at(spec, one)] == [field]
    assert stripped(stored).left == ()
    assert plain(stripped(stored).object) == plain(outer)
