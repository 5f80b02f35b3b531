"""
Kubeflow's Trainer, with JobSet under it: what its webhook takes, and the pods of its TrainJobs.

This is version 2.3. What can't be run beside it: 2.0 and 2.1, whose TrainJobs have other override
fields (`podSpecOverrides`, `podTemplateOverrides`) in the same version of the same kind, so that a
cluster has one of the three.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import build
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import Installed
from tests.e2e.operators import alone, foretold, programs

VERSION = "trainer.kubeflow.org/v1alpha1"
STEP = "trainer.kubeflow.org/trainjob-ancestor-step"
JOB = "jobset.sigs.k8s.io/replicatedjob-name"
INTENTS = {"accelerator": "a100:2"}


@pytest.fixture(scope="module", autouse=True)
def shipped(beside: Installed) -> None:
    """Install the runtimes that the Trainer is shipped with."""
    root = build.folder_of(programs.TRAINER.module, programs.TRAINER.path)
    beside.control_plane.kubectl(
        *("apply", "--server-side", "-k", str(root / "manifests/overlays/runtimes"))
    )


def train_job(runtime: Manifest, **intents: str) -> Manifest:
    """Write a training of 3 nodes."""
    resources = {"requests": {"cpu": "1", "memory": "1Gi"}}
    spec: Manifest = {
        "runtimeRef": runtime,
        "trainer": {"numNodes": 3, "resourcesPerNode": resources},
    }
    return {
        "apiVersion": VERSION,
        "kind": "TrainJob",
        "metadata": {"name": "bert", "annotations": acting.intents(**intents)},
        "spec": spec,
    }


def runtime_of_ours() -> Manifest:
    """Write a runtime of one namespace."""
    template = {"spec": acting.spec(acting.container("node"))}
    node = {
        "name": "node",
        "template": {"metadata": {"labels": {STEP: "trainer"}}, "spec": {"template": template}},
    }
    return {
        "apiVersion": VERSION,
        "kind": "TrainingRuntime",
        "metadata": {"name": "ours"},
        "spec": {"mlPolicy": {"numNodes": 1}, "template": {"spec": {"replicatedJobs": [node]}}},
    }


TORCH = {"kind": "ClusterTrainingRuntime", "name": "torch-distributed"}
DEEPSPEED = {"kind": "ClusterTrainingRuntime", "name": "deepspeed-distributed"}
OURS = {"kind": "TrainingRuntime", "name": "ours"}
RUNTIMES = [pytest.param(one, id=one["name"]) for one in (TORCH, DEEPSPEED, OURS)]


def job_of(pod: Any) -> str:
    return str(pod["metadata"]["labels"][JOB])


@pytest.mark.parametrize(
    ("made", "jobs"),
    [
        pytest.param(lambda: train_job(TORCH, **INTENTS), ["node"] * 3, id="torch"),
        pytest.param(lambda: train_job(OURS, **INTENTS), ["node"] * 3, id="of-the-namespace"),
        pytest.param(
            lambda: train_job(DEEPSPEED, **INTENTS),
            ["launcher", "node", "node"],
            id="deepspeed-whose-launcher-is-a-node",
        ),
    ],
)
def test_its_pods_are_what_was_foretold(
    enabled: Place, made: Callable[[], Manifest], jobs: list[str]
):
    manifest = made()
    expected = foretold.demand(enabled, manifest)
    enabled.apply(runtime_of_ours(), manifest)

    pods = enabled.pods(3, lambda pod: pod["spec"].get("nodeName"))

    assert expected["requests"][foretold.CLASS] == "6"
    assert foretold.asked(pods) == expected
    assert sorted(map(job_of, pods)) == jobs
    assert [acting.carried(pod) for pod in pods] == [INTENTS] * 3
    assert {pod["spec"]["nodeName"] for pod in pods} == {"gpu-a100-0"}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_its_webhook_takes_what_render_prints(plain: Place, runtime: Manifest):
    manifest = foretold.folded(plain, train_job(runtime, **INTENTS))
    plain.apply(runtime_of_ours(), manifest)

    pods = plain.pods(3)

    assert foretold.devices(pods) == 6
    [patch] = manifest["spec"]["runtimePatches"]
    jobs = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    wanted = {one["name"]: acting.nodes_wanted(one["template"]) for one in jobs}
    tolerated = {one["name"]: acting.tolerated(one["template"]) for one in jobs}
    assert all(wanted.values())
    assert all(tolerated.values())
    assert {job_of(pod): acting.nodes_wanted(pod) for pod in pods} == wanted
    assert {job_of(pod): acting.tolerated(pod) for pod in pods} == tolerated


@pytest.mark.parametrize("stage", ["template", "admission"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_its_webhook_takes_every_intent(plain: Place, runtime: Manifest, stage: str):
    plain.apply(runtime_of_ours())
    wanted = {**INTENTS, "mounts": "scratch://1Gi:/s", "sidecars": "logs", "shm": "1Gi"}
    rendered = plain.kubectl(
        *("ml", "render", "-f", "-", "-ojson", f"--stage={stage}"),
        stdin=train_job(runtime, **wanted, queue="team", experiment="e", dapr="true"),
    )

    plain.kubectl("apply", "--dry-run=server", "-f", "-", stdin=rendered)


def test_a_changed_intent_is_refused_where_its_pods_cant_change(enabled: Place, beside: Installed):
    enabled.apply(train_job(TORCH, **INTENTS))
    stored = json.loads(enabled.kubectl("get", "trainjob", "bert", "-ojson"))
    changed = train_job(TORCH, accelerator="a100:1")

    refused = enabled.try_apply(changed)

    assert refused.returncode, refused.stdout  # the Trainer may say so first
    assert "bert" in refused.stderr, refused.stderr
    sentence = alone.refusal(beside, enabled, stored=stored, changed=changed)
    assert 'changed from "a100:2" to "a100:1"' in sentence, sentence
    assert "replace the object" in sentence, sentence
