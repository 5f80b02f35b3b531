"""
Which devices pods may ask for, and how: `checks.accelerators`.

A device is asked for by a device class that exists, in no greater number than the class's
`maxPerPod`, and with a limit.

    accelerators: {classes: [t4, {name: h100, namespaces: [nlp-*]}], maxPerPod: 4}

Reads the intent `accelerator`, the containers' `resources` and `resourceClaims` of the pod as it is
injected. A resource is a device's where a class asks for it, or for one of the same vendor.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from policies import match, matches, quantity
from policies.guard import lists
from policies.guard.containers import at, items
from policies.guard.subject import Check, Subject
from policies.inject import claims
from policies.intents import Device, nearest
from policies.model import Accelerator

_INTENT = "kubectl-ml.io/accelerator"
_LIST = "`kubectl ml classes` lists those that exist, with `--policies cluster` the cluster's, too"


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class _Known:
    """The device classes, and which resources are devices."""

    classes: Mapping[str, Accelerator]
    vendors: frozenset[str]
    check: Mapping[str, Any]

    def is_device(self, resource: str) -> bool:
        """Tell whether a resource is a device's."""
        return resource.partition("/")[0] in self.vendors and "/" in resource

    def most(self, name: str) -> int:
        """Tell how many devices of a class a pod can have; 0: any number."""
        bounds = [self.classes[name].max_per_pod] if self.classes[name].max_per_pod else []
        given = self.check.get("maxPerPod")
        if isinstance(given, dict):
            bounds += [most for glob, most in given.items() if fnmatch.fnmatchcase(name, glob)]
        elif given is not None:
            bounds.append(given)
        return min(bounds, default=0)


def compiled(check: Mapping[str, Any], classes: Mapping[str, Accelerator]) -> Check:
    """Make the check ready for a set of classes."""
    vendors = frozenset(
        resource.partition("/")[0]
        for one in classes.values()
        for resource in (one.resource, *one.extra_resources)
        if "/" in resource
    )
    known = _Known(classes=classes, vendors=vendors, check=check)
    named = lists.read(check, "classes")
    where = matches.namespaces(check.get("namespaces"))
    within = match.namespaces(where) if where else None

    def judge(subject: Subject) -> Iterator[str]:
        asked = subject.given().devices
        for device in asked:
            name = device.device_class
            if name not in classes:
                hint = nearest(name, classes) or f"; {_LIST}"
                yield f'{_INTENT} asks for class "{name}", which doesn\'t exist{hint}'
            elif within is not None and not within(subject.target):
                yield (
                    f'class "{name}" may not be asked for in namespace '
                    f'"{subject.target.namespace}"; take it out'
                )
            elif why := named.refusal(subject.target, name):
                yield f'class "{name}" {why}'
        exist = [device for device in asked if device.device_class in classes]
        yield from _unlimited(known, subject.spec)
        if check.get("requireClass", True):
            yield from _unclassed(known, subject.spec, exist)
            yield from _unclaimed(known, subject.spec, exist)
        yield from _too_many(known, subject.spec, exist)

    return judge


def _unlimited(known: _Known, spec: Any) -> Iterator[str]:
    if not known.check.get("requireLimits", True):
        return
    for name, resource, amount, limited in _asked(known, spec):
        if not limited:
            yield (
                f'container "{name}" asks for {resource}: {amount} in resources.requests alone; '
                "write it in resources.limits too"
            )


def _unclassed(known: _Known, spec: Any, asked: list[Device]) -> Iterator[str]:
    """Find devices that containers ask for past the classes."""
    covered: set[str] = set()
    for device in asked:
        one = known.classes[device.device_class]
        covered |= {one.resource, *one.extra_resources}
    for name, resource, amount, _ in _asked(known, spec):
        if resource not in covered:
            yield f'container "{name}" asks for {resource}: {amount}{_fix(known, resource, amount)}'


def _fix(known: _Known, resource: str, amount: str) -> str:
    of = [one for one in known.classes.values() if one.resource == resource]
    if not of:
        return f", which no device class gives; ask for a class ({_LIST})"
    plain = sorted(of, key=lambda one: (bool(one.node_selector), one.name))[0]
    return f' without a device class; write the annotation {_INTENT}: "{plain.name}:{amount}"'


def _unclaimed(known: _Known, spec: Any, asked: list[Device]) -> Iterator[str]:
    """Find resource claims that are of no class."""
    ours = {_template(known, device) for device in asked} - {""}
    for claim in items(spec, "resourceClaims"):
        template = claim.get("resourceClaimTemplateName")
        if template not in ours:
            of = f'template "{template}"' if template else f'"{claim.get("resourceClaimName")}"'
            yield (
                f'resource claim "{claim.get("name", "")}" ({of}) is of no device class; '
                f"take it out and write the annotation {_INTENT} ({_LIST})"
            )


def _too_many(known: _Known, spec: Any, asked: list[Device]) -> Iterator[str]:
    for device in asked:
        name, most = device.device_class, known.most(device.device_class)
        count = _count(known, spec, device)
        if most and count > most:
            yield (
                f'the pod asks for {count:f} devices of class "{name}", more than the {most} that '
                "it can have; ask for fewer"
            )


def _count(known: _Known, spec: Any, device: Device) -> Decimal:
    resource = known.classes[device.device_class].resource
    if not resource:
        template = _template(known, device)
        made = [
            one
            for one in items(spec, "resourceClaims")
            if one.get("resourceClaimTemplateName") == template
        ]
        return Decimal(device.count * max(len(made), 1))
    return max(_effective(spec, resource), Decimal(device.count))


def _template(known: _Known, device: Device) -> str:
    one = known.classes[device.device_class]
    return claims.template_name(one, device.count) if one.device_class_name else ""


def _effective(spec: Any, resource: str) -> Decimal:
    """Add up what a pod's containers ask for at the same time."""
    beside, peak = Decimal(0), Decimal(0)
    for one in items(spec, "initContainers"):
        amount = _amount(one, resource)
        if one.get("restartPolicy") == "Always":
            beside += amount
            peak = max(peak, beside)
        else:
            peak = max(peak, beside + amount)
    together = sum((_amount(one, resource) for one in items(spec, "containers")), beside)
    return max(peak, together)


def _amount(container: Any, resource: str) -> Decimal:
    for kind in ("limits", "requests"):
        given = at(container, "resources", kind, resource)
        if given is not None:
            try:
                return quantity.parse(str(given))
            except ValueError:
                return Decimal(0)
    return Decimal(0)


def _asked(known: _Known, spec: Any) -> Iterator[tuple[str, str, str, bool]]:
    """List each container's devices: name, resource, amount, whether there is a limit."""
    for one in (*items(spec, "initContainers"), *items(spec, "containers")):
        limits, requests = (at(one, "resources", kind) or {} for kind in ("limits", "requests"))
        for resource in dict.fromkeys((*limits, *requests)):
            if known.is_device(resource) and _amount(one, resource):
                amount = str(limits.get(resource, requests.get(resource)))
                yield str(one.get("name", "")), resource, amount, resource in limits
