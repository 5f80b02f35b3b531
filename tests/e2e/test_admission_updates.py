"""No surprise on UPDATE: what nobody asked to change stays, and what somebody did works."""

import copy
from typing import Any

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import Installed

OWN = acting.spec(
    nodeSelector={"kubernetes.io/os": "linux"},
    tolerations=[{"key": "mine", "operator": "Exists", "effect": "NoSchedule"}],
)
ZONE = {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}
AFFINE = acting.spec(
    affinity={
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [ZONE]}]
            }
        }
    }
)
SERVER_SIDE = ("--server-side", "--field-manager=ada")
CHANGED = """
apiVersion: kubectl-ml.io/v1alpha1
kind: Accelerator
metadata: {name: a100}
spec:
  resource: nvidia.com/gpu
  nodeSelector: {nvidia.com/gpu.product: NVIDIA-A100-SXM4-80GB, pool: new}
  tolerations: [{key: new-taint, operator: Exists, effect: NoSchedule}]
---
apiVersion: kubectl-ml.io/v1alpha1
kind: InjectionPolicy
metadata: {name: team}
spec:
  match: {kinds: [Pod, Deployment.apps, StatefulSet.apps, DaemonSet.apps, Job.batch]}
  inject: {env: [{name: TEAM, value: ml}]}
"""


def test_a_label_on_a_deployment_that_is_older_than_the_webhook_rolls_nothing(plain: Place):
    plain.apply(acting.deployment(accelerator="a100:2"))
    plain.pod()
    plain.enable()

    said = plain.try_kubectl("label", "deployment", "many", "stage=prod")

    stored = plain.get("Deployment", "many")
    assert (said.stdout, said.stderr) == ("deployment.apps/many labeled\n", "")
    assert acting.carried(stored) == {}
    assert acting.of(stored, "generation") == (1,)
    assert len(plain.all("ReplicaSet")) == 1


def test_a_label_on_a_job_that_is_older_than_the_webhook_is_taken(plain: Place):
    plain.apply(acting.job(accelerator="a100:2"))
    plain.enable()

    said = plain.try_kubectl("label", "job", "run", "stage=prod")

    assert (said.stdout, said.stderr) == ("job.batch/run labeled\n", "")
    assert acting.of(plain.get("Job", "run"), "generation") == (1,)


def test_the_next_apply_of_a_deployment_that_is_older_than_the_webhook_rolls_nothing(
    plain: Place,
):
    manifest = acting.deployment(accelerator="a100:2")
    plain.apply(manifest)
    plain.enable()

    assert plain.apply(manifest) == "deployment.apps/many unchanged\n"
    assert acting.of(plain.get("Deployment", "many"), "generation") == (1,)


def test_an_intent_edited_on_a_deployment_that_is_older_than_the_webhook_is_followed(
    plain: Place,
):
    plain.apply(acting.deployment(accelerator="a100:2"))
    plain.enable()

    plain.apply(acting.deployment(accelerator="a100:4"))

    made = plain.pod(lambda pod: acting.devices(pod))
    assert acting.carried(plain.get("Deployment", "many")) == {"accelerator": "a100:4"}
    assert acting.devices(made) == {"nvidia.com/gpu": "4"}


def test_a_scale_makes_pods_of_the_same_revision(enabled: Place):
    enabled.apply(acting.deployment(accelerator="t4"))
    enabled.pod()

    enabled.kubectl("scale", "deployment", "many", "--replicas=3")

    pods = enabled.pods(3, lambda pod: pod["spec"].get("nodeName"))
    assert [acting.devices(pod) for pod in pods] == [{"nvidia.com/gpu": "1"}] * 3
    assert [pod["spec"]["nodeName"] for pod in pods] == ["gpu-t4-0"] * 3
    assert len(enabled.all("ReplicaSet")) == 1


def test_a_rollout_restart_makes_one_new_revision_with_the_same_injection(enabled: Place):
    enabled.apply(acting.deployment(accelerator="t4"))
    first = enabled.pod()

    enabled.kubectl("rollout", "restart", "deployment", "many")

    enabled.kubectl("rollout", "status", "deployment", "many", "--timeout=30s")
    made = enabled.pod(lambda pod: acting.of(pod, "uid") != acting.of(first, "uid"))
    assert acting.devices(made) == {"nvidia.com/gpu": "1"}
    assert len(enabled.all("ReplicaSet")) == 2
    assert acting.of(enabled.get("Deployment", "many"), "generation") == (2,)


def test_a_status_write_changes_nothing_but_the_status(enabled: Place):
    enabled.apply(acting.deployment(accelerator="t4"))
    enabled.pod(lambda pod: pod["status"]["phase"] == "Running")
    before = enabled.wait("Deployment", "many", lambda it: it["status"].get("readyReplicas"))

    enabled.admin.patch(
        enabled.path("Deployment", "many") + "/status",
        {"status": {"conditions": [{"type": "Mine", "status": "True"}]}},
    )

    after = enabled.get("Deployment", "many")
    assert after["spec"] == before["spec"]
    assert acting.of(after, "generation", "annotations") == acting.of(
        before, "generation", "annotations"
    )


def test_the_controllers_writes_never_cause_a_rollout(enabled: Place):
    enabled.apply(
        acting.deployment(accelerator="t4", sidecars="logs"),
        acting.stateful_set(accelerator="t4", sidecars="logs"),
        acting.daemon_set(accelerator="t4", sidecars="logs"),
    )
    enabled.wait("Deployment", "many", lambda it: it["status"].get("readyReplicas"))
    enabled.wait("StatefulSet", "ordered", lambda it: it["status"].get("readyReplicas"))
    enabled.wait("DaemonSet", "each", lambda it: it["status"].get("numberReady"))

    kinds = (("Deployment", "many"), ("StatefulSet", "ordered"), ("DaemonSet", "each"))
    assert [acting.of(enabled.get(*each), "generation") for each in kinds] == [(1,)] * 3
    assert len(enabled.all("ReplicaSet")) == 1
    assert len(enabled.all("ControllerRevision")) == 2


@pytest.mark.parametrize("older", [False, True], ids=["made-with-it", "older-than-the-webhook"])
def test_a_job_deleted_in_the_foreground_goes_away(enabled: Place, plain: Place, older: bool):
    place = plain if older else enabled
    place.apply(acting.job(accelerator="h100", sidecars="logs"))
    place.pod()
    if older:
        place.enable()

    said = place.try_kubectl(
        "delete", "job", "run", "--cascade=foreground", "--wait", "--timeout=30s"
    )

    assert said.returncode == 0, said.stderr
    assert place.all("Job") == []


def lasting(pod: Any) -> Any:
    """
    Leave out who wrote when, and the status, which kwok writes.

    A write of the same values over the status that kwok wrote in another second sorts the entries
    anew, which the API server takes for a change.
    """
    metadata = dict(pod["metadata"])
    del metadata["managedFields"], metadata["resourceVersion"]
    return {"metadata": metadata, "spec": pod["spec"]}


@pytest.mark.parametrize("flags", [(), SERVER_SIDE], ids=["client-side", "server-side"])
@pytest.mark.parametrize(
    "pod_spec", [OWN, AFFINE], ids=["tolerations-and-node-selector", "node-affinity"]
)
def test_a_second_apply_of_a_bare_pod_changes_nothing(
    enabled: Place, pod_spec: Manifest, flags: tuple[str, ...]
):
    manifest = acting.pod(pod_spec=pod_spec, accelerator="a100:2", sidecars="logs")
    enabled.apply(manifest, flags=flags)
    before = enabled.pod(lambda pod: pod["status"]["phase"] == "Running")

    again = enabled.try_apply(manifest, flags=flags)

    after = enabled.get("Pod", "one")
    # kubectl says "configured": it sees lists shorter than the stored ones, and asks
    assert (again.returncode, again.stderr) == (0, "")
    assert enabled.diff(manifest, flags=flags) == (0, "")
    assert lasting(after) == lasting(before)
    assert acting.tolerated(after)[-1:] != []
    assert after["spec"]["nodeName"] == "gpu-a100-0"


@pytest.mark.parametrize("flags", [(), SERVER_SIDE], ids=["client-side", "server-side"])
@pytest.mark.parametrize(
    "pod_spec", [OWN, AFFINE], ids=["tolerations-and-node-selector", "node-affinity"]
)
def test_a_label_that_a_second_apply_of_a_bare_pod_brings_is_the_only_change(
    enabled: Place, pod_spec: Manifest, flags: tuple[str, ...]
):
    manifest = acting.pod(pod_spec=pod_spec, accelerator="a100:2", sidecars="logs")
    enabled.apply(manifest, flags=flags)
    before = enabled.pod(lambda pod: pod["status"]["phase"] == "Running")

    manifest["metadata"]["labels"] = {"stage": "prod"}
    enabled.apply(manifest, flags=flags)

    after = enabled.get("Pod", "one")
    assert after["metadata"]["labels"] == {"stage": "prod"}
    assert after["spec"] == before["spec"]
    assert (
        after["metadata"]["annotations"][acting.INJECTED]
        == (before["metadata"]["annotations"][acting.INJECTED])
    )


def test_a_pod_put_back_without_what_was_injected_keeps_it(enabled: Place):
    enabled.apply(acting.pod(pod_spec=OWN, accelerator="a100:2"))
    before = enabled.pod(lambda pod: pod["status"]["phase"] == "Running")

    put = copy.deepcopy(before)
    put["metadata"]["annotations"].pop(acting.INJECTED)
    put["spec"]["containers"][0].update(resources={})
    put["spec"].pop("affinity")
    put["spec"]["tolerations"] = OWN["tolerations"]
    put["metadata"].pop("resourceVersion")
    answer = enabled.user.request("PUT", enabled.path("Pod", "one"), put)

    assert answer.ok, answer.body
    assert answer.body["spec"] == before["spec"]
    assert answer.body["metadata"]["annotations"] == before["metadata"]["annotations"]


def test_a_changed_policy_set_rolls_nothing(installed: Installed, enabled: Place):
    kinds = {"Deployment": "many", "StatefulSet": "ordered", "DaemonSet": "each", "Job": "run"}
    manifests = (
        acting.deployment(accelerator="a100", replicas=0),
        acting.stateful_set(accelerator="a100", replicas=0),
        acting.daemon_set(accelerator="a100"),
        acting.job(accelerator="a100"),
    )
    enabled.apply(*manifests)
    before = {kind: enabled.get(kind, name)["spec"] for kind, name in kinds.items()}

    with installed.policies(CHANGED):
        labelled = enabled.try_kubectl("label", *(f"{k}/{n}" for k, n in kinds.items()), "a=b")
        again = enabled.apply(*manifests)

    after = {kind: enabled.get(kind, name)["spec"] for kind, name in kinds.items()}
    assert labelled.stderr == ""
    assert again == (
        "deployment.apps/many unchanged\nstatefulset.apps/ordered unchanged\n"
        "daemonset.apps/each unchanged\njob.batch/run unchanged\n"
    )
    assert after == before


def test_a_changed_policy_set_acts_on_new_pods(installed: Installed, enabled: Place):
    enabled.apply(acting.deployment(accelerator="a100"))
    first = enabled.pod()

    with installed.policies(CHANGED):
        enabled.kubectl("delete", "pod", first["metadata"]["name"])
        made = enabled.pod()

    assert made["spec"]["containers"][0]["env"] == [{"name": "TEAM", "value": "ml"}]
    assert "new-taint" in acting.tolerated(made)
    assert "new-taint" not in acting.tolerated(first)


# What somebody did ask to change


def test_an_intent_edited_is_followed_by_the_pods(enabled: Place):
    enabled.apply(acting.deployment(accelerator="a100:2"))
    enabled.pod()

    enabled.apply(acting.deployment(accelerator="a100:4"))

    made = enabled.pod(lambda pod: acting.devices(pod) == {"nvidia.com/gpu": "4"})
    assert acting.carried(made) == {"accelerator": "a100:4"}
    assert acting.carried(enabled.get("Deployment", "many")) == {"accelerator": "a100:4"}
    assert len(enabled.all("ReplicaSet")) == 2


def test_an_intent_removed_is_gone_from_template_and_pods(enabled: Place):
    enabled.apply(acting.deployment(accelerator="a100:2", sidecars="logs"))
    enabled.pod()

    enabled.apply(acting.deployment())

    made = enabled.pod(lambda pod: not acting.devices(pod))
    stored = enabled.get("Deployment", "many")
    assert acting.carried(stored) == {}
    assert _written_by_us(stored) == []
    assert _written_by_us(made) == []
    assert made["spec"].get("initContainers") is None
    assert acting.nodes_wanted(made) == []
    assert acting.tolerated(made) == []


def test_an_intent_edited_in_a_daemon_set_moves_its_placement(enabled: Place):
    enabled.apply(acting.daemon_set(accelerator="a100:2"))
    enabled.pod(lambda pod: pod["spec"].get("nodeName") == "gpu-a100-0")

    enabled.apply(acting.daemon_set(accelerator="t4:2"))

    made = enabled.pod(lambda pod: pod["spec"].get("nodeName") == "gpu-t4-0")
    assert acting.devices(made) == {"nvidia.com/gpu": "2"}


def test_an_intent_taken_off_a_daemon_set_takes_its_placement_away(enabled: Place):
    enabled.apply(acting.daemon_set())
    as_written = enabled.get("DaemonSet", "each")["spec"]["template"]["spec"]
    enabled.apply(acting.daemon_set(accelerator="a100:2"))

    enabled.apply(acting.daemon_set())

    stored = enabled.get("DaemonSet", "each")
    assert stored["spec"]["template"]["spec"] == as_written
    assert _written_by_us(stored) == []


def test_an_intent_changed_on_a_job_is_refused_with_what_to_do(enabled: Place):
    enabled.apply(acting.job(accelerator="h100:2"))

    refused = enabled.try_apply(acting.job(accelerator="h100:4"))

    assert refused.returncode == 1
    assert (
        'intents: kubectl-ml.io/accelerator changed from "h100:2" to "h100:4", but the pods of a '
        "Job can't be changed; replace the object (kubectl replace --force)"
    ) in refused.stderr
    assert acting.carried(enabled.get("Job", "run")) == {"accelerator": "h100:2"}


def test_what_the_refusal_says_works(enabled: Place):
    enabled.apply(acting.job(accelerator="h100:2"))

    manifest = acting.listed(acting.job(accelerator="h100:4"))
    enabled.kubectl("replace", "--force", "-f", "-", stdin=manifest)

    waiting.until(
        lambda: [acting.devices(pod) for pod in enabled.all("Pod")] == [{"nvidia.com/gpu": "4"}],
        what="the new Job's pod alone",
    )


def _written_by_us(made: Any) -> list[str]:
    template = made["spec"].get("template", {"metadata": {}})
    return [
        key
        for each in (made, template)
        for key in each["metadata"].get("annotations") or ()
        if key.startswith(acting.PREFIX)
    ]


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(acting.deployment(accelerator="t4", sidecars="logs"), id="Deployment"),
        pytest.param(acting.stateful_set(accelerator="t4", sidecars="logs"), id="StatefulSet"),
        pytest.param(acting.daemon_set(accelerator="t4", sidecars="logs"), id="DaemonSet"),
        pytest.param(acting.cron_job(accelerator="t4", sidecars="logs"), id="CronJob"),
    ],
)
def test_a_manifest_put_in_place_of_what_is_stored_rolls_nothing(
    enabled: Place, manifest: Manifest
):
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    enabled.kubectl("create", "-f", "-", stdin=manifest)
    before = enabled.get(kind, name)

    def put() -> bool:  # a controller's write in between is a conflict
        return enabled.try_kubectl("replace", "-f", "-", stdin=manifest).returncode == 0

    waiting.until(put, what="kubectl replace to get through")

    assert enabled.get(kind, name)["spec"] == before["spec"]


def test_a_rollout_undone_brings_back_the_revision_before(enabled: Place):
    undo_from_one_to_two_devices(enabled)

    enabled.pod(lambda pod: acting.devices(pod) == {"nvidia.com/gpu": "1"})
    assert len(enabled.all("ReplicaSet")) == 2
    stored = enabled.get("Deployment", "many")
    assert stored["metadata"]["annotations"]["kubectl-ml.io/accelerator"] == "a100:1"


def test_an_intent_edited_after_an_undone_rollout_is_followed(enabled: Place):
    undo_from_one_to_two_devices(enabled)

    enabled.apply(acting.deployment(accelerator="a100:3"))

    enabled.pod(lambda pod: acting.devices(pod) == {"nvidia.com/gpu": "3"})
    assert acting.carried(enabled.get("Deployment", "many")) == {"accelerator": "a100:3"}


def undo_from_one_to_two_devices(place: Place) -> None:
    for count in ("1", "2"):
        place.apply(acting.deployment(accelerator=f"a100:{count}"))
        place.kubectl("rollout", "status", "deployment", "many", "--timeout=30s")
    place.kubectl("rollout", "undo", "deployment", "many")


def test_an_image_set_keeps_the_injection(enabled: Place):
    enabled.apply(acting.deployment(accelerator="t4"))
    enabled.pod()

    enabled.kubectl("set", "image", "deployment/many", "main=registry.example.com/train:2")

    made = enabled.pod(lambda pod: pod["spec"]["containers"][0]["image"].endswith(":2"))
    assert acting.devices(made) == {"nvidia.com/gpu": "1"}


def test_an_intent_of_the_templates_own_is_followed_when_edited(enabled: Place):
    manifest = acting.deployment(accelerator="a100:4")
    own = manifest["spec"]["template"]["metadata"]
    own["annotations"] = acting.intents(accelerator="t4:1")
    enabled.apply(manifest)
    first = enabled.pod()

    own["annotations"] = acting.intents(accelerator="t4:2")
    enabled.apply(manifest)

    made = enabled.pod(lambda pod: acting.of(pod, "uid") != acting.of(first, "uid"))
    assert acting.devices(first) == {"nvidia.com/gpu": "1"}
    assert acting.devices(made) == {"nvidia.com/gpu": "2"}


def test_an_intent_of_the_templates_own_gives_way_to_the_workloads_when_removed(enabled: Place):
    manifest = acting.deployment(accelerator="t4:2")
    own = manifest["spec"]["template"]["metadata"]
    own["annotations"] = acting.intents(accelerator="t4:1")
    enabled.apply(manifest)
    enabled.pod(lambda pod: acting.devices(pod) == {"nvidia.com/gpu": "1"})

    del own["annotations"]
    enabled.apply(manifest)

    enabled.pod(lambda pod: acting.devices(pod) == {"nvidia.com/gpu": "2"})


@pytest.mark.parametrize("wanted", [{"accelerator": "a100:4"}, {}], ids=["edited", "removed"])
def test_a_running_pod_keeps_what_it_was_given_and_kubectl_says_so(
    enabled: Place, wanted: dict[str, str]
):
    enabled.apply(acting.pod(accelerator="a100:2"))
    before = enabled.pod(lambda pod: pod["status"]["phase"] == "Running")

    said = enabled.try_apply(acting.pod(**wanted))

    after = enabled.get("Pod", "one")
    assert said.returncode == 0, said.stderr
    assert said.stderr == (
        "Warning: intents: a running pod keeps what it was given; replace it to change its "
        "intents\n"
    )
    assert after["spec"] == before["spec"]
