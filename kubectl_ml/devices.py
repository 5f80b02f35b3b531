"""
Devices of a cluster, by class and by node: what there is, what is taken, and by whom.

A node has a device for every class whose resource it offers and whose node selector its labels
fit; a node that fits no class is listed by its resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kubectl_ml.cluster import Cluster
from kubectl_ml.errors import NotAllowed
from policies import quantity
from policies.model import Accelerator, Manifest
from policies.patch import lookup
from policies.workloads import catalogue, locate, requests

ANY_NODE = "(any)"  # in place of a name: devices that no node holds
_POD = catalogue.builtin().kinds["", "Pod"]
_OVER = ("Succeeded", "Failed")
_KEEPS_OFF = ("NoSchedule", "NoExecute")
_CORDONED = "node.kubernetes.io/unschedulable"  # what `spec.unschedulable` says, too


@dataclass(frozen=True, slots=True, kw_only=True)
class PodUse:
    """One pod that holds devices of a node."""

    namespace: str
    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDevices:
    """
    The devices of one resource on one node.

    `pods` None: the user may not see what runs there, so nobody knows what is free.
    """

    node: str
    resource: str
    classes: tuple[str, ...]
    capacity: int
    allocatable: int
    schedulable: bool
    pods: tuple[PodUse, ...] | None
    taints: tuple[str, ...] = ()  # that keep pods off which don't tolerate them: `key=value:Effect`

    @property
    def allocated(self) -> int | None:
        """Count what pods that are bound to the node ask for."""
        return None if self.pods is None else sum(one.count for one in self.pods)

    @property
    def free(self) -> int | None:
        """Count what a pod could get here now."""
        taken = self.allocated
        return None if taken is None else max(0, self.allocatable - taken)

    @property
    def requestable(self) -> int | None:
        """Tell the largest request that the node can still take."""
        return self.free if self.schedulable else 0

    @property
    def at_most(self) -> int:
        """Tell the largest request that the node could take if it were empty."""
        return self.allocatable if self.schedulable else 0


def find(
    cluster: Cluster, accelerators: Mapping[str, Accelerator], notes: list[str]
) -> list[NodeDevices]:
    """Read nodes and pods; what may not be read is added to `notes`."""
    nodes = cluster.find_all("v1", "Node", namespace=None)
    try:
        pods: list[Manifest] | None = cluster.find_all("v1", "Pod", namespace=None)
    except NotAllowed:
        pods = None
        notes.append("what is allocated and free is hidden: you can't list pods in every namespace")
    by_node: dict[str, list[Manifest]] = {}
    for pod in pods or ():
        if lookup(pod, ("status", "phase")) not in _OVER:
            by_node.setdefault(str(lookup(pod, ("spec", "nodeName")) or ""), []).append(pod)
    found = [
        one
        for node in nodes
        for one in _of_node(
            node,
            None if pods is None else by_node.get(node["metadata"]["name"], []),
            accelerators.values(),
        )
    ]
    if any(one.device_class_name for one in accelerators.values()):
        from kubectl_ml import claimed  # here, because few clusters have such classes

        found += claimed.find(cluster, accelerators.values(), nodes, notes)
    return found


def _of_node(
    node: Manifest, pods: Sequence[Manifest] | None, accelerators: Iterable[Accelerator]
) -> Iterator[NodeDevices]:
    labels = node["metadata"].get("labels") or {}
    status = node.get("status") or {}
    capacity = status.get("capacity") or {}
    allocatable = status.get("allocatable") or capacity
    known = list(accelerators)
    for resource in sorted(capacity):
        if not requests.is_device(resource) or not _whole(capacity[resource]):
            continue
        fitting = [one for one in known if one.resource == resource and _fits(one, labels)]
        named = [one for one in fitting if one.node_selector] or fitting
        yield NodeDevices(
            node=node["metadata"]["name"],
            resource=resource,
            classes=tuple(sorted(one.name for one in named)),
            capacity=_whole(capacity[resource]),
            allocatable=_whole(allocatable.get(resource, "0")),
            schedulable=is_schedulable(node),
            pods=None if pods is None else tuple(_holding(pods, resource)),
            taints=tuple(taints(node)),
        )


def taints(node: Manifest) -> Iterator[str]:
    """Give what keeps pods off a node that don't tolerate it: `key=value:Effect`."""
    for one in lookup(node, ("spec", "taints")) or ():
        if one["effect"] in _KEEPS_OFF and one["key"] != _CORDONED:
            value = f"={one['value']}" if one.get("value") else ""
            yield f"{one['key']}{value}:{one['effect']}"


def is_schedulable(node: Manifest) -> bool:
    """Tell whether a node takes pods: it is ready, and not cordoned."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = all(one["status"] == "True" for one in conditions if one["type"] == "Ready")
    return ready and not lookup(node, ("spec", "unschedulable"))


def _fits(accelerator: Accelerator, labels: Mapping[str, str]) -> bool:
    return all(
        labels.get(key) in ((value,) if isinstance(value, str) else value)
        for key, value in accelerator.node_selector.items()
    )


def _holding(pods: Iterable[Manifest], resource: str) -> Iterator[PodUse]:
    for pod in pods:
        templates = locate.templates(pod, _POD, catalogue.builtin())
        asked = [requests.of_template(pod, one).amounts.values for one in templates]
        count = int(sum(one.get(resource, 0) for one in asked))
        if count:
            metadata = pod["metadata"]
            yield PodUse(namespace=metadata["namespace"], name=metadata["name"], count=count)


def _whole(text: object) -> int:
    return int(quantity.parse(str(text)))
