"""`kubectl ml policy export`: what is written, and what is said to be left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.kubectl_ml.program import Outcome, invoke

GUARD = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: GuardPolicy
metadata: {name: gpu-pods}
spec:
  match:
    kinds: [Pod, Job.batch, Gadget.example.com]
    operations: [CREATE]
    intents: [accelerator]
    namespaces: {names: ["ml-*", a.b]}
  enforcement: Warn
  failurePolicy: Ignore
  params: {teams: [nlp, "it's"], max: 3}
  variables: [{name: params_, expression: "1"}, {name: params, expression: "params.max"}]
  rules:
  - {name: team, expression: "object.team in params.teams", message: "No\\nteam.", reason: Invalid}
  - {expression: "variables.params > 'params'.size() || object.params", messageExpression: "'x'"}
  checks: {podSecurity: {level: restricted}}
---
apiVersion: kubectl-ml.io/v1alpha1
kind: PolicyException
metadata: {name: demo}
spec: {policies: [gpu-pods], reason: demo, expires: "2999-01-01T00:00:00Z"}
---
apiVersion: kubectl-ml.io/v1alpha1
kind: GuardPolicy
metadata: {name: checks}
spec: {checks: {podSecurity: {level: restricted}}}
"""
POLICY = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingAdmissionPolicy",
    "metadata": {"name": "gpu-pods"},
    "spec": {
        "failurePolicy": "Ignore",
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": [group],
                    "apiVersions": ["*"],
                    "operations": ["CREATE"],
                    "resources": [plural],
                }
                for group, plural in (
                    ("", "pods"),
                    ("batch", "jobs"),
                    ("example.com", "gadgets"),
                )
            ]
        },
        "matchConditions": [
            {"name": "not-kube-system", "expression": "request.namespace != 'kube-system'"},
            {
                "name": "namespaces",
                "expression": r"request.namespace.matches('^(?:ml-.*|a\\.b)$')",
            },
            {
                "name": "intent-accelerator",
                "expression": "has(object.metadata.annotations) && "
                "'kubectl-ml.io/accelerator' in object.metadata.annotations",
            },
        ],
        "variables": [
            {
                "name": "params__",
                "expression": r"dyn({'teams': dyn([dyn('nlp'), dyn('it\'s')]), 'max': dyn(3)})",
            },
            {"name": "params_", "expression": "1"},
            {"name": "params", "expression": "variables.params__.max"},
        ],
        "validations": [
            {
                "expression": "object.team in variables.params__.teams",
                "message": "No team.",
                "reason": "Invalid",
            },
            {
                "expression": "variables.params > 'params'.size() || object.params",
                "message": "failed expression: variables.params > 'params'.size() || object.params",
                "messageExpression": "'x'",
                "reason": "Forbidden",
            },
        ],
    },
}
BINDING = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingAdmissionPolicyBinding",
    "metadata": {"name": "gpu-pods"},
    "spec": {"policyName": "gpu-pods", "validationActions": ["Warn"]},
}
LEFT_OUT = """\
Warning: gpu-pods: its checks (podSecurity) are not carried: only rules can be
Warning: gpu-pods: the exception "demo" and its end is not carried: whom it lets off is refused
Warning: gpu-pods: it judges pods alone, as they are created by their controllers: the templates \
of workloads, which the webhook refuses at kubectl apply, are not judged; --templates has the \
usual ones judged
Warning: gpu-pods: it holds in every namespace that it matches, not only where \
kubectl-ml.io/enabled is set; spec.matchResources of the binding can narrow that
Warning: gpu-pods: the resource of the kind "Gadget.example.com" is taken to be \
"gadgets.example.com"; check it
"""


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text(GUARD)
    return lambda *args: invoke("policy", "export", "--policies", "p.yaml", "--to", "vap", *args)


def test_the_policy_its_binding_and_what_is_left_out(export: Callable[..., Outcome]) -> None:
    outcome = export("gpu-pods")

    assert (outcome.code, outcome.err) == (0, LEFT_OUT)
    assert list(yaml.safe_load_all(outcome.out)) == [POLICY, BINDING]


def test_a_list_of_them(export: Callable[..., Outcome]) -> None:
    whole = json.loads(export("guardpolicy/gpu-pods", "-o", "json").out)

    assert whole == {"apiVersion": "v1", "kind": "List", "items": [POLICY, BINDING]}


def test_templates_have_a_policy_of_their_own(export: Callable[..., Outcome]) -> None:
    *_, policy, binding = yaml.safe_load_all(export("gpu-pods", "--templates").out)

    spec = policy["spec"]
    assert policy["metadata"]["name"] == binding["spec"]["policyName"] == "gpu-pods.templates"
    assert [rule["resources"] for rule in spec["matchConstraints"]["resourceRules"]] == [
        ["deployments", "statefulsets", "daemonsets", "replicasets"],
        ["jobs"],
    ]
    assert [one["name"] for one in spec["variables"]] == [
        *("pod", "oldPod", "params__", "matched", "params_", "params"),
    ]
    assert [one["expression"] for one in spec["validations"]] == [
        "variables.matched ? (variables.pod.team in variables.params__.teams) : true",
        "variables.matched ? (variables.params > 'params'.size() || variables.pod.params) : true",
    ]


CONDITIONS = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: GuardPolicy
metadata: {name: some}
spec:
  match:
    conditions:
    - {name: "on a host", expression: "object.spec.hostNetwork"}
    - "namespaceObject.metadata.labels.tier == 'gold'"
    - has(oldObject.spec)
    exclude:
      conditions: ["has(object.spec.nodeName)"]
  rules: [{expression: "false"}]
"""


def test_conditions_are_match_conditions_where_those_see_enough(
    export: Callable[..., Outcome],
) -> None:
    Path("p.yaml").write_text(CONDITIONS)

    policy, _, templates, _ = yaml.safe_load_all(export("some", "--templates").out)

    gold = "(namespaceObject.metadata.labels.tier == 'gold')"
    untouched = "request.namespace != 'kube-system'"
    assert policy["spec"]["matchConditions"] == [
        {"name": "not-kube-system", "expression": untouched},
        {"name": "condition-0-on-a-host", "expression": "(object.spec.hostNetwork) == true"},
        {"name": "condition-2", "expression": "has(oldObject.spec)"},
        {"name": "exclude", "expression": "!((has(object.spec.nodeName)))"},
    ]
    assert policy["spec"]["variables"] == [{"name": "matched", "expression": gold}]
    assert policy["spec"]["validations"][0]["expression"] == "variables.matched ? (false) : true"
    assert "matchConditions" not in templates["spec"]
    assert templates["spec"]["variables"][-1]["expression"] == (
        f"({untouched}) && ((variables.pod.spec.hostNetwork) == true) && {gold} && "
        "(has(variables.oldPod.spec)) && (!((has(variables.pod.spec.nodeName))))"
    )


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        (["gpu-pod"], 1, 'there is no GuardPolicy "gpu-pod"; did you mean "gpu-pods"?'),
        (
            ["checks"],
            1,
            'GuardPolicy "checks" has no rules, and its checks (podSecurity) can\'t be exported',
        ),
        ([], 2, "missing argument"),
    ],
)
def test_what_cant_be_exported(
    export: Callable[..., Outcome], args: list[str], code: int, sentence: str
) -> None:
    outcome = export(*args)

    assert (outcome.code, outcome.out) == (code, "")
    assert outcome.err.startswith(f"error: {sentence}")
