"""Which objects hold which device class, data source, sidecar and policy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubectl_ml import objects
from kubectl_ml.explaining import Explanation
from policies.intents import Intents, Mount, read
from policies.patch import lookup
from policies.workloads import locate
from policies.workloads.catalogue import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One object and what it holds."""

    namespace: str
    kind: str
    name: str
    classes: tuple[str, ...]
    sources: tuple[str, ...]
    sidecars: tuple[str, ...]
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is looked for; what is empty is not asked about."""

    class_: str = ""
    source: str = ""
    sidecar: str = ""
    policy: str = ""

    def fits(self, one: Holding) -> bool:
        """Tell whether an object holds all that is looked for."""
        return all(
            not wanted or wanted in held
            for wanted, held in (
                (self.class_, one.classes),
                (self.source, one.sources),
                (self.sidecar, one.sidecars),
                (self.policy, one.policies),
            )
        )


def holding(one: Explanation, known: Catalogue, *, namespace: str) -> Holding:
    """Tell what one explained object holds, at itself and in its templates."""
    found = list(_intents(one.after, known))
    metadata = one.manifest.get("metadata") or {}
    group = one.manifest["apiVersion"].rpartition("/")[0]
    return Holding(
        namespace=objects.namespace_of(one.manifest, default=namespace),
        kind=f"{one.manifest['kind']}.{group}" if group else one.manifest["kind"],
        name=metadata.get("name") or metadata.get("generateName") or "",
        classes=_sorted(device.device_class for each in found for device in each.accelerator),
        sources=_sorted(_source(mount) for each in found for mount in each.mounts),
        sidecars=_sorted(name for each in found for name in each.sidecars),
        policies=_sorted(each.policy.rpartition("@")[0] for each in one.added),
    )


def _intents(obj: Any, known: Catalogue) -> Iterable[Intents]:
    yield read(lookup(obj, ("metadata", "annotations")))
    kind = known.of(obj)
    for template in locate.templates(obj, kind, known) if kind else ():
        if template.metadata:
            yield read(lookup(obj, (*template.metadata, "annotations")))


def _source(mount: Mount) -> str:
    return f"{mount.scheme}://{mount.source}" if mount.scheme else mount.source


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))
