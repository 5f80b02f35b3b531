"""What of an object decides what it is charged with, and what doesn't."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from policies.model import Facts, Manifest, PolicySet
from policies.workloads import catalogue
from tests import builders
from webhook.unchanged import STATUS, Unchanged

QUOTA = """
kind: QuotaPolicy
metadata: {name: gpus}
spec: {budget: {accelerators: 4}%s}
"""
FACTS = Facts(namespaces={"ml": {"team": "nlp"}})


def pod() -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "one",
            "namespace": "ml",
            "uid": "u1",
            "resourceVersion": "5",
            "labels": {"a": "b"},
            "managedFields": [{"manager": "kubelet"}],
        },
        "spec": {"containers": [{"name": "main", "resources": {"limits": {"cpu": "1"}}}]},
        "status": {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]},
    }


def essences(*objects: Any, policies: PolicySet, kind: str = "Pod") -> list[bytes]:
    unchanged = Unchanged()
    known = catalogue.of(policies).named(kind)
    assert known is not None
    return [unchanged.essence(known, one, policies, FACTS) for one in objects]


def changed(change: Callable[[Any], Any]) -> Any:
    obj = pod()
    change(obj)
    return obj


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param(lambda it: it["metadata"].update(resourceVersion="6"), True, id="version"),
        pytest.param(lambda it: it["metadata"].update(managedFields=[]), True, id="managers"),
        pytest.param(lambda it: it["status"].update(podIP="10.0.0.1"), True, id="address"),
        pytest.param(
            lambda it: it["status"]["conditions"][0].update(reason="X"), True, id="reason"
        ),
        pytest.param(lambda it: it["status"].update(phase="Failed"), False, id="phase"),
        pytest.param(
            lambda it: it["status"]["conditions"].append({"type": "Complete", "status": "True"}),
            False,
            id="condition",
        ),
        pytest.param(lambda it: it["metadata"]["labels"].update(a="c"), False, id="label"),
        pytest.param(lambda it: it["metadata"].update(deletionTimestamp="x"), False, id="deletion"),
        pytest.param(
            lambda it: it["metadata"].update(ownerReferences=[{"uid": "u0"}]), False, id="owner"
        ),
        pytest.param(
            lambda it: it["spec"]["containers"][0]["resources"]["limits"].update(cpu="2"),
            False,
            id="request",
        ),
    ],
)
def test_what_changes_a_charge(change: Callable[[Any], Any], same: bool) -> None:
    before, after = essences(pod(), changed(change), policies=builders.policies(QUOTA % ""))
    assert before
    assert (before == after) is same


def test_other_policies_and_other_namespaces_charge_anew() -> None:
    one, other = builders.policies(QUOTA % ""), builders.policies(QUOTA % ", groupBy: namespace")
    kind = catalogue.of(one).named("Pod")
    assert kind is not None
    elsewhere = Facts(namespaces={"ml": {"team": "vision"}})
    alike = Facts(namespaces={"ml": {"team": "nlp"}})
    unchanged = Unchanged()
    found = [
        unchanged.essence(kind, pod(), policies, facts)
        for policies, facts in (
            (one, FACTS),
            (one, alike),
            (other, FACTS),
            (other, elsewhere),
            (one, FACTS),
        )
    ]
    assert found[0] == found[1]
    assert len(set(found)) == 4


@pytest.mark.parametrize(
    ("spec", "tells"),
    [
        (', groupBy: "object.metadata.labels.project"', True),
        (", groupBy: \"object.metadata.labels['project'] + object.spec.nodeName\"", True),
        (', groupBy: "object.status.phase"', False),
        (', groupBy: "string(object == object)"', False),
        (', match: {conditions: [{name: a, expression: "has(object.status)"}]}', False),
        (", match: {exclude: {conditions: [{name: a, expression: 'object.x'}]}}", False),
    ],
)
def test_expressions_that_may_read_more(spec: str, tells: bool) -> None:
    assert bool(essences(pod(), policies=builders.policies(QUOTA % spec))[0]) is tells


def test_a_kind_of_the_admins_is_charged_anew() -> None:
    own = """
kind: WorkloadKind
metadata: {name: fleets}
spec:
  group: example.com
  versions: [v1]
  kind: Fleet
  plural: fleets
  roles: [{name: worker, template: spec.template}]
"""
    fleet = {**pod(), "apiVersion": "example.com/v1", "kind": "Fleet"}
    policies = builders.policies(QUOTA % "" + "---" + own)
    assert essences(fleet, policies=policies, kind="Fleet.example.com") == [b""]
    assert essences(pod(), policies=policies) != [b""]


def test_all_that_the_catalogue_reads_of_a_status_is_kept() -> None:
    directory = Path(catalogue.__file__).parent
    files = [directory / "catalogue.json", *directory.glob("*.py")]
    read = {name for one in files for name in re.findall(r"\bstatus\.(\w+)", one.read_text())}

    assert read - {"get"} == set(STATUS) - {"phase"}
