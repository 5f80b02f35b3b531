"""`kubectl ml inspect`: who holds which device class, data source, sidecar and policy."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.kubectl_ml.apiserver import APIServer
from tests.kubectl_ml.program import Outcome, invoke

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: ml, annotations: {kubectl-ml.io/accelerator: "%s"}}
spec: {containers: [{name: main, image: x}]}
---
"""
PODS = POD % ("b", "a100:2") + POD % ("a", "h100") + "apiVersion: v1\nkind: ConfigMap\n"


def inspect(*args: str) -> Outcome:
    return invoke("inspect", "-f", "-", *args, stdin=PODS)


def test_a_line_for_each_object_in_order() -> None:
    assert inspect("--no-headers").out.split() == [
        "ml", "Pod", "a", "h100", "-", "-",
        "ml", "Pod", "b", "a100", "-", "-",
    ]  # fmt: skip


def test_sorted_by_what_they_hold() -> None:
    assert inspect("--no-headers", "--sort-by", "classes").out.split()[:4] == [
        "ml", "Pod", "b", "a100",
    ]  # fmt: skip


def test_only_what_is_looked_for() -> None:
    found = json.loads(inspect("--class", "a100", "-o", "json").out)["items"]

    assert [(one["name"], one["classes"]) for one in found] == [("b", ["a100"])]
    assert "devices" in found[0]["policies"]
    assert inspect("--class", "t4") == Outcome(code=0, out="", err="Nothing here holds that.\n")


def test_all_of_the_cluster(server: APIServer, ml: Callable[..., Outcome]) -> None:
    metadata = {"annotations": {"kubectl-ml.io/accelerator": "a100"}}
    pod = {"metadata": metadata, "spec": {"containers": [{"name": "main"}]}}
    server.add("/api/v1/namespaces/nlp/pods/web", pod)

    outcome = ml("inspect", "-A", "--no-headers")

    assert outcome.out.split() == ["nlp", "Pod", "web", "a100", "-", "-"]


def test_everything_or_something() -> None:
    outcome = invoke("inspect", "-A", "pod/x")

    assert outcome.code == 2
    assert "-A is everything; leave out -f and KIND/NAME" in outcome.err
