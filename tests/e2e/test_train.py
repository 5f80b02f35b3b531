"""`kubectl ml train` and what follows it, on a real API server with real controllers."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.acting import Place
from tests.e2e.controlplane import cluster, waiting
from tests.e2e.controlplane.client import Client
from tests.kubectl_ml.program import invoke

CONTROL_PLANE = "train"  # `auto` takes what it finds: only what these tests define
IMAGE = ("--image", "registry.example.com/trainer:1")
JOBS = "/apis/batch/v1/namespaces/{}/jobs"
PODS = "/api/v1/namespaces/{}/pods"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}"
NOTE = "no webhook injects here, so the plugin does (--inject server leaves it out)"

Done = subprocess.CompletedProcess[str]


class Team:
    """A service account with a Role in its namespace, and no right elsewhere."""

    def __init__(self, controlplane: cluster.ControlPlane, namespace: str) -> None:
        self.namespace = namespace
        self.admin = controlplane.admin
        self.user = controlplane.as_service_account(namespace, "ada")
        resources = ["jobs", "services", "pods", "pods/log", "persistentvolumeclaims", "events"]
        rules = [{"apiGroups": ["", "batch"], "resources": resources, "verbs": ["*"]}]
        path = RBAC.format(namespace)
        self.admin.create(f"{path}/roles", {"metadata": {"name": "team"}, "rules": rules})
        group = "rbac.authorization.k8s.io"
        binding = {
            "metadata": {"name": "team"},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "team"},
            "subjects": [{"kind": "ServiceAccount", "name": "ada", "namespace": namespace}],
        }
        self.admin.create(f"{path}/rolebindings", binding)

    def ml(self, *args: str) -> Done:
        """Run `kubectl ml` as the team."""
        command, *rest = args
        return ml(self.user, command, "-n", self.namespace, *rest)


def ml(client: Client, *args: str) -> Done:
    return client.try_kubectl("ml", *args)


def said(done: Done) -> tuple[int, list[str], list[str]]:
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


@pytest.fixture
def team(controlplane: cluster.ControlPlane, namespace: str) -> Team:
    return Team(controlplane, namespace)


# --- a namespaced user, from train to delete --------------------------------------------------


def test_a_run_from_train_to_delete(controlplane: cluster.ControlPlane, team: Team) -> None:
    trained = team.ml(
        *("train", "bert", *IMAGE, "--accelerator", "a100:2", "--nodes", "2"),
        *("--", "torchrun", "train.py"),
    )
    waited = team.ml("wait", "bert", "--timeout", "60s")
    listed = team.ml("list", "--no-headers")
    shown = team.ml("status", "bert")
    pods = controlplane.admin.get(PODS.format(team.namespace))["items"]
    deleted = team.ml("delete", "bert")

    assert said(trained) == (
        0,
        ["job.batch/bert created", "service/bert created"],
        [NOTE, f"next: kubectl ml logs -f bert -n {team.namespace}"],
    )
    assert (waited.returncode, waited.stdout) == (0, "job.batch/bert succeeded\n"), waited.stderr
    assert listed.stdout.split()[:-1] == ["bert", "job", "a100:2", "x2", "Succeeded", "2/2"]
    assert len(shown.stdout.splitlines()) == 3
    assert {pod["spec"]["nodeName"] for pod in pods} == {"gpu-a100-0"}
    assert {pod["spec"]["hostname"] for pod in pods} == {"bert-0", "bert-1"}
    assert said(deleted) == (0, ["job.batch/bert deleted"], [])
    assert team.ml("list").stdout == ""
    path = f"/api/v1/namespaces/{team.namespace}/services/bert"
    wait_until_gone(controlplane, path)


def wait_until_gone(controlplane: cluster.ControlPlane, path: str) -> None:
    """Wait until the garbage collector has taken what belonged to the run."""
    waiting.until(
        lambda: controlplane.admin.request("GET", path).status == 404,
        what=f"{path} to go",
        timeout_seconds=30,
    )


def test_a_name_that_is_taken(team: Team) -> None:
    team.ml("train", "bert", *IMAGE, "--accelerator", "a100")

    again = team.ml("train", "bert", *IMAGE, "--accelerator", "a100")

    assert said(again) == (
        1,
        [],
        [
            f'error: Job "bert" already exists in namespace "{team.namespace}"',
            "hint: --replace deletes it and starts anew; or choose another name",
        ],
    )


def test_replace_deletes_waits_and_makes_anew(team: Team) -> None:
    job = f"{JOBS.format(team.namespace)}/bert"
    team.ml("train", "bert", *IMAGE, "--nodes", "2", "--volume", "1Gi:/out")
    old = team.admin.get(job)["metadata"]["uid"]

    again = team.ml("train", "bert", *IMAGE, "--nodes", "2", "--volume", "1Gi:/out", "--replace")

    assert again.returncode == 0, again.stderr
    assert team.admin.get(job)["metadata"]["uid"] != old
    service = team.admin.get(f"/api/v1/namespaces/{team.namespace}/services/bert")
    [owner] = service["metadata"]["ownerReferences"]
    assert owner["uid"] == team.admin.get(job)["metadata"]["uid"]


def test_a_dry_run_on_the_server_changes_nothing(team: Team) -> None:
    done = team.ml("train", "bert", *IMAGE, "--nodes", "2", "--dry-run=server", "-o", "json")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["items"]
    assert [each["kind"] for each in found] == ["Job", "Service"]
    assert found[0]["metadata"]["uid"]
    assert team.admin.get(JOBS.format(team.namespace))["items"] == []


def test_every_flag_is_taken_by_the_server(team: Team) -> None:
    done = team.ml(
        *("train", "bert", *IMAGE, "--elastic", "1:2", "--accelerator", "t4", "--cpus", "2"),
        *("--memory", "4Gi", "--shm", "1Gi", "--mount", "scratch://1Gi:/tmp/w", "--env", "A=b"),
        *("--volume", "1Gi:/out", "--retries", "2", "--max-time", "1h", "--experiment", "e"),
        *("--backend", "job", "--", "torchrun", "x.py"),
    )

    assert done.returncode == 0, done.stderr
    spec = team.admin.get(f"{JOBS.format(team.namespace)}/bert")["spec"]
    assert spec["backoffLimitPerIndex"] == 2
    assert spec["successPolicy"]["rules"][0]["succeededIndexes"] == "0"


# --- refusals ---------------------------------------------------------------------------------


def test_a_quota_is_a_sentence_and_a_hint(team: Team) -> None:
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"count/jobs.batch": "0"}}}
    path = f"/api/v1/namespaces/{team.namespace}/resourcequotas"
    team.admin.create(path, quota)

    def refused() -> Done | None:
        done = team.ml("train", "bert", *IMAGE)
        return done if done.returncode else None

    done = waiting.until(refused, what="the quota to be known", timeout_seconds=20)

    assert said(done) == (
        1,
        [],
        [
            'error: Job "bert" exceeds quota "few": it asks for 1 count/jobs.batch, 0 of 0 is used',
            f"hint: ask for less, or free some: kubectl describe quota few -n {team.namespace}",
        ],
    )


def test_status_says_what_a_quota_keeps_from_the_pods(team: Team) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    team.admin.create(f"/api/v1/namespaces/{team.namespace}/resourcequotas", quota)
    team.ml("train", "bert", *IMAGE)

    def why() -> str | None:
        out = team.ml("status", "bert").stdout
        return out if "FailedCreate" in out else None

    assert "exceeded quota: none" in waiting.until(why, what="the event", timeout_seconds=30)


def test_a_missing_right_is_a_sentence_and_a_hint(team: Team) -> None:
    done = ml(team.user, "train", "bert", *IMAGE, "-n", "default")

    assert said(done) == (
        1,
        [],
        [
            'error: you lack the right to create jobs.batch in namespace "default"',
            "hint: an admin can give it with a Role; check with: "
            "kubectl auth can-i create jobs.batch -n default",
        ],
    )


def test_a_list_of_all_namespaces_says_what_may_not_be_read(team: Team) -> None:
    done = team.ml("list", "-A")

    assert done.returncode == 1  # nothing could be looked at
    assert (
        "note: no Jobs are shown: you lack the right to list jobs.batch in the whole cluster"
        in done.stderr.splitlines()
    )


def test_a_system_that_is_not_there_is_a_sentence(team: Team) -> None:
    if team.user.kubectl("api-resources", "--api-group=jobset.x-k8s.io", "-o", "name"):
        pytest.skip("an earlier test has loaded the definition of JobSet")

    done = team.ml("train", "bert", *IMAGE, "--backend", "jobset")

    assert said(done) == (
        1,
        [],
        [
            "error: this cluster doesn't know JobSet (jobset.x-k8s.io/v1alpha2): the system that "
            "brings jobset.x-k8s.io isn't installed",
            "hint: choose another --backend, or ask an admin to install it",
        ],
    )


def test_a_pod_that_fits_nowhere_is_explained(
    controlplane: cluster.ControlPlane, team: Team
) -> None:
    team.ml("train", "bert", *IMAGE, "--accelerator", "h100")
    controlplane.wait_for(
        PODS.format(team.namespace),
        lambda found: found["items"] and found["items"][0]["status"].get("conditions"),
    )

    shown = team.ml("status", "bert")

    assert "Unschedulable: 0/" in shown.stdout
    assert team.ml("wait", "bert", "--timeout", "1s").returncode == 3


# --- other systems ----------------------------------------------------------------------------

BACKENDS = {
    "jobset": "jobsets.jobset.x-k8s.io",
    "pytorchjob": "pytorchjobs.kubeflow.org",
    "trainjob": "trainjobs.trainer.kubeflow.org",
}
PLENTY = (
    *("--nodes", "2", "--accelerator", "a100:2", "--cpus", "2", "--memory", "4Gi"),
    *("--env", "A=b", "--volume", "1Gi:/out", "--max-time", "1h", "--queue", "team-a"),
)


@pytest.mark.parametrize("inject", ["server", "client"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_definitions_take_what_is_made(
    controlplane: cluster.ControlPlane,
    namespace: str,
    load_crds: Callable[..., None],
    backend: str,
    inject: str,
) -> None:
    load_crds(BACKENDS[backend])
    flags = ("-n", namespace, "--backend", backend, "--inject", inject)

    done = ml(
        controlplane.admin, "train", "bert", *IMAGE, *flags, *PLENTY, "-o", "json", "--", "train"
    )
    listed = ml(controlplane.admin, "list", "-n", namespace, "--no-headers")
    deleted = ml(controlplane.admin, "delete", "bert", "-n", namespace, "--volumes")

    assert done.returncode == 0, done.stderr
    assert "Warning: unknown field" not in done.stderr
    workload = json.loads(done.stdout)["items"][0]
    assert lost(made(backend, inject, namespace), workload) == []
    assert listed.stdout.split()[:5] == ["bert", backend, "a100:2", "x2", "Pending"]
    assert deleted.returncode == 0, deleted.stderr


def made(backend: str, inject: str, namespace: str) -> Any:
    """Give what the plugin makes, before any server has seen it."""
    flags = ("-n", namespace, "--backend", backend, "--inject", inject, "--dry-run=client")
    outcome = invoke("train", "bert", *IMAGE, *flags, *PLENTY, "-o", "json", "--", "train")
    return json.loads(outcome.out)["items"][0]


def lost(sent: Any, kept: Any, at: str = "") -> list[str]:
    """Name what the server has dropped: fields that the definition doesn't know."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        return [
            path
            for key, value in sent.items()
            for path in (lost(value, kept[key], f"{at}/{key}") if key in kept else [f"{at}/{key}"])
        ]
    if isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        pairs = enumerate(zip(sent, kept, strict=True))
        return [path for n, (a, b) in pairs for path in lost(a, b, f"{at}/{n}")]
    return [] if sent == kept else [at]


# --- with the webhook -------------------------------------------------------------------------


def test_where_the_webhook_acts_it_injects(enabled: Place) -> None:
    done = enabled.try_kubectl(
        "ml", "train", "bert", *IMAGE, "--accelerator", "a100:2", "--backend", "job"
    )

    assert done.returncode == 0, done.stderr
    assert NOTE not in done.stderr
    job = enabled.admin.get(f"{JOBS.format(enabled.name)}/bert")
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert "nvidia.com/gpu" not in (container.get("resources") or {}).get("limits", {})
    controlplane = enabled.control_plane
    found = controlplane.wait_for(PODS.format(enabled.name), lambda pods: pods["items"])
    [container] = found["items"][0]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"


def test_what_the_webhook_refuses_is_a_sentence(enabled: Place) -> None:
    done = enabled.try_kubectl("ml", "train", "bert", *IMAGE, "--accelerator", "a1000")

    assert done.returncode == 1
    first = done.stderr.splitlines()[0]
    assert first.endswith(
        'was refused: devices: kubectl-ml.io/accelerator: unknown device class "a1000"; '
        'did you mean "a100"?'
    )
