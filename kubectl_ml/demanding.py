"""
What many objects ask for together: one row an object, joined with the autoscalers beside them.

An object that is controlled by another one among them is the other's and not counted again. A
HorizontalPodAutoscaler or a KEDA ScaledObject sets the range of its target, wherever it stands;
so does a runtime of Kubeflow's Trainer with the nodes of its TrainJobs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import click

from kubectl_ml import objects
from kubectl_ml.documents import Document
from kubectl_ml.errors import Refused
from policies import engine
from policies.model import Facts, Manifest, PolicySet
from policies.patch import lookup
from policies.workloads import catalogue, demand, trainings
from policies.workloads.catalogue import Catalogue, Kind
from policies.workloads.counts import Range, whole
from policies.workloads.shares import Demand, Share

Reference = tuple[str, str, str]  # KIND.GROUP, namespace, name


@dataclass(slots=True, kw_only=True)
class Row:
    """One object that makes pods, and what it asks for."""

    api_version: str
    kind: str
    namespace: str
    name: str
    demand: Demand
    owner: Reference | None = None


@dataclass(slots=True, kw_only=True)
class Demands:
    """One run over all documents."""

    policies: PolicySet
    facts: Facts
    namespace: str
    rows: list[Row] = field(default_factory=list)
    warnings: dict[str, None] = field(default_factory=dict)  # an ordered set
    refusals: dict[str, None] = field(default_factory=dict)
    unusable: dict[str, None] = field(default_factory=dict)  # objects that aren't counted
    _ranges: dict[Reference, Range] = field(default_factory=dict)
    _again: dict[Reference, tuple[Manifest, int]] = field(default_factory=dict)
    _runtimes: dict[Reference, Manifest] = field(default_factory=dict)
    _trainings: list[tuple[Manifest, int]] = field(default_factory=list)
    _seen: dict[Any, Demand] = field(default_factory=dict)  # of thousands, few are different

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
            return
        rendered = self._rendered(manifest, source)
        at = len(self.rows)
        row = self._row(rendered, kind)
        for why in row.demand.unusable:
            sentence = f"{objects.title(manifest)}: {why}"
            self.unusable[": ".join(filter(None, [source, sentence]))] = None
        if row.demand.unusable:
            return
        self.rows.append(row)
        if kind.kind in trainings.RUNTIMES:
            self._runtimes[_reference(row, kind)] = manifest
        if kind.name == trainings.NAME:
            self._trainings.append((rendered, at))
        else:
            self._note(manifest, row)
        if kind.scale:
            self._again[_reference(row, kind)] = (rendered, at)

    def finish(self) -> list[Row]:
        """Give all rows, with autoscalers' ranges and without what is counted with its owner."""
        for target, extent in self._ranges.items():
            if target in self._again:
                manifest, at = self._again[target]
                kind = self.known.of(manifest)
                if kind is not None:
                    self.rows[at] = self._row(manifest, kind, extent)
        for manifest, at in self._trainings:
            kind = self.known.of(manifest)
            if kind is not None:
                self.rows[at] = self._row(
                    manifest, kind, runtime=self._runtime(self.rows[at], manifest)
                )
                self._note(manifest, self.rows[at])
        there = {
            (_kind_name(row.api_version, row.kind), row.namespace, row.name) for row in self.rows
        }
        return [row for row in self.rows if row.owner not in there]

    def report(self) -> None:
        """Say on stderr what there is to say; raise where something was refused."""
        for warning in self.warnings:
            click.echo(f"Warning: {warning}", err=True)
        if self.refusals:
            raise Refused(
                tuple(self.refusals),
                hint="nothing was printed; `kubectl ml classes` and `kubectl ml sources` "
                "list what can be named",
            )

    def check(self) -> None:
        """Raise where an object couldn't be counted, after the others were printed."""
        if self.unusable:
            raise Refused(tuple(self.unusable), hint="these weren't counted; all others were")

    def _note(self, manifest: Manifest, row: Row) -> None:
        for note in row.demand.notes:
            self.warnings[f"{objects.title(manifest)}: {note}"] = None

    def _runtime(self, row: Row, manifest: Manifest) -> Manifest | None:
        """Find the runtime of a TrainJob among the documents."""
        kind, name = trainings.runtime_of(manifest)
        namespace = "" if kind == trainings.RUNTIMES[0] else row.namespace
        return self._runtimes.get((f"{kind}.{trainings.GROUP}", namespace, name))

    def _rendered(self, manifest: Manifest, source: str) -> Manifest:
        request = objects.request(manifest, namespace=self.namespace, user=self.facts.user)
        decision = engine.render(request, self.policies, self.facts)
        for one in decision.violations:
            if one.code == 422:
                sentence = f"{objects.title(manifest)}: {one.policy}: {one.message}"
                self.refusals[": ".join(filter(None, [source, sentence]))] = None
        rendered: Manifest = decision.object
        return rendered

    def _row(
        self,
        manifest: Manifest,
        kind: Kind,
        extent: Range | None = None,
        *,
        runtime: Manifest | None = None,
    ) -> Row:
        metadata = manifest.get("metadata") or {}
        name = metadata.get("name") or f"{metadata.get('generateName') or ''}*"
        classes = self.policies.accelerators
        found = demand.of(manifest, kind, self.known, classes, range_of=extent, runtime=runtime)
        return Row(
            api_version=manifest["apiVersion"],
            kind=manifest["kind"],
            namespace="" if kind.cluster_scoped else self._namespace_of(metadata),
            name=name,
            demand=self._seen.setdefault(_content(found), found),
            owner=self._owner(metadata),
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
        else:
            return
        name = _kind_name(
            str(target.get("apiVersion") or "apps/v1"), str(target.get("kind") or "Deployment")
        )
        metadata = manifest.get("metadata") or {}
        where = (name, self._namespace_of(metadata), str(target.get("name")))
        self._ranges[where] = Range(least, max(least, most))


def _content(found: Demand) -> Any:
    """Write out what makes two demands the same."""
    return (
        found.notes,
        tuple(
            (role.name, role.range, *map(_figures, (role.steady, role.peak)), *role.classes.items())
            for role in found.roles
        ),
        *map(_figures, (found.steady, found.peak)),
        tuple(tuple(role.request.amounts.values.items()) for role in found.roles),
    )


def _figures(share: Share) -> Any:
    return share.pods, tuple(share.amounts.values.items()), frozenset(share.endless)


def _number(spec: Any, member: str, default: int) -> int:
    found = whole(lookup(spec, (member,)))
    return default if found is None else found


def _kind_name(api_version: str, kind: str) -> str:
    group, slash, _ = api_version.partition("/")
    return f"{kind}.{group}" if slash else kind


def _reference(row: Row, kind: Kind) -> Reference:
    return kind.name, row.namespace, row.name


def total(rows: list[Row]) -> tuple[Share, Share]:
    """Add up all rows: steady and peak."""
    steady, peak = Share(), Share()
    for row in rows:
        steady.add(row.demand.steady)
        peak.add(row.demand.peak)
    return steady, peak
