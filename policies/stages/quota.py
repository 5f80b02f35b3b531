"""Charging: which quotas cover an object, and what each charges it with."""

from __future__ import annotations

from typing import Any

from policies import intents
from policies.inject.sound import is_sound_metadata
from policies.match import Target
from policies.quota import charges as rules
from policies.quota.charges import Charge, Quota
from policies.stages.context import Context
from policies.workloads import pods


def covering(context: Context) -> list[tuple[Quota, Target]]:
    """Find the quotas that cover the object of a request."""
    request, kind = context.request, context.kind
    if not context.prepared.quotas or kind is None or not isinstance(request.object, dict):
        return []
    if not is_sound_metadata(context.metadata):
        return []
    owner = pods.origin(context.metadata, context.catalogue).owner
    read = intents.read(context.metadata.get("annotations"))
    labels = context.metadata.get("labels")
    target = context.target(kind.name, labels, owner, read, seen=lambda: (request.object, None))
    return [(one, target) for one in context.prepared.quotas if one.is_for(target)]


def charges(
    context: Context, covered: list[tuple[Quota, Target]], rendered: Any
) -> tuple[Charge, ...]:
    """Charge an object, whose templates were folded, under each quota that covers it."""
    classes = context.prepared.classes
    assert context.kind is not None and classes is not None  # noqa: S101, PT018 -- it is covered
    counted = rules.count(rendered, context.kind, context.catalogue, classes)
    return tuple(
        rules.charge(
            quota,
            counted,
            context.request,
            target=target,
            facts=context.facts,
            kind=context.kind,
        )
        for quota, target in covered
    )
