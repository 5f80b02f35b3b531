"""
Devices: the `accelerator` intent becomes requests, node placement and what a device class states.

    kubectl-ml.io/accelerator: a100:2

adds `nvidia.com/gpu: "2"` to each receiving container, and to the pod the class's node selector
(a list of values becomes node affinity), tolerations, runtime class and environment.
Touches `resources`, `env`, `nodeSelector`, `affinity`, `tolerations`, `runtimeClassName`.
"""

from __future__ import annotations

from policies import quantity
from policies.inject import placement
from policies.inject.pod import Author, Container, PodDraft, family_author
from policies.inject.prepared import Prepared
from policies.intents import Device, Intents, nearest
from policies.model import Accelerator

POLICY = "devices"
INTENT = "kubectl-ml.io/accelerator"


def inject(
    pod: PodDraft,
    intents: Intents,
    prepared: Prepared,
    default: tuple[Author, tuple[Device, ...]] | None,
) -> tuple[Author | None, list[Accelerator]]:
    """Inject the devices asked for, else a policy's default; tell in whose name, and which."""
    asked, author = intents.accelerator, None
    if not asked and "accelerator" not in intents.keys and default:
        author, asked = default
    classes = _classes(pod, author, asked, prepared) if asked else None
    if not classes:
        return None, []
    author = author or family_author(
        POLICY, prepared.digest(tuple(item.digest for item in classes))
    )
    for device, device_class in zip(asked, classes, strict=True):
        for container in pod.containers:
            _request(pod, author, container, device, device_class)
            _per_device(pod, author, container, device, device_class)
        _place(pod, author, device_class)
    return author, classes


def _classes(
    pod: PodDraft, policy: Author | None, asked: tuple[Device, ...], prepared: Prepared
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
            hint = nearest(name, known) or "; `kubectl ml classes` lists those that exist"
            faults.append(f'unknown device class "{name}"{hint}')
            continue
        fault = _fault(device, device_class, resources, len(pod.containers))
        if fault:
            faults.append(fault)
        resources[device_class.resource] = name
        found.append(device_class)
    for fault in faults:
        if policy:  # its mistake is not the user's
            pod.warn(f"{policy.name}: spec.inject.accelerator: {fault}")
        else:
            pod.refuse(POLICY, f"{INTENT}: {fault}", code=422)
    return [] if faults else found


def _fault(
    device: Device, device_class: Accelerator, resources: dict[str, str], containers: int
) -> str:
    name, count = device.device_class, device.count * max(containers, 1)
    if not device_class.resource:
        return (
            f'class "{name}" is given by dynamic resource allocation (deviceClassName '
            f'"{device_class.device_class_name}"), which this version can\'t inject; '
            "write resourceClaims in the pod"
        )
    if device_class.resource in resources:
        return (
            f'"{resources[device_class.resource]}" and "{name}" are both {device_class.resource}; '
            "name one of them"
        )
    if device_class.max_per_pod and count > device_class.max_per_pod:
        most = device_class.max_per_pod
        return f'"{name}:{count}" is more than a pod can have; ask for at most {most}'
    return ""


def _request(
    pod: PodDraft, author: Author, container: Container, device: Device, device_class: Accelerator
) -> None:
    if not pod.allows("resources"):
        return
    resource, count = device_class.resource, str(device.count)
    limits, requests = (*container.resources, "limits"), (*container.resources, "requests")
    present = pod.draft.get((*limits, resource)) or pod.draft.get((*requests, resource))
    if present is None:
        if author.name == POLICY:
            pod.unmet.append((POLICY, f'accelerator "{device.device_class}"'))
    elif not quantity.equal(present, count):
        pod.warn(
            f'{author.name}: container "{container.name}" asks for {resource}: {present} itself, '
            f"not {count}; kept as it was written"
        )
        return
    for path in (limits, requests):  # extended resources: the request must equal the limit
        pod.put_quantity(author, (*path, resource), count)


def _per_device(
    pod: PodDraft, author: Author, container: Container, device: Device, device_class: Accelerator
) -> None:
    if device_class.per_device and pod.allows("resources"):
        wanted = {
            resource: quantity.times(amount, device.count)
            for resource, amount in device_class.per_device.items()
        }
        placement.default_resources(pod, author, container, {"requests": wanted})


def _place(pod: PodDraft, author: Author, device_class: Accelerator) -> None:
    placement.select_nodes(pod, author, device_class.node_selector)
    placement.tolerate(pod, author, device_class.tolerations)
    if device_class.runtime_class_name and pod.allows("runtimeClassName"):
        pod.put(author, (*pod.spec, "runtimeClassName"), device_class.runtime_class_name)
    pod.add_env(author, device_class.env)
