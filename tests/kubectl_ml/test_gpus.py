"""`kubectl ml gpus`: the devices of a cluster by class and by node."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kubectl_ml.apiserver import APIServer, forbidden
from tests.kubectl_ml.program import Outcome

GPU = "nvidia.com/gpu"
T4 = {"nvidia.com/gpu.product": "Tesla-T4"}


def node(server: APIServer, name: str, count: int, labels: Any = T4, **spec: Any) -> None:
    amounts = {"cpu": "8", GPU: str(count)}
    server.objects[f"/api/v1/nodes/{name}"] = {
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {
            "capacity": amounts,
            "allocatable": amounts,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def pod(server: APIServer, name: str, count: int, on: str = "", phase: str = "Running") -> None:
    container = {"name": "main", "resources": {"limits": {GPU: str(count)}}}
    spec = {"containers": [container]} | ({"nodeName": on} if on else {})
    server.add(f"/api/v1/namespaces/ml/pods/{name}", {"spec": spec, "status": {"phase": phase}})


@pytest.fixture
def fleet(server: APIServer) -> APIServer:
    server.kinds["v1"] = {**server.kinds["v1"], "Node": "nodes"}
    node(server, "one", 8)
    taint = {"key": "dedicated", "value": "ml", "effect": "NoSchedule"}
    node(server, "two", 4, taints=[taint, {"key": "soft", "effect": "PreferNoSchedule"}])
    cordoned = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    node(server, "out", 8, unschedulable=True, taints=[cordoned])
    node(server, "plain", 0)
    pod(server, "bert", 3, on="one")
    pod(server, "done", 4, on="two", phase="Succeeded")
    pod(server, "waits", 8)
    return server


def test_by_class_and_by_node(fleet: APIServer, ml: Callable[..., Outcome]) -> None:
    outcome = ml("gpus", "-owide", "--no-headers")

    assert (outcome.code, outcome.err) == (0, "")
    assert [line.split() for line in outcome.out.splitlines()] == [
        ["t4", "3", "20", "3", "17", "5", "8", "-"],
        [],
        ["one", "t4", GPU, "8", "3", "5", "5", "8", "-", "ml/bert", "3"],
        ["two", "t4", GPU, "4", "0", "4", "4", "4", "dedicated=ml:NoSchedule", "-"],
        ["out", "t4", GPU, "8", "0", "8", "0", "0", "-", "-"],
    ]


def test_cost_an_hour(fleet: APIServer, ml: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "t4.yaml").write_text(
        "apiVersion: kubectl-ml.io/v1alpha1\nkind: Accelerator\nmetadata: {name: t4}\n"
        f"spec: {{resource: {GPU}, nodeSelector: {json.dumps(T4)}, costPerHour: 0.5}}\n"
    )

    found = json.loads(ml("gpus", "-ojson", "--policies", str(tmp_path)).out)

    assert found["classes"] == [
        {
            "class": "t4",
            "nodes": 3,
            "capacity": 20,
            "allocated": 3,
            "free": 17,
            "requestable": 5,
            "atMost": 8,
            "costPerHour": 10.0,
        }
    ]


def test_who_may_not_list_pods_is_told(fleet: APIServer, ml: Callable[..., Outcome]) -> None:
    fleet.answers[("GET", "/api/v1/pods")] = forbidden("no")

    outcome = ml("gpus", "--no-headers")

    assert outcome.out.splitlines()[0].split() == ["t4", "3", "20", "?", "?", "?", "8", "-"]
    assert outcome.err == (
        "note: what is allocated and free is hidden: you can't list pods in every namespace\n"
    )


def test_no_devices(server: APIServer, ml: Callable[..., Outcome]) -> None:
    server.kinds["v1"] = {**server.kinds["v1"], "Node": "nodes"}

    assert ml("gpus") == Outcome(code=0, out="", err="No node has devices.\n")
