"""The catalogue of workload kinds, read from `catalogue.yaml` into frozen values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path as File
from typing import Any

import yaml

from policies.patch import Path, Step

WILDCARD = "*"
_SELECTED = re.compile(r"^([^\[]*)\[([^=\]]+)=([^\]]+)\]$")


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class ContainerOverrides:
    """A container that an object speaks of without holding it, and where it does so."""

    name: str
    resources: Path
    env: Path


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Role:
    """One role of a kind, such as the workers of an MPIJob; `*` names it after its template."""

    name: str
    pod_spec: Path
    metadata: Path | None  # None: the pods' metadata can't be reached from here
    compute: bool = False
    primary: str = ""
    inline: tuple[str, ...] = ()
    pod_labels: Mapping[str, str] = field(default_factory=dict)  # value `*`: any
    container: ContainerOverrides | None = None


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Kind:
    """One workload kind: `kind` and `group`, its roles, and how its operator treats it."""

    kind: str
    group: str
    versions: tuple[str, ...]
    plural: str
    roles: tuple[Role, ...]
    scale: bool = False
    pod_owner: str = ""  # KIND.GROUP
    finishes: bool = False
    immutable: bool = False
    early: frozenset[str] = frozenset()
    counted: frozenset[str] = frozenset()
    queue: str = "object"
    uses: frozenset[str] = frozenset()
    autoscaling: str = ""
    propagates: bool = False  # its operator copies the annotations of the object to its pods
    accepts: frozenset[str] | None = None
    rejects: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The kind as policies write it: `Job.batch`, `Pod`."""
        return f"{self.kind}.{self.group}" if self.group else self.kind


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Catalogue:
    """Kinds by (group, kind), their groups, and the roles that pods are known by."""

    kinds: Mapping[tuple[str, str], Kind]
    groups: frozenset[str]
    pod_roles: Mapping[str, tuple[tuple[Kind, Role], ...]]  # with pod_labels, by the pods' owner

    def find(self, group: str, kind: str) -> Kind | None:
        """Find a kind; None where the catalogue doesn't know it."""
        return self.kinds.get((group, kind))


@lru_cache(maxsize=1)
def builtin() -> Catalogue:
    """Read the catalogue that comes with the engine."""
    text = File(__file__).with_name("catalogue.yaml").read_text("utf-8")
    return assemble([kind(entry) for entry in yaml.load(text, Loader=yaml.CSafeLoader)])


def assemble(kinds: list[Kind]) -> Catalogue:
    """Index kinds."""
    pod_roles: dict[str, tuple[tuple[Kind, Role], ...]] = {}
    for item in kinds:
        marked = tuple((item, role) for role in item.roles if role.pod_labels)
        for owner in {item.name, item.pod_owner} if marked else ():
            pod_roles[owner] = pod_roles.get(owner, ()) + marked
    return Catalogue(
        kinds={(item.group, item.kind): item for item in kinds},
        groups=frozenset(item.group for item in kinds if item.kind != "Pod"),
        pod_roles=pod_roles,
    )


def path(text: str) -> Path:
    """Read `spec.jobs.*.template` and `spec.patches[manager=x].spec` as a path."""
    steps: list[Step] = []
    # Dots inside [key=value] are part of the value.
    for part in re.findall(r"[^.\[]*\[[^\]]*\]|[^.]+", text.removeprefix("$").removeprefix(".")):
        selected = _SELECTED.match(part)
        if selected:
            steps += [selected.group(1), (selected.group(2), selected.group(3))]
        else:
            steps.append(part)
    return tuple(steps)


def kind(entry: Mapping[str, Any]) -> Kind:
    """Read one entry of the catalogue."""
    name, _, group = entry["kind"].partition(".")
    return Kind(
        kind=name,
        group=group,
        versions=tuple(entry["versions"]),
        plural=entry["plural"],
        roles=tuple(_role(item) for item in entry["roles"]),
        scale=entry.get("scale", False),
        pod_owner=entry.get("podOwner", ""),
        finishes=entry.get("finishes", False),
        immutable=entry.get("immutable", False),
        early=frozenset(entry.get("early", ())),
        counted=frozenset(entry.get("counted", ())),
        queue=entry.get("queue", "object"),
        uses=frozenset(entry.get("uses", ())),
        autoscaling=entry.get("autoscaling", ""),
        propagates=entry.get("propagates", False),
        accepts=frozenset(entry["accepts"]) if "accepts" in entry else None,
        rejects=frozenset(entry.get("rejects", ())),
    )


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
        inline=tuple(entry.get("inline", ())),
        pod_labels=entry.get("podLabels", {}),
        container=ContainerOverrides(
            name=container["name"],
            resources=path(container["resources"]),
            env=path(container["env"]),
        )
        if container
        else None,
    )
