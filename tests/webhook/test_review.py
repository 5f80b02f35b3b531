"""The codec's limits, which no built-in policy reaches."""

from __future__ import annotations

import orjson
import pytest

from policies.model import Decision, Violation
from tests.webhook.reviews import UID, deployment, pod, review
from webhook import handlers
from webhook import review as codec


def test_warnings_fit_into_what_the_api_server_passes_on() -> None:
    fitted = codec.fitting(["é" * 300, *(f"{number} " + "x" * 250 for number in range(40))])

    assert all(len(line.encode()) <= 256 for line in fitted)
    assert sum(len(line.encode()) for line in fitted) <= 4096
    assert fitted[0].endswith("é…")
    assert fitted[-1] == f"and {41 - (len(fitted) - 1)} more warnings"


def test_warnings_are_one_line_each() -> None:
    assert codec.fitting(['mounts: "a\nb\x00"']) == ['mounts: "a b "']


def test_refusals_are_sorted_lines_and_a_policy_outweighs_an_intent() -> None:
    asked = codec.decode(orjson.dumps(review(deployment(), operation="UPDATE", oldObject=pod())))
    decision = Decision(
        violations=(
            Violation(policy="b", message="two\nlines", code=422),
            Violation(policy="a", message="no"),
        ),
        missed=(Violation(policy="c", message="injection was missed, try again"),),
        warnings=("careful",),
        preview={"p@1234abcd": ("/a", "/b"), "q" * 80 + "@1234abcd": ("/c",)},
    )

    answer = handlers.validation(asked, decision)

    assert orjson.loads(answer.body)["response"] == {
        "uid": UID,
        "allowed": False,
        "status": {
            "code": 403,
            "reason": "Forbidden",
            "message": "a: no\nb: two lines\nc: injection was missed, try again\n"
            "see: kubectl ml explain deployment/train",
        },
        "warnings": ["careful"],
        "auditAnnotations": {"preview.p": "/a, /b", "preview." + "q" * 55: "/c"},
    }
    assert (answer.outcome, answer.policies) == ("denied", ["a", "b", "c"])


@pytest.mark.parametrize(
    ("reasons", "reason"),
    [
        pytest.param(("Unauthorized", "Unauthorized"), "Unauthorized", id="shared"),
        pytest.param(("Unauthorized", "Invalid"), "Forbidden", id="different"),
        pytest.param(("Unauthorized", ""), "Forbidden", id="one-without"),
    ],
)
def test_the_reason_is_the_one_that_all_rules_give(reasons: tuple[str, ...], reason: str) -> None:
    found = tuple(
        Violation(policy="a", message=f"no {number}", reason=one)
        for number, one in enumerate(reasons)
    )

    answer = handlers.validation(
        codec.decode(orjson.dumps(review(pod()))), Decision(violations=found)
    )

    status = orjson.loads(answer.body)["response"]["status"]
    assert (status["code"], status["reason"]) == (403, reason)
