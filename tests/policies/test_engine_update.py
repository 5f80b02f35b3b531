"""Updates never surprise: what stays, follows its intent, is given back, or is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from policies.model import Facts, Manifest
from tests.builders import (
    INJECTED,
    KINDS,
    PREFIX,
    at,
    but_kueues,
    container,
    controlled_by,
    intents,
    job,
    messages,
    mutated,
    pod,
    pods_of,
    review,
    workload,
)

IMMUTABLE = ("Job", "TrainJob", "JobSet")
MUTABLE = [kind for kind in KINDS if kind not in IMMUTABLE]
TWO: dict[str, Any] = {
    "accelerator": "a100:2",
    "mounts": "pvc://data:/data",
    "dapr": "app-port=8080",
    "mesh": "true",
}
POLICY = """
kind: InjectionPolicy
metadata: {name: team}
spec: {match: {kinds: [Pod, Deployment.apps, Job.batch]}, inject: {env: [{name: TEAM, value: ml}]}}
"""


def labelled(obj: Manifest, **labels: str) -> Manifest:
    found = copy.deepcopy(obj)
    found["metadata"]["labels"] = {**(obj["metadata"].get("labels") or {}), **labels}
    return found


def annotated(obj: Manifest, **wanted: str | None) -> Manifest:
    """Set intents of an object, or take them out (None)."""
    found = copy.deepcopy(obj)
    annotations = found["metadata"].setdefault("annotations", {})
    for key, value in wanted.items():
        if value is None:
            del annotations[PREFIX + key]
        else:
            annotations[PREFIX + key] = value
    return found


def created(kind: str, **wanted: Any) -> Manifest:
    return workload(kind, **wanted) if kind != "Pod" else pod(**wanted)


# --- intents as they were ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*KINDS, "Pod"])
def test_a_label_changes_nothing_else(kind: str) -> None:
    stored = mutated(created(kind, **TWO))

    decision = review(labelled(stored, stage="prod"), old=stored)

    assert (decision.patch, decision.warnings, decision.violations) == ([], (), ())


@pytest.mark.parametrize("kind", [*KINDS, "Pod"])
def test_what_is_older_than_the_webhook_stays_as_it_was(kind: str) -> None:
    stored = created(kind, **TWO)

    decision = review(labelled(stored, stage="prod"), old=stored)

    assert decision.patch == []


@pytest.mark.parametrize("kind", ["Deployment", "Job", "Pod"])
def test_a_new_policy_rolls_nothing(kind: str) -> None:
    stored = mutated(created(kind, **TWO))

    assert review(labelled(stored, stage="prod"), POLICY, old=stored).patch == []


@pytest.mark.parametrize("kind", ["Deployment", "Job", "Pod"])
def test_a_policy_that_goes_rolls_nothing(kind: str) -> None:
    stored = mutated(created(kind, **TWO), POLICY)

    assert review(labelled(stored, stage="prod"), old=stored).patch == []


@pytest.mark.parametrize("kind", [*KINDS, "Pod"])
def test_a_put_of_the_plain_object_gives_back_what_it_dropped(kind: str) -> None:
    plain = created(kind, **TWO)
    stored = mutated(plain)

    decision = review(plain, old=stored)

    assert decision.object == stored
    assert (decision.warnings, decision.violations) == ((), ())


@pytest.mark.parametrize("kind", ["Job", "PyTorchJob", "MPIJob", "TrainJob", "JobSet", "CronJob"])
def test_what_went_in_early_is_given_back_too(kind: str) -> None:
    plain = created(kind, queue="team-a", sidecars="logs", **TWO)
    stored = but_kueues(mutated(plain))

    assert review(plain, old=stored).object == stored


def test_what_was_dropped_is_given_back_under_a_changed_policy_as_it_was() -> None:
    plain = pod(accelerator="a100:2")
    stored = mutated(plain, POLICY)
    other = POLICY.replace("value: ml", "value: other")

    assert review(plain, other, old=stored).object == stored


def test_what_the_user_changed_of_ours_is_the_users() -> None:
    stored = mutated(workload("Deployment", dapr="app-port=8080"))
    edited = copy.deepcopy(stored)
    edited["spec"]["template"]["metadata"]["annotations"]["dapr.io/app-id"] = "mine"

    decision = review(edited, old=stored)

    assert (
        at(decision.object, "spec", "template", "metadata", "annotations", "dapr.io/app-id")
        == "mine"
    )


def test_an_image_of_the_users_changes_with_all_ours_in_place() -> None:
    plain = workload("Deployment", **TWO)
    stored = mutated(plain)
    newer = copy.deepcopy(plain)
    newer["spec"]["template"]["spec"]["containers"][0]["image"] = "python:3.13"
    expected = copy.deepcopy(stored)
    expected["spec"]["template"]["spec"]["containers"][0]["image"] = "python:3.13"

    assert mutated(newer, old=stored) == expected


# --- changed intents --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MUTABLE)
@pytest.mark.parametrize("put", [True, False], ids=["put", "merge"])
def test_an_edited_intent_is_followed(kind: str, put: bool) -> None:
    stored = mutated(workload(kind, **TWO))
    four = {**TWO, "accelerator": "a100:4"}
    edited = workload(kind, **four) if put else annotated(stored, accelerator="a100:4")

    decision = review(edited, old=stored)

    assert decision.object == mutated(workload(kind, **four))
    assert decision.violations == ()


@pytest.mark.parametrize("kind", MUTABLE)
@pytest.mark.parametrize("put", [True, False], ids=["put", "merge"])
def test_a_removed_intent_goes_with_what_it_brought(kind: str, put: bool) -> None:
    stored = but_kueues(mutated(workload(kind, queue="team-a", scale="min=1", **TWO)))
    removed = dict.fromkeys((*TWO, "queue", "scale"))
    plain = workload(kind)
    edited = plain if put else annotated(stored, **removed)

    found = mutated(edited, old=stored)

    assert lean(found) == plain


def lean(obj: Manifest) -> Manifest:
    """Leave out maps that hold nothing any more."""
    if not isinstance(obj, dict):
        return obj
    found = {key: lean(value) for key, value in obj.items()}
    return {key: value for key, value in found.items() if value != {}}


@pytest.mark.parametrize("kind", MUTABLE)
def test_an_added_intent_is_carried(kind: str) -> None:
    stored = mutated(workload(kind, mesh="true"))

    found = mutated(annotated(stored, accelerator="a100:2"), old=stored)

    assert found == mutated(workload(kind, mesh="true", accelerator="a100:2"))


def test_a_templates_own_intent_that_changes_is_followed_early() -> None:
    stored = mutated(workload("DaemonSet", pod(accelerator="l4")))
    plain = workload("DaemonSet", pod(accelerator="t4"))

    found = mutated(plain, old=stored)

    assert found["spec"]["template"]["spec"]["nodeSelector"] == {
        "nvidia.com/gpu.product": "Tesla-T4"
    }


def test_roles_that_change_move_the_devices() -> None:
    stored = mutated(workload("MPIJob", accelerator="gpu"))

    found = mutated(annotated(stored, roles="launcher"), old=stored)

    assert {role: meta.get("annotations") for role, (meta, _) in pods_of(found).items()} == {
        "worker": None,
        "launcher": intents(accelerator="gpu"),
    }


def test_leaving_the_queue_takes_out_what_went_in_for_it() -> None:
    stored = but_kueues(mutated(workload("PyTorchJob", accelerator="l4", queue="team-a")))

    found = mutated(annotated(stored, queue=None), old=stored)

    assert found == mutated(workload("PyTorchJob", accelerator="l4"))


def test_an_operators_label_on_a_counted_template_stays() -> None:
    stored = mutated(workload("PyTorchJob", accelerator="l4", queue="team-a"))
    stored["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["nodeSelector"][
        "flavor"
    ] = "x"

    decision = review(labelled(stored, stage="prod"), old=stored)

    assert decision.patch == []


@pytest.mark.parametrize(
    ("kind", "before", "after", "sentence"),
    [
        pytest.param(
            "Job",
            {"accelerator": "a100:2"},
            {"accelerator": "a100:4"},
            'kubectl-ml.io/accelerator changed from "a100:2" to "a100:4", but the pods of a Job '
            "can't be changed; replace the object (kubectl replace --force)",
            id="edited",
        ),
        pytest.param(
            "Job",
            {"shm": "1Gi"},
            {"shm": None},
            'kubectl-ml.io/shm changed from "1Gi" to nothing, but the pods of a Job '
            "can't be changed; replace the object (kubectl replace --force)",
            id="removed",
        ),
        pytest.param(
            "JobSet",
            {},
            {"dapr": "true"},
            'kubectl-ml.io/dapr changed from nothing to "true", but the pods of a JobSet '
            "can't be changed; replace the object (kubectl replace --force)",
            id="added",
        ),
        pytest.param(
            "TrainJob",
            {"accelerator": "l4"},
            {"accelerator": "t4"},
            'kubectl-ml.io/accelerator changed from "l4" to "t4", but the pods of a TrainJob '
            "can't be changed; replace the object (kubectl replace --force)",
            id="TrainJob",
        ),
    ],
)
def test_a_changed_intent_of_an_immutable_template_is_refused(
    kind: str, before: dict[str, Any], after: dict[str, Any], sentence: str
) -> None:
    stored = mutated(workload(kind, **before))

    decision = review(annotated(stored, **after), old=stored)

    assert messages(decision) == [sentence]
    assert [one.code for one in decision.violations] == [422]
    assert decision.patch == []


def test_a_queue_that_a_job_gets_later_leaves_its_template_alone() -> None:
    stored = mutated(job(accelerator="l4"))

    found = mutated(annotated(stored, queue="team-a"), old=stored)

    assert found["metadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "team-a"}
    assert found["spec"] == stored["spec"]


def test_a_put_over_a_job_with_a_changed_intent_still_gives_the_template_back() -> None:
    stored = mutated(job(accelerator="a100:2"))

    decision = review(job(accelerator="a100:4"), old=stored)

    assert decision.object["spec"] == stored["spec"]
    assert len(decision.violations) == 1


# --- what is judged ---------------------------------------------------------------------------


def test_only_what_changed_is_judged() -> None:
    stored = mutated(workload("Deployment", accelerator="nope", dapr="maybe"))

    for edited in (labelled(stored, stage="prod"), annotated(stored, mesh="true")):
        assert messages(review(edited, old=stored)) == []


def test_a_new_mistake_is_refused() -> None:
    stored = mutated(workload("Deployment", accelerator="a100:2"))

    decision = review(annotated(stored, accelerator="a1000"), old=stored)

    assert messages(decision) == [
        'kubectl-ml.io/accelerator: unknown device class "a1000"; did you mean "a100"?'
    ]


def test_an_unknown_intent_that_an_update_brings_is_warned_about() -> None:
    stored = mutated(workload("Deployment", accelerator="a100:2"))

    decision = review(annotated(stored, accelerater="a100"), old=stored)

    assert messages(decision) == []
    assert decision.warnings == (
        'intents: unknown intent "accelerater"; did you mean "accelerator"?',
    )


# --- pods -------------------------------------------------------------------------------------


def test_a_second_apply_of_a_bare_pod_gets_back_what_the_first_got() -> None:
    plain = pod(accelerator="a100:2", sidecars="logs", mounts="s3://b/k:/data")
    stored = defaulted(mutated(plain))

    assert mutated(plain, old=stored) == only_defaults_missing(stored, plain)


def defaulted(obj: Manifest) -> Manifest:
    """Add what the API server and the scheduler add to a pod."""
    found = copy.deepcopy(obj)
    found["spec"]["nodeName"] = "node-1"
    for one in found["spec"]["containers"]:
        one["imagePullPolicy"] = "IfNotPresent"
    found["spec"]["tolerations"].append(
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300}
    )
    return found


def only_defaults_missing(stored: Manifest, plain: Manifest) -> Manifest:
    """Take out of a stored pod the defaults that aren't ours to give back."""
    found = copy.deepcopy(stored)
    del found["spec"]["nodeName"]
    named = {one["name"] for one in plain["spec"]["containers"]}
    for one in found["spec"]["containers"]:
        if one["name"] in named:
            del one["imagePullPolicy"]
    found["spec"]["tolerations"].pop()
    return found


def test_nothing_new_is_injected_into_a_running_pod() -> None:
    stored = mutated(pod(accelerator="a100:2"))

    decision = review(annotated(stored, shm="64Gi", mounts="pvc://data:/data"), old=stored)

    assert decision.patch == []
    assert decision.violations == ()
    assert decision.warnings == (
        "intents: a running pod keeps what it was given; replace it to change its intents",
    )


def test_our_record_cannot_be_taken_off_a_pod() -> None:
    stored = mutated(pod(accelerator="a100:2"))
    edited = copy.deepcopy(stored)
    del edited["metadata"]["annotations"][INJECTED]

    assert mutated(edited, old=stored) == stored


def test_a_forged_record_brings_nothing() -> None:
    forged = pod(
        annotations={
            INJECTED: '{"policies":{"x@1":[["/spec/containers/0/image"],["/spec/nope"]]},"v":1}'
        }
    )

    decision = review(pod(), old=forged)

    assert decision.object["spec"] == pod()["spec"]


# --- left alone -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Deployment", "Job", "Pod"])
def test_objects_that_are_being_deleted_are_left_alone(kind: str) -> None:
    stored = mutated(created(kind, **TWO))
    going = created(kind, **{**TWO, "accelerator": "a100:8"})
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    decision = review(going, old=stored)

    assert (decision.patch, decision.violations) == ([], ())


def test_a_replica_set_of_a_deployment_is_left_alone() -> None:
    owner = controlled_by("Deployment", "apps/v1")
    stored = workload("ReplicaSet", pod(accelerator="a100"), owner=owner)

    assert review(labelled(stored, a="b"), old=stored).patch == []


def test_an_update_without_an_old_object_is_left_alone() -> None:
    for obj in (pod(accelerator="a100"), job(accelerator="a100")):
        assert review(obj, operation="UPDATE").patch == []


def test_what_another_webhook_put_first_does_not_confuse_the_record() -> None:
    stored = mutated(pod(accelerator="a100:2", sidecars="logs"))
    stored["spec"]["containers"].insert(0, container("istio-proxy"))

    again = mutated(stored)

    claims = again["metadata"]["annotations"][INJECTED]
    assert "/spec/containers/1/resources/limits/nvidia.com~1gpu" in claims
    assert again["spec"] == stored["spec"]


def test_volcano_follows_a_changed_queue() -> None:
    facts = Facts(installed=frozenset({"volcano"}))
    stored = mutated(workload("Deployment", queue="team-a"), facts=facts)

    found = mutated(annotated(stored, queue="team-b"), facts=facts, old=stored)

    assert found == mutated(workload("Deployment", queue="team-b"), facts=facts)


def test_scaling_that_goes_takes_its_policys_defaults_along() -> None:
    stored = mutated(workload("Service", accelerator="a100", scale="min=0"))

    found = mutated(annotated(stored, scale=None), old=stored)

    assert found == mutated(workload("Service", accelerator="a100"))


OVERRIDES = """
kind: InjectionPolicy
metadata: {name: a}
spec:
  order: 1
  inject: {env: [{name: TEAM, value: a}], nodeSelector: {pool: a}}
---
kind: InjectionPolicy
metadata: {name: b}
spec:
  order: 2
  onConflict: Override
  inject: {env: [{name: TEAM, value: b}], nodeSelector: {pool: b}}
---
kind: InjectionPolicy
metadata: {name: 0c}
spec:
  order: 3
  onConflict: Override
  inject: {env: [{name: TEAM, value: c}], nodeSelector: {pool: c}}
"""
MINE = {"containers": [container(env=[{"name": "TEAM", "value": "mine"}])]}


@pytest.mark.parametrize("spec", [{}, MINE], ids=["of-policies", "of-the-user"])
def test_what_was_overridden_is_given_back_overridden(spec: Manifest) -> None:
    plain = pod(spec=spec)
    stored = mutated(plain, OVERRIDES)

    assert stored["spec"]["containers"][0]["env"] == [{"name": "TEAM", "value": "c"}]
    assert review(plain, OVERRIDES, old=stored).object == stored


@pytest.mark.parametrize("spec", [{}, MINE], ids=["of-policies", "of-the-user"])
def test_what_overrode_goes_and_what_was_there_comes_back(spec: Manifest) -> None:
    plain = workload("CronJob", pod(spec=spec))
    stored = mutated(annotated(plain, queue="team-a"), OVERRIDES)

    found = mutated(annotated(stored, queue=None), OVERRIDES, old=stored)

    assert lean(found) == plain


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "PyTorchJob"])
def test_an_update_that_is_reviewed_twice_ends_as_after_the_first_time(kind: str) -> None:
    stored = mutated(workload(kind, accelerator="a100:2", queue="team-a"))
    plain = workload(kind)

    for old, edited in (
        (stored, annotated(stored, accelerator="t4:4")),
        (plain, annotated(plain, accelerator="t4:4")),
    ):
        once = review(edited, old=old).object

        assert review(once, old=old).patch == []


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet"])
def test_what_was_reviewed_twice_is_still_ours(kind: str) -> None:
    stored = mutated(workload(kind, accelerator="a100:2"))
    edited = review(annotated(stored, accelerator="t4:4"), old=stored).object
    twice = review(edited, old=stored).object

    again = review(annotated(twice, accelerator="h100:8"), old=twice).object

    assert again == mutated(workload(kind, accelerator="h100:8"))


def test_an_unknown_intent_that_a_job_gets_later_is_warned_about() -> None:
    stored = mutated(workload("Job", accelerator="a100:2"))

    decision = review(annotated(stored, accelerater="a100"), old=stored)

    assert messages(decision) == []
    assert decision.warnings == (
        'intents: unknown intent "accelerater"; did you mean "accelerator"?',
    )


def test_a_value_is_the_policys_that_sets_it_now_and_no_other_ones() -> None:
    given = """
kind: InjectionPolicy
metadata: {name: first}
spec: {match: {intents: [accelerator]}, inject: {mesh: "false"}}
---
kind: InjectionPolicy
metadata: {name: second}
spec: {inject: {mesh: "false", dapr: {app-port: 9000}}}
---
kind: InjectionPolicy
metadata: {name: earlier}
spec: {order: -1, match: {intents: [accelerator]}, inject: {dapr: {app-port: 9000}}}
"""
    stored = mutated(workload("Deployment"), given)
    changed = workload("Deployment", accelerator="a100:2")

    assert mutated(changed, given, old=stored) == mutated(changed, given)
