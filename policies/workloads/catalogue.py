"""
The catalogue of workload kinds, read into frozen values.

It is written in `catalogue.yaml`; `make generate` makes `catalogue.json` of it, which every start
reads in a fortieth of the time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path as File
from typing import Any

from policies.model import PolicySet
from policies.patch import Path, lookup
from policies.workloads.paths import each, path
from policies.workloads.written_counts import Count, PathCount, count, path_count

SOURCE = File(__file__).with_name("catalogue.yaml")
MADE = SOURCE.with_suffix(".json")


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class ContainerOverrides:
    """A container that an object speaks of without holding it, and where it does so."""

    name: str
    resources: Path
    env: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What holds of an object: a value at a path; `values` empty: anything but null is there."""

    path: Path  # may have wildcards
    values: tuple[Any, ...] = ()
    differs: bool = False  # none of the values may be there
    always: bool = False

    def holds(self, obj: Any) -> bool:
        """Tell whether it holds of `obj`."""
        if self.always:
            return True
        found = [value for value in each(obj, self.path) if value is not None]
        if self.differs:
            return not any(value in self.values for value in found)
        return any(value in self.values for value in found) if self.values else bool(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """Where a kind holds other objects, or strings that do."""

    path: Path  # may have wildcards
    format: str  # object, json, yaml, text
    what: str
    kind: str = ""  # KIND.GROUP of an object that doesn't say


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Role:
    """One role of a kind, such as the workers of an MPIJob; `*` names it after its template."""

    name: str
    pod_spec: Path
    metadata: Path | None  # None: the pods' metadata can't be reached from here
    compute: bool = False
    primary: str = ""
    adds: bool = False  # without containers, the operator merges its own with one named `primary`
    implied: bool = False  # its pods are made without its template, too
    inline: tuple[str, ...] = ()
    lists: tuple[Path, ...] = ()
    flat: bool = False
    needs: tuple[str, ...] = ()
    unless: tuple[Path, ...] = ()
    only: tuple[Condition, ...] = ()  # of the element that the last wildcard met, else the object
    pod_labels: Mapping[str, str] = field(default_factory=dict)  # value `*`: any
    container: ContainerOverrides | None = None
    replicas: Count = 1
    min_replicas: Count | None = None
    max_replicas: Count | None = None
    unbounded: bool = False
    surge: tuple[PathCount, str] | None = None
    rejects: frozenset[str] = frozenset()
    resources: Mapping[str, str] = field(default_factory=dict)  # a version's name for them
    generation: str = ""  # the field of the object's spec that it is in; one of its kind's
    early: bool = False  # all goes in early, for nothing travels to its pods
    text: str = ""  # the path as it was written


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Kind:
    """One workload kind: `kind` and `group`, its roles, and how its operator treats it."""

    kind: str
    group: str
    versions: tuple[str, ...]
    plural: str
    roles: tuple[Role, ...]
    category: str = ""
    cluster_scoped: bool = False
    mutate: bool = True
    scale: bool = False
    pod_owner: str = ""  # KIND.GROUP
    finishes: bool = False
    immutable: bool = False
    early: frozenset[str] = frozenset()
    early_where: Condition | None = None  # where it holds, all goes in early
    counted: frozenset[str] = frozenset()
    queue: str = "object"
    uses: frozenset[str] = frozenset()
    autoscaling: str = ""
    propagates: bool = False  # its operator copies the annotations of the object to its pods
    accepts: frozenset[str] | None = None
    rejects: frozenset[str] = frozenset()
    rejects_unless: Condition | None = None
    managed_by: Path = ()
    own_controller: frozenset[str] = frozenset()
    suspend: Condition | None = None
    no_pods: Condition | None = None
    no_pods_why: str = ""
    template: bool = False
    generations: tuple[str, ...] = ()  # fields of which a cluster has one, the newest first
    counter: str = ""
    embedded: tuple[Embedded, ...] = ()
    source: str = ""  # the WorkloadKind that it comes from; empty: built in

    @property
    def name(self) -> str:
        """The kind as policies write it: `Job.batch`, `Pod`."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    def makes_no_pods(self, obj: Any) -> bool:
        """Tell whether an object's templates, if it has any, never become pods of its own."""
        return self.no_pods is not None and self.no_pods.holds(obj)

    def is_ours(self, obj: Any) -> bool:
        """Tell whether this cluster's own controller makes an object's pods."""
        if not self.managed_by:
            return True
        manager = lookup(obj, self.managed_by)
        return not manager or manager in self.own_controller


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Catalogue:
    """Kinds by (group, kind), their groups, and the roles that pods are known by."""

    kinds: Mapping[tuple[str, str], Kind]
    groups: frozenset[str]
    pod_roles: Mapping[str, tuple[tuple[Kind, Role], ...]]  # with pod_labels, by the pods' owner

    def find(self, group: str, kind: str) -> Kind | None:
        """Find a kind; None where the catalogue doesn't know it."""
        return self.kinds.get((group, kind))

    def named(self, name: str) -> Kind | None:
        """Find a kind by `KIND.GROUP`."""
        kind, _, group = name.partition(".")
        return self.kinds.get((group, kind))

    def of(self, obj: Any) -> Kind | None:
        """Find the kind of a whole object; None where it is none, or not known."""
        if not isinstance(obj, dict):
            return None
        api_version, kind = obj.get("apiVersion"), obj.get("kind")
        if not isinstance(api_version, str) or not isinstance(kind, str):
            return None
        group, slash, _ = api_version.partition("/")
        return self.kinds.get((group if slash else "", kind))


@lru_cache(maxsize=1)
def builtin() -> Catalogue:
    """Read the catalogue that comes with the engine."""
    entries = {one["kind"]: one for one in json.loads(MADE.read_text("utf-8"))}
    return assemble([kind(_derived(entry, entries)) for entry in entries.values()])


@lru_cache(maxsize=8)
def of(policies: PolicySet) -> Catalogue:
    """Give the built-in catalogue with a set's own kinds; one that it has already is replaced."""
    if not policies.workload_kinds:
        return builtin()
    known = dict(builtin().kinds)
    for one in policies.workload_kinds:
        made = kind(one.entry, source=one.name)
        known[made.group, made.kind] = made
    return assemble(known.values())


def assemble(kinds: Iterable[Kind]) -> Catalogue:
    """Index kinds."""
    kinds = list(kinds)
    pod_roles: dict[str, tuple[tuple[Kind, Role], ...]] = {}
    for item in kinds:
        roles = sorted(item.roles, key=lambda role: -len(role.pod_labels))  # who says most first
        marked = tuple((item, role) for role in roles if role.pod_labels)
        for owner in sorted({item.name, item.pod_owner or item.name}) if marked else ():
            pod_roles[owner] = pod_roles.get(owner, ()) + marked
    return Catalogue(
        kinds={(item.group, item.kind): item for item in kinds},
        groups=frozenset(item.group for item in kinds if item.kind != "Pod"),
        pod_roles=pod_roles,
    )


# --- reading -------------------------------------------------------------------------------


def kind(entry: Mapping[str, Any], *, source: str = "") -> Kind:
    """Read one entry of the catalogue, or the spec of a WorkloadKind with `kind` as KIND.GROUP."""
    name, _, group = entry["kind"].partition(".")
    return Kind(
        kind=name,
        group=group,
        versions=tuple(entry["versions"]),
        plural=entry["plural"],
        roles=tuple(_role(item) for item in entry["roles"]),
        category=entry.get("category", ""),
        cluster_scoped=entry.get("scope") == "Cluster",
        mutate=entry.get("mutate", True),
        scale=entry.get("scale", False),
        pod_owner=entry.get("podOwner", ""),
        finishes=entry.get("finishes", False),
        immutable=entry.get("immutable", False),
        early=frozenset(entry.get("early", ())),
        early_where=_condition(entry.get("earlyWhere")),
        counted=frozenset(entry.get("counted", ())),
        queue=entry.get("queue", "object"),
        uses=frozenset(entry.get("uses", ())),
        autoscaling=entry.get("autoscaling", ""),
        propagates=entry.get("propagates", False),
        accepts=frozenset(entry["accepts"]) if "accepts" in entry else None,
        rejects=frozenset(entry.get("rejects", ())),
        rejects_unless=_condition(entry.get("rejectsUnless")),
        managed_by=path(entry.get("managedBy", "")),
        own_controller=frozenset(entry.get("ownController", ())),
        suspend=_condition(entry.get("suspend")),
        no_pods=_condition(entry.get("noPods")),
        no_pods_why=entry.get("noPodsWhy", ""),
        template=entry.get("template", False),
        generations=tuple(entry.get("generations", ())),
        counter=entry.get("counter", ""),
        embedded=tuple(_embedded(item) for item in entry.get("embedded", ())),
        source=source,
    )


def _derived(entry: dict[str, Any], entries: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Fill in what an entry has from the one that it is like, below other members."""
    if "like" not in entry:
        return entry
    model, under = entries[entry["like"]], entry.get("under", {})
    roles = [{**role, **_moved(role, under)} for role in model["roles"]]
    embedded = [{**one, **_moved(one, under)} for one in model.get("embedded", ())]
    return {
        **{key: model[key] for key in ("accepts", "rejects") if key in model},
        **entry,
        "roles": roles,
        "embedded": [*embedded, *entry.get("embedded", ())],
    }


def _moved(value: Mapping[str, Any], under: Mapping[str, str]) -> dict[str, Any]:
    moved = {}
    for member in ("podSpec", "metadata", "template", "path"):
        text = value.get(member)
        for old, new in under.items():
            if isinstance(text, str) and text.startswith(f"{old}."):
                moved[member] = new + text[len(old) :]
    return moved


def _role(entry: Mapping[str, Any]) -> Role:
    metadata: Path | None = None
    if "template" in entry:
        template = path(entry["template"])
        pod_spec, metadata = (*template, "spec"), (*template, "metadata")
    else:
        pod_spec = path(entry["podSpec"])
        if "metadata" in entry:
            metadata = path(entry["metadata"])
    container = entry.get("container")
    return Role(
        name=entry["name"],
        pod_spec=pod_spec,
        metadata=metadata,
        compute=entry.get("compute", False),
        primary=entry.get("primary", ""),
        adds=entry.get("adds", False),
        implied=entry.get("implied", False),
        inline=tuple(entry.get("inline", ())),
        lists=tuple(path(one) for one in entry.get("lists", ())),
        flat=entry.get("flat", False),
        needs=tuple(entry.get("needs", ())),
        unless=tuple(path(one) for one in entry.get("unless", ())),
        only=_conditions(entry.get("only", ())),
        rejects=frozenset(entry.get("rejects", ())),
        resources=entry.get("resources", {}),
        generation=entry.get("generation", ""),
        early=entry.get("early", False),
        pod_labels=entry.get("podLabels", {}),
        container=ContainerOverrides(
            name=container["name"],
            resources=path(container["resources"]),
            env=path(container["env"]),
        )
        if container
        else None,
        replicas=count(entry.get("replicas", 1)),
        min_replicas=count(entry["minReplicas"]) if "minReplicas" in entry else None,
        max_replicas=count(entry["maxReplicas"]) if "maxReplicas" in entry else None,
        unbounded=entry.get("unbounded", False),
        surge=_surge(entry.get("surge")),
        text=entry.get("template") or entry["podSpec"],
    )


def _surge(entry: Any) -> tuple[PathCount, str] | None:
    if entry is None:
        return None
    return path_count(entry["path"]), str(entry.get("default", 0))


def _condition(entry: Any) -> Condition | None:
    if entry is None or entry is False:
        return None
    if entry is True:
        return Condition(path=(), always=True)
    if isinstance(entry, str):
        return Condition(path=path(entry), values=(True,))
    named = next((one for one in ("annotation", "label") if one in entry), "")
    at: Path = ("metadata", f"{named}s", entry[named]) if named else path(entry["path"])
    differs = "differs" in entry
    values = entry["differs"] if differs else entry.get("equals", [])
    values = tuple(values) if isinstance(values, list) else (values,)
    return Condition(path=at, values=values, differs=differs)


def _conditions(entries: Any) -> tuple[Condition, ...]:
    listed = entries if isinstance(entries, (list, tuple)) else [entries]
    return tuple(found for one in listed if (found := _condition(one)) is not None)


def _embedded(entry: Mapping[str, Any]) -> Embedded:
    return Embedded(
        path=path(entry["path"]),
        format=entry["format"],
        what=entry.get("what", ""),
        kind=entry.get("kind", ""),
    )
