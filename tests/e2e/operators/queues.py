"""
A ClusterQueue of the tests, and what Kueue charges to it.

The flavors are told apart by labels and taints of their nodes, and the wrong one comes first: what
isn't in the template when Kueue counts it is charged to that one, or to none.
"""

from typing import Any

from tests.e2e.acting import Place
from tests.e2e.controlplane import errors, nodes, waiting
from tests.e2e.controlplane.client import Client, Manifest
from tests.e2e.operators import foretold

KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
QUEUE = "gpus"
HELD = "held"  # a queue that admits nothing
LABEL = "kueue.x-k8s.io/queue-name"
PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"
PRIORITY = "low"
# In the order that Kueue tries; the last one's nodes have no devices.
FLAVORS = {"t4": "Tesla-T4", "a100": "NVIDIA-A100-SXM4-80GB", "cpu": ""}
COVERED = ("cpu", "memory", foretold.CLASS)


def set_up(admin: Client) -> None:
    """Make the flavors, a ClusterQueue with plenty of each, and a priority class."""
    for name, product in FLAVORS.items():
        spec: Manifest = {}
        if product:
            spec["nodeLabels"] = {"nvidia.com/gpu.product": product}
            spec["nodeTaints"] = [nodes.GPU_TAINT]
        admin.create(f"{KUEUE}/resourceflavors", _named("ResourceFlavor", name, spec=spec))
    quotas = [
        {"name": name, "nominalQuota": amount}
        for name, amount in zip(COVERED, ("1000", "10Ti", "1000"), strict=True)
    ]
    group = {
        "coveredResources": list(COVERED),
        "flavors": [{"name": name, "resources": quotas} for name in FLAVORS],
    }
    spec = {"namespaceSelector": {}, "resourceGroups": [group]}
    admin.create(f"{KUEUE}/clusterqueues", _named("ClusterQueue", QUEUE, spec=spec))
    priority = _named("WorkloadPriorityClass", PRIORITY, value=10)
    admin.create(f"{KUEUE}/workloadpriorityclasses", priority)


def add_to(place: Place) -> None:
    """Give a namespace its queues."""
    path = f"{KUEUE}/namespaces/{place.name}/localqueues"
    spec = {"clusterQueue": QUEUE}
    place.admin.create(path, _named("LocalQueue", QUEUE, spec=spec))
    place.admin.create(path, _named("LocalQueue", HELD, spec={**spec, "stopPolicy": "Hold"}))


def _named(kind: str, name: str, **members: Any) -> Manifest:
    version = KUEUE.removeprefix("/apis/")
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **members}


def workloads(place: Place) -> list[Any]:
    """Read Kueue's Workloads, but those on their way out."""
    found = place.admin.get(f"{KUEUE}/namespaces/{place.name}/workloads")["items"]
    return [one for one in found if not one["metadata"].get("deletionTimestamp")]


def admitted(place: Place, count: int) -> list[Any]:
    """Wait until so many workloads are admitted."""

    def found() -> list[Any] | None:
        there = [one for one in workloads(place) if one.get("status", {}).get("admission")]
        return there if len(there) == count else None

    try:
        return waiting.until(found, what=f"{count} admitted workloads", timeout_seconds=40)
    except errors.WaitError as error:
        now = [(one["metadata"]["name"], one.get("status")) for one in workloads(place)]
        raise errors.WaitError(f"{error}; they are now {now}") from error


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
