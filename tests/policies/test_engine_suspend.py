"""A workload that an intent queues with Kueue waits from the first moment; then Kueue has it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from policies.model import Facts, Manifest
from tests.builders import at, mutated, plain, review, stripped, workload

PLACES: dict[str, tuple[str, ...]] = {
    "Job": ("spec", "suspend"),
    "JobSet": ("spec", "suspend"),
    "TrainJob": ("spec", "suspend"),
    "PyTorchJob": ("spec", "runPolicy", "suspend"),
}
POLICY = """
kind: InjectionPolicy
metadata: {name: queues}
spec: {match: {kinds: [Job.batch]}, inject: {queue: {name: team-a}}}
"""


def saying(obj: Manifest, value: bool | None, place: tuple[str, ...]) -> Manifest:
    """Write `suspend` into an object, or take it out."""
    found: Any = copy.deepcopy(obj)
    inner = found
    for step in place[:-1]:
        inner = inner.setdefault(step, {})
    inner.pop(place[-1], None) if value is None else inner.update({place[-1]: value})
    return dict(found)


def suspended(obj: Manifest, kind: str) -> Any:
    return at(obj, *PLACES[kind][:-1]).get("suspend")


@pytest.mark.parametrize("kind", PLACES)
def test_what_an_intent_queues_is_suspended_at_create(kind: str) -> None:
    assert suspended(mutated(workload(kind, queue="team-a")), kind) is True


@pytest.mark.parametrize("kind", PLACES)
def test_a_fold_leaves_it_to_kueue_which_sees_the_label(kind: str) -> None:
    plain_object = workload(kind, queue="team-a")

    found = review(plain_object, stage="template").object

    assert found["spec"].get("suspend") is None
    assert (found["spec"].get("runPolicy") or {}).get("suspend") is None


def test_what_a_policy_queues_is_suspended_too() -> None:
    assert suspended(mutated(workload("Job"), POLICY), "Job") is True


def test_the_api_servers_default_is_nobodys_word() -> None:
    asked = saying(workload("Job", queue="team-a"), False, PLACES["Job"])

    assert suspended(mutated(asked), "Job") is True


def test_what_the_user_wrote_is_kept_where_it_can_be_told() -> None:
    asked = saying(workload("JobSet", queue="team-a"), False, PLACES["JobSet"])

    assert suspended(mutated(asked), "JobSet") is False


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        pytest.param("Job", Facts(installed=frozenset({"volcano"})), id="volcano"),
        pytest.param("Job", Facts(installed=frozenset()), id="no-queues"),
        pytest.param("MPIJob", None, id="kueue-doesnt-read-mpijob-v1"),
        pytest.param("CronJob", None, id="its-jobs-wait-rather-than-it"),
    ],
)
def test_what_kueue_doesnt_manage_is_never_suspended(kind: str, facts: Facts | None) -> None:
    obj = workload(kind, queue="team-a")
    if kind == "MPIJob":
        obj["apiVersion"] = "kubeflow.org/v1"

    found = mutated(obj, facts=facts)

    assert found["spec"].get("suspend") is None
    assert (found["spec"].get("runPolicy") or {}).get("suspend") is None


@pytest.mark.parametrize("kind", PLACES)
def test_injecting_twice_changes_nothing(kind: str) -> None:
    stored = mutated(workload(kind, queue="team-a"))

    assert review(stored).patch == []


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("written", [None, True, False])
def test_strip_gives_back_what_was_written(kind: str, written: bool | None) -> None:
    asked = saying(workload(kind, queue="team-a"), written, PLACES[kind])

    assert stripped(mutated(asked)).object == asked


@pytest.mark.parametrize("kind", PLACES)
def test_kueues_resumption_is_left_alone_and_can_be_stripped(kind: str) -> None:
    stored = mutated(workload(kind, queue="team-a"))
    resumed = saying(stored, False, PLACES[kind])

    decision = review(resumed, old=stored)

    assert decision.patch == []
    assert plain(stripped(decision.object).object) == workload(kind, queue="team-a")


@pytest.mark.parametrize("kind", ["JobSet", "PyTorchJob"])
def test_an_update_that_drops_it_gets_it_not_back(kind: str) -> None:
    stored = mutated(workload(kind, queue="team-a"))

    found = mutated(saying(stored, None, PLACES[kind]), old=stored)

    assert suspended(found, kind) is None


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("now", [True, False])
def test_a_withdrawn_intent_leaves_it_as_it_is(kind: str, now: bool) -> None:
    stored = saying(mutated(workload(kind, queue="team-a")), now, PLACES[kind])
    edited = copy.deepcopy(stored)
    del edited["metadata"]["annotations"]["kubectl-ml.io/queue"]

    found = mutated(edited, old=stored)

    assert plain(found) == plain(saying(workload(kind), now, PLACES[kind]))


@pytest.mark.parametrize("kind", PLACES)
def test_an_intent_that_comes_later_leaves_it_as_it_is(kind: str) -> None:
    stored = mutated(workload(kind))

    found = mutated(workload(kind, queue="team-a"), old=stored)

    assert (found["spec"].get("runPolicy") or found["spec"]).get("suspend") is None


def managed(obj: Manifest, *fields: str) -> Manifest:
    """Say who owns fields of `spec`, as the API server does."""
    owned = {"f:spec": {f"f:{name}": {} for name in fields}}
    entry = {"manager": "somebody", "operation": "Apply", "fieldsV1": owned}
    return {**obj, "metadata": {**obj["metadata"], "managedFields": [entry]}}


@pytest.mark.parametrize(
    ("fields", "waits"),
    [
        pytest.param(("template",), True, id="an apply without it loses it"),
        pytest.param(("template", "suspend"), False, id="who resumes it owns it"),
    ],
)
def test_an_apply_that_loses_suspend_gets_it_back(fields: tuple[str, ...], waits: bool) -> None:
    bare = saying(workload("Job", queue="team-a"), False, PLACES["Job"])
    stored = mutated(bare)

    again = mutated(managed(bare, *fields), old=stored)

    assert suspended(again, "Job") is waits
