"""`spec.match.conditions`, in every kind of policy, through the front door."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from policies import engine, load
from policies.model import Decision, Facts, PolicySet, Request

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a", "labels": {"team": "nlp"}},
    "spec": {"containers": [{"name": "main", "image": "i:1"}]},
}
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "j"},
    "spec": {"template": {"metadata": POD["metadata"], "spec": POD["spec"]}},
}
FAILS = "object.spec.nope == 1"
WHY = f'`{FAILS}` can\'t be evaluated: no such key: "nope"'


def policies(*texts: str) -> PolicySet:
    documents = [
        load.Document(file="p.yaml", number=number, value=yaml.safe_load(text))
        for number, text in enumerate(texts, 1)
    ]
    return load.policy_set(documents)


def injection(match: str) -> str:
    return (
        f"{{kind: InjectionPolicy, metadata: {{name: i}}, spec: {{match: {match}, "
        "inject: {env: [{name: X, value: x}]}}}"
    )


def guard(match: str, more: str = "") -> str:
    return (
        f"{{kind: GuardPolicy, metadata: {{name: g}}, spec: {{match: {match}, {more}"
        "rules: [{expression: 'false', message: No.}]}}"
    )


def review(
    known: PolicySet, obj: Any = POD, operation: str = "CREATE", old: Any = None
) -> Decision:
    group, _, version = obj["apiVersion"].rpartition("/")
    asked = Request(
        operation=operation, group=group, version=version, kind=obj["kind"], namespace="ml",
        object=obj, old_object=old,
    )  # fmt: skip
    return engine.review(asked, known, Facts(namespaces={"ml": {"tier": "gold"}}))


CASES = [
    pytest.param("[{name: n, expression: \"object.metadata.name == 'a'\"}]", True, id="object"),
    pytest.param('[{expression: "oldObject == null"}]', True, id="old-object"),
    pytest.param("[\"request.operation == 'DELETE'\"]", False, id="request"),
    pytest.param("\"namespaceObject.metadata.labels.tier == 'gold'\"", True, id="namespace"),
    pytest.param("['true', 'false']", False, id="each-must-hold"),
    pytest.param(f"['{FAILS}', 'false']", False, id="one-that-is-false-settles-it"),
]


@pytest.mark.parametrize(("conditions", "holds"), CASES)
def test_conditions_of_an_injection(conditions: str, holds: bool) -> None:
    found = review(policies(injection(f"{{conditions: {conditions}}}")))

    assert (bool(found.patch), found.warnings) == (holds, ())


@pytest.mark.parametrize(("conditions", "holds"), CASES)
def test_conditions_of_a_guard(conditions: str, holds: bool) -> None:
    found = review(policies(guard(f"{{conditions: {conditions}}}")))

    assert [one.message for one in found.violations] == (["No."] if holds else [])


@pytest.mark.parametrize(("conditions", "holds"), CASES)
def test_conditions_of_exclude(conditions: str, holds: bool) -> None:
    found = review(policies(guard(f"{{exclude: {{conditions: {conditions}}}}}")))

    assert [one.message for one in found.violations] == ([] if holds else ["No."])


@pytest.mark.parametrize(("conditions", "holds"), CASES)
def test_conditions_of_an_exception(conditions: str, holds: bool) -> None:
    let_off = (
        "{kind: PolicyException, metadata: {name: e}, spec: {policies: [g], reason: r, "
        f"match: {{conditions: {conditions}}}}}}}"
    )

    found = review(policies(guard("{}"), let_off))

    assert [one.message for one in found.violations] == ([] if holds else ["No."])


def test_an_injection_whose_condition_fails_is_left_out_with_a_warning() -> None:
    found = review(policies(injection(f"{{conditions: ['{FAILS}']}}")))

    assert (found.patch, found.warnings) == (
        [], (f"i: nothing is added: spec.match.conditions[0]: {WHY}",)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("more", "messages"),
    [
        ("", [f'spec.match.conditions["x"]: {WHY}']),
        ("failurePolicy: Ignore, ", []),
    ],
)
def test_a_guard_whose_condition_fails_follows_its_failure_policy(
    more: str, messages: list[str]
) -> None:
    match = f"{{conditions: [{{name: x, expression: '{FAILS}'}}]}}"

    found = review(policies(guard(match, more)))

    assert [one.message for one in found.violations] == messages


def test_an_exception_whose_condition_fails_lets_nobody_off() -> None:
    let_off = (
        "{kind: PolicyException, metadata: {name: e}, spec: {policies: [g], reason: r, "
        f"match: {{conditions: ['{FAILS}']}}}}}}"
    )

    found = review(policies(guard("{}"), let_off))

    assert ([one.message for one in found.violations], found.warnings) == (
        ["No."], (f"e: this exception lets nobody off: spec.match.conditions[0]: {WHY}",)
    )  # fmt: skip


def test_what_else_does_not_match_asks_no_condition() -> None:
    match = f"{{namespaces: {{names: [other]}}, conditions: ['{FAILS}']}}"

    found = review(policies(injection(match), guard(match)))

    assert (found.patch, found.warnings, found.violations) == ([], (), ())


def test_the_object_of_a_template_is_the_pod_that_it_makes() -> None:
    condition = (
        "object.kind == 'Pod' && object.metadata.labels.team == 'nlp' && "
        "object.metadata.namespace == 'ml' && size(object.spec.containers) == 1"
    )
    match = f'{{conditions: ["{condition}"]}}'

    found = engine.render(
        Request(
            operation="CREATE", group="batch", version="v1", kind="Job", namespace="ml", object=JOB
        ),
        policies(injection(match)),
        Facts(),
    )
    refused = review(policies(guard(match)), JOB)

    env = found.object["spec"]["template"]["spec"]["containers"][0]["env"]
    assert (env, [one.message for one in refused.violations]) == (
        [{"name": "X", "value": "x"}], ["No."]
    )  # fmt: skip


def test_a_policy_for_a_workload_sees_the_workload() -> None:
    match = "{kinds: [Job.batch], conditions: [\"object.kind == 'Job'\"]}"

    found = review(policies(guard(match), injection(match)), JOB)

    assert ([one.message for one in found.violations], bool(found.patch)) == (["No."], True)


def test_an_update_sees_the_old_object() -> None:
    match = '{conditions: ["oldObject.metadata.labels.team != object.metadata.labels.team"]}'
    rule = "rules: [{expression: \"object.metadata.labels.team == 'nlp'\", message: No.}]"
    known = policies(
        f"{{kind: GuardPolicy, metadata: {{name: g}}, spec: {{match: {match}, {rule}}}}}"
    )
    moved = {**POD, "metadata": {"name": "a", "labels": {"team": "cv"}}}

    found = review(known, moved, "UPDATE", POD)

    assert [one.message for one in found.violations] == ["No."]
