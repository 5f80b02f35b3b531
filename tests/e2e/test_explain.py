"""explain, inspect and strip of what lives in a cluster."""

import json

from tests.e2e import acting
from tests.e2e.acting import Place


def test_a_pod_is_explained_up_to_the_workload_that_the_user_wrote(enabled: Place):
    enabled.apply(acting.deployment("web", accelerator="a100:1"))
    pod = enabled.pod()

    said = enabled.kubectl("ml", "explain", f"pod/{pod['metadata']['name']}")

    assert "nvidia.com~1gpu" in said
    assert "[devices: resources]" in said
    assert "deployment" in said.lower()
    assert "web" in said


def test_a_workload_is_named_as_kubectl_names_it(enabled: Place):
    enabled.apply(acting.deployment("web", accelerator="a100:1"))

    names = ("deploy/web", "deploy.apps/web", "deployment/web", "deployments.apps/web")
    said = {enabled.kubectl("ml", "explain", name) for name in names}

    assert len(said) == 1
    assert said.pop().startswith(f"Deployment.apps/{enabled.name}/web\n")
    unknown = enabled.try_kubectl("ml", "explain", "cm/web")
    assert unknown.stderr.startswith('error: "cm" is no kind that makes pods\n')


def test_what_policies_add_since_is_said(enabled: Place, installed):
    policy = (
        "apiVersion: kubectl-ml.io/v1alpha1\nkind: InjectionPolicy\nmetadata: {name: team}\n"
        "spec: {inject: {env: [{name: TEAM, value: VALUE}]}}\n"
    )
    with installed.policies(policy.replace("VALUE", "ml")):
        enabled.apply(acting.pod("one", accelerator="a100:1"))
    manifest = installed.control_plane.directory / "changed.yaml"
    manifest.write_text(policy.replace("VALUE", "nlp"))

    said = enabled.kubectl("ml", "explain", "pod/one", f"--policies={manifest}")

    assert "team" in said
    assert "TEAM" in said


def test_a_live_workload_is_stripped_to_what_was_written(enabled: Place):
    written = acting.job("run", accelerator="a100:1", queue="team-a")
    enabled.apply(written)

    stripped = json.loads(enabled.kubectl("ml", "strip", "job/run", "-ojson"))

    annotations = stripped["metadata"]["annotations"]
    assert acting.INJECTED not in json.dumps(stripped["metadata"])
    assert acting.intents(accelerator="a100:1", queue="team-a").items() <= annotations.items()
    assert "kueue.x-k8s.io/queue-name" not in stripped["metadata"].get("labels", {})
    assert "nvidia.com/gpu" not in json.dumps(stripped["spec"])


def test_who_holds_a_class_is_listed(enabled: Place):
    enabled.apply(acting.pod("one", accelerator="a100:1"), acting.pod("two"))

    listed = enabled.kubectl("ml", "inspect", "pod/one", "pod/two", "--class=a100", "-ojson")

    assert '"one"' in listed
    assert '"two"' not in listed
