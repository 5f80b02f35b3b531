"""
Kueue beside us: what is queued with an intent is charged to the right flavor, by the right amount,
runs there, and comes back after it was evicted.

The flavors are told apart by labels and taints of their nodes, and the wrong one comes first: what
isn't in the template when Kueue counts it is charged to that one, or to none.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import nodes, waiting
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import Installed
from tests.e2e.operators import foretold
from tests.e2e.operators.test_jobset import job_set, template
from tests.e2e.operators.test_training_operator import training

KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
QUEUE = "gpus"
NODE = "gpu-a100-0"
# In the order that Kueue tries; the last one's nodes have no devices.
FLAVORS = {"t4": "Tesla-T4", "a100": "NVIDIA-A100-SXM4-80GB", "cpu": ""}
LABEL = "kueue.x-k8s.io/queue-name"
COVERED = ("cpu", "memory", foretold.CLASS)


@pytest.fixture(scope="module", autouse=True)
def cluster_queue(beside: Installed) -> None:
    admin = beside.control_plane.admin
    for name, product in FLAVORS.items():
        spec: Manifest = {}
        if product:
            spec["nodeLabels"] = {"nvidia.com/gpu.product": product}
            spec["nodeTaints"] = [nodes.GPU_TAINT]
        admin.create(f"{KUEUE}/resourceflavors", _named("ResourceFlavor", name, spec))
    quotas = [
        {"name": name, "nominalQuota": amount}
        for name, amount in zip(COVERED, ("1000", "10Ti", "1000"), strict=True)
    ]
    group = {
        "coveredResources": list(COVERED),
        "flavors": [{"name": name, "resources": quotas} for name in FLAVORS],
    }
    spec = {"namespaceSelector": {}, "resourceGroups": [group]}
    admin.create(f"{KUEUE}/clusterqueues", _named("ClusterQueue", QUEUE, spec))


def _named(kind: str, name: str, spec: Manifest) -> Manifest:
    version = KUEUE.removeprefix("/apis/")
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def queued(enabled: Place) -> Iterator[Place]:
    """Give a namespace with a queue."""
    enabled.admin.create(
        f"{KUEUE}/namespaces/{enabled.name}/localqueues",
        _named("LocalQueue", QUEUE, {"clusterQueue": QUEUE}),
    )
    yield enabled
    cordon(enabled, unschedulable=False)


def cordon(place: Place, *, unschedulable: bool) -> None:
    """Keep pods off the node, so that what is admitted stays until it is evicted."""
    place.admin.patch(f"/api/v1/nodes/{NODE}", {"spec": {"unschedulable": unschedulable}})


def workloads(place: Place) -> list[Any]:
    found = place.admin.get(f"{KUEUE}/namespaces/{place.name}/workloads")["items"]
    return [one for one in found if not one["metadata"].get("deletionTimestamp")]


def admitted(place: Place, count: int) -> list[Any]:
    """Wait until so many workloads are admitted."""

    def found() -> list[Any] | None:
        there = [one for one in workloads(place) if one.get("status", {}).get("admission")]
        return there if len(there) == count else None

    return waiting.until(found, what=f"{count} admitted workloads", timeout_seconds=30)


def charged(found: list[Any]) -> dict[str, int]:
    """Add up the devices of workloads by flavor."""
    total: dict[str, int] = {}
    for one in found:
        for part in one["status"]["admission"]["podSetAssignments"]:
            flavor = part.get("flavors", {}).get(foretold.CLASS)
            if flavor:
                amount = int(part["resourceUsage"][foretold.CLASS])
                total[flavor] = total.get(flavor, 0) + amount
    return total


def _job() -> Manifest:
    made = acting.job("bert", accelerator="a100:2", queue=QUEUE)
    made["spec"] = {"parallelism": 2, "completions": 2, "template": template()}
    return made


def _deployment() -> Manifest:
    return acting.deployment("bert", replicas=2, accelerator="a100:2", queue=QUEUE)


def _stateful_set() -> Manifest:
    made = acting.stateful_set("bert", replicas=2, accelerator="a100:2", queue=QUEUE)
    made["spec"]["podManagementPolicy"] = "Parallel"  # the node is cordoned while we count
    return made


def _pod() -> Manifest:
    return acting.pod("bert", accelerator="a100:2", queue=QUEUE)


def _labeled_pod() -> Manifest:
    made = acting.pod("bert", accelerator="a100:2")
    made["metadata"]["labels"] = {LABEL: QUEUE}
    return made


KINDS = [
    pytest.param(_job, 1, 2, 4, id="job"),
    pytest.param(
        lambda: job_set(accelerator="a100:1", roles="worker", queue=QUEUE), 1, 5, 4, id="jobset"
    ),
    pytest.param(
        lambda: training("PyTorchJob", accelerator="a100:1", queue=QUEUE), 1, 4, 4, id="pytorchjob"
    ),
    pytest.param(_deployment, 2, 2, 4, id="deployment"),
    pytest.param(_stateful_set, 1, 2, 4, id="statefulset"),
    pytest.param(_pod, 1, 1, 2, id="pod"),
    pytest.param(_labeled_pod, 1, 1, 2, id="pod-with-kueues-label"),
]


@pytest.mark.parametrize(("made", "count", "pods", "gpus"), KINDS)
def test_it_is_charged_to_the_right_flavor_and_runs_there(
    queued: Place, made: Callable[[], Manifest], count: int, pods: int, gpus: int
):
    manifest = made()
    expected = foretold.demand(queued, manifest)
    cordon(queued, unschedulable=True)
    queued.apply(manifest)

    charges = charged(admitted(queued, count))
    there = queued.pods(pods)
    cordon(queued, unschedulable=False)
    ran = queued.pods(pods, lambda pod: pod["spec"].get("nodeName"))

    assert expected["requests"][foretold.CLASS] == str(gpus)
    assert charges == {"a100": gpus}
    assert foretold.devices(there) == gpus
    assert {pod["spec"]["nodeName"] for pod in ran if foretold.devices([pod])} == {NODE}


@pytest.mark.parametrize(("made", "count", "pods", "gpus"), KINDS[:3])
def test_it_comes_back_after_an_eviction(
    queued: Place, made: Callable[[], Manifest], count: int, pods: int, gpus: int
):
    cordon(queued, unschedulable=True)
    queued.apply(made())
    [workload] = admitted(queued, count)
    queued.pods(pods)
    path = f"{KUEUE}/namespaces/{queued.name}/workloads/{workload['metadata']['name']}"

    queued.admin.patch(path, {"spec": {"active": False}})
    waiting.until(
        lambda: not foretold.devices(queued.all("Pod")), what="the pods with devices to be gone"
    )
    queued.admin.patch(path, {"spec": {"active": True}})

    assert charged(admitted(queued, count)) == {"a100": gpus}
    cordon(queued, unschedulable=False)
    ran = queued.pods(pods, lambda pod: pod["spec"].get("nodeName"))
    assert foretold.devices(ran) == gpus


def test_a_deployments_pods_come_back_after_an_eviction(queued: Place):
    queued.apply(_deployment())
    first = admitted(queued, 2)
    path = f"{KUEUE}/namespaces/{queued.name}/workloads/{first[0]['metadata']['name']}"

    queued.admin.patch(path, {"spec": {"active": False}})
    names = {one["metadata"]["name"] for one in first}

    def replaced() -> list[Any] | None:
        there = [one for one in workloads(queued) if one.get("status", {}).get("admission")]
        new = [one for one in there if one["metadata"]["name"] not in names]
        return there if new and len(there) == 2 else None

    again = waiting.until(replaced, what="another pod to be admitted", timeout_seconds=40)
    assert charged(again) == {"a100": 4}
