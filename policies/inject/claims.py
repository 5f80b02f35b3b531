"""
Claims: a device class of dynamic resource allocation becomes resource claims.

    kubectl-ml.io/accelerator: h100:2       # h100: {deviceClassName: gpu.nvidia.com}

gives each receiving container a claim of its own, made for each pod from the ResourceClaimTemplate
`kubectl-ml-h100-2` of the pod's namespace, or from the one that the class names. Admission can't
make objects, so `kubectl ml render` and `train` print the template beside the workload.
Touches `resourceClaims` and, for receiving containers, `resources.claims`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from policies.inject.pod import Author, Container, PodDraft
from policies.intents import Device
from policies.model import Accelerator, Facts, Manifest

SYSTEM = "dra"
SINCE = (1, 34)  # resource.k8s.io/v1 is served by default
API_VERSION = "resource.k8s.io/v1"
PREFIX = "kubectl-ml-"
_MAX_LABEL = 63
_OURS = re.compile(rf"{PREFIX}(?P<name>.+)-(?P<count>[1-9][0-9]{{0,2}})")


def fault(name: str, device_class: Accelerator, facts: Facts) -> str:
    """Say why a server can't give devices by claims; nothing where it can."""
    why = ""
    if facts.kube_version < SINCE:
        why = "Kubernetes {}.{} doesn't have".format(*facts.kube_version)
    elif not facts.has(SYSTEM):
        why = "isn't installed here"
    return why and (
        f'class "{name}" is given by dynamic resource allocation (deviceClassName '
        f'"{device_class.device_class_name}"), which {why} ({API_VERSION}); '
        "name a class that has a resource"
    )


def ask(
    pod: PodDraft, author: Author, device: Device, device_class: Accelerator, *, by_intent: bool
) -> bool:
    """
    Give every receiving container a claim, unless it has one from the same template.

    Tells whether the pod then waits for that template.
    """
    if not pod.allows("resources", "resourceClaims"):
        return False
    waits = False
    template = template_name(device_class, device.count)
    for number, container in enumerate(pod.containers, 1):
        name = claim_name(device_class.name, number)
        if template in _templates_of(pod, container, but=name):
            waits = True
            continue
        path = (*container.resources, "claims")
        missing = name not in _claims_of(pod, container)
        claim = {"name": name, "resourceClaimTemplateName": template}
        if pod.add(author, (*pod.spec, "resourceClaims"), claim):
            pod.add(author, path, {"name": name})
            waits = True
            if missing and by_intent:
                pod.unmet.append(("devices", f'accelerator "{device.device_class}"'))
    return waits


def warn_of_template(
    pod: PodDraft, author: Author, device: Device, device_class: Accelerator
) -> None:
    """Say which template the pods wait for: nobody can make it at admission."""
    if not device_class.resource_claim_template_name:
        pod.warn(
            f'{author.name}: pods with "{device.device_class}:{device.count}" wait for the '
            f'ResourceClaimTemplate "{template_name(device_class, device.count)}" in their '
            "namespace; `kubectl ml render` prints it beside the workload"
        )


def _claims_of(pod: PodDraft, container: Container) -> list[str]:
    claims = pod.draft.get((*container.resources, "claims")) or ()
    return [claim["name"] for claim in claims if isinstance(claim.get("name"), str)]


def _templates_of(pod: PodDraft, container: Container, *, but: str) -> list[str]:
    """List the templates that a container's own claims are made from."""
    mine = _claims_of(pod, container)
    named = pod.names("resourceClaims")
    found = [named[name] for name in mine if name in named and name != but]
    return [one.get("resourceClaimTemplateName", "") for one in found]


def template_name(device_class: Accelerator, count: int) -> str:
    """Name the ResourceClaimTemplate for so many devices: always the same."""
    return device_class.resource_claim_template_name or f"{PREFIX}{device_class.name}-{count}"


def claim_name(class_name: str, number: int) -> str:
    """Name the claim of one receiving container: a label, so without the dots of a class."""
    suffix = f"-{number}" if number > 1 else ""
    return _label(class_name, _MAX_LABEL - len(suffix)) + suffix


def _label(name: str, most: int = _MAX_LABEL) -> str:
    return name.replace(".", "-")[:most].rstrip("-")


def templates(
    pod_specs: Iterable[Manifest], classes: Mapping[str, Accelerator]
) -> Iterator[Manifest]:
    """Make the ResourceClaimTemplates that pods ask for and that no admin has made."""
    wanted: dict[str, None] = {}
    for spec in pod_specs:
        for claim in spec.get("resourceClaims") or ():
            name = claim.get("resourceClaimTemplateName")
            if isinstance(name, str):
                wanted[name] = None
    for name in wanted:
        found = _OURS.fullmatch(name)
        device_class = classes.get(found["name"]) if found else None
        if found and device_class and template_name(device_class, int(found["count"])) == name:
            yield _template(name, device_class, int(found["count"]))


def _template(name: str, device_class: Accelerator, count: int) -> Manifest:
    exactly = {
        "deviceClassName": device_class.device_class_name,
        "allocationMode": "ExactCount",
        "count": count,
    }
    requests = [{"name": _label(device_class.name), "exactly": exactly}]
    return {
        "apiVersion": API_VERSION,
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": name},
        "spec": {"spec": {"devices": {"requests": requests}}},
    }
