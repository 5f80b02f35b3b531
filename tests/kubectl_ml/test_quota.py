"""`kubectl ml quota`: what groups may use, as an admin and as a namespaced user."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kubectl_ml.apiserver import APIServer, forbidden, kubeconfig
from tests.kubectl_ml.program import BIN, Outcome

GROUP = "kubectl-ml.io/v1alpha1"
POLICIES = f"/apis/{GROUP}/quotapolicies"
A100 = "accelerators.a100"
IDLE = {"groups": [], "groupsInAll": 0}  # the status of a policy of which nothing is used


def namespace(server: APIServer, name: str, **labels: str) -> None:
    labels = {"kubectl-ml.io/enabled": "true", **labels}
    server.objects[f"/api/v1/namespaces/{name}"] = {
        "metadata": {"name": name, "labels": labels, "uid": name}
    }


def policy(server: APIServer, name: str = "gpus", status: Any = None, **spec: Any) -> None:
    server.kinds[GROUP] = {"QuotaPolicy": "quotapolicies"}
    if "/api/v1/namespaces/ml" not in server.objects:
        namespace(server, "ml")
    found = {
        "apiVersion": GROUP,
        "kind": "QuotaPolicy",
        "metadata": {"name": name, "uid": name},
        "spec": {"groupBy": {"namespaceLabel": "team"}, "budget": {A100: 16}, **spec},
    }
    server.objects[f"{POLICIES}/{name}"] = found | ({"status": status} if status else {})


def group(name: str, used: int, reserved: int = 0) -> Any:
    return {
        "group": name,
        "used": {A100: str(used)} if used else {},
        "reserved": {A100: str(reserved)} if reserved else {},
        "budget": {A100: "16"},
    }


def job(server: APIServer, namespace: str, name: str, gpus: int) -> Any:
    found = {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {"kubectl-ml.io/accelerator": f"a100:{gpus}"},
        },
        "spec": {
            "template": {
                "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}
            }
        },
    }
    server.add(f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}", found)
    return found


@pytest.fixture
def two_teams(server: APIServer) -> APIServer:
    for name, team in (("ml", "nlp"), ("speech", "nlp"), ("other", "vision")):
        namespace(server, name, team=team)
    groups = [group("nlp", 10, 2), group("vision", 16)]
    policy(server, status={"groups": groups, "groupsInAll": 2})
    job(server, "ml", "bert", 4)
    job(server, "speech", "asr", 6)
    job(server, "other", "vit", 16)
    return server


def test_the_groups_of_the_namespace(two_teams: APIServer, ml: Callable[..., Outcome]) -> None:
    assert ml("quota") == Outcome(
        code=0,
        out="POLICY   GROUP   OF     BUDGET   USED   RESERVED   FREE\n"
        "gpus     nlp     a100   16       10     2          4      █████▒░░\n",
        err="",
    )


def test_every_group_and_who_holds_what(two_teams: APIServer, ml: Callable[..., Outcome]) -> None:
    assert ml("quota", "-A", "-owide", "--no-headers").out.splitlines() == [
        "gpus   nlp      a100   16   10   2   4   █████▒░░   asr 6, bert 4",
        "gpus   vision   a100   16   16   0   0   ████████   vit 16",
    ]


def test_one_group_tells_who_holds_what(two_teams: APIServer, ml: Callable[..., Outcome]) -> None:
    assert ml("quota", "nlp").out.splitlines()[3:] == [
        "POLICY   KIND        NAMESPACE   NAME   HOLDS",
        "gpus     Job.batch   speech      asr    6 a100",
        "gpus     Job.batch   ml          bert   4 a100",
    ]


def test_names_for_kubectl(two_teams: APIServer, ml: Callable[..., Outcome]) -> None:
    names = Outcome(code=0, out="quotapolicy.kubectl-ml.io/gpus\n", err="")

    assert ml("quota", "-A", "-oname") == names  # once, with two groups
    assert ml("quota", "nlp", "-oname") == names


def test_check_has_no_names(
    two_teams: APIServer, ml: Callable[..., Outcome], tmp_path: Path
) -> None:
    (tmp_path / "pod.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n")

    outcome = ml("quota", "check", "-f", str(tmp_path / "pod.yaml"), "-oname")

    assert (outcome.code, outcome.out) == (2, "")
    assert "-o name names quotas; check tells of manifests: leave it out, or -o json" in outcome.err


def test_a_group_with_a_budget_of_its_own_is_shown_before_it_uses_anything(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    overrides = [{"group": "nlp", "budget": {A100: 4}}, {"group": "x-*", "budget": {A100: 8}}]
    policy(server, status=IDLE, overrides=overrides)

    assert ml("quota", "-A", "--no-headers").out.splitlines() == [
        "gpus   nlp   a100   4   0   0   4   ░░░░░░░░"
    ]


def test_json(two_teams: APIServer, ml: Callable[..., Outcome]) -> None:
    assert json.loads(ml("quota", "vision", "-ojson").out) == {
        "items": [
            {
                "policy": "gpus",
                "group": "vision",
                "enforcement": "Deny",
                "schedule": None,
                "perWorkload": {},
                "budget": {A100: "16"},
                "used": {A100: "16"},
                "reserved": {},
                "free": {A100: "0"},
                "holders": [
                    {
                        "kind": "Job.batch",
                        "namespace": "other",
                        "name": "vit",
                        "amounts": {A100: "16"},
                    }
                ],
            }
        ]
    }


def test_owned_pods_are_their_owners(two_teams: APIServer, ml: Callable[..., Outcome]) -> None:
    owner = two_teams.objects["/apis/batch/v1/namespaces/ml/jobs/bert"]["metadata"]
    reference = {"kind": "Job", "apiVersion": "batch/v1", "name": "bert", "uid": owner["uid"]}
    container = {"name": "main", "resources": {"limits": {"nvidia.com/gpu": "4"}}}
    pod = {
        "metadata": {"ownerReferences": [reference | {"controller": True}]},
        "spec": {"containers": [container]},
    }
    two_teams.add("/api/v1/namespaces/ml/pods/bert-0", pod)

    assert [
        (one["name"], one["amounts"])
        for one in json.loads(ml("quota", "nlp", "-ojson").out)["items"][0]["holders"]
    ] == [("asr", {A100: "6"}), ("bert", {A100: "4"})]


def test_a_namespaced_user_is_told_what_is_hidden(
    two_teams: APIServer, ml: Callable[..., Outcome]
) -> None:
    no = forbidden("no")
    two_teams.answers[("GET", "/api/v1/namespaces")] = no
    for path in ("apis/batch/v1/jobs", "api/v1/pods", "apis/apps/v1/deployments"):
        two_teams.answers[("GET", f"/{path}")] = no

    outcome = ml("quota", "-owide", "--no-headers")

    assert outcome == Outcome(
        code=0,
        out="gpus   nlp   a100   16   10   2   4   █████▒░░   bert 4\n",
        err="note: other namespaces' workloads are hidden: you can't list "
        f"{_hidden(outcome)} there\n",
    )
    assert set(_hidden(outcome).split(", ")) == {"jobs", "pods", "deployments"}


def _hidden(outcome: Outcome) -> str:
    return outcome.err.partition("can't list ")[2].partition(" there")[0]


def test_without_a_status_groups_are_counted(server: APIServer, ml: Callable[..., Outcome]) -> None:
    policy(server, groupBy="namespace")
    job(server, "ml", "bert", 4)

    assert ml("quota", "--no-headers").out.split()[:7] == [
        "gpus",
        "ml",
        "a100",
        "16",
        "4",
        "0",
        "12",
    ]


def test_a_policy_that_no_webhook_has_seen(server: APIServer, ml: Callable[..., Outcome]) -> None:
    policy(server, groupBy="namespace")
    job(server, "ml", "bert", 4)

    assert ml("quota", "--no-headers") == Outcome(
        code=0,
        out="gpus   ml   a100   16   4   0   12   ██░░░░░░\n",
        err="note: gpus has no status: no webhook acts by it yet; its groups are counted by "
        "what you may see\n",
    )


def test_an_unknown_group(two_teams: APIServer, ml: Callable[..., Outcome]) -> None:
    assert ml("quota", "nlq") == Outcome(
        code=1,
        out="",
        err='error: no quota knows a group "nlq"; did you mean "nlp"?\n'
        "hint: kubectl ml quota -A lists those that use something or have a budget of their own\n",
    )


def test_a_policy_is_no_group(two_teams: APIServer, ml: Callable[..., Outcome]) -> None:
    assert ml("quota", "gpus").err == (
        'error: no quota knows a group "gpus"; that is a policy\n'
        "hint: kubectl ml quota -A lists those that use something or have a budget of their own\n"
    )


def test_many_groups_are_not_all_named(server: APIServer, ml: Callable[..., Outcome]) -> None:
    policy(server, groupBy="namespace")
    for number in range(60):
        namespace(server, f"n-{number:02}")

    assert ml("quota", "xyz").err == (
        'error: no quota knows a group "xyz"; known: ml, '
        + "".join(f"n-{number:02}, " for number in range(19))
        + "and 41 more\n"
        "hint: kubectl ml quota -A lists those that use something or have a budget of their own\n"
    )


def test_check_needs_a_file(two_teams: APIServer, ml: Callable[..., Outcome]) -> None:
    outcome = ml("quota", "check")

    assert (outcome.code, outcome.err.splitlines()[0]) == (
        2,
        "error: `kubectl ml quota check` needs what to check: -f FILENAME",
    )


def test_a_group_may_be_called_check(server: APIServer, ml: Callable[..., Outcome]) -> None:
    policy(server, groupBy="namespace")
    namespace(server, "check")

    assert ml("quota", "check", "--no-headers").out == (
        "gpus   check   a100   16   0   0   16   ░░░░░░░░\n"
    )


def test_groups_that_the_status_leaves_out_are_told_of_once(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    policy(server, groupBy="namespace", status={"groups": [group("ml", 4)], "groupsInAll": 6})
    for name in ("one", "two", "three"):
        namespace(server, name)
        job(server, name, "bert", 2)

    told = "note: gpus tells of 1 of 6 groups; "
    assert ml("quota", "-A").err == (
        f"{told}3 others are counted by what you may see, 2 are not shown\n"
    )
    assert ml("quota", "one").err == f"{told}one is counted by what you may see\n"
    assert ml("quota").err == ""


def test_a_group_that_the_status_leaves_out_has_room_as_far_as_one_may_see(
    server: APIServer, ml: Callable[..., Outcome], tmp_path: Path
) -> None:
    policy(server, groupBy="namespace", status={"groups": [group("x", 4)], "groupsInAll": 2})

    assert ml("quota", "check", "-f", manifest(tmp_path / "job.yaml", 1)).err == (
        "note: gpus tells of 1 of 2 groups; ml is counted by what you may see\n"
    )


def test_a_namespace_that_is_not_there(two_teams: APIServer, ml: Callable[..., Outcome]) -> None:
    assert ml("quota", "-n", "mll").err == (
        'No quota holds here.\nnote: there is no namespace "mll"\n'
    )


def test_where_no_webhook_is_asked_nothing_is_refused(
    server: APIServer, ml: Callable[..., Outcome], tmp_path: Path
) -> None:
    policy(server, status=IDLE, groupBy="namespace")
    namespace(server, "ml", **{"kubectl-ml.io/enabled": "false"})
    note = (
        'note: namespace "ml" isn\'t labelled kubectl-ml.io/enabled=true: what it holds is '
        "counted, and nothing is refused there\n"
    )

    assert ml("quota").err == note
    assert ml("quota", "check", "-f", manifest(tmp_path / "job.yaml", 1)).err == note
    assert ml("quota", "-A").err == "Nothing is used of gpus yet.\n"


def test_no_quota(server: APIServer, ml: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "none.yaml").write_text("")

    outcome = ml("quota", "--policies", str(tmp_path))

    assert (outcome.code, outcome.out, outcome.err) == (0, "", "No quota holds here.\n")


def test_watch_shows_it_again(two_teams: APIServer, tmp_path: Path) -> None:
    config = kubeconfig(tmp_path / "config", two_teams.port)
    command = [str(BIN / "kubectl-ml"), "quota", "--watch", "--no-headers"]
    environment = {**os.environ, "KUBECONFIG": str(config)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:  # noqa: S603 -- our own
        assert process.stdout is not None
        first = process.stdout.readline().decode()
        policy(two_teams, status={"groups": [group("nlp", 16)], "groupsInAll": 1})
        second = process.stdout.readline().decode()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
    assert (first.split()[3:7], second.split()[3:7]) == (
        ["16", "10", "2", "4"],
        ["16", "16", "0", "0"],
    )
    assert process.returncode == 130


def manifest(path: Path, gpus: int, name: str = "gpt") -> str:
    path.write_text(
        f"apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, annotations: "
        f"{{kubectl-ml.io/accelerator: 'a100:{gpus}'}}}}\nspec: {{template: {{spec: "
        "{restartPolicy: Never, containers: [{name: main, image: x}]}}}\n"
    )
    return str(path)


def test_what_fits(two_teams: APIServer, ml: Callable[..., Outcome], tmp_path: Path) -> None:
    assert ml("quota", "check", "-f", manifest(tmp_path / "job.yaml", 4)) == Outcome(
        code=0, out="Job.batch/ml/gpt fits: gpus, nlp: 4 a100\n", err=""
    )


def test_what_does_not_fit_is_told_as_the_webhook_tells_it(
    two_teams: APIServer, ml: Callable[..., Outcome], tmp_path: Path
) -> None:
    job(two_teams, "ml", "small", 1)

    assert ml("quota", "check", "-f", manifest(tmp_path / "job.yaml", 6)) == Outcome(
        code=1,
        out="",
        err="error: gpus: team nlp has 10 of 16 a100 in use and 2 reserved "
        "(asr 6, bert 4, small 1); gpt asks for 6, 2 too many\n"
        "hint: it fits once this is gone: bert (4 a100)\n",
    )


@pytest.mark.parametrize(
    ("enforcement", "said"), [("Warn", "Warning: gpus"), ("Audit", "note: gpus only records")]
)
def test_what_is_not_refused_needs_no_room(
    two_teams: APIServer, ml: Callable[..., Outcome], tmp_path: Path, enforcement: str, said: str
) -> None:
    status = {"groups": [group("nlp", 16)], "groupsInAll": 1}
    policy(two_teams, status=status, enforcement=enforcement, budget={A100: 4})

    assert ml("quota", "check", "-f", manifest(tmp_path / "job.yaml", 8)) == Outcome(
        code=0,
        out="",
        err=f"{said}: team nlp has 16 of 4 a100 in use (asr 6, bert 4); gpt asks for 8, 20 too "
        "many\n",
    )


def test_an_intent_that_cannot_be_used_does_not_fit(
    two_teams: APIServer, ml: Callable[..., Outcome], tmp_path: Path
) -> None:
    outcome = ml("quota", "check", "-f", manifest(tmp_path / "job.yaml", 20))

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("error: Job.batch/ml/gpt: devices: kubectl-ml.io/accelerator: ")


def test_who_is_let_off_fits(
    two_teams: APIServer, ml: Callable[..., Outcome], tmp_path: Path
) -> None:
    two_teams.kinds[GROUP]["PolicyException"] = "policyexceptions"
    two_teams.objects[f"/apis/{GROUP}/policyexceptions/demo"] = {
        "apiVersion": GROUP,
        "kind": "PolicyException",
        "metadata": {"name": "demo", "uid": "demo"},
        "spec": {"policies": ["gpus"], "reason": "a demo"},
    }

    assert ml("quota", "check", "-f", manifest(tmp_path / "job.yaml", 8)) == Outcome(
        code=0,
        out="Job.batch/ml/gpt fits: gpus, nlp: 8 a100, let in by a PolicyException\n",
        err="",
    )


def test_a_raise_asks_for_the_difference(
    two_teams: APIServer, ml: Callable[..., Outcome], tmp_path: Path
) -> None:
    assert ml("quota", "check", "-f", manifest(tmp_path / "job.yaml", 8, "bert")).code == 0
    assert ml("quota", "check", "-f", manifest(tmp_path / "job.yaml", 9, "bert")).code == 1


def test_check_as_json(two_teams: APIServer, ml: Callable[..., Outcome], tmp_path: Path) -> None:
    found = json.loads(ml("quota", "check", "-ojson", "-f", manifest(tmp_path / "job.yaml", 6)).out)

    assert (found["fits"], found["items"][0]["asks"], found["items"][0]["fits"]) == (
        False, {A100: "6"}, False,
    )  # fmt: skip


def test_the_labels_that_decide_are_hidden(
    two_teams: APIServer, ml: Callable[..., Outcome], tmp_path: Path
) -> None:
    for path in ("/api/v1/namespaces", "/api/v1/namespaces/ml"):
        two_teams.answers[("GET", path)] = forbidden("no")

    outcome = ml("quota", "check", "-f", manifest(tmp_path / "job.yaml", 1))

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        "error: gpus goes by the labels of namespace \"ml\", which isn't there or which you can't "
        "get\n"
        "hint: kubectl get namespace ml says which; an admin can give the right to get it\n"
    )


def test_the_labels_of_another_namespace_decide(
    two_teams: APIServer, ml: Callable[..., Outcome], tmp_path: Path
) -> None:
    policy(two_teams, "more")
    file = manifest(tmp_path / "job.yaml", 1, name="gpt, namespace: gone")

    assert ml("quota", "check", "-f", file).err.splitlines()[0] == (
        'error: gpus, more go by the labels of namespace "gone", which isn\'t there or which you '
        "can't get"
    )


def test_the_fewest_that_make_room(
    two_teams: APIServer, ml: Callable[..., Outcome], tmp_path: Path
) -> None:
    for name, gpus in (("big", 5), ("mid", 3), ("wee", 2)):
        job(two_teams, "ml", name, gpus)

    def hint(gpus: int) -> str:
        return ml("quota", "check", "-f", manifest(tmp_path / "job.yaml", gpus)).err.split("\n")[1]

    assert [hint(6), hint(7), hint(10), hint(13)] == [
        "hint: it fits once this is gone: wee (2 a100)",
        "hint: it fits once this is gone: mid (3 a100)",
        "hint: it fits once this is gone: big (5 a100), wee (2 a100)",
        "hint: it fits once this is gone: big (5 a100), bert (4 a100)",
    ]


def test_two_that_fit_alone_and_not_together(
    two_teams: APIServer, ml: Callable[..., Outcome], tmp_path: Path
) -> None:
    one, two = (manifest(tmp_path / f"{name}.yaml", 3, name) for name in ("one", "two"))

    outcome = ml("quota", "check", "-f", one, "-f", two)

    assert (outcome.code, outcome.out) == (1, "Job.batch/ml/one fits: gpus, nlp: 3 a100\n")
    assert "two asks for 3, 2 too many" in outcome.err


def test_a_group_of_a_user(server: APIServer, ml: Callable[..., Outcome], tmp_path: Path) -> None:
    policy(server, status=IDLE, groupBy="user", budget={A100: 2})
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    server.answers[("POST", review)] = (201, {"status": {"userInfo": {"username": "ann"}}})

    outcome = ml("quota", "check", "-f", manifest(tmp_path / "job.yaml", 3))

    assert outcome.err == (
        "error: gpus: user ann has 0 of 2 a100 in use; gpt asks for 3, 1 too many\n"
        "hint: it never fits: the whole budget is 2 a100; ask for 1 less\n"
    )


def test_files_are_for_check(ml: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = ml("quota", "-f", manifest(tmp_path / "job.yaml", 3))

    assert outcome.code == 2
    assert "-f is for `kubectl ml quota check -f FILENAME`" in outcome.err


def test_labels_decide_where_namespaces_are_chosen_by_them(
    two_teams: APIServer, ml: Callable[..., Outcome], tmp_path: Path
) -> None:
    exclude = {"namespaces": {"selector": {"matchLabels": {"team": "vision"}}}}
    policy(two_teams, groupBy="namespace", match={"exclude": exclude})
    for path in ("/api/v1/namespaces", "/api/v1/namespaces/ml"):
        two_teams.answers[("GET", path)] = forbidden("no")

    outcome = ml("quota", "check", "-f", manifest(tmp_path / "job.yaml", 1))

    assert (outcome.code, outcome.out) == (1, "")


def test_who_may_not_read_quotas_is_told_what_to_ask_for(
    two_teams: APIServer, ml: Callable[..., Outcome]
) -> None:
    two_teams.answers[("GET", POLICIES)] = forbidden(
        'quotapolicies.kubectl-ml.io is forbidden: User "ann" cannot list resource "quotapolicies" '
        'in API group "kubectl-ml.io" at the cluster scope'
    )

    assert ml("quota") == Outcome(
        code=1,
        out="",
        err="error: you lack the right to list quotapolicies.kubectl-ml.io in the whole cluster\n"
        "hint: an admin can bind the ClusterRole kubectl-ml-view to you in the whole cluster; "
        "quotas from files: --policies DIR\n",
    )


def test_other_policies_that_may_not_be_read_are_said(
    two_teams: APIServer, ml: Callable[..., Outcome]
) -> None:
    two_teams.kinds[GROUP] |= {"GuardPolicy": "guardpolicies", "PolicyException": "exceptions"}
    for plural in ("guardpolicies", "exceptions"):
        two_teams.answers[("GET", f"/apis/{GROUP}/{plural}")] = forbidden("no")

    outcome = ml("quota", "--no-headers")

    assert outcome == Outcome(
        code=0,
        out="gpus   nlp   a100   16   10   2   4   █████▒░░\n",
        err="note: PolicyException objects are hidden: you can't list them, and they may change "
        "what workloads ask for\n",
    )


@pytest.mark.parametrize(
    ("match", "shown"),
    [
        pytest.param({"namespaces": {"names": ["m*"]}}, True, id="its name"),
        pytest.param({"namespaces": {"names": ["other"]}}, False, id="another name"),
        pytest.param(
            {"namespaces": {"selector": {"matchLabels": {"team": "vision"}}}},
            False,
            id="another's labels",
        ),
        pytest.param({"exclude": {"namespaces": {"names": ["ml"]}}}, False, id="left out"),
        pytest.param(
            {"exclude": {"namespaces": {"names": ["ml"]}, "kinds": ["Job.batch"]}},
            True,
            id="only some workloads left out",
        ),
    ],
)
def test_a_quota_that_never_reaches_the_namespace_is_not_shown(
    two_teams: APIServer, ml: Callable[..., Outcome], match: Any, shown: bool
) -> None:
    policy(two_teams, groupBy="namespace", match=match)

    assert bool(json.loads(ml("quota", "-ojson").out)["items"]) is shown


def test_hidden_labels_may_fit(two_teams: APIServer, ml: Callable[..., Outcome]) -> None:
    namespaces = {"selector": {"matchLabels": {"team": "nlp"}}}
    policy(two_teams, status=IDLE, groupBy="namespace", match={"namespaces": namespaces})
    for path in ("/api/v1/namespaces", "/api/v1/namespaces/ml"):
        two_teams.answers[("GET", path)] = forbidden("no")

    outcome = ml("quota", "-ojson")

    assert [one["group"] for one in json.loads(outcome.out)["items"]] == ["ml"]
    assert outcome.err == (
        'note: the labels of namespace "ml" are hidden: you can\'t get namespaces; gpus groups or '
        "chooses by them, so holders may be missing\n"
    )


def test_what_one_workload_may_have_and_what_only_warns(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    limits = {"accelerators": 8, "memory": "64Gi"}
    policy(server, "q", groupBy="namespace", perWorkload=limits, enforcement="Warn")
    job(server, "ml", "bert", 4)

    assert ml("quota", "-owide", "--no-headers").out.splitlines() == [
        "q   ml                a100           16     4   0   12   ██░░░░░░ (only warns)   bert 4",
        "q   (each workload)   accelerators   8      -   -   -    (only warns)            -",
        "q   (each workload)   memory         64Gi   -   -   -    (only warns)            -",
    ]


def test_the_schedule_that_holds_is_said(server: APIServer, ml: Callable[..., Outcome]) -> None:
    always = {"name": "surge", "timeZone": "Europe/Berlin", "budget": {A100: 32}}
    policy(server, status=IDLE, groupBy="namespace", schedules=[always])

    outcome = ml("quota", "--no-headers")

    assert outcome == Outcome(
        code=0,
        out="gpus   ml   a100   32   0   0   32   ░░░░░░░░\n",
        err="note: gpus: the budget is that of schedule surge\n",
    )
    assert json.loads(ml("quota", "-ojson").out)["items"][0]["schedule"] == "surge"


def test_your_own_group_is_shown_before_it_uses_anything(
    server: APIServer, ml: Callable[..., Outcome]
) -> None:
    policy(server, status=IDLE, groupBy="user", budget={A100: 2})
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    server.answers[("POST", review)] = (201, {"status": {"userInfo": {"username": "ann"}}})

    assert ml("quota", "--no-headers") == Outcome(
        code=0, out="gpus   ann   a100   2   0   0   2   ░░░░░░░░\n", err=""
    )


def test_a_namespace_in_no_group_yet_is_said(server: APIServer, ml: Callable[..., Outcome]) -> None:
    policy(server, groupBy="queue")

    assert ml("quota", "--no-headers").err == (
        "No quota is known to hold here.\n"
        'note: gpus groups by queue; nothing that you may see of namespace "ml" is in a group of '
        "it yet\n"
    )


def test_what_is_hidden_in_the_namespace_too(
    two_teams: APIServer, ml: Callable[..., Outcome]
) -> None:
    for path in ("apis/batch/v1/jobs", "apis/batch/v1/namespaces/ml/jobs"):
        two_teams.answers[("GET", f"/{path}")] = forbidden("no")

    assert ml("quota", "--no-headers").err == (
        'note: workloads are hidden: you can\'t list jobs in namespace "ml", nor in others\n'
    )


def test_what_asks_for_nothing_fits(
    two_teams: APIServer, ml: Callable[..., Outcome], tmp_path: Path
) -> None:
    (tmp_path / "pod.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: idle}\n"
        "spec: {containers: [{name: main, image: x}]}\n"
    )

    assert ml("quota", "check", "-f", str(tmp_path / "pod.yaml")) == Outcome(
        code=0,
        out="Pod/ml/idle fits: it asks for nothing that a quota bounds\n",
        err="",
    )
