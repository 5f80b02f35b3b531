"""Expressions that would stall a review end at their budget; ordinary ones don't notice it."""

from typing import Any

import pytest

from policies import engine, load
from policies.model import Decision, Facts, PolicySet, Request
from tests.policies.cost.hostile import HOSTILE_POD, STOPPED

OF_A_POLICY = (
    "it goes past the 500,000 units of work that one policy may do in a review; loop over less, "
    "or compare and build smaller strings and lists"
)
OF_A_REVIEW = (
    "it goes past the 2,000,000 units of work that all policies may do in a review; loop over "
    "less, or compare and build smaller strings and lists"
)
OF_THE_RUNTIME = "Iteration budget exceeded"
LOOP = "object.spec.containers[0].args.all(x, object.metadata.annotations.long.lowerAscii() != x)"


def guards(*specs: dict[str, Any]) -> PolicySet:
    """Make guards named g0, g1 and so on."""
    return load.policy_set(
        load.Document(
            file="p.yaml",
            number=number,
            value={"kind": "GuardPolicy", "metadata": {"name": f"g{number}"}, "spec": spec},
        )
        for number, spec in enumerate(specs)
    )


def rule(expression: str, **more: Any) -> dict[str, Any]:
    return {"failurePolicy": "Fail", "rules": [{"expression": expression, "message": "No."}]} | more


def review(known: PolicySet, pod: dict[str, Any] = HOSTILE_POD) -> Decision:
    asked = Request(
        operation="CREATE", group="", version="v1", kind="Pod", resource="/v1/pods",
        namespace="ml", name="a", object=pod, old_object=pod,
    )  # fmt: skip
    return engine.review(asked, known, Facts())


def said(decision: Decision) -> list[str]:
    return [f"{one.policy}: {one.message}" for one in decision.violations]


@pytest.mark.parametrize("name", STOPPED)
def test_what_would_stall_a_review_is_stopped(name: str) -> None:
    text = STOPPED[name]

    [found] = said(review(guards(rule(text))))

    assert found in [
        f"g0: No. (`{text}` can't be evaluated: {why})" for why in (OF_A_POLICY, OF_THE_RUNTIME)
    ]


def test_what_is_stopped_follows_the_failure_policy() -> None:
    assert said(review(guards(rule(LOOP, failurePolicy="Ignore")))) == []


def test_an_error_that_is_passed_over_doesnt_pass_over_the_budget() -> None:
    found = said(review(guards(rule(f"{LOOP} || true"))))

    assert found == [f"g0: No. (`{LOOP} || true` can't be evaluated: {OF_A_POLICY})"]


def test_one_policy_leaves_the_others_their_part() -> None:
    found = said(review(guards(rule(LOOP), rule("object.kind == 'Job'"))))

    assert found == [f"g0: No. (`{LOOP}` can't be evaluated: {OF_A_POLICY})", "g1: No."]


def test_a_review_has_a_budget_too() -> None:
    found = said(review(guards(*[rule(LOOP)] * 8)))

    assert [one.rpartition("can't be evaluated: ")[2] for one in found[:3] + found[-3:]] == (
        [f"{OF_A_POLICY})"] * 3 + [f"{OF_A_REVIEW})"] * 3
    )


def test_variables_and_messages_pay_too() -> None:
    spec = {
        "failurePolicy": "Fail",
        "variables": [{"name": "long", "expression": LOOP}],
        "rules": [{"expression": "variables.long"}],
    }

    assert said(review(guards(spec))) == [f"g0: `variables.long` can't be evaluated: {OF_A_POLICY}"]
    spec = {"rules": [{"expression": "false", "messageExpression": f"string({LOOP})"}]}
    assert said(review(guards(spec))) == ["g0: failed expression: false"]


def test_conditions_pay_too() -> None:
    found = said(review(guards(rule("false", match={"conditions": [LOOP]}))))

    assert len(found) == 1
    assert OF_A_POLICY in found[0]


def test_a_text_that_leaves_no_letter_to_mark_matches_with_is_refused_with_the_reason() -> None:
    text = "object.metadata.name.find('a') == ''"
    known = guards(rule(text))
    letters = "".join(map(chr, range(0xE000, 0xF8FF)))

    assert said(review(known, HOSTILE_POD | {"metadata": {"name": letters}})) == [
        f"g0: No. (`{text}` can't be evaluated: the text has all 6,399 letters of "
        "Unicode that are for private use)"
    ]
    assert said(review(known, HOSTILE_POD | {"metadata": {"name": letters[1:]}})) == []


def test_ordinary_rules_over_a_large_pod_are_far_from_the_budget() -> None:
    ordinary = (
        "object.spec.containers[0].env.all(e, e.name.startsWith('E') && e.value != 'secret')",
        "object.spec.containers.all(c, c.image.matches('^[a-z:0-9]+$'))",
        "object.metadata.labels.all(k, v, k.size() < 63 && v in ['v', 'w'])",
        "object.spec.containers[0].args.slice(0, 500).map(a, int(a)).max() < 3000",
    )

    assert (
        said(
            review(
                guards(
                    {"failurePolicy": "Fail", "rules": [{"expression": one} for one in ordinary]}
                )
            )
        )
        == []
    )
