"""`kubectl ml explain`: what was or would be added, by whom, and what wasn't and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from policies.model import Manifest
from tests.kubectl_ml.apiserver import APIServer
from tests.kubectl_ml.program import Outcome, invoke

POLICY = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: InjectionPolicy
metadata: {name: team}
spec: {inject: {env: [{name: TEAM, value: %s}], priorityClassName: low}}
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web%s}
spec: {containers: [{name: main, image: x}]}
"""


def explain(text: str, tmp_path: Path, *args: str, team: str = "ml") -> Outcome:
    (tmp_path / "team.yaml").write_text(POLICY % team)
    return invoke("explain", "-f", "-", "--no-library", "--policies", tmp_path, *args, stdin=text)


def rendered(text: str, tmp_path: Path) -> str:
    (tmp_path / "team.yaml").write_text(POLICY % "ml")
    return invoke("render", "-f", "-", "--no-library", "--policies", tmp_path, stdin=text).out


ADDED = """\
Pod/default/web
  container main
    + /spec/containers/0/env/0 = {"name":"TEAM","value":"ml"}  [team: env]
  the object
    + /spec/priorityClassName = "low"  [team: priorityClassName]
"""


def test_what_would_be_added_is_told_by_container_with_its_policy(tmp_path: Path) -> None:
    assert explain(POD % "", tmp_path) == Outcome(code=0, out=ADDED, err="")


def test_an_injected_object_tells_the_same_itself(tmp_path: Path) -> None:
    assert explain(rendered(POD % "", tmp_path), tmp_path) == Outcome(code=0, out=ADDED, err="")


def test_what_stands_in_one_place_is_told_together(tmp_path: Path) -> None:
    pod = POD.replace("x}", "x, resources: {limits: {cpu: 1}}}").replace(
        "web%s}", "web, annotations: {kubectl-ml.io/accelerator: a100}}"
    )

    outcome = invoke("explain", "-f", "-", stdin=pod)

    places = [line for line in outcome.out.splitlines() if line[:4].strip() and line[0] == " "]
    assert places == ["  the object", "  container main"]


def test_what_a_controller_copied_has_not_changed_since(tmp_path: Path) -> None:
    deployment = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, annotations: {kubectl-ml.io/accelerator: a100}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: x}]}
"""
    rendered = invoke("render", "-f", "-", "--stage", "admission", "-o", "json", stdin=deployment)
    made = json.loads(rendered.out)
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "1"}
    made["kind"] = "ReplicaSet"
    made["metadata"] |= {"name": "web-1", "ownerReferences": [owner | {"controller": True}]}

    outcome = invoke("explain", "-f", "-", stdin=json.dumps(made))

    assert outcome.out == (
        "ReplicaSet.apps/default/web-1\n"
        "  role pod\n"
        '    + /spec/template/metadata/annotations/kubectl-ml.io~1accelerator = "a100"'
        "  [intents: carried]\n"
    )


def test_what_changed_since_is_told(tmp_path: Path) -> None:
    outcome = explain(rendered(POD % "", tmp_path), tmp_path, team="nlp")

    head, last = outcome.out[: len(ADDED)], outcome.out[len(ADDED) :]
    assert head == ADDED
    assert last.startswith("  ! changed since: team: was ")


def test_what_the_user_set_is_told_as_skipped(tmp_path: Path) -> None:
    pod = POD % "" + "# more\n"
    pod = pod.replace("spec: {", "spec: {priorityClassName: high, ")

    outcome = explain(pod, tmp_path)

    assert '    - /spec/priorityClassName: already "high"  [team]\n' in outcome.out


def test_who_opted_out_is_told_so(tmp_path: Path) -> None:
    outcome = explain(POD % ', annotations: {kubectl-ml.io/inject: "false"}', tmp_path)

    assert outcome.out == (
        "Pod/default/web\n  nothing would be added\n"
        "    - /metadata/annotations/kubectl-ml.io~1inject: opted out, so nothing is added"
        "  [intents]\n"
    )


def test_a_refusal_names_the_policy_and_its_sentence(tmp_path: Path) -> None:
    outcome = explain(POD % ", annotations: {kubectl-ml.io/shm: much}", tmp_path)

    assert outcome.code == 0
    assert '  x refused: intents: kubectl-ml.io/shm "much": "much" is not a quantity' in outcome.out


def test_results_are_those_of_a_function(tmp_path: Path) -> None:
    found = json.loads(explain(POD % "", tmp_path, "-o", "json").out)

    policy = found["items"][0]["tags"]["policy"]
    assert policy.startswith("team@")
    assert found["items"][1] == {
        "message": "would be added",
        "severity": "info",
        "resourceRef": {"apiVersion": "v1", "kind": "Pod", "name": "web"},
        "file": {"path": "standard input"},
        "field": {"path": "/spec/priorityClassName", "proposedValue": "low"},
        "tags": {"policy": policy, "rule": "priorityClassName"},
    }


def test_an_object_without_metadata_or_pods_is_no_crash(tmp_path: Path) -> None:
    outcome = explain("apiVersion: v1\nkind: ConfigMap\n", tmp_path)

    assert outcome == Outcome(code=0, out="ConfigMap/default/\n  nothing would be added\n", err="")


JOBS = "/apis/batch/v1/namespaces/ml/jobs"
JOB: Manifest = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "bert", "namespace": "ml"},
    "spec": {"template": {"spec": {"containers": [{"name": "main"}]}}},
}
OWNER = {"apiVersion": "batch/v1", "kind": "Job", "name": "bert", "controller": True}
LIVE: Manifest = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "bert-x",
        "namespace": "ml",
        "ownerReferences": [OWNER],
        "annotations": {
            "kubectl-ml.io/injected": '{"v":1,"policies":{"old@00000001":[["/spec/nodeName"]]}}'
        },
    },
    "spec": {"nodeName": "a", "containers": [{"name": "main"}]},
}


def test_a_pod_of_the_cluster_is_followed_by_the_workload_that_made_it(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    server.add("/api/v1/namespaces/ml/pods/bert-x", LIVE)
    server.add(f"{JOBS}/bert", JOB)

    outcome = ml("explain", "pod/bert-x")

    assert outcome == Outcome(
        code=0,
        out="Pod/ml/bert-x\n  the object\n"
        '    + /spec/nodeName = "a"  [old]\n'
        "  ! changed since: old: acted as 00000001, and would add nothing today\n"
        "Job.batch/ml/bert\n  nothing would be added\n",
        err="",
    )


def test_a_pod_of_the_cluster_is_stripped(server: APIServer, ml: Callable[..., Outcome]) -> None:
    server.add("/api/v1/namespaces/ml/pods/bert-x", LIVE)

    outcome = ml("strip", "pod/bert-x", "-o", "json")

    metadata = {key: value for key, value in LIVE["metadata"].items() if key != "annotations"}
    assert json.loads(outcome.out) == {
        **LIVE,
        "metadata": metadata,
        "spec": {"containers": [{"name": "main"}]},
    }


GUARD = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: GuardPolicy
metadata: {name: teams}
spec:
  match: {kinds: [Deployment.apps, Pod]}
  rules:
  - name: labeled
    expression: "has(object.metadata.labels.team)"
    message: Objects carry a team label.
"""
WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
  annotations: {kubectl-ml.io/accelerator: a100, kubectl-ml.io/sidecars: log}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, team: ml}%s}
    spec:
      containers:
      - {name: main, image: x%s}
      - {name: helper, image: x}
      initContainers: [{name: log, image: x}]
      volumes: [{name: mine, emptyDir: {}}]
"""
OFFERED = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: InjectionPolicy
metadata: {name: offered}
spec: {inject: {sidecars: [{offered: true, container: {name: log, image: l}}]}}
"""


def explained(text: str, tmp_path: Path, *args: str) -> Outcome:
    (tmp_path / "guard.yaml").write_text(GUARD)
    (tmp_path / "offered.yaml").write_text(OFFERED)
    return invoke("explain", "-f", "-", "--policies", tmp_path, *args, stdin=text)


def test_a_refusal_names_the_rule_its_expression_and_what_it_saw(tmp_path: Path) -> None:
    outcome = explained(WEB % ("", ""), tmp_path)

    assert outcome.out.endswith(
        "  x refused: teams: Objects carry a team label.\n"
        "      rule labeled: has(object.metadata.labels.team)\n"
        "      saw: object.metadata.labels.team: not there\n"
    )


def test_the_result_of_a_refusal_says_the_same(tmp_path: Path) -> None:
    found = json.loads(explained(WEB % ("", ""), tmp_path, "-o", "json").out)

    assert found["items"][-1]["tags"] == {
        "policy": "teams",
        "rule": "labeled",
        "expression": "has(object.metadata.labels.team)",
        "saw": "object.metadata.labels.team: not there",
    }


def skipped(outcome: Outcome) -> list[str]:
    return [line.strip() for line in outcome.out.splitlines() if line.startswith("    - ")]


TEMPLATE = "/spec/template"


def test_what_is_skipped_says_who_receives_it_or_what_is_in_its_place(tmp_path: Path) -> None:
    own = (
        ", resources: {limits: {nvidia.com/gpu: 4}}, "
        "volumeMounts: [{name: mine, mountPath: /dev/shm}]"
    )
    web = (WEB % ("", own)).replace("a100,", "a100, kubectl-ml.io/shm: 1Gi,")

    assert skipped(explained(web, tmp_path)) == [
        f'- {TEMPLATE}/spec/containers/1: another container receives it: "main"  [intents]',
        f"- {TEMPLATE}/spec/containers/0/resources/limits/nvidia.com~1gpu: "
        "already 4 by the container's own wish  [devices]",
        f"- {TEMPLATE}/spec/containers/0/volumeMounts: "
        'conflict: /dev/shm is mounted already, from volume "mine"  [shm]',
        f"- {TEMPLATE}/spec/containers: "
        'conflict: there is a container "log" in initContainers already  [offered]',
    ]


def test_a_mount_whose_path_is_taken_is_told_as_a_conflict(tmp_path: Path) -> None:
    own = ", volumeMounts: [{name: mine, mountPath: /data}]"
    web = (WEB % ("", own)).replace("a100,", "a100, kubectl-ml.io/mounts: 'scratch://1Gi:/data',")

    assert (
        f"- {TEMPLATE}/spec/containers/0/volumeMounts: "
        'conflict: /data is mounted already, from volume "mine"  [mounts]'
    ) in skipped(explained(web, tmp_path))


def test_a_template_that_opted_out_itself_is_told_so(tmp_path: Path) -> None:
    web = WEB % (', annotations: {kubectl-ml.io/inject: "false"}', "")

    assert skipped(explained(web, tmp_path)) == [
        f"- {TEMPLATE}/metadata/annotations/kubectl-ml.io~1inject: "
        "opted out by the template's own inject: false  [intents]"
    ]


def test_what_another_role_receives_is_told(tmp_path: Path) -> None:
    mpi = """\
apiVersion: kubeflow.org/v2beta1
kind: MPIJob
metadata: {name: m, annotations: {kubectl-ml.io/accelerator: a100}}
spec:
  mpiReplicaSpecs:
    Launcher: {template: {spec: {containers: [{name: l}]}}}
    Worker: {template: {spec: {containers: [{name: w}]}}}
"""

    assert skipped(explained(mpi, tmp_path)) == [
        "- /spec/mpiReplicaSpecs/Launcher/template/metadata/annotations/"
        "kubectl-ml.io~1accelerator: another role receives it  [intents]"
    ]


def test_what_a_kind_rejects_is_told(tmp_path: Path) -> None:
    service = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: s, annotations: {kubectl-ml.io/accelerator: a100}}
spec: {template: {metadata: {labels: {team: ml}}, spec: {containers: [{image: x}]}}}
"""

    assert (
        "- /spec/template/spec/tolerations: this template can't hold it; its pods get it  [intents]"
    ) in skipped(explained(service, tmp_path))


QUOTAS = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: QuotaPolicy
metadata: {name: gpus}
spec: {budget: {accelerators: 16}, perWorkload: {accelerators: 2}}
---
apiVersion: kubectl-ml.io/v1alpha1
kind: QuotaPolicy
metadata: {name: mine}
spec: {groupBy: user, budget: {pods: 2, cpu: 2}, enforcement: Warn}
"""
NIGHTLY = """\
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 2 * * *"
  concurrencyPolicy: %s
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: main, image: x, resources: {limits: {nvidia.com/gpu: 4}}}]
"""


def test_what_quotas_charge_and_refuse_is_told(tmp_path: Path) -> None:
    (tmp_path / "quotas.yaml").write_text(QUOTAS)

    bounded, endless = (explain(NIGHTLY % one, tmp_path) for one in ("Forbid", "Allow"))

    assert bounded.out.splitlines()[-3:] == [
        "  = gpus: namespace default is charged 4 accelerators",
        "  = mine: who applies it is charged 1 pod",
        "  x refused: gpus: nightly asks for 4 accelerators, and one workload may have 2; "
        "ask for 2 less",
    ]
    assert endless.out.splitlines()[-4:] == [
        "  ! mine: nightly asks for pods without an upper bound; set spec.concurrencyPolicy to "
        "Forbid, so that its runs don't overlap",
        "  = gpus: namespace default is charged accelerators without a bound",
        "  = mine: who applies it is charged pods without a bound",
        "  x refused: gpus: nightly asks for accelerators without an upper bound; set "
        "spec.concurrencyPolicy to Forbid, so that its runs don't overlap",
    ]


def test_who_is_let_off_a_quota(tmp_path: Path) -> None:
    exception = (
        "---\n{apiVersion: kubectl-ml.io/v1alpha1, kind: PolicyException, metadata: {name: e}, "
    )
    exception += "spec: {policies: [gpus, mine], reason: a demo}}\n"
    (tmp_path / "quotas.yaml").write_text(QUOTAS + exception)

    assert explain(NIGHTLY % "Forbid", tmp_path).out.splitlines()[-2:] == [
        "  = gpus: namespace default is charged 4 accelerators; a PolicyException lets it in "
        "beyond the budget",
        "  = mine: who applies it is charged 1 pod; a PolicyException lets it in beyond the budget",
    ]


def test_what_an_owner_counts_is_not_charged_to_its_pods(tmp_path: Path) -> None:
    (tmp_path / "quotas.yaml").write_text(QUOTAS)
    owner = "{apiVersion: batch/v1, kind: Job, name: web, uid: a, controller: true}"
    owned = POD % f"-1, ownerReferences: [{owner}]"

    assert "is charged" in explain(POD % "", tmp_path).out
    assert "is charged" not in explain(owned, tmp_path).out


@pytest.mark.parametrize(
    "metadata",
    ["ownerReferences: [x]", "ownerReferences: {a: b}", "ownerReferences: 1", "labels: [x]"],
)
def test_owners_that_are_none_are_no_crash_beside_quotas(tmp_path: Path, metadata: str) -> None:
    (tmp_path / "quotas.yaml").write_text(QUOTAS)

    outcome = explain(POD % f", {metadata}", tmp_path)

    assert outcome.code == 0, outcome
    assert outcome.out.startswith("Pod/default/web\n")
