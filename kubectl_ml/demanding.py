"""
What many objects ask for together: one row an object, joined with the autoscalers beside them.

An object that is controlled by another one among them is the other's and not counted again. A
HorizontalPodAutoscaler or a KEDA ScaledObject sets the range of its target, wherever it stands;
so does a runtime of Kubeflow's Trainer with the nodes of its TrainJobs. What an object refers to
(the Pipeline of a PipelineRun) is found among the others, else in the cluster, where one is asked.
Rows are spooled: only the autoscalers' ranges, the names of owners and what others refer to stay in
memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import click

from kubectl_ml import objects
from kubectl_ml.answers import WHAT_CAN_BE_NAMED
from kubectl_ml.documents import Document
from kubectl_ml.errors import Refused
from kubectl_ml.spool import Spool
from policies import engine
from policies.model import Facts, Manifest, PolicySet
from policies.patch import lookup
from policies.workloads import catalogue, demand, referring, requests, trainings
from policies.workloads.catalogue import Catalogue, Kind
from policies.workloads.counts import Range, whole
from policies.workloads.referring import Reference
from policies.workloads.requests import Amounts
from policies.workloads.shares import Demand, RoleDemand, Share

_PAUSED = "autoscaling.keda.sh/paused-replicas"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """
    One role's part of a row.

    `devices` are the resources that its pods ask for, each with the class that it is asked for by.
    """

    name: str
    steady: Share
    peak: Share
    classes: Mapping[str, str]
    devices: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One object that makes pods, and what it asks for."""

    api_version: str
    kind: str
    namespace: str
    name: str
    owner: Reference | None
    steady: Share
    peak: Share
    roles: tuple[Role, ...]

    @property
    def reference(self) -> Reference:
        """Tell how owners and autoscalers name it."""
        return _kind_name(self.api_version, self.kind), self.namespace, self.name


@dataclass(slots=True, kw_only=True)
class Demands:
    """One run over all documents."""

    policies: PolicySet
    facts: Facts
    namespace: str
    fetch: referring.Find | None = (
        None  # gives an object of the cluster; None where it can't be had
    )
    _rows: Spool = field(default_factory=Spool)
    warnings: dict[str, None] = field(default_factory=dict)  # an ordered set
    refusals: dict[str, None] = field(default_factory=dict)
    unusable: dict[str, None] = field(default_factory=dict)  # objects that aren't counted
    _ranges: dict[Reference, Range] = field(default_factory=dict)
    # scaled by a HorizontalPodAutoscaler, which leaves alone what was scaled to zero
    _resting: set[Reference] = field(default_factory=set)
    _owners: set[Reference] = field(default_factory=set)  # that objects say they have
    _runtimes: dict[Reference, Manifest] = field(default_factory=dict)
    _wanted: set[Reference] = field(default_factory=set)  # that objects refer to
    _referred: dict[Reference, Manifest] = field(default_factory=dict)  # what of it was found
    _late: bool = False  # some are only counted when all is read

    @property
    def known(self) -> Catalogue:
        """The kinds that are known."""
        return catalogue.of(self.policies)

    def add(self, document: Document) -> None:
        """Count what one document asks for."""
        if document.value is None:
            return
        objects.check(document)
        objects.replaced(
            document.value, lambda manifest: self.count(manifest, source=document.source)
        )

    def count(self, manifest: Manifest, *, source: str = "") -> None:
        """Count what one object asks for."""
        kind = self.known.of(manifest)
        if kind is None:
            self._scaler(manifest)
            if reference := referring.held(manifest, self.namespace):
                self._referred[reference] = manifest
            return
        rendered = self._rendered(manifest, source)
        found = self._demand(rendered, kind)
        for why in found.unusable:
            sentence = f"{objects.title(manifest)}: {why}"
            self.unusable[": ".join(filter(None, [source, sentence]))] = None
        if found.unusable:
            return
        row = self._row(rendered, kind, found)
        if kind.kind in trainings.RUNTIMES:
            self._runtimes[row.reference] = manifest
        late = self._is_late(manifest, kind)
        if late:
            self._late = True
        else:
            self._note(manifest, found)
        if row.owner:
            self._owners.add(row.owner)
        # an autoscaler or a runtime that is read later may set its range
        keep = late or kind.scale or kind.name in referring.REFERRED
        self._rows.add([_packed(row), manifest if keep else None, late])

    def close(self) -> None:
        """Forget the rows."""
        self._rows.close()

    @property
    def counted(self) -> int:
        """How many objects that make pods were read."""
        return self._rows.count

    def rows(self) -> Iterator[Row]:
        """Give all rows, with autoscalers' ranges and without what is counted with its owner."""
        there = self._owners_there()
        self._find_referred()
        for packed, manifest, late in self._rows:
            row = _unpacked(packed)
            if row.owner in there:
                continue
            extent = self._extent(row, manifest) if manifest is not None else None
            kind = self.known.of(manifest) if manifest is not None else None
            if kind is not None and (extent or late):
                whole_one = self._completed(manifest, kind)
                row = self._row(whole_one, kind, self._demand(whole_one, kind, extent))
            yield row

    # What stands in other objects

    def _is_late(self, manifest: Manifest, kind: Kind) -> bool:
        """Tell whether an object is counted when all is read; note what it refers to."""
        namespace = self._namespace_of(manifest.get("metadata") or {})
        wanted = referring.wanted(manifest, kind, namespace)
        self._wanted |= wanted
        return kind.name == trainings.NAME or bool(wanted and not kind.template)

    def _completed(self, manifest: Manifest, kind: Kind) -> Manifest:
        """Render an object, and put what it refers to in its place."""
        namespace = self._namespace_of(manifest.get("metadata") or {})
        if not kind.propagates:  # else what it refers to gets its intents, too
            manifest = self._quietly_rendered(manifest)
        found: Manifest = referring.followed(manifest, kind, namespace, self._find)
        return self._quietly_rendered(found) if kind.propagates else found

    def _find(self, reference: Reference) -> Manifest | None:
        if reference not in self._referred and self.fetch is not None:
            found = self.fetch(reference)
            self._referred[reference] = self._quietly_rendered(found) if found else {}
        return self._referred.get(reference)

    def _find_referred(self) -> None:
        """Read again what objects refer to, now that it is known what that is."""
        missing = self._wanted - self._referred.keys()
        for packed, manifest, _ in self._rows if missing else ():
            reference = _unpacked(packed).reference
            if manifest is not None and reference in missing:
                self._referred[reference] = self._quietly_rendered(manifest)

    def _extent(self, row: Row, manifest: Manifest) -> Range | None:
        """Give the range that an autoscaler keeps an object's replicas in, if one does."""
        found = self._ranges.get(row.reference)
        if found and row.reference in self._resting and _is_at_zero(manifest):
            return Range(0, found.peak)
        return found

    def _owners_there(self) -> set[Reference]:
        if not self._owners:
            return set()
        found = (_unpacked(packed).reference for packed, *_ in self._rows)
        return self._owners.intersection(found)

    def _note(self, manifest: Manifest, found: Demand) -> None:
        for note in found.notes:
            self.warnings[f"{objects.title(manifest)}: {note}"] = None

    def _note_late(self) -> None:
        """Say what there is to say of objects that others tell more about, now that all is read."""
        self._find_referred()
        for _, manifest, late in self._rows if self._late else ():
            kind = self.known.of(manifest) if late else None
            if kind is not None:
                self._note(manifest, self._demand(self._completed(manifest, kind), kind))

    def _runtime(self, manifest: Manifest, kind: Kind) -> Manifest | None:
        """Find the runtime of a TrainJob among the documents."""
        if kind.name != trainings.NAME:
            return None
        runtime, name = trainings.runtime_of(manifest)
        alone = runtime == trainings.RUNTIMES[0]
        namespace = "" if alone else self._namespace_of(manifest.get("metadata") or {})
        reference = f"{runtime}.{trainings.GROUP}", namespace, name
        return self._runtimes.get(reference) or self._find(reference)

    def report(self) -> None:
        """Say on stderr what there is to say; raise where something was refused."""
        self._note_late()
        for warning in self.warnings:
            click.echo(f"Warning: {warning}", err=True)
        if self.refusals:
            raise Refused(
                tuple(self.refusals),
                hint=f"nothing was printed; {WHAT_CAN_BE_NAMED}",
            )

    def _rendered(self, manifest: Manifest, source: str) -> Manifest:
        request = objects.request(manifest, namespace=self.namespace, user=self.facts.user)
        decision = engine.render(request, self.policies, self.facts)
        for one in decision.violations:
            if one.code == 422:
                sentence = f"{objects.title(manifest)}: {one.policy}: {one.message}"
                self.refusals[": ".join(filter(None, [source, sentence]))] = None
        rendered: Manifest = decision.object
        return rendered

    def _quietly_rendered(self, manifest: Manifest) -> Manifest:
        request = objects.request(manifest, namespace=self.namespace, user=self.facts.user)
        found: Manifest = engine.render(request, self.policies, self.facts).object
        return found

    def _demand(self, manifest: Manifest, kind: Kind, extent: Range | None = None) -> Demand:
        return demand.of(
            manifest,
            kind,
            self.known,
            self.policies.accelerators,
            range_of=extent,
            runtime=self._runtime(manifest, kind),
        )

    def _row(self, manifest: Manifest, kind: Kind, found: Demand) -> Row:
        metadata = manifest.get("metadata") or {}
        return Row(
            api_version=manifest["apiVersion"],
            kind=manifest["kind"],
            namespace="" if kind.cluster_scoped else self._namespace_of(metadata),
            name=metadata.get("name") or f"{metadata.get('generateName') or ''}*",
            owner=self._owner(metadata),
            steady=found.steady,
            peak=found.peak,
            roles=tuple(map(_role, found.roles)),
        )

    def _namespace_of(self, metadata: dict[str, Any]) -> str:
        return str(metadata.get("namespace") or self.namespace)

    def _owner(self, metadata: dict[str, Any]) -> Reference | None:
        owners = metadata.get("ownerReferences")
        for owner in owners if isinstance(owners, list) else ():
            if isinstance(owner, dict) and owner.get("controller") is True:
                name = _kind_name(str(owner.get("apiVersion")), str(owner.get("kind")))
                return name, self._namespace_of(metadata), str(owner.get("name"))
        return None

    def _scaler(self, manifest: Manifest) -> None:
        """Take the range that an autoscaler keeps its target in."""
        spec = manifest.get("spec")
        kind, api_version = manifest.get("kind"), str(manifest.get("apiVersion"))
        target = lookup(spec, ("scaleTargetRef",))
        if not isinstance(target, dict):
            return
        group = api_version.partition("/")[0]
        least: int | None
        if (kind, group) == ("HorizontalPodAutoscaler", "autoscaling"):
            least, most = _number(spec, "minReplicas", 1), _number(spec, "maxReplicas", 1)
        elif (kind, group) == ("ScaledObject", "keda.sh"):
            least = _number(spec, "idleReplicaCount", _number(spec, "minReplicaCount", 0))
            most = _number(spec, "maxReplicaCount", 100)
            paused = whole(lookup(manifest, ("metadata", "annotations", _PAUSED)))
            least = least if paused is None else paused  # until it is resumed
        else:
            return
        name = _kind_name(
            str(target.get("apiVersion") or "apps/v1"), str(target.get("kind") or "Deployment")
        )
        metadata = manifest.get("metadata") or {}
        where = (name, self._namespace_of(metadata), str(target.get("name")))
        self._ranges[where] = Range(least, max(least, most))
        if kind == "HorizontalPodAutoscaler":
            self._resting.add(where)


def _is_at_zero(manifest: Manifest) -> bool:
    return whole(lookup(manifest, ("spec", "replicas"))) == 0


def _role(found: RoleDemand) -> Role:
    return Role(
        name=found.name,
        steady=found.steady,
        peak=found.peak,
        classes=found.classes,
        devices={
            name: found.classes.get(name, name)
            for name in found.request.amounts.values
            if requests.is_device(name)
        },
    )


# --- spooling ----------------------------------------------------------------------------------


def _packed(row: Row) -> list[Any]:
    return [
        *(row.api_version, row.kind, row.namespace, row.name, row.owner),
        *(_packed_share(row.steady), _packed_share(row.peak)),
        [
            [one.name, _packed_share(one.steady), _packed_share(one.peak), one.classes, one.devices]
            for one in row.roles
        ],
    ]


def _unpacked(packed: list[Any]) -> Row:
    api_version, kind, namespace, name, owner, steady, peak, roles = packed
    return Row(
        api_version=api_version,
        kind=kind,
        namespace=namespace,
        name=name,
        owner=(owner[0], owner[1], owner[2]) if owner else None,
        steady=_share(steady),
        peak=_share(peak),
        roles=tuple(
            Role(name=role, steady=_share(now), peak=_share(then), classes=classes, devices=devices)
            for role, now, then, classes, devices in roles
        ),
    )


def _packed_share(share: Share) -> list[Any]:
    values = {name: str(value) for name, value in share.amounts.values.items()}
    return [share.pods, values, sorted(share.amounts.binary), sorted(share.endless)]


def _share(packed: list[Any]) -> Share:
    pods, values, binary, endless = packed
    amounts = Amounts({name: Decimal(text) for name, text in values.items()}, set(binary))
    return Share(pods, amounts, set(endless))


def _number(spec: Any, member: str, default: int) -> int:
    found = whole(lookup(spec, (member,)))
    return default if found is None else found


def _kind_name(api_version: str, kind: str) -> str:
    group, slash, _ = api_version.partition("/")
    return f"{kind}.{group}" if slash else kind
