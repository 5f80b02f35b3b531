"""JobSet's webhook and controller: what they take, and the pods that they make."""

import json
from typing import Any

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import Installed
from tests.e2e.operators import alone, foretold

INTENTS = {"accelerator": "a100:2", "roles": "worker"}


def template(**pod: Any) -> Manifest:
    """Write a Job's pods, which ask for a processor each."""
    main = acting.container(resources={"requests": {"cpu": "1", "memory": "1Gi"}})
    return {"spec": acting.spec(main, restartPolicy="Never", **pod)}


def job_set(name: str = "bert", **intents: str) -> Manifest:
    """Write 2 Jobs of 2 workers each, and a driver."""
    worker = {"parallelism": 2, "completions": 2, "template": template()}
    driver = {"template": template()}
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": name, "annotations": acting.intents(**intents)},
        "spec": {
            "replicatedJobs": [
                {"name": "worker", "replicas": 2, "template": {"spec": worker}},
                {"name": "driver", "template": {"spec": driver}},
            ]
        },
    }


def test_its_pods_are_as_many_and_ask_for_as_much_as_was_foretold(enabled: Place):
    manifest = job_set(**INTENTS)
    expected = foretold.demand(enabled, manifest)
    enabled.apply(manifest)

    pods = enabled.pods(5)

    assert expected["requests"][foretold.CLASS] == "8"
    assert foretold.asked(pods) == expected
    assert {
        (
            pod["metadata"]["labels"]["jobset.sigs.k8s.io/replicatedjob-name"],
            foretold.devices([pod]),
        )
        for pod in pods
    } == {("worker", 2), ("driver", 0)}


def test_its_pods_run_where_the_devices_are(enabled: Place):
    enabled.apply(job_set(**INTENTS))

    pods = enabled.pods(5, lambda pod: pod["spec"].get("nodeName"))

    assert {pod["spec"]["nodeName"] for pod in pods if foretold.devices([pod])} == {"gpu-a100-0"}


def test_its_webhook_takes_what_render_prints(plain: Place):
    manifest = job_set(**INTENTS)

    plain.apply(foretold.folded(plain, manifest))

    assert foretold.devices(plain.pods(5)) == 8


@pytest.mark.parametrize("stage", ["template", "admission"])
def test_its_webhook_takes_every_intent(plain: Place, stage: str):
    wanted = {**INTENTS, "mounts": "scratch://1Gi:/s", "sidecars": "logs", "shm": "1Gi"}
    rendered = plain.kubectl(
        *("ml", "render", "-f", "-", "-ojson", f"--stage={stage}"),
        stdin=job_set("all", **wanted, queue="team", experiment="e", dapr="true"),
    )

    plain.kubectl("apply", "--dry-run=server", "-f", "-", stdin=rendered)


def test_a_changed_intent_is_refused_where_its_template_cant_change(
    enabled: Place, beside: Installed
):
    enabled.apply(job_set(**INTENTS))
    stored = json.loads(enabled.kubectl("get", "jobset", "bert", "-ojson"))
    changed = job_set(accelerator="a100:1", roles="worker")

    refused = enabled.try_apply(changed)

    assert refused.returncode, refused.stdout  # JobSet may say so first
    assert "bert" in refused.stderr, refused.stderr
    sentence = alone.refusal(beside, enabled, stored=stored, changed=changed)
    assert 'changed from "a100:2" to "a100:1"' in sentence, sentence
    assert "replace the object" in sentence, sentence
