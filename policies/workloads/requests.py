"""
What one pod asks for: its effective request, as the scheduler and quotas count it.

The larger of all containers together and of each init container with the native sidecars before
it; requests of the pod as a whole beat those for cpu, memory and huge pages; overhead is added.
Where only a limit is given, it is the request. Source: `PodRequests` of
k8s.io/component-helpers/resource/helpers.go; KEP-753 (native sidecars), KEP-2837 (pod level).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from policies import quantity
from policies.patch import lookup
from policies.workloads import merged
from policies.workloads.locate import Template

_ZERO = Decimal(0)
_POD_LEVEL = ("cpu", "memory")
# Of a GPU, and no GPU itself: HAMi's memory and cores, Aliyun's memory.
_PARTS = re.compile(r"/(gpumem|gpumem-percentage|gpucores|gpu-mem|vcuda-core|vcuda-memory)$")
_JVM = re.compile(r"^\s*(\d+)\s*([kmgtp]?)b?\s*$", re.IGNORECASE)
_JVM_MIB = {
    "k": Decimal(1) / 1024,
    "": Decimal(1),
    "m": Decimal(1),
    "g": Decimal(1024),
    "t": Decimal(1024) ** 2,
    "p": Decimal(1024) ** 3,
}
_MIB = Decimal(1024) ** 2
# core/src/main/scala/org/apache/spark/…/Config.scala: memoryOverheadFactor and its least
_SPARK = ("spark", "scheduledspark")  # the counters of kinds whose pod and container are one
_SPARK_OVERHEAD, _SPARK_OVERHEAD_NO_JVM, _SPARK_LEAST_MIB = Decimal("0.1"), Decimal("0.4"), 384


@dataclass(slots=True)
class Amounts:
    """Quantities by resource. `binary` are those written with a power of 1024 first."""

    values: dict[str, Decimal] = field(default_factory=dict)
    binary: set[str] = field(default_factory=set)

    def add(self, other: Amounts, times: int = 1) -> None:
        """Add another's quantities, so many times."""
        if times == 1 and not self.values:
            self.values.update(other.values)
            self.binary |= other.binary
            return
        for name, value in other.values.items():
            if name not in self.values and name in other.binary:
                self.binary.add(name)
            self.values[name] = self.values.get(name, _ZERO) + value * times

    def at_least(self, other: Amounts) -> None:
        """Raise each quantity to that of another."""
        for name, value in other.values.items():
            if value > self.values.get(name, Decimal(-1)):
                if name in other.binary:
                    self.binary.add(name)
                self.values[name] = value

    def put(self, name: str, text: Any) -> bool:
        """Set a quantity as a manifest writes it; False where it is none that a pod may ask for."""
        try:
            value = quantity.parse(str(text))
        except ValueError:
            return False
        if value < 0:  # no API server takes it, and it would make up for what others ask for
            return False
        self.values[name] = value
        if quantity.is_binary(str(text)):
            self.binary.add(name)
        return True

    def text(self, name: str) -> str:
        """Write one quantity in canonical form."""
        return quantity.canonical(self.values[name], binary=name in self.binary)


@dataclass(slots=True)
class PodRequest:
    """
    What one pod asks for, and what isn't counted of it.

    `unreadable` are quantities that can't be read, such as `{{…}}`; `parts` are those of a device
    whose size isn't known.
    """

    amounts: Amounts = field(default_factory=Amounts)
    unreadable: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)


def is_device(resource: str) -> bool:
    """Tell whether a resource is devices: an extended resource, and no part of a device."""
    domain, slash, _ = resource.partition("/")
    return (
        bool(slash)
        and not domain.endswith("kubernetes.io")
        and not resource.startswith(("requests.", "attachable-volumes-"))
        and not _PARTS.search(resource)
    )


def of_template(obj: Any, template: Template) -> PodRequest:
    """Tell what one pod of a template asks for."""
    role = template.definition
    spec = merged.pod_spec(obj, template)
    request = PodRequest()
    if role.flat and ("cores" in spec or "memory" in spec or template.kind.counter in _SPARK):
        _spark(obj, spec, template, request)
        return request
    containers = _list(spec.get("containers"))
    for inline in role.inline:
        containers += _list([spec.get(inline)])
    for path in role.lists:
        containers += _list(lookup(spec, path))
    if role.flat:
        inner = spec.get("containerSpec") or spec.get("script")
        containers.append(inner if isinstance(inner, dict) else spec)
    if role.container:
        own = [one for one in containers if one.get("name") == role.container.name]
        containers = [one for one in containers if one not in own]
        containers.append({"resources": lookup(obj, role.container.resources)})
    _of_pod(spec, containers, request)
    _annotated(obj, template, request)
    return request


def _of_pod(spec: Mapping[str, Any], containers: list[Any], request: PodRequest) -> None:
    total, running, most = Amounts(), Amounts(), Amounts()
    for container in containers:
        total.add(_of_container(container, request))
    for container in _list(spec.get("initContainers")):
        own = _of_container(container, request)
        if container.get("restartPolicy") == "Always":
            total.add(own)
            running.add(own)
            most.at_least(running)
        else:
            together = Amounts(dict(running.values), set(running.binary))
            together.add(own)
            most.at_least(together)
    total.at_least(most)
    _put_of_pod(spec, total, request)
    overhead = Amounts()
    _put_all(overhead, spec.get("overhead"), request)
    total.add(overhead)
    request.amounts = total


def _put_of_pod(spec: Mapping[str, Any], total: Amounts, request: PodRequest) -> None:
    """
    Put what a pod asks for as a whole in the place of what its containers do.

    Its limit alone is the request where they ask for nothing, and always for huge pages.
    """
    resources = spec.get("resources") if "containers" in spec else None
    if not isinstance(resources, dict):
        return
    for member in ("limits", "requests"):
        amounts = Amounts()
        _put_all(amounts, resources.get(member), request)
        for name, value in amounts.values.items():
            is_huge = name.startswith("hugepages-")
            beats = member == "requests" or is_huge or name not in total.values
            if beats and (is_huge or name in _POD_LEVEL):
                total.values[name] = value
                total.binary.discard(name)
                total.binary |= amounts.binary & {name}


def _of_container(container: Mapping[str, Any], request: PodRequest) -> Amounts:
    resources = container.get("resources")
    return _read(container.get("computeResources") if resources is None else resources, request)


def _read(resources: Any, request: PodRequest) -> Amounts:
    amounts = Amounts()
    if isinstance(resources, dict):
        _put_all(amounts, resources.get("limits"), request)
        _put_all(amounts, resources.get("requests"), request)
    return amounts


def _put_all(amounts: Amounts, found: Any, request: PodRequest) -> None:
    for name, text in found.items() if isinstance(found, dict) else ():
        if text is not None and not amounts.put(str(name), text):
            request.unreadable.append(f"{name}: {text}")


def _annotated(obj: Any, template: Template, request: PodRequest) -> None:
    """Count a share of a GPU that KAI's annotations ask for: no resource says it."""
    if template.metadata is None:
        return
    annotations = lookup(obj, (*template.metadata, "annotations"))
    if not isinstance(annotations, dict):
        return
    if "gpu-memory" in annotations:
        request.parts.append(f"gpu-memory: {annotations['gpu-memory']}")
    if "gpu-fraction" not in annotations:
        return
    share = Amounts()
    number = annotations.get("gpu-fraction-num-devices", "1")
    if not share.put("nvidia.com/gpu", annotations["gpu-fraction"]):
        request.unreadable.append(f"gpu-fraction: {annotations['gpu-fraction']}")
    elif str(number).isdecimal() and len(str(number)) < 6:
        request.amounts.add(share, int(number))


def of_pod(spec: Mapping[str, Any]) -> PodRequest:
    """Tell what a pod asks for."""
    request = PodRequest()
    _of_pod(spec, _list(spec.get("containers")), request)
    return request


def of_container(container: Mapping[str, Any]) -> PodRequest:
    """Tell what one container asks for, or what describes one."""
    request = PodRequest()
    request.amounts = _of_container(container, request)
    return request


def of_jvm(spec: Mapping[str, Any]) -> PodRequest:
    """Tell what a Spark pod without a template asks for: its cores, its memory and overhead."""
    request = PodRequest()
    _spark_pod(spec, _SPARK_OVERHEAD, request)
    return request


def _spark(obj: Any, spec: Mapping[str, Any], template: Template, request: PodRequest) -> None:
    _spark_pod(spec, _spark_factor(obj, template), request)


def _spark_pod(spec: Mapping[str, Any], factor: Decimal, request: PodRequest) -> None:
    """Read a Spark driver or executor: cores, memory as the JVM writes it, `{name, quantity}`."""
    amounts = request.amounts
    cores = spec.get("coreRequest") or spec.get("cores") or 1
    if not amounts.put("cpu", cores):
        request.unreadable.append(f"cores: {cores}")
    memory = _mebibytes(spec.get("memory") or "1g")
    overhead = _mebibytes(spec["memoryOverhead"]) if spec.get("memoryOverhead") else None
    if memory is None:
        request.unreadable.append(f"memory: {spec.get('memory')}")
    else:
        least = max(int(memory * factor), _SPARK_LEAST_MIB)
        mebibytes = memory + (least if overhead is None else overhead)
        amounts.values["memory"] = mebibytes * _MIB
        amounts.binary.add("memory")
    gpu = spec.get("gpu")
    if isinstance(gpu, dict) and isinstance(gpu.get("name"), str):
        amounts.put(gpu["name"], gpu.get("quantity") or 0)
    for container in _list(spec.get("sidecars")):
        amounts.add(_of_container(container, request))


def _spark_factor(obj: Any, template: Template) -> Decimal:
    application = lookup(obj, template.pod_spec[:-1]) or {}
    written = application.get("memoryOverheadFactor")
    try:
        if written is not None:
            return Decimal(str(written))
    except ArithmeticError:
        pass
    jvm = application.get("type") in (None, "Java", "Scala")
    return _SPARK_OVERHEAD if jvm else _SPARK_OVERHEAD_NO_JVM


def _mebibytes(text: Any) -> Decimal | None:
    found = _JVM.match(str(text))
    return Decimal(found[1]) * _JVM_MIB[found[2].lower()] if found else None


def _list(found: Any) -> list[Any]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def names(amounts: Iterable[Amounts]) -> list[str]:
    """List the resources of several, cpu and memory first."""
    found = {name for one in amounts for name in one.values}
    return sorted(found, key=lambda name: (name not in _POD_LEVEL, name))
