"""
Carrying: a workload's intents travel to its pod templates, so that its pods have them.

Device, memory and mount intents go to the compute roles, or to those that `roles` names; the
others go to all. A template's own intent beats the workload's. `roles`, `scale` and `queue` are
used up at the workload.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from policies.inject.pod import Author, PodDraft
from policies.intents import COMPUTE_ONLY, PREFIX, USED_UP, Intents
from policies.workloads.catalogue import Kind
from policies.workloads.locate import Template

POLICY = "intents"
DIGEST = "00000001"
_METADATA = ("metadata",)  # of the object itself
AUTHOR = Author(name=POLICY, digest=DIGEST)


def inject(
    pod: PodDraft, template: Template, kind: Kind, intents: Intents, written: Mapping[str, Any]
) -> None:
    """Carry what can be read of a workload's intents to one template."""
    if pod.metadata is None:
        return
    annotations = (*pod.metadata, "annotations")
    own = pod.draft.get(annotations) or {}
    computes = selected(template, intents)
    for key in sorted(intents.keys - USED_UP) if intents.inject else ("inject",):
        name = PREFIX + key
        if key in COMPUTE_ONLY and not computes:
            pod.skip(POLICY, (*annotations, name), "another role receives it")
            continue
        if name in own and own[name] != written[key]:
            pod.skip(POLICY, (*annotations, name), "the template has its own")
            continue
        pod.put(AUTHOR, (*annotations, name), written[key])
    apart = template.metadata != _METADATA  # else what it has is the workload's own
    if kind.propagates and apart and not computes and _has_any(own):
        # Its pods can't tell the template's own intent from the workload's, so the role says so.
        pod.put(AUTHOR, (*annotations, PREFIX + "roles"), template.role)


def _has_any(annotations: Mapping[str, Any]) -> bool:
    return any(PREFIX + key in annotations for key in COMPUTE_ONLY)


def received(intents: Intents, template: Template) -> Intents:
    """Give what a role receives of intents that aren't its own, but the whole workload's."""
    if selected(template, intents):
        return intents
    return replace(intents, keys=intents.keys - COMPUTE_ONLY, accelerator=(), shm="", mounts=())


def selected(template: Template, intents: Intents) -> bool:
    """Tell whether a role receives devices, shared memory and mounts."""
    if intents.roles:
        return template.role.lower() in intents.roles
    return template.definition.compute
