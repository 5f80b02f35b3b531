"""`kubectl ml adopt`: workloads from before the webhook acted are brought in, or named."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubectl_ml import rollouts
from policies.model import Manifest
from policies.workloads import catalogue
from tests.kubectl_ml import apiserver
from tests.kubectl_ml.apiserver import APIServer
from tests.kubectl_ml.program import BIN, Outcome

WANTED = {"kubectl-ml.io/accelerator": "a100:2"}
WEB = "/apis/apps/v1/namespaces/ml/deployments/web"
RECORD = '{"policies":{"intents@00000001":[[%s]]},"v":1}'
CARRIED = '"/spec/template/metadata/annotations/kubectl-ml.io~1accelerator"'
LIBRARY = "the cluster has no policies; the built-in library says what is carried\n"


def deployment(**spec: Any) -> Manifest:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": "x"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "annotations": dict(WANTED), "resourceVersion": "1"},
        "spec": {"replicas": 4, "template": template, **spec},
    }


def job() -> Manifest:
    labels = {"job-name": "run", "batch.kubernetes.io/controller-uid": "u"}
    template = {
        "metadata": {"labels": dict(labels)},
        "spec": {"containers": [{"name": "main", "image": "x"}], "restartPolicy": "Never"},
    }
    metadata = {"name": "run", "annotations": dict(WANTED), "resourceVersion": "1"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {"selector": {"matchLabels": labels}, "template": template},
        "status": {"active": 1},
    }


JOB = "/apis/batch/v1/namespaces/ml/jobs/run"
DIFF = """\
--- deployment.apps/web
+++ deployment.apps/web (adopted)
@@ -4,6 +4,7 @@
   name: web
   annotations:
     kubectl-ml.io/accelerator: a100:2
+    kubectl-ml.io/injected: '{"policies":{"intents@00000001":[["/spec/template/metadata/annotations/kubectl-ml.io~1accelerator"]]},"v":1}'
   namespace: ml
 spec:
   replicas: 4
@@ -11,6 +12,8 @@
     metadata:
       labels:
         app: web
+      annotations:
+        kubectl-ml.io/accelerator: a100:2
     spec:
       containers:
       - name: main
"""  # noqa: E501 -- as it is printed
ROLLED = (
    "deployment.apps/web: its 4 pods are replaced, at most 1 more and at most 1 fewer at a time\n"
    "deployment.apps/web: its pods ask for up to 10 nvidia.com/gpu, those of the surge counted\n"
)


def test_a_deployment_is_brought_in_and_what_that_rolls_is_said_before(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    server.carries = True
    server.add(WEB, deployment())

    outcome = ml("adopt", "deployment/web", "--yes")

    assert outcome == Outcome(
        code=0,
        out="deployment.apps/web adopted\n",
        err=LIBRARY + DIFF + ROLLED + "next: kubectl rollout status deployment.apps/web\n",
    )
    assert server.objects[WEB]["metadata"]["annotations"] == {
        **WANTED,
        "kubectl-ml.io/injected": RECORD % CARRIED,
    }
    assert server.objects[WEB]["spec"]["template"]["metadata"]["annotations"] == WANTED
    (target,) = [one for one in server.asked("PATCH") if "dryRun" not in one]
    assert target == f"{WEB}?fieldManager=kubectl-ml"


def test_a_second_time_there_is_nothing_to_do(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    server.carries = True
    server.add(WEB, deployment())
    ml("adopt", "deployment/web", "--yes")
    asked = len(server.asked("PATCH"))

    outcome = ml("adopt", "deployment/web")

    assert outcome == Outcome(
        code=0,
        out="",
        err=LIBRARY + "deployment.apps/web: nothing to do: it was brought in already\n",
    )
    assert len(server.asked("PATCH")) == asked


def test_a_dry_run_of_the_client_only_reads(server: APIServer, ml: Callable[..., Outcome]) -> None:
    server.add(WEB, deployment())

    outcome = ml("adopt", "deployment/web", "--dry-run=client")

    assert outcome == Outcome(
        code=0, out="deployment.apps/web adopted (dry run)\n", err=LIBRARY + DIFF + ROLLED
    )
    assert {method for method, _, _ in server.requests} == {"GET"}


def test_a_dry_run_of_the_server_writes_nothing_and_prints_what_would_be(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    server.carries = True
    server.add(WEB, deployment())
    before = copy.deepcopy(server.objects)

    outcome = ml("adopt", "deployment/web", "--dry-run=server", "-o", "json")

    assert json.loads(outcome.out)["spec"]["template"]["metadata"]["annotations"] == WANTED
    assert server.objects == before
    assert all("dryRun=All" in one for one in server.asked("PATCH"))


def test_nobody_is_asked_where_there_is_no_terminal(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    server.carries = True
    server.add(WEB, deployment())

    outcome = ml("adopt", "deployment/web")

    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(LIBRARY + DIFF + ROLLED)
    assert "nobody can be asked here; give --yes to go on" in outcome.err
    assert "annotations" not in server.objects[WEB]["spec"]["template"]["metadata"]


@pytest.mark.parametrize(("said", "code"), [("y\n", 0), ("n\n", 130)])
def test_on_a_terminal_it_asks(server: APIServer, tmp_path: Path, said: str, code: int) -> None:
    server.carries = True
    server.add(WEB, deployment())
    config = apiserver.kubeconfig(tmp_path / "config", server.port)
    person, terminal = os.openpty()
    os.write(person, said.encode())
    try:
        done = subprocess.run(  # noqa: S603 -- our own program
            [str(BIN / "kubectl-ml"), "adopt", "deployment/web"],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": os.environ["PATH"], "KUBECONFIG": str(config)},
            check=False,
        )
    finally:
        os.close(person)
        os.close(terminal)

    assert done.returncode == code
    assert "Adopt deployment.apps/web? [y/N]: " in done.stderr
    assert ("annotations" in server.objects[WEB]["spec"]["template"]["metadata"]) is (code == 0)


def test_where_no_webhook_acts_nothing_is_adopted(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    server.add(WEB, deployment())

    outcome = ml("adopt", "deployment/web", "--yes")

    assert outcome == Outcome(
        code=1,
        out="",
        err=LIBRARY + 'error: no webhook acts in namespace "ml", so nobody would inject the pods '
        'of Deployment "web"\n'
        "hint: kubectl label namespace ml kubectl-ml.io/enabled=true\n",
    )


def test_a_job_is_refused_with_the_way_out_and_nothing_else_is_written(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    server.carries = True
    server.add(WEB, deployment())
    server.add(JOB, job())

    outcome = ml("adopt", "deployment/web", "job/run", "--yes")

    assert outcome == Outcome(
        code=1,
        out="",
        err=LIBRARY
        + 'error: Job "run": the pods of a Job can\'t be changed, so it has to be made anew\n'
        "hint: nothing was changed; kubectl replace --force -f FILE makes it anew, and so does "
        "--replace; its pods begin from the start\n",
    )
    assert server.asked("PATCH") == []


def test_a_job_is_replaced_where_that_is_asked_for(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    server.carries = True
    server.add(JOB, job())
    old = server.objects[JOB]["metadata"]["uid"]

    outcome = ml("adopt", "job/run", "--replace", "--yes")

    assert (outcome.code, outcome.out) == (0, "job.batch/run replaced\n"), outcome.err
    made = server.objects[JOB]
    assert made["metadata"]["uid"] != old
    assert "selector" not in made["spec"]
    assert made["spec"]["template"]["metadata"] == {"labels": {}, "annotations": WANTED}
    assert "job.batch/run: it is deleted and made anew: its pods begin from the start" in (
        outcome.err
    )


RAY = "/apis/ray.io/v1/namespaces/ml/rayclusters/ray"


def test_what_a_queue_suspends_is_said(server: APIServer, ml: Callable[..., Outcome]) -> None:
    server.kinds["ray.io/v1"] = {"RayCluster": "rayclusters"}
    group = {"template": {"spec": {"containers": [{"name": "head", "image": "x"}]}}}
    cluster = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "ray", "annotations": {"kubectl-ml.io/queue": "team-a"}},
        "spec": {"headGroupSpec": group},
    }
    server.kinds["kueue.x-k8s.io/v1beta1"] = {"Workload": "workloads"}
    server.add(RAY, cluster)

    outcome = ml("adopt", "raycluster/ray", "--dry-run=client")

    assert (outcome.code, outcome.out) == (0, "raycluster.ray.io/ray adopted (dry run)\n")
    assert "+  suspend: true\n" in outcome.err
    assert outcome.err.endswith(
        "raycluster.ray.io/ray: it is suspended until its queue admits it: the pods that run end\n"
    )


def changed(**metadata: Any) -> Manifest:
    found = deployment()
    found["metadata"] |= metadata
    return found


OWNER = {"apiVersion": "x.io/v1", "kind": "App", "name": "app", "controller": True}


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (changed(annotations={}), "it has no intents; what policies give all pods comes with its "
         "next ones"),
        (changed(ownerReferences=[OWNER]), 'it belongs to App "app", which is what to adopt'),
        (
            deployment(
                template={
                    "metadata": {"annotations": dict(WANTED)},
                    "spec": {"containers": [{"name": "main"}]},
                }
            ),
            "its templates have all that they can carry",
        ),
    ],
    ids=["no-intents", "owned", "written-in-the-template"],
)  # fmt: skip
def test_what_needs_no_adoption_is_told_why(
    server: APIServer, ml: Callable[..., Outcome], found: Manifest, why: str
) -> None:
    server.add(WEB, copy.deepcopy(found))

    outcome = ml("adopt", "deployment/web")

    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.endswith(f"deployment.apps/web: nothing to do: {why}\n")


def test_a_quota_without_room_for_the_rollout_is_named(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    server.add(WEB, deployment())
    quota = {
        "hard": {"requests.nvidia.com/gpu": "8", "pods": "4"},
        "used": {"requests.nvidia.com/gpu": "2", "pods": "4"},
    }
    server.add("/api/v1/namespaces/ml/resourcequotas/team", {"status": quota})

    outcome = ml("adopt", "deployment/web", "--dry-run=client")

    assert (
        'ResourceQuota "team" has 0 of 4 pods left, and up to 1 more are asked for meanwhile: '
        "the rollout stops where they run out\n" in outcome.err
    )
    assert (
        'ResourceQuota "team" has 6 of 8 requests.nvidia.com/gpu left, and up to 8 more are '
        "asked for meanwhile: the rollout stops where they run out\n" in outcome.err
    )


QUOTAS = "/apis/kubectl-ml.io/v1alpha1/quotapolicies"


@pytest.fixture
def quota(server: APIServer) -> APIServer:
    """Give each namespace four A100s, no more than two of them to one workload."""
    server.kinds["kubectl-ml.io/v1alpha1"] = {"QuotaPolicy": "quotapolicies"}
    server.kinds["v1"] = {**server.kinds.get("v1", {}), "Pod": "pods"}
    server.objects["/api/v1/namespaces/ml"] = {"metadata": {"name": "ml", "uid": "ml"}}
    server.objects[f"{QUOTAS}/gpus"] = {
        "apiVersion": "kubectl-ml.io/v1alpha1",
        "kind": "QuotaPolicy",
        "metadata": {"name": "gpus", "uid": "gpus"},
        "spec": {
            "groupBy": "namespace",
            "budget": {"accelerators.a100": 4},
            "perWorkload": {"accelerators.a100": 2},
        },
    }
    return server


def pod(name: str, count: int) -> Manifest:
    """Give a pod that is older than the webhook: it has no devices, whatever it asks for."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {"kubectl-ml.io/accelerator": f"a100:{count}"}},
        "spec": {"containers": [{"name": "main", "image": "x"}]},
    }


def test_what_a_quota_would_refuse_is_refused_before_it_is_deleted(
    quota: APIServer, ml: Callable[..., Outcome]
) -> None:
    quota.add("/api/v1/namespaces/ml/pods/one", pod("one", 3))

    outcome = ml("adopt", "pod/one", "--replace", "--yes")

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        'error: Pod "one": gpus: one asks for 3 a100, and one workload may have 2; ask for 1 less\n'
        "hint: nothing was changed; kubectl ml quota shows who holds what\n"
    )
    assert {method for method, _, _ in quota.requests} == {"GET"}


def test_a_quota_that_is_used_up_is_named_with_who_holds_it(
    quota: APIServer, ml: Callable[..., Outcome]
) -> None:
    del quota.objects[f"{QUOTAS}/gpus"]["spec"]["perWorkload"]
    quota.add(JOB, job())  # 2 of the 4
    quota.add("/api/v1/namespaces/ml/pods/one", pod("one", 2))
    quota.add("/api/v1/namespaces/ml/pods/two", pod("two", 1))

    outcome = ml("adopt", "pod/one", "pod/two", "--replace", "--yes")

    assert outcome.code == 1
    assert outcome.err == (
        'error: Pod "two": gpus: namespace ml has 2 of 4 a100 in use and 2 reserved (run 2); '
        "two asks for 1, 1 too many\n"
        "hint: nothing was changed; kubectl ml quota shows who holds what\n"
    )
    assert {method for method, _, _ in quota.requests} == {"GET"}


def test_what_counts_already_is_adopted_and_what_a_quota_says_of_it_is_said(
    quota: APIServer, ml: Callable[..., Outcome]
) -> None:
    """It is charged as if it were injected, so its adoption takes nothing more."""
    quota.add(WEB, deployment())

    outcome = ml("adopt", "deployment/web", "--dry-run=client")

    assert (outcome.code, outcome.out) == (0, "deployment.apps/web adopted (dry run)\n")
    assert (
        "deployment.apps/web: gpus: web asks for 10 a100, and one workload may have 2; "
        "ask for 8 less\n" in outcome.err
    )


def test_intents_that_changed_while_no_webhook_acted_are_brought_in(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    server.carries = True
    server.add(WEB, deployment())
    ml("adopt", "deployment/web", "--yes")
    server.objects[WEB]["metadata"]["annotations"]["kubectl-ml.io/accelerator"] = "a100:4"

    outcome = ml("adopt", "deployment/web", "--yes")

    assert (outcome.code, outcome.out) == (0, "deployment.apps/web adopted\n"), outcome.err
    assert "-        kubectl-ml.io/accelerator: a100:2\n" in outcome.err
    assert server.objects[WEB]["spec"]["template"]["metadata"]["annotations"] == {
        "kubectl-ml.io/accelerator": "a100:4"
    }
    again = ml("adopt", "deployment/web")
    assert again.err.endswith("nothing to do: it was brought in already\n")


def test_a_record_that_cant_be_undone_is_left_alone_and_said(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    gone = RECORD % '"/spec/template/metadata/annotations/kubectl-ml.io~1shm"'
    server.add(WEB, changed(annotations={**WANTED, "kubectl-ml.io/injected": gone}))

    outcome = ml("adopt", "deployment/web", "--yes")

    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.endswith(
        "nothing to do: it was brought in already; whether with today's intents can't be told: "
        "intents: /spec/template/metadata/annotations/kubectl-ml.io~1shm is gone, so it was edited "
        "since; put it back, or take out by hand what was added\n"
    )


def test_an_intent_that_cant_be_used_is_refused_before_anything_is_asked(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    server.add(WEB, changed(annotations={"kubectl-ml.io/accelerator": "a1000"}))

    outcome = ml("adopt", "deployment/web", "--yes")

    assert (outcome.code, outcome.out) == (1, "")
    assert 'error: Deployment "web": devices: ' in outcome.err
    assert "hint: nothing was changed; mend the intents, then try again" in outcome.err


def test_explain_says_that_a_workload_waits_for_its_adoption(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    server.add(WEB, deployment())

    outcome = ml("explain", "deployment/web")

    assert outcome.err == "next: kubectl ml adopt deployment.apps/web\n"


def stateful(**spec: Any) -> Manifest:
    return deployment(**spec) | {"kind": "StatefulSet"}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (deployment(replicas=0), "it has no pods now, so none is replaced"),
        (
            deployment(strategy={"type": "Recreate"}),
            "its 4 pods are replaced: all end first, then the new ones start (Recreate)",
        ),
        (
            deployment(
                replicas=1, paused=True,
                strategy={"rollingUpdate": {"maxSurge": 2, "maxUnavailable": "50%"}},
            ),
            "its pod is replaced, at most 2 more and at most 0 fewer at a time; it is paused, so "
            "that begins when it goes on",
        ),
        (stateful(), "its 4 pods are replaced, one after the other from the last"),
        (
            stateful(updateStrategy={"rollingUpdate": {"partition": 3}}),
            "1 of its 4 pods are replaced, one after the other from the last (partition 3)",
        ),
        (
            stateful(updateStrategy={"type": "OnDelete"}),
            "none of its 4 pods is replaced until somebody deletes it (OnDelete)",
        ),
        (
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"},
             "spec": {}, "status": {"desiredNumberScheduled": 3}},
            "its 3 pods are replaced, at most 0 more and at most 1 fewer at a time",
        ),
        (
            {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": {}},
            "what runs goes on as it is; the next run gets it",
        ),
    ],
)  # fmt: skip
def test_what_a_changed_template_does_is_said_as_the_strategy_has_it(
    found: Manifest, said: str
) -> None:
    kind = catalogue.builtin().of(found)

    assert kind is not None
    assert rollouts.of(found, kind) == said
