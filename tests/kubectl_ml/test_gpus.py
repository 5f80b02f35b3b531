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


def test_names_for_kubectl(fleet: APIServer, ml: Callable[..., Outcome]) -> None:
    assert ml("gpus", "-oname") == Outcome(code=0, out="node/one\nnode/two\nnode/out\n", err="")


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


# --- claimed ---------------------------------------------------------------------------------

DRIVER = "gpu.example.com"
CLAIMED = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: Accelerator
metadata: {name: h100-claimed}
spec: {deviceClassName: large.example.com}
---
apiVersion: kubectl-ml.io/v1alpha1
kind: Accelerator
metadata: {name: lost}
spec: {deviceClassName: lost.example.com}
"""
SELECTORS = (
    f"device.driver == '{DRIVER}' && device.attributes['{DRIVER}'].model == 'H100'",
    f"device.capacity['{DRIVER}'].memory.compareTo(quantity('40Gi')) >= 0",
    "device.attributes['other.example.com'].firmware.isGreaterThan(semver('1.2.0'))",
)


def device(name: str, memory: str = "80Gi", model: str = "H100", firmware: str = "1.10.0") -> Any:
    return {
        "name": name,
        "attributes": {
            "model": {"string": model},
            "other.example.com/firmware": {"version": firmware},
        },
        "capacity": {"memory": {"value": memory}},
    }


def published(server: APIServer, name: str, devices: Any, generation: int = 1, **at: Any) -> None:
    pool = {"name": at.get("nodeName", "net"), "generation": generation, "resourceSliceCount": 1}
    server.objects[f"/apis/resource.k8s.io/v1/resourceslices/{name}"] = {
        "metadata": {"name": name},
        "spec": {"driver": DRIVER, "pool": pool, "devices": devices, **at},
    }


def claim(server: APIServer, name: str, devices: list[str], *pods: str, **more: Any) -> None:
    results = [
        {"driver": DRIVER, "pool": "one", "device": one, "request": "r", **more} for one in devices
    ]
    reserved = [{"resource": "pods", "name": one, "uid": one} for one in pods]
    server.add(
        f"/apis/resource.k8s.io/v1/namespaces/ml/resourceclaims/{name}",
        {"status": {"allocation": {"devices": {"results": results}}, "reservedFor": reserved}},
    )


@pytest.fixture
def drivers(server: APIServer, tmp_path: Path) -> APIServer:
    server.kinds["v1"] = {**server.kinds["v1"], "Node": "nodes"}
    server.kinds["resource.k8s.io/v1"] = {
        "DeviceClass": "deviceclasses",
        "ResourceSlice": "resourceslices",
        "ResourceClaim": "resourceclaims",
    }
    for name in ("one", "out"):
        node(server, name, 0, unschedulable=name == "out")
    server.objects["/apis/resource.k8s.io/v1/deviceclasses/large.example.com"] = {
        "metadata": {"name": "large.example.com"},
        "spec": {"selectors": [{"cel": {"expression": one}} for one in SELECTORS]},
    }
    published(server, "old", [device("gone")], nodeName="one")
    few = [device("small", "16Gi"), device("a100", model="A100"), device("old", firmware="1.2.0")]
    published(
        server, "new", [device(f"g{n}") for n in range(4)] + few, generation=2, nodeName="one"
    )
    published(server, "out", [device("g0")], nodeName="out")
    published(server, "net", [device("far"), {"name": "bare"}], allNodes=True)
    claim(server, "bert", ["g0", "g1"], "bert-0", "bert-1")
    claim(server, "kept", ["g2"])
    claim(server, "watches", ["g3"], "monitor", adminAccess=True)
    (tmp_path / "claimed.yaml").write_text(CLAIMED)
    return server


def test_devices_that_are_claimed(
    drivers: APIServer, ml: Callable[..., Outcome], tmp_path: Path
) -> None:
    outcome = ml("gpus", "-owide", "--no-headers", "--policies", str(tmp_path))

    assert outcome.err == 'note: lost: there is no DeviceClass "lost.example.com"\n'
    name = "deviceclass/large.example.com"
    assert [line.split() for line in outcome.out.splitlines()] == [
        ["h100-claimed", "3", "6", "3", "3", "1", "4", "-"],
        [],
        ["(any)", "h100-claimed", name, "1", "0", "1", "1", "1", "-", "-"],
        [
            *["one", "h100-claimed", name, "4", "3", "1", "1", "4", "-"],
            *["ml/bert-0", "2,", "ml/kept", "1"],
        ],
        ["out", "h100-claimed", name, "1", "0", "1", "0", "0", "-", "-"],
    ]


@pytest.mark.parametrize(
    ("hidden", "note"),
    [
        ("resourceslices", "devices that are claimed are hidden: you can't list resourceslices"),
        ("resourceclaims", "which devices are claimed is hidden: you can't list resourceclaims"),
    ],
)
def test_who_may_not_read_claims_is_told(
    drivers: APIServer, ml: Callable[..., Outcome], tmp_path: Path, hidden: str, note: str
) -> None:
    drivers.answers[("GET", f"/apis/resource.k8s.io/v1/{hidden}")] = forbidden("no")

    outcome = ml("gpus", "--no-headers", "--policies", str(tmp_path))

    assert outcome.code == 0
    assert f"note: {note}\n" in outcome.err


def test_an_expression_that_is_none_is_told(
    drivers: APIServer, ml: Callable[..., Outcome], tmp_path: Path
) -> None:
    path = "/apis/resource.k8s.io/v1/deviceclasses/large.example.com"
    drivers.objects[path]["spec"]["selectors"] = [{"cel": {"expression": "devices.none("}}]

    outcome = ml("gpus", "--no-headers", "--policies", str(tmp_path))

    assert outcome.code == 0
    assert 'note: the DeviceClass "large.example.com" isn\'t counted: ' in outcome.err
