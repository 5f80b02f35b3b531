"""Refusals come at `kubectl apply`, with a sentence; warnings are shown by kubectl."""

from typing import Any

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import Installed

ONLY_ON_SCALABLE = (
    "can't scale by intent; write it on a Knative Service or an InferenceService, or take it out"
)
REFUSED = [
    pytest.param(
        acting.deployment(accelerator="a1000:2"),
        'devices: kubectl-ml.io/accelerator: unknown device class "a1000"; did you mean "a100"?',
        id="unknown-class",
    ),
    pytest.param(
        acting.pod(accelerater="a100"),
        'unknown intent "accelerater"; did you mean "accelerator"?',
        id="unknown-intent-of-a-pod",
    ),
    pytest.param(
        acting.job(accelerater="a100"),
        'unknown intent "accelerater"; did you mean "accelerator"?',
        id="unknown-intent-of-a-job",
    ),
    pytest.param(
        acting.job(scale="min=0,max=2"),
        f"kubectl-ml.io/scale: a Job {ONLY_ON_SCALABLE}",
        id="scale-on-a-job",
    ),
    pytest.param(
        acting.job(accelerator="a100", containers="trainer"),
        'kubectl-ml.io/containers: there is no container "trainer"; it has main',
        id="unknown-container",
    ),
    pytest.param(
        acting.stateful_set(mounts="imagenat:/data"),
        'mounts: kubectl-ml.io/mounts: unknown data source "imagenat"',
        id="unknown-data-source",
    ),
    pytest.param(
        acting.daemon_set(sidecars="log"),
        'kubectl-ml.io/sidecars: no policy offers a sidecar "log"',
        id="unknown-sidecar",
    ),
    pytest.param(
        acting.cron_job(accelerator="a100:0"),
        "kubectl-ml.io/accelerator",
        id="unusable-count",
    ),
    pytest.param(
        acting.deployment(accelerator="gpu:9"),
        'kubectl-ml.io/accelerator: "gpu:9" is more than a pod can have; ask for at most 8',
        id="more-than-a-node-has",
    ),
]


@pytest.mark.parametrize("flags", [(), ("--dry-run=server",)], ids=["apply", "dry-run"])
@pytest.mark.parametrize(("manifest", "sentence"), REFUSED)
def test_what_is_unusable_is_refused_at_apply(
    enabled: Place, manifest: Manifest, sentence: str, flags: tuple[str, ...]
):
    refused = enabled.try_apply(manifest, flags=flags)

    assert refused.returncode == 1
    assert refused.stdout == ""
    assert 'admission webhook "validate.kubectl-ml.io" denied the request: ' in refused.stderr
    assert sentence in refused.stderr
    assert "see: kubectl ml explain -f FILE" in refused.stderr


def test_every_fault_is_told_at_once(enabled: Place):
    wanted = {"accelerator": "a1000", "mounts": "nothing:/x", "scale": "min=0"}

    refused = enabled.try_apply(acting.deployment(**wanted))

    faults = [f" kubectl-ml.io/{key}: " for key in wanted]
    assert [fault for fault in faults if fault not in refused.stderr] == []


def test_a_refusal_on_update_points_at_the_object(enabled: Place):
    enabled.apply(acting.deployment(accelerator="a100"))

    refused = enabled.try_apply(acting.deployment(accelerator="a1000"))

    assert refused.returncode == 1
    assert "see: kubectl ml explain deployment/many" in refused.stderr
    assert acting.carried(enabled.get("Deployment", "many")) == {"accelerator": "a100"}


def test_an_unusable_intent_that_is_older_than_the_webhook_refuses_no_other_change(plain: Place):
    plain.apply(acting.deployment(accelerator="a1000", replicas=0))
    plain.enable()

    said = plain.try_kubectl("label", "deployment", "many", "stage=prod")

    assert said.stdout == "deployment.apps/many labeled\n"


def test_what_is_carried_never_refuses_a_controllers_pod(installed: Installed, enabled: Place):
    offered = """
apiVersion: kubectl-ml.io/v1alpha1
kind: Accelerator
metadata: {name: ours}
spec: {resource: nvidia.com/gpu}
"""
    with installed.policies(offered):
        enabled.apply(acting.deployment(accelerator="ours:2", replicas=0))

    enabled.kubectl("scale", "deployment", "many", "--replicas=1")

    assert acting.devices(enabled.pod()) == {}


WARNED = [
    pytest.param(
        acting.deployment(dapr="app-port=8080"),
        "intents: kubectl-ml.io/dapr needs dapr, which isn't installed",
        id="what-is-not-installed",
    ),
    pytest.param(
        {
            **acting.deployment(),
            "metadata": {"name": "many", "labels": {"kubectl-ml.io/accelerator": "a100"}},
        },
        "intents: kubectl-ml.io/accelerator is a label, which says nothing here; write it as an "
        "annotation",
        id="an-intent-written-as-a-label",
    ),
    pytest.param(
        acting.pod(
            pod_spec=acting.spec(acting.container(resources={"limits": {"nvidia.com/gpu": "3"}})),
            accelerator="gpu:2",
        ),
        'container "main" asks for nvidia.com/gpu: 3 itself, not 2; kept as it was written',
        id="what-the-user-set-otherwise",
    ),
]


@pytest.mark.parametrize("flags", [(), ("--dry-run=server",)], ids=["apply", "dry-run"])
@pytest.mark.parametrize(("manifest", "sentence"), WARNED)
def test_kubectl_shows_the_warning_once(
    enabled: Place, manifest: Manifest, sentence: str, flags: tuple[str, ...]
):
    said = enabled.try_apply(manifest, flags=flags)

    warnings = said.stderr.splitlines()
    assert said.returncode == 0
    assert [line for line in warnings if sentence in line] == warnings
    assert [line.startswith("Warning: ") for line in warnings] == [True]


def test_a_dry_run_shows_what_would_be_and_leaves_nothing(enabled: Place):
    said = enabled.apply(acting.pod(accelerator="a100:2"), flags=("--dry-run=server", "-ojson"))

    assert '"nvidia.com/gpu": "2"' in said
    assert enabled.all("Pod") == []


def test_intents_on_what_makes_no_pods_pass(enabled: Place):
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "annotations": acting.intents(accelerator="a100")},
    }

    assert enabled.apply(manifest) == "configmap/settings created\n"
