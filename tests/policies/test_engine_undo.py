"""What was injected can be taken out again, exactly: strip(inject(x)) is x."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from policies import engine, load
from policies.model import Facts, Manifest
from tests.builders import INJECTED, plain, policies, request, review, stripped
from tests.policies import strategies

STAGES = st.sampled_from(("admission", "template"))


@given(strategies.objects(), strategies.policies(), strategies.facts, STAGES)
def test_strip_undoes_inject(obj: Manifest, added: str, facts: Facts, stage: str) -> None:
    assume(INJECTED not in str(obj))

    injected = review(obj, added, facts, stage=stage).object

    assert plain(stripped(injected).object) == plain(obj)


@given(strategies.objects(), strategies.policies(), strategies.facts, STAGES)
def test_strip_with_the_policies_at_hand_finds_no_edit_where_there_is_none(
    obj: Manifest, added: str, facts: Facts, stage: str
) -> None:
    assume(INJECTED not in str(obj))

    injected = review(obj, added, facts, stage=stage).object

    undone = stripped(injected, added, facts)
    assert undone.left == ()
    assert plain(undone.object) == plain(obj)


@given(strategies.objects(), strategies.policies(), strategies.facts, STAGES)
def test_explain_decides_as_the_stage_does(
    obj: Manifest, added: str, facts: Facts, stage: str
) -> None:
    decision = review(obj, added, facts, stage=stage)

    explained = engine.explain(request(obj), policies(added), facts, fold=stage == "template")

    assert replace(explained, skipped=(), reasons=()) == decision


@given(strategies.objects(), strategies.policies(), strategies.facts, STAGES)
def test_an_account_tells_all_that_was_added(
    obj: Manifest, added: str, facts: Facts, stage: str
) -> None:
    assume(INJECTED not in str(obj))

    decision = review(obj, added, facts, stage=stage)

    told = engine.account(request(decision.object), policies(added))
    assert {one.policy for one in told} == set(decision.provenance)


def test_a_forged_record_takes_no_container_of_the_users() -> None:
    forged = '{"policies":{"x@1":[["/spec/containers/0"]]},"v":1}'
    obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one", "annotations": {INJECTED: forged}},
        "spec": {"containers": [{"name": "main", "image": "python:3.12"}]},
    }

    found = engine.strip(request(obj), load.library())

    assert found.object == obj
    assert found.left == (
        "/spec/containers/0 is no container of ours; take kubectl-ml.io/injected out",
    )


QUEUED = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "one", "annotations": {"kubectl-ml.io/queue": "team-a"}},
    "spec": {"containers": [{"name": "main", "image": "python:3.12"}]},
}


def test_a_gate_that_was_taken_away_meanwhile_is_no_edit_and_comes_back_by_no_update() -> None:
    held = review(QUEUED).object
    admitted = {**held, "spec": QUEUED["spec"]}

    assert held["spec"]["schedulingGates"] == [{"name": "kueue.x-k8s.io/admission"}]
    assert stripped(held).object == QUEUED
    assert stripped(admitted).object == QUEUED
    updated = review(admitted, operation="UPDATE", old=held).object
    assert updated["spec"] == QUEUED["spec"]
    assert stripped(updated).object == QUEUED
