"""
What an Argo Events Sensor makes when events come: said, and not counted with the Sensor.

    spec.triggers.0.template.k8s.source.resource: each event makes a Job: 1 pod, nvidia.com/gpu 4

A Sensor makes any number of them and owns none: each is counted as itself once it is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from policies.patch import Path, lookup
from policies.workloads import locate
from policies.workloads.catalogue import Catalogue, Kind
from policies.workloads.shares import Demand, Share

COUNTER = "sensor"
_MAKES = {"k8s": ("create", "update"), "argoWorkflow": ("submit",)}
_READ = frozenset({"resource", "inline"})


def notes(
    obj: Any, kind: Kind, known: Catalogue, count: Callable[[Any, Kind], Demand]
) -> list[str]:
    """Say what each trigger makes, or where it takes that from."""
    if kind.counter != COUNTER:
        return []
    found = []
    for one in locate.hidden(obj, kind):
        if not _makes(obj, one.path):
            continue
        for inner in one.objects:
            inner_kind = known.of(inner)
            if inner_kind is not None:
                what = _asked(count(inner, inner_kind).peak)
                found.append(
                    f"{locate.written(one.path)}: each event makes a {inner_kind.kind} of {what}, "
                    "which is counted once it is there, not with the Sensor"
                )
    return found + _elsewhere(obj)


def _makes(obj: Any, at: Path) -> bool:
    """Tell whether a trigger makes its object, rather than stop, patch or delete another."""
    trigger = str(at[at.index("source") - 1])
    operation = lookup(obj, (*at[: at.index("source")], "operation"))
    made = _MAKES[trigger]
    return (operation or made[0]) in made


def _asked(share: Share) -> str:
    pods = "any number of" if share.pods is None else str(share.pods)
    parts = [f"{pods} {'pod' if share.pods == 1 else 'pods'}"]
    return ", ".join([*parts, *(f"{name} {text}" for name, text in share.quantities().items())])


def _elsewhere(obj: Any) -> list[str]:
    """Say which triggers take their object from a place that can't be read here."""
    triggers = lookup(obj, ("spec", "triggers"))
    found = []
    for index, trigger in enumerate(triggers if isinstance(triggers, list) else ()):
        for name in _MAKES:
            source = lookup(trigger, ("template", name, "source"))
            if isinstance(source, dict) and source and not _READ & source.keys():
                found.append(
                    f"spec.triggers.{index}.template.{name}.source: what a trigger creates is "
                    f"read from {', '.join(sorted(map(str, source)))}; it isn't known here"
                )
    return found
