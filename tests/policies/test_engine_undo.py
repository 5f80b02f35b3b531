"""What was injected can be taken out again, exactly: strip(inject(x)) is x."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import engine, load
from policies.model import Facts, Manifest
from tests import builders
from tests.builders import INJECTED, policies, request, review, stripped
from tests.policies import strategies

STAGES = st.sampled_from(("admission", "template"))
OBJECTS = strategies.objects() | strategies.sparse(strategies.objects())


@given(OBJECTS, strategies.policies(), strategies.facts, STAGES)
def test_strip_undoes_inject(obj: Manifest, added: str, facts: Facts, stage: str) -> None:
    injected = review(obj, added, facts, stage=stage).object

    version = Facts(kube_version=facts.kube_version)  # on which volumes of images depend
    assert stripped(injected, facts=version).object == obj


@given(OBJECTS, strategies.policies(), strategies.facts, STAGES)
def test_strip_with_the_policies_at_hand_finds_no_edit_where_there_is_none(
    obj: Manifest, added: str, facts: Facts, stage: str
) -> None:
    injected = review(obj, added, facts, stage=stage).object

    undone = stripped(injected, added, facts)
    assert undone.left == ()
    assert undone.object == obj


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


@pytest.mark.parametrize(
    ("written", "was"),
    [
        pytest.param({"volumes": []}, [["/spec/volumes", []]], id="an empty list"),
        pytest.param({"volumes": None}, [["/spec/volumes", None]], id="a null"),
        pytest.param({}, None, id="nothing, which isn't recorded"),
    ],
)
def test_what_was_empty_is_recorded_and_comes_back(written: Manifest, was: Any) -> None:
    obj = builders.pod(mounts="scratch://1Gi:/data", spec=written)

    injected = review(obj).object

    assert json.loads(injected["metadata"]["annotations"][INJECTED]).get("was") == was
    assert stripped(injected).object == obj


def test_a_map_that_was_empty_stays_what_others_wrote_into_it_since() -> None:
    obj = builders.pod(spec={"nodeSelector": {}}, accelerator="a100")
    injected = review(obj).object
    injected["spec"]["nodeSelector"]["zone"] = "a"

    assert stripped(injected).object == {
        **obj,
        "spec": {**obj["spec"], "nodeSelector": {"zone": "a"}},
    }


def test_a_forged_record_of_what_was_empties_nothing() -> None:
    was = '[["/spec/containers",[]],["/spec",{}]]'
    forged = f'{{"policies":{{"x@1":[["/spec/nodeName"]]}},"v":1,"was":{was}}}'
    obj = builders.pod(annotations={INJECTED: forged}, spec={"nodeName": "a"})

    found = stripped(obj).object

    assert found == builders.pod()


def test_other_facts_at_hand_make_no_edit_of_what_cannot_be_checked() -> None:
    """A label of another queue system stands beside; Kueue's is there already."""
    obj = builders.workload(
        "DaemonSet", labels={"kueue.x-k8s.io/queue-name": "mine"}, queue="team-a"
    )

    found = stripped(review(obj, facts=Facts(installed=frozenset({"kai"}))).object)

    assert (found.left, found.object) == ((), obj)


SCHEDULED = """
kind: InjectionPolicy
metadata: {name: scheduled}
spec:
  match: {kinds: [Pod, Job.batch]}
  inject:
    schedulerName: bin-packer
    serviceAccountName: trainer
    priorityClassName: training
    terminationGracePeriodSeconds: 120
    resources: {limits: {memory: 8Gi, ephemeral-storage: 2Gi}}
    securityContext: {runAsNonRoot: true}
    env: [{name: A, value: b}]
"""
CONTAINER = {
    "imagePullPolicy": "Always",
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
OF_A_POD = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Never",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
BY_PLUGINS = {
    "serviceAccountName": "default",
    "serviceAccount": "default",
    "priority": 0,
    "preemptionPolicy": "PreemptLowerPriority",
}
OF_A_JOB = {"backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False}


def served(obj: Manifest) -> Manifest:
    """Write what an API server writes where nothing was set, as it does before and after us."""
    made = copy.deepcopy(obj)
    if made["kind"] == "Job":
        made["spec"] = {**OF_A_JOB, **made["spec"]}
        template = made["spec"]["template"]
        template["metadata"] = template.get("metadata") or {}
        spec = template["spec"] = {**OF_A_POD, **template["spec"]}
    else:
        spec = made["spec"] = {**OF_A_POD, **made["spec"]}
        if "priorityClassName" not in spec:
            spec |= {key: value for key, value in BY_PLUGINS.items() if key not in spec}
    if "serviceAccountName" in spec:
        spec["serviceAccount"] = spec["serviceAccountName"]
    spec["containers"] = [{**CONTAINER, **one} for one in spec["containers"]]
    for one in spec["containers"] if made["kind"] == "Pod" else ():
        limits = one["resources"].get("limits")
        if limits:
            one["resources"]["requests"] = {**limits, **one["resources"].get("requests", {})}
    return made


@pytest.mark.parametrize("stage", ["admission", "template"])
@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(builders.pod(accelerator="a100", queue="team-a"), id="pod"),
        pytest.param(
            builders.pod(
                accelerator="a100",
                spec={
                    "containers": [
                        builders.container(
                            resources={"limits": {"cpu": "2"}, "requests": {"memory": "8Gi"}}
                        )
                    ]
                },
            ),
            id="pod with a limit, and a request as the policy's limit",
        ),
        pytest.param(builders.job(queue="team-a", accelerator="a100"), id="job"),
        pytest.param(builders.job(accelerator="a100"), id="job that isn't queued"),
    ],
)
def test_the_api_servers_defaults_change_neither_the_record_nor_what_is_undone(
    obj: Manifest, stage: str
) -> None:
    injected = review(obj, SCHEDULED, stage=stage).object
    stored = served(injected)
    first = served(obj)

    admitted = review(first, SCHEDULED, stage=stage).object

    assert served(admitted) == stored
    assert stripped(injected).object == obj
    assert stripped(admitted).object == first
    assert stripped(stored).object == first


def test_a_request_of_one_policy_and_an_equal_limit_of_another_both_leave() -> None:
    added = "\n---\n".join(
        f"kind: InjectionPolicy\nmetadata: {{name: p{number}}}\n"
        f'spec: {{inject: {{resources: {{{kind}: {{cpu: "2"}}}}}}}}'
        for number, kind in enumerate(("requests", "limits"))
    )
    obj = builders.pod()

    injected = review(obj, added).object

    assert injected["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "2"},
        "limits": {"cpu": "2"},
    }
    assert stripped(injected).object == obj
    assert stripped(review(injected, added).object).object == obj


@pytest.mark.parametrize("asked", [{}, {"queue": "team-a"}], ids=["not queued", "queued"])
def test_the_queue_that_volcanos_definition_writes_is_nobodys_word(asked: dict[str, str]) -> None:
    """Where none is written the API server writes `queue: default`, before we see it."""
    task = {"name": "w", "template": {"spec": {"containers": [builders.container()]}}}
    bare = {
        "apiVersion": "batch.volcano.sh/v1alpha1",
        "kind": "Job",
        "metadata": {"name": "train", "annotations": builders.intents(accelerator="gpu", **asked)},
        "spec": {"tasks": [task]},
    }
    there = copy.deepcopy(bare)
    there["metadata"]["uid"] = "1"
    there["spec"]["queue"] = "default"
    facts = Facts(installed=frozenset({"volcano"}))

    decisions = [review(one, facts=facts) for one in (bare, there)]

    first, second = (one.object for one in decisions)
    assert first["spec"].get("queue") == asked.get("queue")
    assert second["spec"]["queue"] == asked.get("queue", "default")
    assert first["spec"]["tasks"] == second["spec"]["tasks"]
    assert first["metadata"]["annotations"] == second["metadata"]["annotations"]
    assert [one.warnings for one in decisions] == [decisions[0].warnings] * 2
    assert [stripped(one).object for one in (first, second)] == [bare, there]


def test_a_job_gets_its_templates_labels_again_where_the_only_one_was_ours() -> None:
    """SetDefaults_Job copies them into metadata that has none, each time it is read."""
    stored = served(builders.job(queue="team-a"))
    template = stored["spec"]["template"]["metadata"]
    template["labels"] = {"batch.kubernetes.io/job-name": "train"}
    stored["metadata"]["labels"] = dict(template["labels"])
    injected = review(builders.job(queue="team-a")).object
    injected = served(injected)
    injected["spec"]["template"]["metadata"]["labels"] = dict(template["labels"])

    assert stripped(injected).object == stored


@pytest.mark.parametrize("kind", ["Job", "TrainJob", "PyTorchJob", "JobSet"])
def test_a_suspend_that_the_api_server_wrote_is_not_recorded(kind: str) -> None:
    bare = builders.workload(kind, queue="team-a")
    if kind == "PyTorchJob":  # a default comes only into what is there
        bare["spec"]["runPolicy"] = {"backoffLimit": 3}
    there = copy.deepcopy(bare)
    there["metadata"]["uid"] = "1"
    if kind != "JobSet":
        (there["spec"]["runPolicy"] if kind == "PyTorchJob" else there["spec"])["suspend"] = False

    records = [
        json.loads(review(one).object["metadata"]["annotations"][INJECTED])["policies"]
        for one in (bare, there)
    ]

    assert records[0] == records[1]
    assert stripped(review(there).object).object == there
