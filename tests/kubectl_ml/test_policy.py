"""`kubectl ml policy list` and `show`: what is in force, in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_ml.commands.policy import VERBS
from tests.kubectl_ml.apiserver import APIServer, forbidden
from tests.kubectl_ml.program import Outcome, invoke

GUARDS = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: GuardPolicy
metadata: {name: gpu-pods}
spec:
  match: {intents: [accelerator], exclude: {namespaces: {names: [play-*]}}}
  rules:
  - name: team
    expression: "has(object.metadata.labels.team)"
    message: GPU pods carry a team label.
  checks: {podSecurity: {level: restricted}}
---
apiVersion: v1
kind: List
items:
- apiVersion: kubectl-ml.io/v1alpha1
  kind: PolicyException
  metadata: {name: demo}
  spec:
    policies: [gpu-pods]
    rules: [podSecurity]
    match: {namespaces: {names: [demo]}}
    reason: conference demo
    expires: "2020-03-01T00:00:00Z"
- apiVersion: kubectl-ml.io/v1alpha1
  kind: InjectionPolicy
  metadata: {name: team}
  spec:
    order: 5
    onConflict: Override
    match: {kinds: [Pod, Job.batch, CronJob.batch, Deployment.apps]}
    inject: {env: [{name: TEAM, value: ml}], nodeSelector: {pool: gpu}}
"""
LIST = """\
KIND  NAME  MODE  STATE  PODS  MATCHES  DOES
GuardPolicy  gpu-pods  Deny  Ready  -  Pod with intent accelerator, except in play-* \
  refuses by team, podSecurity
InjectionPolicy  team  Apply  Ready  -  Pod, Job.batch (+2)  adds env, nodeSelector
PolicyException  demo  Except  Expired  -  everything in demo  lets off gpu-pods: conference demo
"""
SHOWN_GUARD = """\
GuardPolicy gpu-pods (guards.yaml:1), Ready
matches:  Pod with intent accelerator, except in play-*, \
and the template of every workload that makes one
acts:     refuses what breaks any of these
rules:    team: GPU pods carry a team label. (`has(object.metadata.labels.team)` must hold)
checks:   podSecurity: level restricted
let off:  demo: from podSecurity, everything in demo, expired 2020-03-01T00:00:00Z (conference demo)
"""
SHOWN_INJECTION = """\
InjectionPolicy team (guards.yaml:24), Ready
matches:  Pod, Job.batch, CronJob.batch, Deployment.apps
when:     order 5: smaller goes first
adds:     env: TEAM=ml
          nodeSelector: pool=gpu
conflict: what is there already is replaced
"""
SHOWN_EXCEPTION = """\
PolicyException demo (guards.yaml:15), Expired: expired 2020-03-01T00:00:00Z; renew it or delete it
lets off: everything in demo
from:     gpu-pods
rules:    podSecurity
reason:   conference demo
until:    expired 2020-03-01T00:00:00Z
"""


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    monkeypatch.chdir(tmp_path)
    Path("guards.yaml").write_text(GUARDS)

    def run(verb: str, *args: str) -> Outcome:
        return invoke("policy", verb, "--no-library", "--policies", "guards.yaml", *args)

    return run


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help_with_examples(verb: str) -> None:
    outcome = invoke("policy", verb, "--help")

    assert (outcome.code, outcome.err) == (0, "")
    assert f"    kubectl ml policy {verb}" in outcome.out


def squeezed(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_line_for_each_policy(policy: Callable[..., Outcome]) -> None:
    outcome = policy("list")

    assert (outcome.code, outcome.err) == (0, "")
    assert squeezed(outcome.out) == squeezed(LIST)


@pytest.mark.parametrize(
    ("args", "names"),
    [
        pytest.param(["--kind", "guard"], ["gpu-pods"], id="kind"),
        pytest.param(["--kind", "PolicyExceptions", "--kind=injection"], ["team", "demo"], id="2"),
        pytest.param(["team"], ["team"], id="name"),
        pytest.param(["guardpolicy/gpu-pods"], ["gpu-pods"], id="kind-and-name"),
    ],
)
def test_only_what_was_asked_for(
    policy: Callable[..., Outcome], args: list[str], names: list[str]
) -> None:
    outcome = policy("list", "--no-headers", *args)

    assert [line.split()[1] for line in outcome.out.splitlines()] == names


def test_classes_and_sources_where_they_are_asked_for() -> None:
    outcome = invoke("policy", "list", "--kind", "accelerator", "-o", "name")

    assert "accelerator.kubectl-ml.io/a100\n" in outcome.out
    assert "policy" not in outcome.out


def test_wide_says_where_it_stands_and_why_it_is_not_in_force(
    policy: Callable[..., Outcome],
) -> None:
    outcome = policy("list", "-o", "wide", "--no-headers", "demo")

    assert outcome.out.rstrip().endswith(
        "guards.yaml:15   -   everything in demo   "
        "expired 2020-03-01T00:00:00Z; renew it or delete it"
    )


def test_objects_that_can_be_applied_again(policy: Callable[..., Outcome]) -> None:
    one = yaml.safe_load(policy("list", "team", "-o", "yaml").out)
    listed = json.loads(policy("list", "-o", "json").out)

    assert one == list(yaml.safe_load_all(GUARDS))[1]["items"][1]
    assert [each["metadata"]["name"] for each in listed["items"]] == ["gpu-pods", "team", "demo"]


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        (["gpu-pod"], 1, 'there is no policy "gpu-pod"; did you mean "gpu-pods"?'),
        (
            ["quotas"],
            1,
            '"quotas" is a kind, and no policy is named so; write the name of one\n'
            "hint: kubectl ml policy list --kind QuotaPolicy lists them",
        ),
        (["--kind", "GuardPolcy"], 2, '--kind "GuardPolcy": there is no such kind; did you mean'),
    ],
)
def test_what_is_not_there(
    policy: Callable[..., Outcome], args: list[str], code: int, sentence: str
) -> None:
    outcome = policy("list", *args)

    assert (outcome.code, outcome.out) == (code, "")
    assert outcome.err.startswith(f"error: {sentence}")


@pytest.mark.parametrize(
    ("name", "out"),
    [
        pytest.param("gpu-pods", SHOWN_GUARD, id="guard"),
        pytest.param("InjectionPolicy/team", SHOWN_INJECTION, id="injection"),
        pytest.param("exception/demo", SHOWN_EXCEPTION, id="exception"),
    ],
)
def test_a_policy_in_words(policy: Callable[..., Outcome], name: str, out: str) -> None:
    assert policy("show", name) == Outcome(code=0, out=out, err="")


QUOTA = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: QuotaPolicy
metadata: {name: gpus}
spec: {groupBy: {namespaceLabel: team}, budget: {accelerators.a100: 8}}
"""
SHOWN_QUOTA = """\
QuotaPolicy gpus (guards.yaml:1), Ready
matches:  everything
groupBy:  {"namespaceLabel": "team"}
budget:   {"accelerators.a100": 8}
"""
LISTED_QUOTA = (
    "QuotaPolicy gpus Deny Ready - everything bounds accelerators.a100: 8 by namespaceLabel team"
)


def test_a_quota(policy: Callable[..., Outcome]) -> None:
    Path("guards.yaml").write_text(QUOTA)

    assert policy("show", "gpus") == Outcome(code=0, out=SHOWN_QUOTA, err="")
    assert policy("list", "--no-headers").out.split() == LISTED_QUOTA.split()


def test_show_gives_the_object() -> None:
    shown = yaml.safe_load(invoke("policy", "show", "logs", "-o", "yaml").out)

    assert (shown["kind"], shown["metadata"]) == ("InjectionPolicy", {"name": "logs"})
    assert shown["spec"]["inject"]["sidecars"][0]["offered"] is True


# --- from a cluster ---------------------------------------------------------------------------

GROUP = "/apis/kubectl-ml.io/v1alpha1"


def ready(status: str, message: str = "") -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": status, "message": message}]}


@pytest.fixture
def in_cluster(server: APIServer) -> APIServer:
    server.kinds["kubectl-ml.io/v1alpha1"] = {
        "InjectionPolicy": "injectionpolicies",
        "GuardPolicy": "guardpolicies",
    }
    added = {"inject": {"shm": "1Gi"}}
    for plural, name, spec, status in (
        ("injectionpolicies", "good", added, ready("True")),
        ("injectionpolicies", "new", added, {}),
        ("injectionpolicies", "refused", added, ready("False", "too many\nof them")),
        ("guardpolicies", "bad", {"rules": [{"expression": "1 +"}]}, ready("True")),
    ):
        metadata = {"name": name, "uid": name}
        found = {"metadata": metadata, "spec": spec, "status": status}
        server.objects[f"{GROUP}/{plural}/{name}"] = found
    for name, injected in (("a", '{"v":1,"policies":{"good@0":[]}}'), ("b", "{"), ("c", None)):
        annotations = {"kubectl-ml.io/injected": injected} if injected else None
        pod = {"metadata": {"annotations": annotations}, "spec": {}}
        server.add(f"/api/v1/namespaces/ml/pods/{name}", pod)
    return server


def listed(outcome: Outcome) -> dict[str, list[str]]:
    rows = [line.split("   ") for line in outcome.out.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    return {row[1]: [row[3], row[4], row[-1]] for row in cells}


def test_what_became_of_the_clusters_policies(
    in_cluster: APIServer, ml: Callable[..., Outcome]
) -> None:
    outcome = ml("policy", "list", "--no-library", "--policies=cluster", "-owide", "--no-headers")

    found = listed(outcome)
    assert (outcome.code, outcome.err) == (0, "")
    assert found.pop("bad")[:2] == ["NotReady", "-"]
    assert found == {
        "good": ["Ready", "1", "-"],
        "new": ["Unknown", "0", "no webhook has said what became of it"],
        "refused": ["NotReady", "0", "too many of them"],
    }


def test_pods_that_one_may_not_see_are_not_counted(
    in_cluster: APIServer, ml: Callable[..., Outcome]
) -> None:
    in_cluster.answers[("GET", "/api/v1/pods")] = forbidden("no")

    outcome = ml("policy", "list", "--no-library", "--policies=cluster", "-owide", "--no-headers")

    assert (outcome.code, listed(outcome)["good"]) == (0, ["Ready", "-", "-"])


def test_lint_of_the_clusters_policies(in_cluster: APIServer, ml: Callable[..., Outcome]) -> None:
    outcome = ml("policy", "lint", "--no-library", "--policies=cluster")

    assert (outcome.code, outcome.err) == (1, "")
    assert outcome.out.startswith(
        'cluster:1:1: error: GuardPolicy "bad": policies: spec.rules[0].expression: line 1, '
    )


@pytest.mark.parametrize("allowed", [True, False])
def test_check_knows_what_bounds_pods_there(
    in_cluster: APIServer,
    ml: Callable[..., Outcome],
    tmp_path: Path,
    allowed: bool,
) -> None:
    limits = [{"type": "Container", "max": {"cpu": "2"}}]
    found = {"metadata": {"name": "b", "namespace": "ml"}, "spec": {"limits": limits}}
    in_cluster.objects["/api/v1/namespaces/ml/limitranges/b"] = found
    if not allowed:  # but in one's own namespace
        in_cluster.answers[("GET", "/api/v1/limitranges")] = forbidden("no")
    file = tmp_path / "job.yaml"
    file.write_text(
        "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {template: {spec: "
        "{restartPolicy: Never, containers: [{name: main, image: a, resources: "
        "{limits: {cpu: 4}}}]}}}}"
    )

    outcome = ml("policy", "check", "-f", file, "-n", "ml", "--no-library", "--policies=cluster")

    assert outcome.code == 1
    assert 'more than the max 2 of LimitRange "b"' in outcome.out
