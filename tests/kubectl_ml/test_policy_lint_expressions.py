"""`kubectl ml policy lint`: expressions that can't be right, and conditions that choose nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kubectl_ml.program import invoke

ROOT = Path(__file__).parents[2]


def one(kind: str, spec: dict[str, Any], name: str = "p") -> dict[str, Any]:
    return {
        "apiVersion": "kubectl-ml.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def rule(expression: str, **spec: Any) -> dict[str, Any]:
    return one("GuardPolicy", {**spec, "rules": [{"expression": expression}]})


@pytest.fixture
def lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    monkeypatch.chdir(tmp_path)

    def run(*objects: dict[str, Any]) -> list[str]:
        """Give severity, rule and message of each finding."""
        Path("p.yaml").write_text("\n---\n".join(json.dumps(each) for each in objects))
        outcome = invoke("policy", "lint", "--no-library", "--policies", "p.yaml", "-o", "json")
        found = json.loads(outcome.out)["findings"]
        return [f"{each['severity']}: {each['policy']}: {each['message']}" for each in found]

    return run


def said(
    column: int, expression: str, message: str, where: str = "spec.rules[0].expression"
) -> str:
    return f"error: expression: {where}: line 1, column {column} of `{expression}`: {message}"


WRONG = [
    pytest.param(
        "object.spec.contianers.all(c, true)",
        13,
        'object.spec has no field "contianers"; did you mean "containers"?',
        id="a-field-that-no-pod-has",
    ),
    pytest.param(
        "object.metadata.lables.team == 'nlp'",
        17,
        'object.metadata has no field "lables"; did you mean "labels"?',
        id="of-metadata",
    ),
    pytest.param(
        "!has(object.spec.hostPIDs)",
        18,
        'object.spec has no field "hostPIDs"; did you mean "hostPID"?',
        id="in-has",
    ),
    pytest.param(
        "object.metadata.?lables.team.orValue('') == 'nlp'",
        18,
        'object.metadata has no field "lables"; did you mean "labels"?',
        id="optional",
    ),
    pytest.param(
        "object.spec.containers.all(c, c.ports.all(p, p.containerPrt > 1024))",
        48,
        'p has no field "containerPrt"; did you mean "containerPort"?',
        id="of-an-item-of-an-item",
    ),
    pytest.param(
        "object.spec.containers.filter(c, has(c.image)).map(c, c.imgae).size() == 0",
        57,
        'c has no field "imgae"; did you mean "image"?',
        id="of-what-is-filtered",
    ),
    pytest.param(
        "(object.spec.containers + object.spec.?initContainers.orValue([])).all(c, c.img == '')",
        77,
        'c has no field "img"; did you mean "image"?',
        id="of-two-lists-together",
    ),
    pytest.param(
        "object.spec.containers[?0].optMap(c, c.imgae).orValue('') == ''",
        40,
        'c has no field "imgae"; did you mean "image"?',
        id="of-what-may-be-there",
    ),
    pytest.param(
        "object.spec.containers.image == 'a'",
        24,
        'object.spec.containers is a list, which has no field "image"; ask its items: '
        "object.spec.containers.all(x, x.image …)",
        id="a-list-as-an-object",
    ),
    pytest.param(
        "object.spec.nodeName.zone == 'a'",
        22,
        'object.spec.nodeName is a string, which has no field "zone"; take it out',
        id="a-string-as-an-object",
    ),
    pytest.param(
        "object.spec.containers.all(c, c.securityContext.runAsUser == '0')",
        59,
        'c.securityContext.runAsUser is an int and "0" a string, which are never equal; write 0',
        id="a-number-and-a-string",
    ),
    pytest.param(
        "object.spec.hostNetwork != 'true'",
        25,
        'object.spec.hostNetwork is a bool and "true" a string, which are never equal; write true',
        id="a-bool-and-a-string",
    ),
    pytest.param(
        "object.spec.containers.all(c, c.resources.limits['nvidia.com/gpu'] <= 4)",
        68,
        'c.resources.limits["nvidia.com/gpu"] is a string and 4 an int, which can\'t be compared; '
        'write int(c.resources.limits["nvidia.com/gpu"]), or '
        'quantity(c.resources.limits["nvidia.com/gpu"]) where it is one of a resource',
        id="a-quantity-as-a-number",
    ),
    pytest.param(
        "'main' in object.spec.containers",
        8,
        '"main" is a string, and object.spec.containers holds objects, so it is never in it',
        id="a-name-among-objects",
    ),
    pytest.param(
        "!object.spec.priority",
        2,
        "object.spec.priority is an int where true or false is wanted",
        id="a-number-as-a-bool",
    ),
    pytest.param(
        "object.spec.containers.startsWith('a')",
        1,
        "startsWith takes a string, and object.spec.containers is a list",
        id="a-function-of-strings",
    ),
    pytest.param(
        "object.spec.containers['main'].image == 'a'",
        1,
        'object.spec.containers is a list, and "main" is a string; write a number',
        id="a-list-by-name",
    ),
    pytest.param(
        "object.spec", 1, "it gives an object, and a bool is wanted", id="no-bool"
    ),
    pytest.param(
        "request.userInfo.usernme == 'ann'",
        18,
        'request.userInfo has no field "usernme"; did you mean "username"?',
        id="of-the-request",
    ),
    pytest.param(
        "namespaceObject.metadata.lables.team == 'nlp'",
        26,
        'namespaceObject.metadata has no field "lables"; did you mean "labels"?',
        id="of-the-namespace",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "column", "message"), WRONG)
def test_what_no_pod_can_be(
    lint: Callable[..., list[str]], expression: str, column: int, message: str
) -> None:
    assert lint(rule(expression)) == [said(column, expression, message)]


RIGHT = [
    "object.metadata['labels']['team'] == 'nlp'",
    "'labels' in object.metadata && has(object.metadata.labels.team)",
    "oldObject == null || oldObject.spec.nodeName == object.spec.nodeName",
    "object.spec.?securityContext.?runAsNonRoot.orValue(false)",
    "object.spec.containers.all(c, c.?securityContext.?capabilities.?drop.orValue([])"
    ".exists(d, d == 'ALL'))",
    "(object.spec.containers + object.spec.?ephemeralContainers.orValue([])).all(c, c.image != '')",
    "object.spec.containers[0].livenessProbe.httpGet.port == 'http'",
    "timestamp(object.metadata.creationTimestamp) < timestamp('2030-01-01T00:00:00Z')",
    "object.spec.terminationGracePeriodSeconds > 1.5",
    "quantity(object.spec.containers[0].resources.limits.memory).isLessThan(quantity('1Gi'))",
    "object.metadata.annotations.all(k, v, k.startsWith('a') || v == '')",
    "object.spec.nodeSelector == {'zone': 'a'}",
    "type(object.spec.priority) == int",
    "dyn(object).spec.whatever == 1",
    "[1, 'a', object.spec.nodeName].size() == 3",
]


@pytest.mark.parametrize("expression", RIGHT)
def test_what_may_be(lint: Callable[..., list[str]], expression: str) -> None:
    assert lint(rule(expression)) == []


OF_KINDS = [
    pytest.param(["Deployment.apps"], "object.spec.template.spec.contianers == []", True, id="one"),
    pytest.param(["Deployment.apps", "Job.batch"], "object.spec.replicas == 1", False, id="some"),
    pytest.param(["Deployment.apps", "Job.batch"], "object.spec.replica == 1", True, id="none"),
    pytest.param(["RayJob.ray.io"], "object.spec.anything == 1", False, id="no-schema"),
    pytest.param(["RayJob.ray.io"], "object.metadata.lables == {}", True, id="but-its-metadata"),
    pytest.param(["Service.serving.knative.dev"], "object.spec.template == 1", False, id="group"),
]


@pytest.mark.parametrize(("kinds", "expression", "wrong"), OF_KINDS)
def test_kinds_say_what_an_object_is(
    lint: Callable[..., list[str]], kinds: list[str], expression: str, wrong: bool
) -> None:
    found = lint(rule(expression, match={"kinds": kinds}))

    assert bool(found) is wrong
    assert all("has no field" in each for each in found)


def test_what_is_connected_to_is_of_another_kind(lint: Callable[..., list[str]]) -> None:
    match = {"operations": ["CONNECT"]}

    assert lint(rule("object.stdin == true", match=match)) == []


def test_variables_and_params_have_types_too(lint: Callable[..., list[str]]) -> None:
    guard = one(
        "GuardPolicy",
        {
            "params": {"most": 3, "teams": ["nlp"]},
            "variables": [
                {"name": "images", "expression": "object.spec.containers.map(c, c.image)"}
            ],
            "rules": [
                {"expression": "variables.images.all(i, i.name == 'a')"},
                {"expression": "variables.images.size() < params.most"},
                {"expression": "3 in params.teams", "messageExpression": "object.spec.containers"},
            ],
        },
    )

    assert lint(guard) == [
        said(27, "variables.images.all(i, i.name == 'a')",
             'i is a string, which has no field "name"; take it out'),
        said(3, "3 in params.teams",
             "3 is an int, and params.teams holds strings, so it is never in it",
             "spec.rules[2].expression"),
        said(1, "object.spec.containers", "it gives a list, and a string is wanted",
             "spec.rules[2].messageExpression"),
    ]  # fmt: skip


def test_a_second_line(lint: Callable[..., list[str]]) -> None:
    (found,) = lint(rule("object.spec.nodeName != 'ä' &&\n  object.spec.nodeNme != 'b'"))

    assert found == (
        "error: expression: spec.rules[0].expression: line 2, column 15 of `object.spec.nodeNme "
        '!= \'b\'`: object.spec has no field "nodeNme"; did you mean "nodeName"?'
    )


@pytest.mark.parametrize(
    ("policy", "where"),
    [
        (one("InjectionPolicy", {"inject": {"schedulerName": "a"}}), "match.conditions[0]"),
        (one("GuardPolicy", {"checks": {"images": {}}}), "match.exclude.conditions[0]"),
        (one("QuotaPolicy", {"budget": {"pods": 1}}), "match.conditions[0]"),
        (one("PolicyException", {"policies": ["g"], "reason": "x"}), "match.conditions[0]"),
    ],
)
def test_conditions_of_every_kind(
    lint: Callable[..., list[str]], policy: dict[str, Any], where: str
) -> None:
    text = "object.metadata.lables.team == 'a'"
    match: dict[str, Any] = {"conditions": [{"name": "team", "expression": text}]}
    policy["spec"]["match"] = {"exclude": match} if "exclude" in where else match

    found = [each for each in lint(policy) if ": expression: " in each]

    assert found == [
        said(17, text, 'object.metadata has no field "lables"; did you mean "labels"?',
             f"spec.{where}.expression")
    ]  # fmt: skip


@pytest.mark.parametrize("group", ["object.metadata.lables.team", {"expression": "size(object)"}])
def test_what_a_quota_groups_by(lint: Callable[..., list[str]], group: Any) -> None:
    (found,) = lint(one("QuotaPolicy", {"budget": {"pods": 1}, "groupBy": group}))

    assert found.startswith("error: ")
    assert "spec.groupBy" in found


NEVER = "is never true, so the policy is never in force; mend it"
CONDITIONS = [
    pytest.param({"conditions": ["1 == 2"]},
                 f"error: unreachable: spec.match.conditions[0] {NEVER}", id="never"),
    pytest.param({"conditions": ["object.kind == 'Pod'"]},
                 "warning: unreachable: spec.match.conditions[0] is always true; take it out",
                 id="always"),
    pytest.param({"conditions": ["object.kind == 'Job'"]},
                 f"error: unreachable: spec.match.conditions[0] {NEVER}", id="another-kind"),
    pytest.param({"conditions": ["request.operation == 'DELETE'"]},
                 f"error: unreachable: spec.match.conditions[0] {NEVER}", id="another-operation"),
    pytest.param({"operations": ["DELETE"], "conditions": ["request.operation in ['CREATE']"]},
                 f"error: unreachable: spec.match.conditions[0] {NEVER}", id="not-that-operation"),
    pytest.param({"namespaces": {"names": ["a", "b"]}, "conditions": ["request.namespace == 'c'"]},
                 f"error: unreachable: spec.match.conditions[0] {NEVER}", id="another-namespace"),
    pytest.param({"objects": {"matchLabels": {"team": "nlp"}},
                  "conditions": ["object.metadata.labels[?'team'].orValue('') == 'cv'"]},
                 f"error: unreachable: spec.match.conditions[0] {NEVER}", id="another-label"),
    pytest.param({"conditions": ["request.namespace == 'a'", "request.namespace in ['b', 'c']"]},
                 "error: unreachable: spec.match.conditions can't all be true with the rest of "
                 "spec.match, so the policy is never in force; mend them", id="each-other"),
    pytest.param({"exclude": {"conditions": ["false && has(object.spec.nodeName)"]}},
                 "warning: unreachable: spec.match.exclude.conditions[0] is never true, so it "
                 "takes nothing away; take it out", id="excludes-nothing"),
    pytest.param({"namespaces": {"names": ["a*"]}, "conditions": ["request.namespace == 'ab'"]}, "",
                 id="some-namespaces"),
    pytest.param({"kinds": ["Pod", "Job.batch"], "conditions": ["object.kind == 'Job'"]}, "",
                 id="some-kinds"),
    pytest.param({"conditions": ["request.operation == 'UPDATE'"]}, "", id="some-operations"),
    pytest.param({"conditions": ["object.metadata.labels.a == 'b' || true == false"]}, "",
                 id="some-objects"),
    pytest.param({"exclude": {"conditions": ["object.spec.nodeName == 'a'"]}}, "",
                 id="some-others"),
]  # fmt: skip


@pytest.mark.parametrize(("match", "found"), CONDITIONS)
def test_conditions_that_choose_all_or_nothing(
    lint: Callable[..., list[str]], match: dict[str, Any], found: str
) -> None:
    assert lint(rule("has(object.spec.priority)", match=match)) == ([found] if found else [])


@pytest.mark.parametrize(
    ("expression", "always"),
    [("object.kind == 'Pod'", True), ("1 < 2", True), ("false", False), ("!true", False)],
)
def test_rules_that_nothing_breaks(
    lint: Callable[..., list[str]], expression: str, always: bool
) -> None:
    message = "spec.rules[0] always holds, so it refuses nothing; take it out"

    assert lint(rule(expression)) == ([f"warning: unreachable: {message}"] if always else [])


def injection(name: str, value: str, condition: str) -> dict[str, Any]:
    inject = {"env": [{"name": "TEAM", "value": value}]}
    return one("InjectionPolicy", {"match": {"conditions": [condition]}, "inject": inject}, name)


TIER = "namespaceObject.metadata.labels.tier == '%s'"


def test_conditions_keep_injections_apart(lint: Callable[..., list[str]]) -> None:
    assert lint(injection("a", "1", TIER % "gold"), injection("b", "2", TIER % "tin")) == []


def test_other_conditions_do_not(lint: Callable[..., list[str]]) -> None:
    (found,) = lint(injection("a", "1", TIER % "gold"), injection("b", "2", TIER % "gold"))

    assert found.startswith("warning: conflict: spec.inject.env TEAM is 2")


def test_the_fields_of_kubernetes_are_not_stale() -> None:
    made = subprocess.run(
        [sys.executable, "scripts/field_types.py"], cwd=ROOT, check=True, capture_output=True,
        timeout=60,
    )  # fmt: skip

    shipped = (ROOT / "kubectl_ml" / "celtypes" / "kubernetes.json").read_bytes()
    assert made.stdout == shipped, "run `make generate`"
