"""`kubectl ml serve` on a real API server: what it makes is taken, runs, and changes as asked."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.controlplane import cluster, waiting
from tests.e2e.controlplane.client import Client
from tests.e2e.installed import Installed

CONTROL_PLANE = "serve"  # `auto` takes what it finds: only what these tests define
IMAGE = ("--image", "registry.example.com/app:1", "--port", "8000")
IRIS = ("--model", "s3://models/iris", "--format", "sklearn")
DEPLOYMENT = ("--backend", "deployment")
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
SERVINGS = "/apis/serving.knative.dev/v1/namespaces/{}/services"
KEDA = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/scaledobjects.keda.sh"
TRIGGER = (
    "{type: prometheus, metadata: {serverAddress: http://prometheus, query: up, threshold: 1}}"
)


@pytest.fixture
def admin(controlplane: cluster.ControlPlane) -> Client:
    return controlplane.admin


def serve(client: Client, namespace: str, name: str, *flags: str) -> Any:
    return client.try_kubectl("ml", "serve", name, "-n", namespace, *flags)


def names(client: Client, namespace: str, kinds: str) -> list[str]:
    return client.kubectl("get", kinds, "-n", namespace, "-o", "name").split()


# --- a Deployment -----------------------------------------------------------------------------


def test_a_server_on_a_gpu_becomes_ready(controlplane: cluster.ControlPlane, namespace: str):
    flags = ("--accelerator", "a100:1", "--scale", "min=1,max=3,metric=cpu", "--cpus", "2")

    done = serve(
        controlplane.admin, namespace, "app", *IMAGE, *DEPLOYMENT, *flags, "--expose", "app.test"
    )

    assert done.stderr.splitlines() == [
        "no webhook injects here, so the plugin does (--inject server leaves it out)",
        f"next: kubectl ml status app -n {namespace}",
    ]
    assert done.stdout.splitlines() == [
        "deployment.apps/app applied",
        "service/app applied",
        "horizontalpodautoscaler.autoscaling/app applied",
        "ingress.networking.k8s.io/app applied",
    ]
    path = f"{DEPLOYMENTS.format(namespace)}/app"
    controlplane.wait_for(path, lambda found: found["status"].get("readyReplicas") == 1)
    [pod] = controlplane.admin.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    assert pod["spec"]["nodeName"] == "gpu-a100-0"
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    assert pod["metadata"]["labels"]["kubectl-ml.io/name"] == "app"


def test_applying_twice_changes_nothing(admin: Client, namespace: str):
    flags = (*IRIS, *DEPLOYMENT, "--accelerator", "a100:1", "--env", "A=1", "--expose", "iris.test")
    kinds = "deployments,services,ingresses"

    def versions() -> dict[str, Any]:
        found = json.loads(admin.kubectl("get", kinds, "-n", namespace, "-o", "json"))["items"]
        return {each["kind"]: each["metadata"].get("generation") for each in found} | {
            each["kind"] + " spec": each["spec"] for each in found
        }

    serve(admin, namespace, "iris", *flags)
    before = versions()
    again = serve(admin, namespace, "iris", *flags)

    assert again.returncode == 0
    assert versions() == before


def test_what_is_not_asked_for_any_more_goes(admin: Client, namespace: str):
    kinds = "horizontalpodautoscalers,ingresses,services"
    scaled = ("--scale", "min=1,max=3,metric=cpu", "--cpus", "1", "--expose", "app.test")
    serve(admin, namespace, "app", *IMAGE, *DEPLOYMENT, *scaled)
    tried = serve(admin, namespace, "app", *IMAGE, *DEPLOYMENT, "--dry-run=server")
    before = names(admin, namespace, kinds)

    done = serve(admin, namespace, "app", *IMAGE, *DEPLOYMENT, "--scale", "min=2,max=2")

    assert len(before) == 3
    assert "horizontalpodautoscaler.autoscaling/app deleted (server dry run)" in tried.stderr
    assert "ingress.networking.k8s.io/app deleted: it isn't asked for any more" in done.stderr
    assert names(admin, namespace, kinds) == ["service/app"]
    assert admin.get(f"{DEPLOYMENTS.format(namespace)}/app")["spec"]["replicas"] == 2


def test_what_scale_made_of_it_stays(admin: Client, namespace: str):
    serve(admin, namespace, "app", *IMAGE, *DEPLOYMENT)
    admin.kubectl("scale", "deployment/app", "-n", namespace, "--replicas=3")

    serve(admin, namespace, "app", *IMAGE, *DEPLOYMENT, "--env", "A=1")

    found = admin.get(f"{DEPLOYMENTS.format(namespace)}/app")
    assert found["spec"]["replicas"] == 3


def test_what_somebody_else_made_is_left_alone(admin: Client, namespace: str):
    admin.kubectl("create", "deployment", "app", "-n", namespace, "--image=other")

    done = serve(admin, namespace, "app", *IMAGE, *DEPLOYMENT)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        'error: Deployment "app" is there already and wasn\'t made by kubectl ml serve, so it '
        "isn't changed",
        "hint: choose another name, or delete it with kubectl delete",
    ]


def test_the_server_of_a_format_runs_where_pods_are_restricted(
    controlplane: cluster.ControlPlane,
):
    namespace = controlplane.add_namespace(
        labels={"pod-security.kubernetes.io/enforce": "restricted"}
    )

    done = serve(controlplane.admin, namespace, "iris", *IRIS, *DEPLOYMENT)

    assert (done.returncode, "Warning" in done.stderr) == (0, False)
    path = f"{DEPLOYMENTS.format(namespace)}/iris"
    controlplane.wait_for(path, lambda found: found["status"].get("readyReplicas") == 1)


def test_a_user_of_one_namespace_needs_no_rights_beyond_it(
    controlplane: cluster.ControlPlane, namespace: str
):
    controlplane.kubectl(
        *("create", "rolebinding", "ann", "--clusterrole=edit", "--user=ann", "-n", namespace)
    )
    ann = controlplane.as_user("ann")

    done = serve(ann, namespace, "app", *IMAGE, *DEPLOYMENT, "--accelerator", "a100:1")
    elsewhere = serve(ann, "default", "app", *IMAGE, *DEPLOYMENT)

    assert done.returncode == 0, done.stderr
    assert (elsewhere.returncode, elsewhere.stderr.splitlines()[:1]) == (
        1,
        ['error: you lack the right to patch deployments.apps in namespace "default"'],
    )


def test_scaling_to_zero_needs_keda(
    controlplane: cluster.ControlPlane, namespace: str, load_crds: Callable[..., None]
):
    admin = controlplane.admin
    flags = (*IMAGE, *DEPLOYMENT, "--scale", "min=0,max=5", "--trigger", TRIGGER)
    admin.request("DELETE", KEDA)
    without = serve(admin, namespace, "app", *flags)
    load_crds("scaledobjects.keda.sh")

    done = serve(admin, namespace, "app", *flags)

    assert without.stderr.splitlines() == [
        "error: --trigger needs KEDA, which isn't installed in this cluster",
        "hint: install KEDA, or scale by cpu: --scale min=1,max=5,metric=cpu,target=70",
    ]
    assert "scaledobject.keda.sh/app applied" in done.stdout.splitlines(), done.stderr


# --- Knative and KServe -----------------------------------------------------------------------


def test_auto_takes_what_is_installed(
    admin: Client, namespace: str, load_crds: Callable[..., None]
):
    load_crds("inferenceservices.serving.kserve.io", "services.serving.knative.dev")

    model = serve(admin, namespace, "iris", *IRIS, "--scale", "min=0,max=5,target=10")
    server = serve(admin, namespace, "app", *IMAGE, "--scale", "min=0,max=5,target=10")
    triggered = serve(
        *(admin, namespace, "app2", *IMAGE, "--scale", "min=1,max=5,metric=cpu", "--cpus", "1"),
        *("--trigger", "{type: cron, metadata: {start: 0 8 * * *}}", "--dry-run=server"),
    )

    assert model.stdout == "inferenceservice.serving.kserve.io/iris applied\n", model.stderr
    assert server.stdout == "service.serving.knative.dev/app applied\n", server.stderr
    assert "deployment" in triggered.stdout or "KEDA" in triggered.stderr
    made = admin.get(
        f"/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/iris"
    )
    predictor = made["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"], predictor["scaleTarget"]) == (
        *(0, 5, 10),
    )
    made = admin.get(f"{SERVINGS.format(namespace)}/app")
    annotations = made["spec"]["template"]["metadata"]["annotations"]
    assert annotations["autoscaling.knative.dev/max-scale"] == "5"


def test_applying_twice_changes_nothing_of_theirs(
    admin: Client, namespace: str, load_crds: Callable[..., None]
):
    load_crds("inferenceservices.serving.kserve.io", "services.serving.knative.dev")
    flags = ("--scale", "min=1,max=5", "--accelerator", "t4")

    for backend, kind in (("knative", "services.serving.knative.dev"), ("kserve", "isvc")):
        serve(admin, namespace, f"on-{backend}", *IRIS, *flags, "--backend", backend)
        before = admin.kubectl("get", kind, "-n", namespace, "-o", "json")
        again = serve(admin, namespace, f"on-{backend}", *IRIS, *flags, "--backend", backend)
        after = admin.kubectl("get", kind, "-n", namespace, "-o", "json")

        assert again.returncode == 0, again.stderr
        assert before == after


def test_a_canary_leaves_the_rest_to_the_revision_before(
    admin: Client, namespace: str, load_crds: Callable[..., None]
):
    load_crds("services.serving.knative.dev")
    path = f"{SERVINGS.format(namespace)}/app"
    knative = ("--backend", "knative")

    def ready(revision: str) -> None:
        status = {"status": {"latestReadyRevisionName": revision}}
        done = admin.request(
            "PATCH", f"{path}/status", status, content_type="application/merge-patch+json"
        )
        assert done.ok

    def traffic() -> list[dict[str, Any]]:
        return list(admin.get(path)["spec"]["traffic"])

    too_early = serve(admin, namespace, "app", *IMAGE, *knative, "--canary", "10")
    serve(admin, namespace, "app", *IMAGE, *knative)
    unready = serve(admin, namespace, "app", *IMAGE, *knative, "--canary", "10")
    ready("app-00001")
    serve(admin, namespace, "app", *IMAGE, *knative, "--env", "A=2", "--canary", "10")
    first = traffic()
    ready("app-00002")
    serve(admin, namespace, "app", *IMAGE, *knative, "--env", "A=2", "--canary", "50")
    second = traffic()
    serve(admin, namespace, "app", *IMAGE, *knative, "--env", "A=2")
    last = traffic()

    assert too_early.stderr.splitlines() == [
        'error: --canary: "app" isn\'t served yet, so there is nothing to split traffic with',
        "hint: leave --canary out the first time",
    ]
    assert unready.stderr.splitlines()[0] == (
        'error: --canary: "app" has no ready revision yet to keep the rest of the traffic'
    )
    assert first == [
        {"latestRevision": True, "percent": 10},
        {"latestRevision": False, "percent": 90, "revisionName": "app-00001"},
    ]
    assert second == [
        {"latestRevision": True, "percent": 50},
        {"latestRevision": False, "percent": 50, "revisionName": "app-00001"},
    ]
    assert last == [{"latestRevision": True, "percent": 100}]


def test_one_name_is_served_by_one_backend(
    admin: Client, namespace: str, load_crds: Callable[..., None]
):
    load_crds("services.serving.knative.dev")
    serve(admin, namespace, "app", *IMAGE, *DEPLOYMENT)

    done = serve(admin, namespace, "app", *IMAGE, "--backend", "knative")

    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        [
            'error: "app" is served by the backend deployment, and can\'t be served by knative '
            "beside that",
            f"hint: --backend deployment, or first: kubectl ml delete app -n {namespace}",
        ],
    )


def test_a_kind_that_is_missing_is_told_before_anything_is_made(
    admin: Client, namespace: str, load_crds: Callable[..., None]
):
    load_crds("services.serving.knative.dev")

    done = serve(
        admin, namespace, "app", *IMAGE, "--backend", "knative", "--expose", "app.example.com"
    )

    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        "error: this cluster doesn't know DomainMapping (serving.knative.dev/v1beta1): "
        "the system that brings serving.knative.dev isn't installed",
    )
    assert names(admin, namespace, "services.serving.knative.dev") == []


# --- Dapr ------------------------------------------------------------------------------------

DAPRS = "components.dapr.io,configurations.dapr.io,resiliencies.dapr.io,subscriptions.dapr.io"
DAPR_FILE = """
{apiVersion: dapr.io/v1alpha1, kind: Component, metadata: {name: statestore},
 spec: {type: state.redis, version: v1, metadata: [{name: redisHost, value: "redis:6379"}]}}
---
{apiVersion: dapr.io/v1alpha1, kind: Configuration, metadata: {name: traced},
 spec: {tracing: {samplingRate: "1"}}}
"""


def test_what_dapr_reads_comes_with_the_server_and_goes_with_it(
    admin: Client, namespace: str, load_crds: Callable[..., None], tmp_path: Path
):
    load_crds(*DAPRS.split(","))
    file = tmp_path / "dapr.yaml"
    file.write_text(DAPR_FILE)
    base = (*IMAGE, *DEPLOYMENT, "--dapr", "app-id=reco", "--dapr-subscribe")

    first = serve(
        *(admin, namespace, "app", *base, "pubsub/orders:/orders", "--dapr-file", str(file)),
        *("--dapr-resiliency", "timeout=30s,retries=3,breaker=5"),
    )
    made = json.loads(admin.kubectl("get", DAPRS, "-n", namespace, "-o", "json"))["items"]
    second = serve(admin, namespace, "app", *base, "pubsub/returns:/returns")
    left = staying(admin, namespace, DAPRS)
    template = admin.get(f"{DEPLOYMENTS.format(namespace)}/app")["spec"]["template"]
    owners = {owner["kind"] + "/" + owner["name"] for one in made for owner in owned(one)}

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert {(one["kind"], one["metadata"]["name"]): one.get("scopes") for one in made} == {
        ("Component", "statestore"): ["reco"],
        ("Configuration", "traced"): None,
        ("Resiliency", "app"): None,
        ("Resiliency", "app-inbound"): ["reco"],
        ("Subscription", "app-pubsub-orders"): ["reco"],
    }
    targets = {one["metadata"]["name"]: one["spec"].get("targets") for one in made}
    policy = {"timeout": "served", "retry": "served", "circuitBreaker": "served"}
    assert targets["app"] == {"apps": {"reco": policy}}
    assert targets["app-inbound"] == {"components": {"pubsub": {"inbound": policy}}}
    assert left == ["app-pubsub-returns"]
    assert template["metadata"]["annotations"]["dapr.io/app-port"] == "8000"
    assert owners == {"Deployment/app"}  # so they go with it
    assert all(map(owned, made))


def owned(made: dict[str, Any]) -> list[Any]:
    return list(made["metadata"].get("ownerReferences") or ())


def staying(client: Client, namespace: str, kinds: str) -> list[str]:
    """List what isn't on its way out: the garbage collector finds new kinds every half minute."""
    found = json.loads(client.kubectl("get", kinds, "-n", namespace, "-o", "json"))["items"]
    return [
        one["metadata"]["name"] for one in found if not one["metadata"].get("deletionTimestamp")
    ]


def test_dapr_objects_that_somebody_else_made_are_left_alone(
    admin: Client, namespace: str, load_crds: Callable[..., None], tmp_path: Path
):
    load_crds(*DAPRS.split(","))
    file = tmp_path / "dapr.yaml"
    file.write_text(DAPR_FILE)
    admin.kubectl("apply", "-n", namespace, "-f", str(file))

    done = serve(
        admin, namespace, "app", *IMAGE, *DEPLOYMENT, "--dapr", "true", "--dapr-file", str(file)
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[0] == (
        'error: Component "statestore" is there already and wasn\'t made by kubectl ml serve, so '
        "it isn't changed"
    )
    assert "deployment" not in " ".join(names(admin, namespace, "deployments"))


# --- where the webhook acts -------------------------------------------------------------------


def test_where_the_webhook_acts_only_intents_are_written(installed: Installed):
    client, namespace = installed.control_plane.admin, installed.namespace()
    flags = (*IRIS, *DEPLOYMENT, "--accelerator", "a100:1")

    done = serve(client, namespace, "iris", *flags)

    assert done.stderr.splitlines() == [f"next: kubectl ml status iris -n {namespace}"]
    path = f"{DEPLOYMENTS.format(namespace)}/iris"
    made = installed.control_plane.wait_for(
        path, lambda found: found["status"].get("readyReplicas") == 1
    )
    template = made["spec"]["template"]
    assert template["metadata"]["annotations"]["kubectl-ml.io/accelerator"] == "a100:1"
    assert list(template["spec"]["containers"][0].get("resources") or {}) == []
    [pod] = client.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    assert [each["args"] for each in pod["spec"]["initContainers"]] == [
        ["s3://models/iris", "/mnt/data"]
    ]


def test_where_the_webhook_acts_a_changed_intent_is_followed(installed: Installed):
    client, namespace = installed.control_plane.admin, installed.namespace()
    path = f"{DEPLOYMENTS.format(namespace)}/app"
    serve(client, namespace, "app", *IMAGE, *DEPLOYMENT, "--accelerator", "a100:1")
    first = client.get(path)
    serve(client, namespace, "app", *IMAGE, *DEPLOYMENT, "--accelerator", "a100:1")
    again = client.get(path)

    serve(client, namespace, "app", *IMAGE, *DEPLOYMENT, "--accelerator", "a100:2")

    annotations = client.get(path)["spec"]["template"]["metadata"]["annotations"]
    assert first["metadata"]["generation"] == again["metadata"]["generation"]
    assert annotations["kubectl-ml.io/accelerator"] == "a100:2"


def test_what_the_webhook_refuses_is_told(installed: Installed):
    client, namespace = installed.control_plane.admin, installed.namespace()

    done = serve(client, namespace, "app", *IMAGE, *DEPLOYMENT, "--accelerator", "a1000")

    assert (done.returncode, done.stdout) == (1, "")
    assert 'unknown device class "a1000"' in done.stderr.splitlines()[0]


# --- the other verbs --------------------------------------------------------------------------


def test_it_is_awaited_listed_and_deleted_with_all_that_belongs_to_it(
    admin: Client, namespace: str
):
    scaled = ("--scale", "min=1,max=3,metric=cpu", "--cpus", "1", "--expose", "app.test")
    serve(admin, namespace, "app", *IMAGE, *DEPLOYMENT, *scaled)

    awaited = admin.try_kubectl("ml", "wait", "app", "-n", namespace, "--timeout", "60s")
    listed = admin.try_kubectl("ml", "list", "-n", namespace)
    deleted = admin.try_kubectl("ml", "delete", "app", "-n", namespace)

    assert awaited.returncode == 0, awaited.stderr
    assert "Ready" in listed.stdout.splitlines()[1]
    assert deleted.returncode == 0, deleted.stderr
    kinds = "deployments,services,horizontalpodautoscalers,ingresses,pods"
    waiting.until(lambda: names(admin, namespace, kinds) == [], what="all to be gone")
