"""What the cluster refuses, and how it is told: real HTTP to a small API server on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kubectl_ml import apiserver
from tests.kubectl_ml.apiserver import APIServer
from tests.kubectl_ml.program import Outcome, invoke, run

ML = Callable[..., Outcome]
JOBS = "/apis/batch/v1/namespaces/ml/jobs"
TRAIN = ("train", "bert", "--image", "pt:1", "--backend", "job")
QUOTA = (
    'jobs.batch "bert" is forbidden: exceeded quota: team, requested: count/jobs.batch=1, '
    "used: count/jobs.batch=5, limited: count/jobs.batch=5"
)
WEBHOOK = 'admission webhook "validate.kubectl-ml.io" denied the request: '


@pytest.mark.parametrize(
    ("code", "body", "lines"),
    [
        pytest.param(
            401,
            apiserver.status(401, "Unauthorized", "Unauthorized"),
            [
                "error: the cluster doesn't know you: your credentials are missing, wrong or "
                "expired",
                "hint: log in again; kubectl auth whoami says who you are",
            ],
            id="unauthorized",
        ),
        pytest.param(
            403,
            apiserver.status(
                403,
                "Forbidden",
                'jobs.batch is forbidden: User "ann" cannot create resource "jobs" in API group '
                '"batch" in the namespace "ml"',
            ),
            [
                'error: you lack the right to create jobs.batch in namespace "ml"',
                "hint: an admin can give it with a Role; check with: "
                "kubectl auth can-i create jobs.batch -n ml",
            ],
            id="a-right",
        ),
        pytest.param(
            403,
            apiserver.status(
                403,
                "Forbidden",
                'accelerators.kubectl-ml.io is forbidden: User "ann" cannot list resource '
                '"accelerators" in API group "kubectl-ml.io" at the cluster scope',
            ),
            [
                "error: you lack the right to list accelerators.kubectl-ml.io in the whole cluster",
                "hint: an admin can give it with the ClusterRole kubectl-ml-view, bound in the "
                "whole cluster; check with: kubectl auth can-i list accelerators.kubectl-ml.io -A",
            ],
            id="a-right-to-our-objects",
        ),
        pytest.param(
            403,
            apiserver.status(403, "Forbidden", QUOTA),
            [
                'error: Job "bert" exceeds quota "team": it asks for 1 count/jobs.batch, '
                "5 of 5 is used",
                "hint: ask for less, or free some: kubectl describe quota team -n ml",
            ],
            id="a-quota",
        ),
        pytest.param(
            403,
            apiserver.status(
                403,
                "Forbidden",
                f"{WEBHOOK}gpus: team nlp has 8 of 8\ndevices: no\nsee: kubectl ml explain -f FILE",
            ),
            [
                'error: Job "bert" was refused: gpus: team nlp has 8 of 8; devices: no',
                "hint: policies of the cluster's admins say so: `kubectl ml policy list` shows "
                "them, `kubectl ml quota` who holds what",
            ],
            id="our-webhook-by-policies",
        ),
        pytest.param(
            422,
            apiserver.status(
                422,
                "Invalid",
                f"{WEBHOOK}devices: unknown device class\nsee: kubectl ml explain -f FILE",
            ),
            [
                'error: Job "bert" was refused: devices: unknown device class',
                "hint: `kubectl ml classes` and `kubectl ml sources` list what can be named",
            ],
            id="our-webhook-by-intents",
        ),
        pytest.param(
            400,
            apiserver.status(
                400, "BadRequest", 'admission webhook "a.example.com" denied the request: no'
            ),
            [
                'error: Job "bert" was refused: no',
                'hint: the admission webhook "a.example.com" said so; its owners know more',
            ],
            id="another-webhook",
        ),
        pytest.param(
            422,
            apiserver.status(422, "Invalid", 'Job "bert" is invalid: spec.template: Required'),
            [
                'error: Job "bert" was refused: Job "bert" is invalid: spec.template: Required',
                "hint: change what it names and try again",
            ],
            id="invalid",
        ),
        pytest.param(
            404,
            apiserver.status(404, "NotFound", "not found", name="ml", kind="namespaces"),
            [
                'error: namespace "ml" doesn\'t exist',
                "hint: name another with -n, or: kubectl create namespace ml",
            ],
            id="no-namespace",
        ),
        pytest.param(
            404,
            b"404 page not found",
            [
                "error: this cluster doesn't know Job (batch/v1): the system that brings batch "
                "isn't installed",
                "hint: choose another --backend, or ask an admin to install it",
            ],
            id="no-such-kind",
        ),
        pytest.param(
            409,
            apiserver.status(409, "AlreadyExists", "exists"),
            [
                'error: Job "bert" already exists in namespace "ml"',
                "hint: --replace deletes it and starts anew; or choose another name",
            ],
            id="taken",
        ),
        pytest.param(
            429,
            apiserver.status(429, "TooManyRequests", "too many"),
            [
                "error: the API server has too much to do and sent us away",
                "hint: try again in a minute",
            ],
            id="busy",
        ),
        pytest.param(
            500,
            apiserver.status(500, "InternalError", "etcd:\n  no leader"),
            [
                "error: the API server failed with 500: etcd: no leader",
                "hint: try again; if it stays, ask those who run the cluster",
            ],
            id="broken",
        ),
        pytest.param(
            201,
            b"<html>a proxy's page</html>",
            None,
            id="no-json",
        ),
    ],
)
def test_a_refusal_is_a_sentence_and_a_hint(
    server: APIServer, ml: ML, code: int, body: Any, lines: list[str] | None
) -> None:
    server.answers[("POST", JOBS)] = (code, body)

    outcome = ml(*TRAIN)

    assert (outcome.code, outcome.out) == (1, "")
    if lines is None:
        [first, second] = outcome.err.splitlines()
        assert first.startswith(
            f"error: the API server at http://127.0.0.1:{server.port} can't be reached: "
        )
        assert second.startswith("hint: is it running, and is this the right one?")
    else:
        assert outcome.err.splitlines() == lines


def test_no_server_is_a_sentence_and_a_hint(tmp_path: Path) -> None:
    config = apiserver.kubeconfig(tmp_path / "config", 1)

    done = run("list", "--kubeconfig", config)

    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        "error: the API server at http://127.0.0.1:1 can't be reached: connection refused",
        "hint: is it running, and is this the right one? --context and --kubeconfig name "
        "another; kubectl cluster-info tries it, too",
    ]


def test_a_slow_server_is_given_up(server: APIServer, ml: ML) -> None:
    import time

    server.on_request = lambda _: time.sleep(1.5)

    outcome = ml("list", "--request-timeout", "1s")

    assert (outcome.code, outcome.err.splitlines()) == (
        1,
        [
            f"error: the API server at http://127.0.0.1:{server.port} didn't answer in time",
            "hint: try again, or wait longer with --request-timeout 2m",
        ],
    )


def test_no_kubeconfig_is_a_sentence_and_a_hint(tmp_path: Path) -> None:
    missing = tmp_path / "missing"

    outcome = invoke("list", "--kubeconfig", missing)

    assert (outcome.code, outcome.err.splitlines()) == (
        1,
        [
            f"error: {missing}: there is no kubeconfig",
            "hint: --kubeconfig FILE or the variable KUBECONFIG names yours",
        ],
    )


@pytest.mark.parametrize("text", ["[]", "{", "clusters: 1\n", "", "a: b\n"])
def test_a_kubeconfig_that_is_none_is_a_sentence(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config"
    config.write_text(text)

    outcome = invoke("list", "--kubeconfig", config)

    assert outcome.code == 1
    [first, second] = outcome.err.splitlines()
    assert first.startswith(f"error: the kubeconfig can't be used: {config}: ")
    assert second == "hint: kubectl config get-contexts lists the contexts"


def test_an_unknown_context_is_a_sentence(server: APIServer, ml: ML) -> None:
    outcome = ml("list", "--context", "nowhere")

    assert outcome.code == 1
    [first, second] = outcome.err.splitlines()
    assert first.startswith('error: there is no context "nowhere" in /')
    assert first.endswith("/config")
    assert second == "hint: kubectl config get-contexts lists the contexts"


@pytest.mark.parametrize(
    ("flags", "namespace"),
    [((), "ml"), (("--context", "other"), "else"), (("-n", "mine"), "mine")],
)
def test_the_namespace_is_the_contexts_unless_named(
    server: APIServer, ml: ML, flags: tuple[str, ...], namespace: str
) -> None:
    ml("list", *flags)

    assert any(f"/namespaces/{namespace}/jobs" in path for path in server.asked("GET"))


def test_it_acts_as_whom_the_flags_name(server: APIServer, ml: ML) -> None:
    ml("list", "--as", "bob", "--as-group", "nlp", "--as-group", "ops")

    sent = server.headers[0]
    assert sent["Impersonate-User"] == "bob"
    assert sent.get_all("Impersonate-Group") == ["nlp", "ops"]
    assert sent["Authorization"] == "Bearer secret"


def test_what_the_server_warns_of_is_passed_on(server: APIServer, ml: ML) -> None:
    server.warnings = [r"say \"hello\""]

    outcome = ml("train", "bert", "--image", "x", "--backend", "job", "--inject", "server")

    assert 'Warning: say "hello"' in outcome.err.splitlines()


# --- who injects ------------------------------------------------------------------------------


def template_of(server: APIServer) -> Any:
    return server.objects[f"{JOBS}/bert"]["spec"]["template"]


def test_where_no_webhook_carries_intents_the_plugin_injects(server: APIServer, ml: ML) -> None:
    outcome = ml(*TRAIN, "--accelerator", "a100:2")

    [container] = template_of(server)["spec"]["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert (outcome.code, outcome.out) == (0, "job.batch/bert created\n")
    assert outcome.err.splitlines() == [
        "no webhook injects here, so the plugin does (--inject server leaves it out)",
        "next: kubectl ml logs -f bert",
    ]


def test_where_the_webhook_carries_intents_they_are_left_to_it(server: APIServer, ml: ML) -> None:
    server.carries = True

    outcome = ml(*TRAIN, "--accelerator", "a100:2")

    [container] = template_of(server)["spec"]["containers"]
    assert "resources" not in container
    assert outcome.err.splitlines() == ["next: kubectl ml logs -f bert"]


def test_who_injects_is_found_out_by_a_dry_run_alone(server: APIServer, ml: ML) -> None:
    ml(*TRAIN, "--accelerator", "a100:2")

    assert server.asked("POST") == [
        f"{JOBS}?fieldManager=kubectl-ml&dryRun=All",
        f"{JOBS}?fieldManager=kubectl-ml",
    ]


@pytest.mark.parametrize(("inject", "gpus"), [("client", True), ("server", False)])
def test_who_injects_can_be_said(server: APIServer, ml: ML, inject: str, gpus: bool) -> None:
    ml(*TRAIN, "--accelerator", "a100:2", "--inject", inject)

    [container] = template_of(server)["spec"]["containers"]
    assert ("resources" in container) is gpus
    assert len(server.asked("POST")) == 1


def test_where_nobody_carries_intents_out_it_is_said(server: APIServer, ml: ML) -> None:
    wanted = ("--accelerator", "a100:2", "--shm", "8Gi", "--inject", "server")

    one, two = ml(*TRAIN, *wanted[:2], *wanted[4:]), ml(*TRAIN, *wanted, "--replace")
    server.carries = True
    acted = ml(*TRAIN, *wanted, "--replace")

    assert 'Warning: no webhook acts in namespace "ml": accelerator isn\'t carried out; ' in one.err
    assert 'in namespace "ml": accelerator, shm aren\'t carried out; leave --inject' in two.err
    assert "Warning" not in acted.err


def test_the_plugin_injects_by_what_is_installed(server: APIServer, ml: ML) -> None:
    missing = ml(*TRAIN, "--queue", "team-a")
    server.kinds["kueue.x-k8s.io/v1beta1"] = {"Workload": "workloads"}
    there = ml(*TRAIN, "--queue", "team-a", "--replace")

    assert (
        "Warning: intents: kubectl-ml.io/queue needs kueue or volcano or kai, which isn't installed"
        in missing.err.splitlines()
    )
    assert (missing.code, there.code, "Warning" in there.err) == (0, 0, False)


def test_the_plugin_injects_by_the_servers_version(server: APIServer, ml: ML) -> None:
    server.version = "v1.27.4+k3s1"

    outcome = ml(*TRAIN, "--mount", "oci://registry.example.com/data:1:/data")

    assert outcome.code == 1
    assert "Kubernetes 1.27 has no image volumes" in outcome.err


@pytest.mark.parametrize("field", ["runtimePatches", "podTemplateOverrides", "podSpecOverrides"])
def test_the_plugin_writes_the_field_of_a_train_job_that_is_served(
    server: APIServer, ml: ML, field: str
) -> None:
    group = "trainer.kubeflow.org"
    server.kinds[f"{group}/v1alpha1"] = {"TrainJob": "trainjobs"}
    schemas = f"/openapi/v3/apis/{group}/v1alpha1"
    named = {"group": group, "kind": "TrainJob", "version": "v1alpha1"}
    schema = {
        "x-kubernetes-group-version-kind": [named],
        "properties": {"spec": {"properties": {field: {}}}},
    }
    place = {"serverRelativeURL": schemas}
    server.answers[("GET", "/openapi/v3")] = 200, {"paths": {f"apis/{group}/v1alpha1": place}}
    server.answers[("GET", schemas)] = 200, {"components": {"schemas": {"TrainJob": schema}}}

    outcome = ml(*TRAIN, "--backend", "trainjob", "--accelerator", "l4:2", "--inject", "client")

    assert outcome.code == 0, outcome.err
    spec = server.objects[f"/apis/{group}/v1alpha1/namespaces/ml/trainjobs/bert"]["spec"]
    assert "NVIDIA-L4" in str(spec[field])


def test_the_plugin_asks_whether_the_launcher_of_a_runtime_is_a_node(
    server: APIServer, ml: ML
) -> None:
    group = "trainer.kubeflow.org/v1alpha1"
    server.kinds[group] = {
        "TrainJob": "trainjobs",
        "ClusterTrainingRuntime": "clustertrainingruntimes",
    }
    jobs = [{"name": "launcher"}, {"name": "node"}]
    runtime = {
        "metadata": {"name": "mpi"},
        "spec": {
            "mlPolicy": {"mpi": {"runLauncherAsNode": True}},
            "template": {"spec": {"replicatedJobs": jobs}},
        },
    }
    server.objects[f"/apis/{group}/clustertrainingruntimes/mpi"] = runtime

    wanted = ("--runtime", "mpi", "--accelerator", "l4:2", "--inject", "client")
    outcome = ml(*TRAIN, "--backend", "trainjob", *wanted)

    assert outcome.code == 0, outcome.err
    spec = server.objects[f"/apis/{group}/namespaces/ml/trainjobs/bert"]["spec"]
    patches = [one["trainingRuntimeSpec"]["template"]["spec"] for one in spec["runtimePatches"]]
    placed = {
        job["name"]
        for one in patches
        for job in one["replicatedJobs"]
        if "nodeSelector" in job["template"]["spec"]["template"].get("spec", {})
    }
    assert placed == {"node", "launcher"}


def test_a_warning_is_told_once(server: APIServer, ml: ML) -> None:
    server.warnings = ["unknown field"]

    outcome = ml(*TRAIN, "--nodes", "2")

    assert outcome.err.splitlines().count("Warning: unknown field") == 1


# --- where pods are restricted -----------------------------------------------------------------

PODS_ARE_RESTRICTED = 'would violate PodSecurity \\"restricted:latest\\": runAsNonRoot != true'


def test_a_user_is_hinted_at_where_pods_are_restricted(server: APIServer, ml: ML) -> None:
    server.warnings = [PODS_ARE_RESTRICTED]

    without, given = ml(*TRAIN), ml(*TRAIN, "--run-as-user", "1000", "--replace")

    hint = (
        "hint: pods are restricted here; --run-as-user UID names a user that isn't root, "
        "and then they pass"
    )
    assert hint in without.err.splitlines()
    assert hint not in given.err.splitlines()


@pytest.mark.parametrize("backend", ["job", "jobset", "pytorchjob"])
def test_a_training_passes_where_pods_are_restricted(backend: str) -> None:
    outcome = invoke(
        *("train", "bert", "--image", "pt:1", "--backend", backend, "--run-as-user", "1000"),
        *("--volume", "1Gi:/out", "--dry-run=client", "-o", "json"),
    )

    [pod] = pod_specs(json.loads(outcome.out))
    assert pod["securityContext"] == {"fsGroup": 1000}
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_a_trainjob_cannot_be_told_its_user() -> None:
    outcome = invoke(
        *("train", "bert", "--image", "pt:1", "--backend", "trainjob"),
        *("--run-as-user", "1000", "--dry-run=client"),
    )

    assert outcome.code == 1
    assert outcome.err.startswith("error: --run-as-user: a TrainJob's user is what its runtime")


def pod_specs(found: Any) -> list[Any]:
    """Find what has containers, wherever it is."""
    if isinstance(found, list):
        return [pod for each in found for pod in pod_specs(each)]
    if not isinstance(found, dict):
        return []
    inner = [pod for each in found.values() for pod in pod_specs(each)]
    return [found, *inner] if "containers" in found else inner


# --- which backend ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("installed", "flags", "kind"),
    [
        pytest.param((), (), "Job", id="nothing-but-kubernetes"),
        pytest.param(("jobset",), (), "JobSet", id="jobset"),
        pytest.param(("jobset", "pytorchjob"), (), "PyTorchJob", id="pytorchjob"),
        pytest.param(("jobset", "trainjob"), (), "JobSet", id="trainjob-without-its-runtime"),
        pytest.param(("jobset", "trainjob", "runtime"), (), "TrainJob", id="trainjob"),
        pytest.param(
            ("jobset", "trainjob", "runtime"),
            ("--retries", "1"),
            "JobSet",
            id="not-trainjob-where-it-cannot-say-it",
        ),
    ],
)
def test_auto_takes_the_first_that_is_installed_and_can_say_it(
    server: APIServer, ml: ML, installed: tuple[str, ...], flags: tuple[str, ...], kind: str
) -> None:
    kinds = {
        "jobset": ("jobset.x-k8s.io/v1alpha2", {"JobSet": "jobsets"}),
        "pytorchjob": ("kubeflow.org/v1", {"PyTorchJob": "pytorchjobs"}),
        "trainjob": (
            "trainer.kubeflow.org/v1alpha1",
            {"TrainJob": "trainjobs", "ClusterTrainingRuntime": "clustertrainingruntimes"},
        ),
    }
    server.kinds |= dict(kinds[each] for each in installed if each in kinds)
    if "runtime" in installed:
        path = "/apis/trainer.kubeflow.org/v1alpha1/clustertrainingruntimes/torch-distributed"
        server.objects[path] = {"metadata": {"name": "torch-distributed"}}

    outcome = ml("train", "bert", "--image", "x", *flags, "--inject", "server", "-o", "json")

    assert json.loads(outcome.out)["kind"] == kind


# --- an existing name -------------------------------------------------------------------------


def test_replace_deletes_and_makes_anew(server: APIServer, ml: ML) -> None:
    ml(*TRAIN, "--nodes", "2")
    old = server.objects[f"{JOBS}/bert"]["metadata"]["uid"]

    outcome = ml(*TRAIN, "--replace")

    assert outcome.code == 0
    assert 'deleting Job "bert"' in outcome.err.splitlines()
    assert server.objects[f"{JOBS}/bert"]["metadata"]["uid"] != old


def test_what_is_refused_replaces_nothing(server: APIServer, ml: ML) -> None:
    ml(*TRAIN)
    server.answers[("POST", JOBS)] = (422, apiserver.status(422, "Invalid", "no"))

    outcome = ml(*TRAIN, "--replace")

    assert outcome.code == 1
    assert f"{JOBS}/bert" in server.objects


def test_what_others_made_is_not_replaced(server: APIServer, ml: ML) -> None:
    server.add(f"{JOBS}/bert", {"apiVersion": "batch/v1", "kind": "Job", "spec": {}})

    outcome = ml(*TRAIN, "--replace")

    assert (outcome.code, outcome.err.splitlines()) == (
        1,
        [
            'error: Job "bert" is in the way: it wasn\'t made for a run of this name',
            "hint: choose another name, or delete it with kubectl delete",
        ],
    )


def test_a_name_of_another_backend_is_taken(server: APIServer, ml: ML) -> None:
    server.kinds["jobset.x-k8s.io/v1alpha2"] = {"JobSet": "jobsets"}
    ml("train", "bert", "--image", "x", "--backend", "jobset", "--inject", "server")

    outcome = ml(*TRAIN)

    assert (outcome.code, outcome.err.splitlines()) == (
        1,
        [
            'error: JobSet "bert" already exists in namespace "ml"',
            "hint: --replace deletes it and starts anew; or choose another name",
        ],
    )


def test_replace_takes_the_place_of_another_backends_run(server: APIServer, ml: ML) -> None:
    server.kinds["jobset.x-k8s.io/v1alpha2"] = {"JobSet": "jobsets"}
    ml("train", "bert", "--image", "x", "--backend", "jobset", "--inject", "server")

    outcome = ml(*TRAIN, "--replace")

    assert outcome.code == 0
    assert [path.rpartition("/namespaces/")[2] for path in server.objects] == ["ml/jobs/bert"]


def test_when_the_service_is_refused_no_job_stays(server: APIServer, ml: ML) -> None:
    services = "/api/v1/namespaces/ml/services"
    server.answers[("POST", services)] = apiserver.forbidden("services: no")

    outcome = ml(*TRAIN, "--nodes", "2")

    assert outcome.code == 1
    assert f"{JOBS}/bert" not in server.objects


def test_the_service_goes_with_the_job_and_a_claim_stays(server: APIServer, ml: ML) -> None:
    ml(*TRAIN, "--nodes", "2", "--volume", "1Gi:/out")

    job = server.objects[f"{JOBS}/bert"]
    service = server.objects["/api/v1/namespaces/ml/services/bert"]
    claim = server.objects["/api/v1/namespaces/ml/persistentvolumeclaims/bert-out"]
    assert [each["uid"] for each in service["metadata"]["ownerReferences"]] == [
        job["metadata"]["uid"]
    ]
    assert "ownerReferences" not in claim["metadata"]


def test_a_claim_that_is_there_is_used_again(server: APIServer, ml: ML) -> None:
    ml(*TRAIN, "--volume", "1Gi:/out")

    outcome = ml(*TRAIN, "--volume", "1Gi:/out", "--replace")

    assert outcome.code == 0
    assert 'claim "bert-out" is there already and is used again' in outcome.err.splitlines()
    assert outcome.out.splitlines() == [
        "job.batch/bert created",
        "persistentvolumeclaim/bert-out unchanged",
    ]


def test_a_dry_run_on_the_server_changes_nothing(server: APIServer, ml: ML) -> None:
    outcome = ml(*TRAIN, "--nodes", "2", "--dry-run=server")

    assert (outcome.code, outcome.out) == (
        0,
        "job.batch/bert created (server dry run)\nservice/bert created (server dry run)\n",
    )
    assert not server.objects


def test_a_dry_run_here_asks_nobody(server: APIServer, ml: ML) -> None:
    ml("train", "bert", "--image", "x", "--dry-run=client")

    assert server.requests == []
