"""`checks.requireIntents`, through the front door."""

from __future__ import annotations

from typing import Any

import pytest

from tests.policies.guard.cases import job, pod, policies, said, twice

MISSING = "the intent kubectl-ml.io/queue is missing; write it as an annotation of the "


@pytest.mark.parametrize(
    ("check", "given", "sentences"),
    [
        pytest.param("[queue]", pod(), [MISSING + "Pod"], id="pod"),
        pytest.param("[queue]", job(pod()), [MISSING + "Job"], id="workload"),
        pytest.param("queue", job(pod()), [MISSING + "Job"], id="one"),
        pytest.param("{intents: [queue]}", job(pod()), [MISSING + "Job"], id="named"),
        pytest.param("[kubectl-ml.io/queue]", pod(), [MISSING + "Pod"], id="with-its-prefix"),
        pytest.param("[queue]", job(pod(), queue="q"), [], id="on-the-workload"),
        pytest.param("[shm]", job(pod(intents={"shm": "1Gi"})), [], id="on-the-template"),
        pytest.param("[scale]", job(pod()), [], id="that-a-job-cant-use"),
        pytest.param(
            "{any: [queue, profile]}", job(pod()),
            ["none of the intents kubectl-ml.io/queue, kubectl-ml.io/profile is there; "
             "write one on the Job"],
            id="none-of-some",
        ),
        pytest.param("{any: [queue, shm]}", job(pod(), shm="1Gi"), [], id="one-of-some"),
    ],
)  # fmt: skip
def test_intents(check: str, given: Any, sentences: list[str]) -> None:
    assert twice(policies(f"{{requireIntents: {check}}}"), given) == sentences


def test_the_pods_of_a_workload_were_judged_with_it() -> None:
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": True}
    made = pod()
    made["metadata"]["ownerReferences"] = [owner]

    assert said(policies("{requireIntents: [queue]}"), made) == []


def test_what_a_policy_gives_was_not_asked_for() -> None:
    default = "{kind: InjectionPolicy, metadata: {name: d}, spec: {inject: {shm: 1Gi}}}"

    found = twice(policies("{requireIntents: [shm]}", default), pod())

    assert found == [MISSING.replace("queue", "shm") + "Pod"]


def test_an_intent_that_an_update_takes_out() -> None:
    known = policies("{requireIntents: [queue]}")

    assert said(known, job(pod()), old=job(pod(), queue="q")) == [MISSING + "Job"]
    assert said(known, job(pod(), shm="1Gi"), old=job(pod())) == []
