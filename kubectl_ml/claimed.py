"""
Devices that are claimed (dynamic resource allocation), by device class and by node.

A driver publishes what it has in ResourceSlices; a DeviceClass says with expressions which of it is
meant; what is allocated stands in the status of ResourceClaims.
https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from kubectl_ml.cluster import Cluster
from kubectl_ml.devices import ANY_NODE, NodeDevices, PodUse, is_schedulable, taints
from kubectl_ml.errors import NotAllowed, NotFound
from policies import conditions
from policies.functions import quantities, semvers
from policies.model import Accelerator, Manifest
from policies.patch import lookup

API = "resource.k8s.io/v1"  # stable since Kubernetes 1.34

Device: TypeAlias = tuple[str, str, str]  # driver, pool, name
Holders: TypeAlias = Mapping[Device, Sequence[tuple[str, str]]]  # pods: namespace, name


def find(
    cluster: Cluster,
    accelerators: Iterable[Accelerator],
    nodes: Sequence[Manifest],
    notes: list[str],
) -> list[NodeDevices]:
    """Read slices, classes and claims; what may not be read or isn't there goes to `notes`."""
    classes: dict[str, list[str]] = {}
    for one in accelerators:
        if one.device_class_name:
            classes.setdefault(one.device_class_name, []).append(one.name)
    if not classes or not cluster.serves(API, "ResourceSlice"):
        return []
    try:
        slices = cluster.find_all(API, "ResourceSlice", namespace=None)
    except NotAllowed:
        notes.append("devices that are claimed are hidden: you can't list resourceslices")
        return []
    offered = list(_offered(slices))
    holders = _holders(cluster, notes)
    by_name = {node["metadata"]["name"]: node for node in nodes}
    return [
        one
        for name, ours in sorted(classes.items())
        for one in _of_class(cluster, name, ours, offered, holders, by_name, notes)
    ]


def _of_class(
    cluster: Cluster,
    name: str,
    ours: Sequence[str],
    offered: Iterable[tuple[str, Device, Manifest]],
    holders: Holders | None,
    nodes: Mapping[str, Manifest],
    notes: list[str],
) -> Iterator[NodeDevices]:
    try:
        found = cluster.get(API, "DeviceClass", name, namespace=None)
    except NotFound:
        notes.append(f'{", ".join(sorted(ours))}: there is no DeviceClass "{name}"')
        return
    except NotAllowed:
        notes.append(f'{", ".join(sorted(ours))}: you can\'t get the DeviceClass "{name}"')
        return
    selects = _Selectors(found, notes)
    by_node: dict[str, list[Device]] = {}
    for node, device, about in offered:
        if selects(device[0], about):
            by_node.setdefault(node, []).append(device)
    for node, devices in sorted(by_node.items()):
        there = nodes.get(node)
        yield NodeDevices(
            node=node or ANY_NODE,
            resource=f"deviceclass/{name}",
            classes=tuple(sorted(ours)),
            capacity=len(devices),
            allocatable=len(devices),
            schedulable=there is None or is_schedulable(there),
            pods=None if holders is None else tuple(_uses(devices, holders)),
            taints=tuple(taints(there)) if there else (),
        )


def _offered(slices: Iterable[Manifest]) -> Iterator[tuple[str, Device, Manifest]]:
    """Give each device with its node (empty: of the network); of a pool, the newest generation."""
    specs = [one["spec"] for one in slices]
    newest: dict[tuple[str, str], int] = {}
    for spec in specs:
        pool = spec["driver"], spec["pool"]["name"]
        newest[pool] = max(newest.get(pool, 0), spec["pool"]["generation"])
    for spec in specs:
        pool = spec["driver"], spec["pool"]["name"]
        for device in (
            spec.get("devices") or () if spec["pool"]["generation"] == newest[pool] else ()
        ):
            node = spec.get("nodeName") or device.get("nodeName") or ""
            yield node, (*pool, device["name"]), device


def _holders(cluster: Cluster, notes: list[str]) -> Holders | None:
    """Tell which pods hold each allocated device; None: nobody knows."""
    try:
        claims = cluster.find_all(API, "ResourceClaim", namespace=None)
    except NotAllowed:
        notes.append("which devices are claimed is hidden: you can't list resourceclaims")
        return None
    found: dict[Device, list[tuple[str, str]]] = {}
    for claim in claims:
        metadata = claim["metadata"]
        pods = [
            (metadata["namespace"], one["name"])
            for one in lookup(claim, ("status", "reservedFor")) or ()
        ]
        for one in lookup(claim, ("status", "allocation", "devices", "results")) or ():
            device = one["driver"], one["pool"], one["device"]
            # Who only looks on (adminAccess) takes nothing.
            if not one.get("adminAccess"):
                found[device] = pods or [(metadata["namespace"], metadata["name"])]
    return found


def _uses(devices: Iterable[Device], holders: Holders) -> Iterator[PodUse]:
    counts: dict[tuple[str, str], int] = {}
    for device in devices:
        # Pods that share a claim share its devices: the first stands for them.
        for namespace, name in holders.get(device, ())[:1]:
            counts[namespace, name] = counts.get((namespace, name), 0) + 1
    for (namespace, name), count in sorted(counts.items()):
        yield PodUse(namespace=namespace, name=name, count=count)


class _Selectors:
    """The expressions of a DeviceClass, of which a device must fit all."""

    def __init__(self, found: Manifest, notes: list[str]) -> None:
        self._expressions = []
        for one in lookup(found, ("spec", "selectors")) or ():
            text = lookup(one, ("cel", "expression")) or "false"
            try:
                expression = conditions.compiled(text, "BOOL", conditions.OF_A_DEVICE)
            except conditions.ExpressionError as error:
                notes.append(
                    f'the DeviceClass "{found["metadata"]["name"]}" isn\'t counted: {error}'
                )
                expression = conditions.compiled("false")
            self._expressions.append(expression)

    def __call__(self, driver: str, device: Manifest) -> bool:
        """Tell whether a device is of the class; one that an expression fails for isn't."""
        bound = conditions.bind({"device": _seen(driver, device)})
        try:
            return all(one.truth(bound) for one in self._expressions)
        except conditions.EvaluationError:
            return False


def _seen(driver: str, device: Manifest) -> dict[str, Any]:
    """Give a device as expressions see it: attributes and capacities by their domain."""
    attributes = {key: _value(value) for key, value in (device.get("attributes") or {}).items()}
    capacity = {
        key: quantities.quantity(str(one["value"]))
        for key, one in (device.get("capacity") or {}).items()
    }
    return {
        "driver": driver,
        "attributes": _by_domain(driver, attributes),
        "capacity": _by_domain(driver, capacity),
        "allowMultipleAllocations": bool(device.get("allowMultipleAllocations")),
    }


def _value(attribute: Manifest) -> Any:
    """Give an attribute's value: a text, a number, true or false, or a version."""
    kind, value = next(iter(attribute.items()))
    return semvers.semver(value) if kind == "version" else value


def _by_domain(driver: str, members: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {driver: {}}
    for key, value in members.items():
        domain, slash, name = key.rpartition("/")
        found.setdefault(domain if slash else driver, {})[name] = value
    return found
