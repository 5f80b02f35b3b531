"""`kubectl ml serve` against a small API server: what is sent, and what is left alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.kubectl_ml import apiserver
from tests.kubectl_ml.apiserver import APIServer
from tests.kubectl_ml.program import Outcome

ML = Callable[..., Outcome]
IMAGE = ("--image", "registry.example.com/app:1", "--port", "8000")
IRIS = ("--model", "s3://models/iris", "--format", "sklearn")
OURS = {"kubectl-ml.io/name": "app", "app.kubernetes.io/component": "server"}
DEPLOYMENT = "/apis/apps/v1/namespaces/ml/deployments/app"
SCALER = "/apis/autoscaling/v2/namespaces/ml/horizontalpodautoscalers/app"
INGRESS = "/apis/networking.k8s.io/v1/namespaces/ml/ingresses/app"
SERVING = "/apis/serving.knative.dev/v1/namespaces/ml/services/app"
OPTIONAL = {
    "autoscaling/v2": {"HorizontalPodAutoscaler": "horizontalpodautoscalers"},
    "networking.k8s.io/v1": {"Ingress": "ingresses"},
}
KNATIVE = {"serving.knative.dev/v1": {"Service": "services"}}
KEDA = {"keda.sh/v1alpha1": {"ScaledObject": "scaledobjects"}}


@pytest.fixture
def server(server: APIServer) -> APIServer:
    server.kinds |= OPTIONAL
    return server


def add(server: APIServer, path: str, kind: str, **members: Any) -> None:
    version = path.removeprefix("/apis/").partition("/namespaces/")[0]
    labels = members.pop("labels", OURS)
    server.add(
        path, {"apiVersion": version, "kind": kind, "metadata": {"labels": dict(labels)}} | members
    )


def applied(server: APIServer) -> list[Any]:
    """Give what was applied, dry runs aside."""
    return [
        body for method, path, body in server.requests if method == "PATCH" and "dryRun" not in path
    ]


def test_everything_is_applied_as_ours_and_belongs_to_the_deployment(
    ml: ML, server: APIServer
) -> None:
    outcome = ml("serve", "app", *IMAGE, "--expose", "app.example.com")

    deployment, *others = applied(server)
    uid = server.objects[DEPLOYMENT]["metadata"]["uid"]
    assert (outcome.code, outcome.out.splitlines()) == (
        0,
        [
            "deployment.apps/app applied",
            "service/app applied",
            "ingress.networking.k8s.io/app applied",
        ],
    )
    assert outcome.err.splitlines()[-1] == "next: kubectl ml status app"
    assert deployment["kind"] == "Deployment"
    assert [each["metadata"]["ownerReferences"] for each in others] == [
        [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "app", "uid": uid}]
    ] * 2
    paths = [path for path in server.asked("PATCH") if "dryRun" not in path]
    assert all("fieldManager=kubectl-ml&force=true" in path for path in paths)


def test_what_is_not_asked_for_any_more_is_deleted(ml: ML, server: APIServer) -> None:
    add(server, DEPLOYMENT, "Deployment")
    add(server, SCALER, "HorizontalPodAutoscaler")
    add(server, INGRESS, "Ingress")

    outcome = ml("serve", "app", *IMAGE, "--expose", "app.example.com")

    assert outcome.code == 0
    assert server.asked("DELETE") == [SCALER]
    assert outcome.err.splitlines() == [
        "horizontalpodautoscaler.autoscaling/app deleted: it isn't asked for any more",
        "next: kubectl ml status app",
    ]


def test_what_another_made_and_what_another_controls_stays(ml: ML, server: APIServer) -> None:
    add(server, INGRESS, "Ingress", labels={"kubectl-ml.io/name": "app"})
    add(server, SCALER, "HorizontalPodAutoscaler")
    server.objects[SCALER]["metadata"]["ownerReferences"] = [{"kind": "ScaledObject"}]

    outcome = ml("serve", "app", *IMAGE)

    assert (outcome.code, server.asked("DELETE")) == (0, [])


def test_who_may_not_look_may_still_serve(ml: ML, server: APIServer) -> None:
    for path in (SCALER, INGRESS):
        collection = path.rpartition("/")[0]
        server.answers[("GET", collection)] = apiserver.forbidden("no")
    server.answers[("GET", DEPLOYMENT)] = apiserver.forbidden("no")

    outcome = ml("serve", "app", *IMAGE)

    assert (outcome.code, [each["kind"] for each in applied(server)]) == (
        0,
        ["Deployment", "Service"],
    )


def test_an_autoscaler_goes_before_another_comes(ml: ML, server: APIServer) -> None:
    server.kinds |= KEDA
    add(server, DEPLOYMENT, "Deployment")
    add(server, SCALER, "HorizontalPodAutoscaler")
    trigger = "{type: cron, metadata: {timezone: UTC, desiredReplicas: 2}}"

    outcome = ml("serve", "app", *IMAGE, "--scale", "min=0,max=5", "--trigger", trigger)

    changes = [
        (method, path.partition("?")[0])
        for method, path, _ in server.requests
        if method == "DELETE" or (method == "PATCH" and "dryRun" not in path)
    ]
    assert outcome.code == 0
    assert changes[0] == ("DELETE", SCALER)
    assert changes[-1] == ("PATCH", "/apis/keda.sh/v1alpha1/namespaces/ml/scaledobjects/app")
    assert applied(server)[-1]["spec"]["triggers"] == [
        {"type": "cron", "metadata": {"timezone": "UTC", "desiredReplicas": "2"}}
    ]


def test_zero_without_keda_is_refused(ml: ML, server: APIServer) -> None:
    outcome = ml("serve", "app", *IMAGE, "--scale", "min=0,max=5")

    assert (outcome.code, outcome.out, applied(server)) == (1, "", [])
    assert outcome.err.splitlines() == [
        "error: --scale min=0 on a Deployment needs KEDA, which isn't installed in this cluster",
        "hint: --scale min=1,max=5,metric=cpu --cpus 2; or ask an admin for KEDA or Knative",
    ]


def test_a_canary_needs_a_revision_before_it(ml: ML, server: APIServer) -> None:
    server.kinds |= KNATIVE
    flags = ("serve", "app", *IMAGE, "--canary", "10")
    first = ml(*flags)
    add(server, SERVING, "Service", status={"latestReadyRevisionName": "app-00001"})

    second = ml(*flags)

    assert first.err.splitlines() == [
        'error: --canary: "app" isn\'t served yet, so there is nothing to split traffic with',
        "hint: leave --canary out the first time",
    ]
    assert second.code == 0
    assert applied(server)[-1]["spec"]["traffic"] == [
        {"latestRevision": True, "percent": 10},
        {"latestRevision": False, "revisionName": "app-00001", "percent": 90},
    ]


@pytest.mark.parametrize(
    ("path", "kind", "labels", "sentence"),
    [
        pytest.param(
            DEPLOYMENT,
            "Deployment",
            {},
            "Deployment \"app\" is there already and wasn't made by kubectl ml serve, so it isn't "
            "changed",
            id="somebody's Deployment",
        ),
        pytest.param(
            "/api/v1/namespaces/ml/services/app",
            "Service",
            {"kubectl-ml.io/name": "app", "app.kubernetes.io/component": "trainer"},
            "Service \"app\" is there already and wasn't made by kubectl ml serve, so it isn't "
            "changed",
            id="the Service of a training",
        ),
        pytest.param(
            SERVING,
            "Service",
            OURS,
            '"app" is served by the backend knative, and can\'t be served by deployment beside '
            "that",
            id="served by another backend",
        ),
    ],
)
def test_a_name_that_is_taken_is_refused(
    ml: ML, server: APIServer, path: str, kind: str, labels: dict[str, str], sentence: str
) -> None:
    server.kinds |= KNATIVE
    add(server, path, kind, labels=labels)

    outcome = ml("serve", "app", *IMAGE, "--backend", "deployment")

    assert (outcome.code, applied(server)) == (1, [])
    assert outcome.err.splitlines()[0] == f"error: {sentence}"


def test_a_dry_run_on_the_server_changes_nothing(ml: ML, server: APIServer) -> None:
    add(server, DEPLOYMENT, "Deployment")
    add(server, SCALER, "HorizontalPodAutoscaler")

    outcome = ml("serve", "app", *IMAGE, "--dry-run=server", "-o", "json")

    [deletion] = [body for method, _, body in server.requests if method == "DELETE"]
    assert (outcome.code, applied(server)) == (0, [])
    assert deletion["dryRun"] == ["All"]
    assert [each["kind"] for each in json.loads(outcome.out)["items"]] == ["Deployment", "Service"]
    assert outcome.err.splitlines()[-1] == "next: the same without --dry-run"


def test_a_canary_is_not_sent_to_what_is_not_there(ml: ML) -> None:
    outcome = ml("serve", "app", *IMAGE, "--canary", "10")

    assert (outcome.code, outcome.err.splitlines()[-1]) == (
        1,
        "hint: ask an admin for Knative, which isn't installed here; or leave --canary out",
    )
