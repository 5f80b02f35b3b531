"""What was charged for a review, and what the watch brings of the same object."""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from policies.model import Facts, Manifest, PolicySet, Request
from policies.workloads import catalogue
from policies.workloads.catalogue import Kind
from tests import builders
from webhook.charged import MOST, Charged, Charges

POLICIES = builders.policies("""
kind: QuotaPolicy
metadata: {name: gpus}
spec: {groupBy: {namespaceLabel: team}, budget: {cpu: 4}}
""")
FACTS = Facts(namespaces={"ml": {"team": "nlp"}})


def pod(uid: str = "u1") -> Manifest:
    """As a review has it; the watch has a resourceVersion, and status that others write."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one", "namespace": "ml", "uid": uid, "labels": {"a": "b"}},
        "spec": {"containers": [{"name": "main", "resources": {"limits": {"cpu": "1"}}}]},
        "status": {"phase": "Pending"},
    }


def kind(name: str = "Pod") -> Kind:
    found = catalogue.of(POLICIES).named(name)
    assert found is not None
    return found


def reviewed(
    charged: Charged, obj: Any, of: str = "Pod", namespace: str = "ml", name: str = "one"
) -> Charges:
    found = kind(of)
    request = Request(
        operation="CREATE",
        group=found.group,
        version="v1",
        kind=found.kind,
        namespace=namespace,
        name=name,
        object=obj,
    )
    return charged.reviewed(request, found, POLICIES, FACTS)


def there(
    charged: Charged, obj: Any, policies: PolicySet = POLICIES, facts: Facts = FACTS
) -> Charges:
    essence = charged.essence(obj, kind(), policies, facts)
    return charged.there(obj, kind(), policies, facts, essence=essence)


def changed(change: Callable[[Any], Any]) -> Any:
    obj = copy.deepcopy(pod())
    change(obj)
    return obj


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it["metadata"].update(resourceVersion="7", managedFields=[{"manager": "x"}]),
        lambda it: it["status"].update(podIP="10.0.0.1"),
        lambda it: (it.pop("kind"), it.pop("apiVersion")),
    ],
    ids=["stored", "status", "listed"],
)
def test_what_the_watch_brings_is_not_counted_again(change: Callable[[Any], Any]) -> None:
    charged = Charged()
    first = reviewed(charged, pod())
    assert there(charged, changed(change)) is first


@pytest.mark.parametrize(
    ("change", "cpu", "group"),
    [
        (lambda it: it["spec"]["containers"][0]["resources"]["limits"].update(cpu="3"), 3, "nlp"),
        (lambda it: it["status"].update(phase="Failed"), 0, "nlp"),
        (lambda it: it["metadata"].update(uid="u2"), 1, "nlp"),
    ],
    ids=["asks for more", "over", "another"],
)
def test_what_is_otherwise_is_counted_as_it_is(
    change: Callable[[Any], Any], cpu: int, group: str
) -> None:
    charged = Charged()
    reviewed(charged, pod())
    (found,) = there(charged, changed(change))
    assert (found.amounts.get("cpu", Decimal(0)), found.group) == (cpu, group)


def test_another_team_and_other_policies_are_charged_anew() -> None:
    charged = Charged()
    reviewed(charged, pod())
    (moved,) = there(charged, pod(), facts=Facts(namespaces={"ml": {"team": "vision"}}))
    assert moved.group == "vision"
    other = builders.policies("""
kind: QuotaPolicy
metadata: {name: all-pods}
spec: {budget: {pods: 4}}
""")
    (found,) = there(charged, pod(), other)
    assert (found.policy.name, found.amounts) == ("all-pods", {"pods": 1})


def test_what_was_reviewed_long_ago_is_forgotten() -> None:
    charged = Charged()
    first = reviewed(charged, pod())
    for number in range(MOST):
        reviewed(charged, pod(f"other-{number}"))
    last = reviewed(charged, pod("last"))
    assert there(charged, pod()) == first
    assert there(charged, pod()) is not first
    assert there(charged, pod("last")) is last


@pytest.mark.parametrize(
    "lie", [{"namespace": "other"}, {"name": "other"}, {"of": "Deployment.apps"}]
)
def test_a_call_that_says_otherwise_than_its_object_is_not_remembered(lie: dict[str, str]) -> None:
    """Anybody who reaches the webhook may send it what no API server would."""
    charged = Charged()
    reviewed(charged, pod(), **lie)
    (found,) = there(charged, pod())
    assert (found.amounts, found.group) == ({"cpu": 1}, "nlp")
