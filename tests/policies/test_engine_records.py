"""The record of what was injected is rewritten each time; who isn't in force has no part in it."""

from __future__ import annotations

from typing import Any

import pytest

from policies.model import Manifest
from tests.builders import INJECTED, review

CLAIM = "/spec/template/metadata/annotations/kubectl-ml.io~1experiment"
FORGED = '{"policies":{"nobody@00000001":[["/spec/nodeName"]]},"v":1}'
INTENTS = f'"intents@00000001":[["{CLAIM}"]]'
CARRIED = f'{{"policies":{{{INTENTS}}},"v":1}}'
BOTH = f'{{"policies":{{{INTENTS},"nobody@00000001":[["/spec/replicas"]]}},"v":1}}'
EXPERIMENT = "kubectl-ml.io/experiment"


def pod(record: str = "", **spec: Any) -> Manifest:
    annotations = {"annotations": {INJECTED: record}} if record else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one", **annotations},
        "spec": {"nodeName": "a", "containers": [{"name": "main", "image": "x"}], **spec},
    }


def deployment(record: str = "", *, carried: bool = True, template: str = "") -> Manifest:
    annotations = {EXPERIMENT: "e"} if carried else {}
    inner = {"annotations": dict(annotations) | ({INJECTED: template} if template else {})}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "annotations": annotations | ({INJECTED: record} if record else {}),
        },
        "spec": {
            "replicas": 1,
            "template": {"metadata": inner, "spec": {"containers": [{"name": "main"}]}},
        },
    }


def record(obj: Manifest, *, template: bool = False) -> Any:
    metadata = obj["spec"]["template"]["metadata"] if template else obj["metadata"]
    return (metadata.get("annotations") or {}).get(INJECTED)


@pytest.mark.parametrize("stage", ["admission", "template"])
def test_on_create_what_is_claimed_for_a_policy_that_is_not_in_force_is_dropped(
    stage: str,
) -> None:
    assert record(review(pod(FORGED), stage=stage).object) is None
    assert record(review(deployment(BOTH), stage=stage).object) == CARRIED
    forged = deployment(CARRIED, template=FORGED.replace("nodeName", "containers"))
    assert "nobody" not in str(record(review(forged, stage=stage).object, template=True))


def test_on_create_the_name_alone_of_such_a_policy_is_dropped_too() -> None:
    assert record(review(pod('{"policies":{"nobody@00000001":[]},"v":1}')).object) is None


def test_on_create_a_policy_whose_content_has_changed_keeps_its_part() -> None:
    text = CARRIED.replace("intents@00000001", "intents@0badc0de")

    assert record(review(deployment(text)).object) == CARRIED


def test_on_update_only_what_the_old_object_had_stays() -> None:
    held = FORGED
    old = pod(held)

    assert record(review(pod(held), old=old).object) == held
    assert record(review(pod(), old=old).object) == held
    more = FORGED.replace('["/spec/nodeName"]', '["/spec/nodeName"],["/spec/containers/0"]')
    assert record(review(pod(more), old=old).object) == held


def test_on_update_of_a_workload_only_what_the_old_object_had_stays() -> None:
    old = deployment(BOTH)

    assert record(review(deployment(BOTH), old=old).object) == BOTH
    assert record(review(deployment(BOTH), old=deployment(CARRIED)).object) == CARRIED
    assert record(review(deployment(BOTH), old=deployment()).object) == CARRIED
    plain = deployment(carried=False)
    assert record(review(deployment(FORGED, carried=False), old=plain).object) is None
