"""`kubectl ml list`, `status`, `logs`, `wait` and `delete`, against a small API server."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from kubectl_ml import runs
from tests.kubectl_ml import apiserver
from tests.kubectl_ml.apiserver import APIServer
from tests.kubectl_ml.program import Outcome, run

ML = Callable[..., Outcome]
JOBS = "/apis/batch/v1/namespaces/{}/jobs/{}"
PODS = "/api/v1/namespaces/{}/pods/{}"
RUNNING = {"state": {"running": {}}, "name": "trainer"}
READY = [{"type": "Ready", "status": "True"}]


def add_job(
    server: APIServer, name: str = "bert", *, namespace: str = "ml", nodes: int = 1, **status: Any
) -> Any:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "labels": {"kubectl-ml.io/name": name},
            "annotations": {"kubectl-ml.io/accelerator": "a100:2", "kubectl-ml.io/queue": "q"},
        },
        "spec": {"parallelism": nodes},
        "status": status,
    }
    server.add(JOBS.format(namespace, name), job)
    return job


def add_pod(
    server: APIServer, rank: int, *, name: str = "bert", namespace: str = "ml", **status: Any
) -> Any:
    found = {
        "metadata": {
            "labels": {"kubectl-ml.io/name": name},
            "annotations": {"batch.kubernetes.io/job-completion-index": str(rank)},
        },
        "spec": {"containers": [{"name": "trainer", "image": "pt:1"}], "nodeName": "gpu-0"},
        "status": {"phase": "Running", "containerStatuses": [RUNNING], "conditions": READY}
        | status,
    }
    server.add(PODS.format(namespace, f"{name}-{rank}"), found)
    return found


def complete(type_: str, **more: str) -> Any:
    return [{"type": type_, "status": "True"} | more]


def lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


# --- list -------------------------------------------------------------------------------------


def test_list_is_a_table(server: APIServer, ml: ML) -> None:
    add_job(server, nodes=2, ready=1)
    add_pod(server, 0)
    add_pod(server, 1, phase="Pending", conditions=[])
    add_job(server, "done", conditions=complete("Complete"))

    outcome = ml("list")

    assert (outcome.code, outcome.err) == (0, "")
    assert [line[:-1] for line in lines(outcome.out)] == [
        ["NAME", "BACKEND", "DEVICES", "STATE", "PODS"],
        ["bert", "job", "a100:2", "x2", "Running", "1/2"],
        ["done", "job", "a100:2", "Succeeded", "0/1"],
    ]


def test_wide_shows_more(server: APIServer, ml: ML) -> None:
    add_job(server)
    add_pod(server, 0)

    outcome = ml("list", "-o", "wide", "--no-headers")

    assert lines(outcome.out)[0][-4:] == ["q", "<none>", "gpu-0", "pt:1"]


def test_nothing_is_said_to_be_nothing(ml: ML) -> None:
    outcome = ml("list")

    assert (outcome.code, outcome.out, outcome.err) == (
        0,
        "",
        'Nothing that kubectl ml made was found in namespace "ml".\n',
    )


def test_what_others_made_is_not_shown(server: APIServer, ml: ML) -> None:
    server.add(JOBS.format("ml", "other"), {"kind": "Job", "spec": {}})
    part = add_job(server, "part")
    part["metadata"]["ownerReferences"] = [{"controller": True, "kind": "JobSet"}]

    assert ml("list", "-o", "name").out == ""


def test_names_and_objects_are_for_scripts(server: APIServer, ml: ML) -> None:
    add_job(server)

    names, objects = ml("list", "-o", "name"), ml("list", "-o", "json")

    assert names.out == "job.batch/bert\n"
    listed = json.loads(objects.out)
    assert (listed["kind"], [each["kind"] for each in listed["items"]]) == ("List", ["Job"])


def test_a_kind_that_may_not_be_read_does_not_break_the_others(server: APIServer, ml: ML) -> None:
    add_job(server)
    server.answers[("GET", "/apis/apps/v1/namespaces/ml/deployments")] = apiserver.forbidden(
        'deployments.apps is forbidden: User "ann" cannot list resource "deployments" in API '
        'group "apps" in the namespace "ml"'
    )

    outcome = ml("list", "-o", "name")

    assert (outcome.code, outcome.out) == (0, "job.batch/bert\n")
    assert outcome.err.splitlines() == [
        "note: no Deployments are shown: "
        'you lack the right to list deployments.apps in namespace "ml"'
    ]


def test_a_kind_that_is_not_there_and_may_not_be_read_is_not_mentioned(
    server: APIServer, ml: ML
) -> None:
    add_job(server)
    path = "/apis/kubeflow.org/v1/namespaces/ml/pytorchjobs"
    server.answers[("GET", path)] = apiserver.forbidden("no")

    outcome = ml("list", "-o", "name")

    assert (outcome.code, outcome.out, outcome.err) == (0, "job.batch/bert\n", "")


# --- status -----------------------------------------------------------------------------------


def status_of(ml: ML) -> list[str]:
    outcome = ml("status", "bert")
    assert (outcome.code, outcome.err) == (0, "")
    first, *rest = outcome.out.splitlines()
    return [first.rpartition("  ")[0], *rest]


def test_status_is_a_tree_down_to_the_pods(server: APIServer, ml: ML) -> None:
    add_job(server, nodes=2, ready=1)
    add_pod(server, 0)
    waiting = {"reason": "ImagePullBackOff", "message": 'back-off pulling "pt:1"'}
    statuses = [{"name": "trainer", "state": {"waiting": waiting}}]
    add_pod(server, 1, phase="Pending", conditions=[], containerStatuses=statuses)

    assert status_of(ml) == [
        "bert  job  Running  1/2 pods ready  a100:2 x2",
        "├── 0  bert-0  Running  gpu-0",
        '└── 1  bert-1  Pending  gpu-0  ImagePullBackOff: trainer: back-off pulling "pt:1"',
    ]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        pytest.param(
            {
                "phase": "Pending",
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/3 nodes\nare available",
                    }
                ],
                "containerStatuses": [],
            },
            "Pending  gpu-0  Unschedulable: 0/3 nodes are available",
            id="fits-nowhere",
        ),
        pytest.param(
            {
                "phase": "Failed",
                "conditions": [],
                "containerStatuses": [
                    {
                        "name": "trainer",
                        "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                    }
                ],
            },
            "Failed  gpu-0  OOMKilled: trainer ended with 137",
            id="out-of-memory",
        ),
        pytest.param(
            {"phase": "Failed", "conditions": [], "containerStatuses": [], "message": "evicted"},
            "Failed  gpu-0  evicted",
            id="evicted",
        ),
    ],
)
def test_status_says_why_a_pod_is_not_ready(
    server: APIServer, ml: ML, status: Any, why: str
) -> None:
    add_job(server)
    add_pod(server, 0, **status)

    assert status_of(ml)[1:] == [f"└── 0  bert-0  {why}"]


def test_status_says_what_a_controller_was_refused(server: APIServer, ml: ML) -> None:
    job = add_job(server)
    server.add(
        "/api/v1/namespaces/ml/events/e",
        {
            "reason": "FailedCreate",
            "message": "exceeded quota: team",
            "involvedObject": {"uid": job["metadata"]["uid"]},
            "lastTimestamp": "2026-01-01T00:00:00Z",
        },
    )

    assert status_of(ml) == [
        "bert  job  Pending  0/1 pods ready  a100:2",
        "└── why: FailedCreate: exceeded quota: team",
    ]


def test_status_says_why_a_run_failed(server: APIServer, ml: ML) -> None:
    said = {"reason": "DeadlineExceeded", "message": "too long"}
    add_job(server, conditions=complete("Failed", **said))

    assert status_of(ml) == [
        "bert  job  Failed  0/1 pods ready  a100:2",
        "└── why: DeadlineExceeded: too long",
    ]


def test_status_says_what_the_queue_says(server: APIServer, ml: ML) -> None:
    server.kinds["kueue.x-k8s.io/v1beta1"] = {"Workload": "workloads"}
    job = add_job(server)
    job["spec"]["suspend"] = True
    job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "q"
    server.add(
        "/apis/kueue.x-k8s.io/v1beta1/namespaces/ml/workloads/w",
        {
            "metadata": {"labels": {"kueue.x-k8s.io/job-uid": job["metadata"]["uid"]}},
            "status": {
                "conditions": [
                    {"type": "QuotaReserved", "status": "False", "message": "no room for 2 GPUs"}
                ]
            },
        },
    )

    assert status_of(ml) == [
        "bert  job  Queued  0/1 pods ready  a100:2",
        "└── why: in the queue: no room for 2 GPUs",
    ]


def test_an_unknown_name_is_told(ml: ML) -> None:
    outcome = ml("status", "bret")

    assert (outcome.code, outcome.err.splitlines()) == (
        1,
        [
            'error: there is no "bret" in namespace "ml"',
            "hint: kubectl ml list -A shows what there is; -n names another namespace",
        ],
    )


# --- logs -------------------------------------------------------------------------------------


def test_logs_are_of_all_ranks_with_a_prefix(server: APIServer, ml: ML) -> None:
    add_job(server, nodes=2)
    for rank in (1, 0):
        add_pod(server, rank)
        server.logs[f"bert-{rank}"] = f"hello\nfrom {rank}".encode()

    outcome = ml("logs", "bert")

    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "[0] hello\n[0] from 0\n[1] hello\n[1] from 1\n"


def test_logs_of_one_rank_have_no_prefix(server: APIServer, ml: ML) -> None:
    add_job(server, nodes=2)
    for rank in (0, 1):
        add_pod(server, rank)
        server.logs[f"bert-{rank}"] = f"from {rank}\n".encode()

    outcome = ml("logs", "bert", "--rank", "1", "--tail", "5")

    assert outcome.out == "from 1\n"
    assert "tailLines=5" in server.asked("GET")[-1]


def test_logs_of_a_rank_that_is_not_there_are_told(server: APIServer, ml: ML) -> None:
    add_job(server)
    add_pod(server, 0)

    outcome = ml("logs", "bert", "--rank", "7")

    assert (outcome.code, outcome.err.splitlines()) == (
        1,
        [
            'error: job "bert" has no pod of rank 7; there are: 0',
            "hint: kubectl ml status bert shows its pods",
        ],
    )


def test_a_pod_that_has_not_started_has_no_log_yet(server: APIServer, ml: ML) -> None:
    add_job(server)
    add_pod(server, 0, containerStatuses=[])

    outcome = ml("logs", "bert")

    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == "note: not started yet: 0; kubectl ml status bert says why\n"


def test_logs_are_followed_until_the_run_is_over(server: APIServer, ml: ML) -> None:
    job = add_job(server)
    add_pod(server, 0, containerStatuses=[])
    server.logs["bert-0"] = b"step 1\nstep 2\n"

    def start_and_end() -> None:
        add_pod(server, 0)
        job["status"] = {"conditions": complete("Complete")}

    timer = threading.Timer(0.5, start_and_end)
    timer.start()
    outcome = ml("logs", "-f", "bert")
    timer.join()

    assert (outcome.code, outcome.out) == (0, "[0] step 1\n[0] step 2\n")
    assert outcome.err.splitlines() == [
        'job "bert": Pending, 1/1 pods ready',
        f'job "bert": Succeeded after {runs.age(runs.seconds_since("2026-01-01T00:00:00Z"))}',
    ]


def test_following_a_run_that_fails_ends_with_1(server: APIServer, ml: ML) -> None:
    add_job(server, conditions=complete("Failed"))

    assert ml("logs", "-f", "bert").code == 1


def test_logs_that_are_gone_are_not_followed_but_missed(server: APIServer, ml: ML) -> None:
    add_job(server, conditions=complete("Complete"))
    add_pod(server, 0)

    outcome = ml("logs", "-f", "bert")

    assert (outcome.code, outcome.err.splitlines()[0]) == (
        1,
        'error: Pod "bert-0" has no log (any more)',
    )


def test_pods_that_have_ended_well_are_done(server: APIServer, ml: ML) -> None:
    add_job(server, conditions=complete("Complete"))
    add_pod(server, 0, phase="Succeeded")

    assert ml("status", "bert").out.startswith("bert  job  Succeeded  1/1 pods done  ")


def test_an_event_that_repeats_a_condition_is_left_out(server: APIServer, ml: ML) -> None:
    said = {"reason": "FailedCreate", "message": 'pods "bert" is forbidden'}
    job = add_job(server, conditions=complete("Failed", **said))
    event = {
        "type": "Warning",
        "reason": "FailedCreate",
        "message": 'Error creating: pods "bert" is forbidden',
        "involvedObject": {"uid": job["metadata"]["uid"]},
    }
    server.add("/api/v1/namespaces/ml/events/one", event)

    outcome = ml("status", "bert")

    assert outcome.out.splitlines()[1:] == ['└── why: FailedCreate: pods "bert" is forbidden']


# --- wait -------------------------------------------------------------------------------------


def test_wait_ends_with_0_when_it_is_done(server: APIServer, ml: ML) -> None:
    job = add_job(server)
    timer = threading.Timer(0.3, lambda: job.update(status={"conditions": complete("Complete")}))
    timer.start()
    outcome = ml("wait", "bert", "--timeout", "20s")
    timer.join()

    assert (outcome.code, outcome.out) == (0, "job.batch/bert succeeded\n")
    assert outcome.err.splitlines() == [
        'job "bert": Pending, 0/1 pods ready',
        'job "bert": Succeeded, 0/1 pods ready',
    ]


def test_wait_ends_with_1_when_it_failed(server: APIServer, ml: ML) -> None:
    said = {"reason": "BackoffLimitExceeded", "message": "it failed\ntoo often"}
    add_job(server, conditions=complete("Failed", **said))

    outcome = ml("wait", "bert")

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.splitlines()[1:] == [
        'error: job "bert" failed: BackoffLimitExceeded: it failed too often',
        "hint: kubectl ml status bert and kubectl ml logs bert say more",
    ]


def test_wait_ends_with_3_when_the_time_is_over(server: APIServer, ml: ML) -> None:
    add_job(server)

    outcome = ml("wait", "bert", "--timeout", "1s")

    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.err.splitlines()[1:] == [
        'error: job "bert" is still Pending after 1 s',
        "hint: kubectl ml status bert says why",
    ]


def test_wait_ends_with_1_when_it_is_deleted(server: APIServer, ml: ML) -> None:
    add_job(server)
    timer = threading.Timer(0.3, lambda: server.objects.clear())
    timer.start()
    outcome = ml("wait", "bert")
    timer.join()

    assert outcome.code == 1
    assert outcome.err.splitlines()[1] == 'error: job "bert" was deleted meanwhile'


def test_wait_outlives_a_server_that_is_away_for_a_moment(server: APIServer, ml: ML) -> None:
    add_job(server, conditions=[])
    path = JOBS.format("ml", "bert")

    def fail_once(running: APIServer) -> None:
        looks = running.asked("GET").count(path)
        broken = (503, apiserver.status(503, "ServiceUnavailable", "starting"))
        running.answers = {("GET", path): broken} if looks == 1 else {}
        if looks > 1:
            running.objects[path]["status"] = {"conditions": complete("Complete")}

    server.on_request = fail_once

    outcome = ml("wait", "bert")

    assert (outcome.code, outcome.out) == (0, "job.batch/bert succeeded\n")
    assert outcome.err.splitlines()[1] == ("the API server failed with 503: starting; trying again")


# --- delete -----------------------------------------------------------------------------------


def test_delete_deletes_in_the_foreground_and_keeps_volumes(server: APIServer, ml: ML) -> None:
    job = add_job(server)
    claim = "/api/v1/namespaces/ml/persistentvolumeclaims/bert-out"
    server.add(claim, {"metadata": {"labels": {"kubectl-ml.io/name": "bert"}}})

    outcome = ml("delete", "bert")

    assert (outcome.code, outcome.out) == (0, "job.batch/bert deleted\n")
    assert outcome.err == (
        "its volumes stay: bert-out; to delete them, too: kubectl delete pvc bert-out\n"
    )
    [(_, _, body)] = [each for each in server.requests if each[0] == "DELETE"]
    assert body == {
        "propagationPolicy": "Foreground",
        "preconditions": {"uid": job["metadata"]["uid"]},
    }
    assert list(server.objects) == [claim]


def test_delete_takes_the_volumes_where_asked(server: APIServer, ml: ML) -> None:
    add_job(server)
    claim = "/api/v1/namespaces/ml/persistentvolumeclaims/bert-out"
    server.add(claim, {"metadata": {"labels": {"kubectl-ml.io/name": "bert"}}})

    outcome = ml("delete", "bert", "--volumes")

    assert outcome.out == "job.batch/bert deleted\npersistentvolumeclaim/bert-out deleted\n"
    assert not server.objects


def test_a_wrong_name_deletes_nothing(server: APIServer, ml: ML) -> None:
    add_job(server)

    outcome = ml("delete", "bert", "bret")

    assert outcome.code == 1
    assert JOBS.format("ml", "bert") in server.objects


# --- train --follow ---------------------------------------------------------------------------


def test_follow_prints_the_logs_and_ends_as_the_run_does(server: APIServer, ml: ML) -> None:
    def fail(running: APIServer) -> None:
        if job := running.objects.get(JOBS.format("ml", "bert")):
            job["status"] = {"conditions": complete("Failed", reason="BackoffLimitExceeded")}

    server.on_request = fail

    outcome = ml("train", "bert", "--image", "x", "--backend", "job", "--follow")

    assert outcome.code == 1
    assert 'error: job "bert" failed: BackoffLimitExceeded' in outcome.err.splitlines()


# --- completion -------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["status", "logs", "wait", "delete"])
def test_names_are_completed(server: APIServer, tmp_path: Any, command: str) -> None:
    add_job(server)
    add_job(server, "iris")
    config = apiserver.kubeconfig(tmp_path / "config", server.port)

    done = run(command, "b", program="kubectl_complete-ml", env={"KUBECONFIG": str(config)})

    assert (done.stdout, done.stderr) == (b"bert\tjob\n:4\n", b"")


def test_completion_is_silent_where_no_cluster_answers(tmp_path: Any) -> None:
    config = apiserver.kubeconfig(tmp_path / "config", 1)
    environ = {"KUBECONFIG": str(config), "PATH": os.environ["PATH"]}

    done = run("status", "b", program="kubectl_complete-ml", env=environ)

    assert (done.returncode, done.stdout, done.stderr) == (0, b":4\n", b"")


# --- what is typed next -----------------------------------------------------------------------


def test_hints_come_to_the_same_namespace(server: APIServer, ml: ML) -> None:
    add_job(server, namespace="team")
    where = ("-n", "team", "--context", "other")

    waited = ml("wait", "bert", *where, "--timeout", "1s")
    logged = ml("logs", "bert", *where)

    status = "kubectl ml status bert -n team --context other says why"
    assert waited.err.splitlines()[-1] == f"hint: {status}"
    assert logged.err == f"note: not started yet: all; {status}\n"


def test_volumes_that_stay_are_deleted_by_the_line_that_says_so(server: APIServer, ml: ML) -> None:
    add_job(server, namespace="team")
    labels = {"kubectl-ml.io/name": "bert"}
    for name in ("bert-out", "bert-tmp"):
        path = f"/api/v1/namespaces/team/persistentvolumeclaims/{name}"
        server.add(path, {"metadata": {"labels": labels}})

    outcome = ml("delete", "bert", "-n", "team")

    assert outcome.err == (
        "its volumes stay: bert-out, bert-tmp; to delete them, too: "
        "kubectl delete pvc bert-out bert-tmp -n team\n"
    )


@pytest.mark.parametrize(
    "command",
    [
        ("wait", "bert", "--timeout", "5"),
        ("delete", "bert", "--timeout", "5"),
        ("train", "bert", "--image", "x", "--max-time", "5"),
    ],
    ids=lambda command: command[0],
)
def test_a_time_without_a_unit_is_refused(ml: ML, command: tuple[str, ...]) -> None:
    outcome = ml(*command)

    assert outcome.code == 2
    assert '"5": missing unit; write 5s or 24h' in outcome.err


def test_who_may_list_nothing_is_not_told_that_there_is_nothing(server: APIServer, ml: ML) -> None:
    for path in ("/apis/batch/v1/namespaces/ml/jobs", "/apis/apps/v1/namespaces/ml/deployments"):
        server.answers[("GET", path)] = apiserver.forbidden("no")

    outcome = ml("list")

    assert (outcome.code, outcome.out) == (1, "")
    assert [line.split(":")[0] for line in outcome.err.splitlines()] == ["note", "note"]


def test_a_wrong_name_deletes_nothing_and_says_so(server: APIServer, ml: ML) -> None:
    add_job(server)

    outcome = ml("delete", "bert", "nope")

    assert (outcome.code, server.asked("DELETE")) == (1, [])
    assert outcome.err.splitlines()[-1].startswith("hint: nothing was deleted; kubectl ml list -A")
