"""
Devices: the `accelerator` intent becomes requests, node placement and what a device class states.

    kubectl-ml.io/accelerator: a100:2

adds `nvidia.com/gpu: "2"` to each receiving container, and to the pod the class's node selector
(a list of values becomes node affinity), tolerations, runtime class and environment. A class with
a `deviceClassName` becomes resource claims (`claims`).
Touches `resources`, `resourceClaims`, `env`, `nodeSelector`, `affinity`, `tolerations`,
`runtimeClassName`.
"""

from __future__ import annotations

from typing import Any

from policies import quantity
from policies.inject import claims, placement, resources
from policies.inject.pod import Author, Container, PodDraft, family_author
from policies.inject.prepared import Prepared
from policies.intents import Device, Intents, nearest
from policies.model import Accelerator, Facts

POLICY = "devices"
INTENT = "kubectl-ml.io/accelerator"
_DIGITS = 4  # a count has fewer
_LIST = "`kubectl ml classes` lists those that exist, with `--policies cluster` the cluster's, too"


def inject(
    pod: PodDraft,
    intents: Intents,
    prepared: Prepared,
    default: tuple[Author, tuple[Device, ...]] | None,
    *,
    facts: Facts,
    fold: bool = False,
) -> tuple[Author | None, list[Accelerator]]:
    """Inject the devices asked for, else a policy's default; tell in whose name, and which."""
    asked, author = intents.accelerator, None
    if not asked and "accelerator" not in intents.keys and default:
        author, asked = default
    classes = _classes(pod, author, asked, prepared, facts=facts) if asked else None
    if not classes:
        return None, []
    author = author or family_author(
        POLICY, prepared.digest(tuple(item.digest for item in classes))
    )
    for device, device_class in zip(asked, classes, strict=True):
        if device_class.device_class_name:
            _claim(pod, author, device, device_class, fold=fold)
        for container in pod.containers:
            _give(pod, author, container, device, device_class)
        _place(pod, author, device_class)
    return author, classes


def _claim(
    pod: PodDraft, author: Author, device: Device, device_class: Accelerator, *, fold: bool
) -> None:
    waits = claims.ask(pod, author, device, device_class, by_intent=author.name == POLICY)
    if waits and not fold:  # who folds it prints the template, too
        claims.warn_of_template(pod, author, device, device_class)


def _give(
    pod: PodDraft, author: Author, container: Container, device: Device, device_class: Accelerator
) -> None:
    if device_class.resource:
        _request(pod, author, container, device, device_class)
    if device_class.extra_resources:
        _extra(pod, author, container, device_class)
    if device_class.per_device:
        _per_device(pod, author, container, device, device_class)


def _classes(
    pod: PodDraft,
    policy: Author | None,
    asked: tuple[Device, ...],
    prepared: Prepared,
    *,
    facts: Facts,
) -> list[Accelerator]:
    """Look the classes up; nothing is given where one can't be: an intent is refused then."""
    found: list[Accelerator] = []
    resources: dict[str, str] = {}
    faults: list[str] = []
    for device in asked:
        name = device.device_class
        device_class = prepared.policies.accelerators.get(name)
        if device_class is None:
            known = prepared.policies.accelerators
            hint = nearest(name, known) or f"; {_LIST}"
            faults.append(f'unknown device class "{name}"{hint}')
            continue
        fault = _fault(device, device_class, resources, len(pod.containers), facts=facts)
        if fault:
            faults.append(fault)
        for resource in _resources(device_class):
            resources[resource] = name
        found.append(device_class)
    for fault in faults:
        if policy:  # its mistake is not the user's
            pod.warn(f"{policy.name}: spec.inject.accelerator: {fault}")
        else:
            pod.refuse(POLICY, f"{INTENT}: {fault}", code=422)
    return [] if faults else found


def _fault(
    device: Device,
    device_class: Accelerator,
    resources: dict[str, str],
    containers: int,
    *,
    facts: Facts,
) -> str:
    name, count = device.device_class, device.count * max(containers, 1)
    if device_class.device_class_name:
        fault = claims.fault(name, device_class, facts)
        if fault:
            return fault
    for resource in _resources(device_class):
        if resource in resources:
            return f'"{resources[resource]}" and "{name}" are both {resource}; name one of them'
    if device_class.max_per_pod and count > device_class.max_per_pod:
        most = device_class.max_per_pod
        return f'"{name}:{count}" is more than a pod can have; ask for at most {most}'
    return ""


def _resources(device_class: Accelerator) -> tuple[str, ...]:
    """List the resources that one class alone may ask for in a pod."""
    own = (device_class.resource,) if device_class.resource else ()
    return (*own, *device_class.extra_resources) if device_class.extra_resources else own


def _request(
    pod: PodDraft, author: Author, container: Container, device: Device, device_class: Accelerator
) -> None:
    if not pod.allows("resources"):
        return
    present = _present(pod, container, device_class.resource)
    if present is None and author.name == POLICY:
        pod.unmet.append((POLICY, f'accelerator "{device.device_class}"'))
    _ask(pod, author, container, device_class.resource, str(device.count))


def _extra(pod: PodDraft, author: Author, container: Container, device_class: Accelerator) -> None:
    """Ask for what goes with the devices: so much for each container, whatever their count."""
    if pod.allows("resources"):
        for resource, amount in device_class.extra_resources.items():
            _ask(pod, author, container, resource, amount)


def _present(pod: PodDraft, container: Container, resource: str) -> Any:
    for kind in ("limits", "requests"):
        found = pod.draft.get((*container.resources, kind, resource))
        if found is not None:
            return found
    return None


def _ask(pod: PodDraft, author: Author, container: Container, resource: str, amount: str) -> None:
    """Set request and limit, which must be equal for such a resource; the user's amount stays."""
    present = _present(pod, container, resource)
    if present is not None and not quantity.equal(present, amount):
        pod.warn(
            f'{author.name}: container "{container.name}" asks for {resource}: {present} itself, '
            f"not {amount}; kept as it was written"
        )
        path = (*container.resources, "limits", resource)
        pod.skip(author.name, path, f"already {present} by the container's own wish")
        return
    for kind in ("limits", "requests"):
        pod.put_quantity(author, (*container.resources, kind, resource), amount)


def _per_device(
    pod: PodDraft, author: Author, container: Container, device: Device, device_class: Accelerator
) -> None:
    if pod.allows("resources"):
        count = _count(pod, container, device, device_class)
        wanted = {
            resource: quantity.times(amount, count)
            for resource, amount in device_class.per_device.items()
        }
        resources.give(pod, author, container, {"requests": wanted})


def _count(pod: PodDraft, container: Container, device: Device, device_class: Accelerator) -> int:
    """Count the devices of one container: those that it asks for itself, else the intent's."""
    own = str(_present(pod, container, device_class.resource) if device_class.resource else "")
    return int(own) if own.isascii() and own.isdigit() and len(own) < _DIGITS else device.count


def _place(pod: PodDraft, author: Author, device_class: Accelerator) -> None:
    placement.select_nodes(pod, author, device_class.node_selector)
    placement.tolerate(pod, author, device_class.tolerations)
    if device_class.runtime_class_name and pod.allows("runtimeClassName"):
        pod.put(author, (*pod.spec, "runtimeClassName"), device_class.runtime_class_name)
    pod.add_env(author, device_class.env)
