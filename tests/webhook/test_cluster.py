"""Facts from a cluster: read before the first answer, kept fresh, kept while it is away."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.webhook import apiservers, reviews, serving

NLP = [[{"name": "TEAM", "value": "nlp"}]]
POLICIES = """
apiVersion: kubectl-ml.io/v1alpha1
kind: InjectionPolicy
metadata: {name: team}
spec:
  match: {kinds: [Pod], namespaces: {selector: {matchLabels: {team: nlp}}}}
  inject: {env: [{name: TEAM, value: nlp}]}
"""


@contextlib.contextmanager
def started(directory: Path, api: apiservers.ApiServer, *flags: str) -> Iterator[serving.Served]:
    policies = directory / "policies"
    policies.mkdir()
    (policies / "team.yaml").write_text(POLICIES)
    kubeconfig = f"--kubeconfig={api.kubeconfig}"
    with serving.webhook(directory, kubeconfig, f"--policies={policies}", *flags) as served:
        yield served


@contextlib.contextmanager
def webhook(directory: Path, api: apiservers.ApiServer) -> Iterator[serving.Served]:
    with started(directory, api) as served:
        serving.until(lambda: served.call("/readyz", method="GET")[0] == 200)
        yield served


@pytest.fixture
def api(tmp_path: Path) -> Iterator[apiservers.ApiServer]:
    state = apiservers.State(namespaces={"ml": {"team": "nlp"}, "other": {}})
    with apiservers.serving(tmp_path, state) as serving_it:
        yield serving_it


def facts_of(lines: list[Any]) -> list[Any]:
    """Leave out what is said of policies and of the Lease."""
    return [line for line in lines if line["what"] in ("namespaces", "discovery")]


def env(served: serving.Served, namespace: str) -> list[Any]:
    """Give the variables that a pod of this namespace gets."""
    response = served.mutate(reviews.review(reviews.pod(), namespace=namespace))
    patch = orjson.loads(base64.b64decode(response.get("patch", ""))) if "patch" in response else []
    return [each["value"] for each in patch if each["path"] == "/spec/containers/0/env"]


def test_labels_of_namespaces_decide(tmp_path: Path, api: apiservers.ApiServer) -> None:
    with webhook(tmp_path, api) as served:
        injected = {name: env(served, name) for name in ("ml", "other")}
        code = served.stop()  # while it waits for news

    assert injected == {"ml": NLP, "other": []}
    assert (code, served.lines()[-1]["event"]) == (0, "stopped")


def test_labels_are_followed(tmp_path: Path, api: apiservers.ApiServer) -> None:
    with webhook(tmp_path, api) as served:
        api.state.label("other", team="nlp")
        api.state.label("ml")
        serving.until(lambda: env(served, "other") == NLP)
        serving.until(lambda: env(served, "ml") == [])
        api.state.end_watches()
        api.state.label("ml", team="nlp")
        serving.until(lambda: env(served, "ml") == NLP)

    assert api.state.asked.count("/api/v1/namespaces") == 1  # it went on where it had ended
    assert "watch 102" in api.state.asked


def test_a_watch_that_is_too_old_begins_anew(tmp_path: Path, api: apiservers.ApiServer) -> None:
    with webhook(tmp_path, api) as served:
        api.state.end_watches(forget=True)
        api.state.label("ml")
        serving.until(lambda: env(served, "ml") == [])

        warnings = [line for line in served.lines() if line["level"] == "warning"]

    assert api.state.asked.count("/api/v1/namespaces") == 2
    assert warnings == []


def test_a_namespace_that_is_new_is_waited_for(tmp_path: Path, api: apiservers.ApiServer) -> None:
    with webhook(tmp_path, api) as served:
        review = reviews.review(reviews.pod(), namespace="new")
        connection = served.connect()
        connection.request("POST", "/mutate", orjson.dumps(review), serving.JSON)
        api.state.label("new", team="nlp")

        response = orjson.loads(connection.getresponse().read())["response"]
        connection.close()
        unknown = env(served, "never")
        said = served.events("a namespace is not known; taken as unlabelled")

    assert b"TEAM" in base64.b64decode(response["patch"])
    assert (unknown, [line["name"] for line in said]) == ([], ["never"])


def test_expressions_see_the_namespace(tmp_path: Path, api: apiservers.ApiServer) -> None:
    rule = "namespaceObject.metadata.resourceVersion == 'never'"
    text = "\"'at ' + namespaceObject.metadata.resourceVersion + namespaceObject.metadata.name\""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "g.yaml").write_text(
        "{kind: GuardPolicy, metadata: {name: g}, spec: {match: {namespaces: [ml]}, "
        f'rules: [{{expression: "{rule}", messageExpression: {text}}}]}}}}'
    )
    with started(tmp_path, api, f"--policies={tmp_path / 'guard'}") as served:
        serving.until(lambda: served.call("/readyz", method="GET")[0] == 200)
        refused = served.validate(reviews.review(reviews.pod(), namespace="ml"))

    assert refused["status"]["message"].splitlines()[0] == "g: at 100ml"


def test_what_bounds_pods_is_followed(tmp_path: Path, api: apiservers.ApiServer) -> None:
    limits = {"type": "Container", "default": {"cpu": "1"}}
    api.state.bound("limitranges", "bounds", spec={"limits": [limits]})
    review = reviews.review(reviews.deployment(), namespace="ml")

    def said() -> str:
        response = served.validate(review)
        return str(response.get("status", {}).get("message", "")).partition("\n")[0]

    with webhook(tmp_path, api) as served:
        serving.until(lambda: said() == "")
        api.state.bound("limitranges", "bounds", spec={"limits": [{**limits, "min": {"cpu": "2"}}]})
        serving.until(lambda: "less than the min 2 of LimitRange" in said())
        api.state.bound("limitranges", "bounds", gone=True)
        serving.until(lambda: said() == "")
        api.state.bound("resourcequotas", "most", spec={"hard": {"limits.cpu": "4"}})
        serving.until(lambda: said() != "")
        refused = said()

    assert refused == (
        'namespace: container "main" has no cpu limit, which ResourceQuota "most" asks for; write '
        "resources.limits.cpu"
    )


def test_rights_from_before_bounds_were_read(tmp_path: Path, api: apiservers.ApiServer) -> None:
    api.state.bounds_refusal = 403
    with webhook(tmp_path, api) as served:
        assert env(served, "ml") == NLP
        assert served.events("the cluster can't be read") == []


def test_not_ready_before_it_is_known_what_bounds_pods(
    tmp_path: Path, api: apiservers.ApiServer
) -> None:
    api.state.bounds_refusal = 500
    with started(tmp_path, api) as served:
        serving.until(lambda: len(served.events("the cluster can't be read")) >= 2)
        ready = served.call("/readyz", method="GET")[0]
        api.state.bounds_refusal = 0
        serving.until(lambda: served.call("/readyz", method="GET")[0] == 200)

    assert ready == 503


def test_a_namespace_that_went_is_forgotten(tmp_path: Path, api: apiservers.ApiServer) -> None:
    with webhook(tmp_path, api) as served:
        api.state.remove("ml")
        serving.until(lambda: env(served, "ml") == [])


def test_no_answer_before_the_cluster_is_read(tmp_path: Path, api: apiservers.ApiServer) -> None:
    api.state.refusal = 403
    with started(tmp_path, api) as served:
        ready = served.call("/readyz", method="GET")
        healthy = served.call("/healthz", method="GET")[0]
        early = served.call("/mutate", reviews.review(reviews.pod()))
        serving.until(lambda: len(facts_of(served.events("the cluster can't be read"))) == 2)
        said = {line["error"] for line in facts_of(served.events("the cluster can't be read"))}
        failures = served.metric("kubectl_ml_api_server_failures_total")
        api.state.refusal = 0
        serving.until(lambda: served.call("/readyz", method="GET")[0] == 200)
        read = served.events("cluster read")
        injected = env(served, "ml")

    message = "the cluster's namespaces, their bounds and API groups aren't read yet"
    assert (ready[0], ready[1]["message"]) == (503, message)
    assert healthy == 200
    assert (early[0], early[1]["uid"]) == (503, reviews.UID)
    assert early[1]["message"] == f"not ready: {message}"
    assert said == {
        "the API server didn't give the namespaces: 403 not today",
        "the API server didn't give the version: 403 not today",
    }
    assert failures >= 2
    assert [(line["kube_version"], line["installed"], line["namespaces"]) for line in read] == [
        ("1.36", [], 2)
    ]
    assert injected == NLP


def test_what_was_known_stays_while_the_api_server_is_away(tmp_path: Path) -> None:
    before = apiservers.State(namespaces={"ml": {"team": "nlp"}})
    after = apiservers.State(namespaces={"ml": {}})
    with contextlib.ExitStack() as stack:
        api = stack.enter_context(apiservers.serving(tmp_path, before))
        served = stack.enter_context(webhook(tmp_path, api))
        api.stop()
        serving.until(lambda: facts_of(served.events("the cluster can't be read")))
        away = (env(served, "ml"), served.call("/readyz", method="GET")[0])
        stack.enter_context(apiservers.serving(tmp_path, after, port=api.port))
        serving.until(lambda: env(served, "ml") == [])
        said = [line for line in served.lines() if line["event"].startswith("the cluster can")]
        said = [line for line in said if line["what"] == "namespaces"]

    assert away == (NLP, 200)
    assert [(line["event"], line.get("meanwhile")) for line in said] == [
        ("the cluster can't be read", "what was known last stays in force"),
        ("the cluster can be read again", None),
    ]


TRAINER = "trainer.kubeflow.org"


def train_job_has(field: str, digest: str) -> dict[str, Any]:
    """Write what an API server says of a TrainJob with this field."""
    path = f"/openapi/v3/apis/{TRAINER}/v1alpha1?hash={digest}"
    named = {"group": TRAINER, "kind": "TrainJob", "version": "v1alpha1"}
    schema = {
        "x-kubernetes-group-version-kind": [named],
        "properties": {"spec": {"properties": {field: {}}}},
    }
    return {
        "/openapi/v3": {"paths": {f"apis/{TRAINER}/v1alpha1": {"serverRelativeURL": path}}},
        path: {"components": {"schemas": {"v1alpha1.TrainJob": schema}}},
    }


def written(served: serving.Served) -> set[str]:
    """Name the fields that are added to a TrainJob's spec."""
    job = {
        "apiVersion": f"{TRAINER}/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "a", "annotations": reviews.intents(accelerator="l4")},
        "spec": {"runtimeRef": {"name": "torch-distributed"}, "trainer": {}},
    }
    response = served.mutate(reviews.review(job))
    patch = orjson.loads(base64.b64decode(response.get("patch", "")))
    paths = [each["path"].split("/") for each in patch]
    return {path[2] for path in paths if path[1] == "spec" and path[2] != "trainer"}


@pytest.mark.parametrize("field", ["runtimePatches", "podTemplateOverrides", "podSpecOverrides"])
def test_a_train_job_gets_the_field_that_is_served(
    tmp_path: Path, api: apiservers.ApiServer, field: str
) -> None:
    api.state.openapi = train_job_has(field, "A1")
    with webhook(tmp_path, api) as served:
        found = written(served)

    assert found == {field}


@pytest.mark.parametrize(("is_node", "jobs"), [(True, ["node", "launcher"]), (False, ["node"])])
def test_a_launcher_receives_where_its_runtime_says_that_it_is_a_node(
    tmp_path: Path, api: apiservers.ApiServer, is_node: bool, jobs: list[str]
) -> None:
    runtime = {
        "metadata": {"name": "mpi", "namespace": "ml"},
        "spec": {
            "mlPolicy": {"mpi": {"runLauncherAsNode": is_node}},
            "template": {"spec": {"replicatedJobs": [{"name": "launcher"}, {"name": "node"}]}},
        },
    }
    api.state.lists[f"/apis/{TRAINER}/v1alpha1/trainingruntimes"] = [runtime]
    job = {
        "apiVersion": f"{TRAINER}/v1alpha1",
        "kind": "TrainJob",
        "metadata": {
            "name": "a",
            "namespace": "ml",
            "annotations": reviews.intents(accelerator="l4"),
        },
        "spec": {"runtimeRef": {"kind": "TrainingRuntime", "name": "mpi"}},
    }

    def told(served: serving.Served) -> list[str]:
        response = served.mutate(reviews.review(job, namespace="ml"))
        patch = orjson.loads(base64.b64decode(response["patch"]))
        [patches] = [one["value"] for one in patch if one["path"] == "/spec/runtimePatches"]
        found = patches[0]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
        return [one["name"] for one in found]

    with webhook(tmp_path, api) as served:
        serving.until(lambda: told(served) == jobs)


def test_the_version_and_what_is_installed(tmp_path: Path) -> None:
    state = apiservers.State(minor="34+", groups=("apps", "kueue.x-k8s.io"), namespaces={"ml": {}})
    pod = reviews.pod(reviews.intents(dapr="true"))
    with apiservers.serving(tmp_path, state) as api, webhook(tmp_path, api) as served:
        [read] = served.events("cluster read")
        queued = served.validate(reviews.review(reviews.deployment(reviews.intents(queue="a"))))
        dapr = served.validate(
            reviews.review({**reviews.deployment(), "metadata": pod["metadata"]})
        )

    assert (read["kube_version"], read["installed"]) == ("1.34", ["kueue"])
    assert "warnings" not in queued
    assert dapr["warnings"] == ["intents: kubectl-ml.io/dapr needs dapr, which isn't installed"]


def test_each_worker_reads_the_cluster(tmp_path: Path, api: apiservers.ApiServer) -> None:
    with started(tmp_path, api, "--workers=2") as served:
        for event in ("cluster read", "policies in force"):
            serving.until(lambda event=event: len(served.events(event)) == 2)
        injected = env(served, "ml")

    assert injected == NLP
