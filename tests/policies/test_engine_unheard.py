"""A bare pod's intents become what others read; where they came before us, `/validate` says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from policies.model import Facts, Manifest
from tests.builders import container, controlled_by, pod, review

DAPR = (
    "dapr: Dapr saw this bare pod before its annotations were there, and added no sidecar; write "
    'dapr.io/enabled: "true" and dapr.io/app-id yourself, or use a Deployment or a Job'
)
MESH_ON = (
    "mesh: Istio saw this bare pod before its label was there, and added no proxy; write the label "
    'sidecar.istio.io/inject: "true" yourself, or use a Deployment or a Job'
)
MESH_OFF = (
    "mesh: Istio saw this bare pod before its label was there, and added its proxy; write the "
    'label sidecar.istio.io/inject: "false" yourself, or use a Deployment or a Job'
)
EVERYTHING = Facts()


def judged(made: Manifest, facts: Facts = EVERYTHING, **after: Any) -> tuple[str, ...]:
    """Inject a pod, have others add containers and labels, and judge it as `/validate` does."""
    obj = review(made, facts=facts).object
    obj["spec"]["containers"] += after.get("containers", [])
    obj["spec"].setdefault("initContainers", []).extend(after.get("init_containers", []))
    obj["metadata"].setdefault("labels", {}).update(after.get("labels", {}))
    return review(obj, facts=facts).unheard


@pytest.mark.parametrize(
    ("wanted", "after", "expected"),
    [
        pytest.param({"dapr": "true"}, {}, (DAPR,), id="dapr-came-before-us"),
        pytest.param(
            {"dapr": "true"}, {"containers": [container("daprd")]}, (), id="dapr-came-after-us"
        ),
        pytest.param({"mesh": "true"}, {}, (MESH_ON,), id="istio-came-before-us"),
        pytest.param(
            {"mesh": "true"},
            {"init_containers": [container("istio-proxy", restartPolicy="Always")]},
            (),
            id="istio-came-after-us-with-a-native-sidecar",
        ),
        pytest.param(
            {"mesh": "false"},
            {"containers": [container("istio-proxy")]},
            (MESH_OFF,),
            id="istio-was-not-held-off",
        ),
        pytest.param({"mesh": "false"}, {}, (), id="istio-was-held-off"),
    ],
)
def test_what_others_have_missed_is_said(
    wanted: dict[str, str], after: Mapping[str, Any], expected: tuple[str, ...]
) -> None:
    assert judged(pod(**wanted), **after) == expected


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(
            pod(annotations={"dapr.io/enabled": "true"}, dapr="true"), id="annotation-of-the-users"
        ),
        pytest.param(
            pod(labels={"sidecar.istio.io/inject": "true"}, mesh="true"), id="label-of-the-users"
        ),
        pytest.param(pod(), id="no-intent"),
        pytest.param(
            pod(dapr="true", mesh="true", owner=controlled_by("ReplicaSet", "apps/v1")),
            id="pod-of-a-workload",
        ),
    ],
)
def test_nothing_is_said_of_what_they_could_see(made: Manifest) -> None:
    assert judged(made) == ()


MARKS = """
kind: InjectionPolicy
metadata: {name: site}
spec: {inject: {mesh: {inject: "true"}, dapr: {enabled: "true"}}}
"""


def test_of_what_a_policy_marks_an_admin_can_be_asked() -> None:
    marked = review(pod(), MARKS).object

    admin = (
        'use a Deployment or a Job, or have an admin register policy "site" '
        "(python -m webhook.registrations --policies)"
    )
    assert review(marked, MARKS).unheard == tuple(
        one.replace("or use a Deployment or a Job", admin) for one in (DAPR, MESH_ON)
    )


def test_nothing_is_said_of_who_is_not_there() -> None:
    bare = pod(dapr="true", mesh="true")

    assert judged(bare, Facts(installed=frozenset())) == ()


def test_an_update_says_nothing() -> None:
    obj = review(pod(dapr="true")).object

    assert review(obj, old=obj).unheard == ()
