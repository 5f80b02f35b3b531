"""
Kinds whose CRD has another field in each of its generations, in one and the same version.

    served(builtin(), {("TrainJob.trainer.kubeflow.org", "podTemplateOverrides")})
    -> the catalogue for a cluster with Kubeflow's Trainer 2.1

Where the cluster isn't known, the field that an object has says it, for its API server would have
dropped another's; without one, the newest is meant.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from policies.patch import lookup
from policies.workloads.catalogue import Catalogue, Kind, assemble, builtin
from policies.workloads.locate import Template

GROUPS = frozenset({"trainer.kubeflow.org"})  # that have such kinds


@lru_cache(maxsize=8)
def served(known: Catalogue, fields: frozenset[tuple[str, str]]) -> Catalogue:
    """Give the catalogue for a cluster whose kinds have these fields."""
    chosen = dict(fields)
    return assemble(
        of_field(kind, chosen[kind.name]) if chosen.get(kind.name) in kind.generations else kind
        for kind in known.kinds.values()
    )


def of_field(kind: Kind, field: str) -> Kind:
    """Give a kind as it is where `field` is served; what stands in another is dropped there."""
    roles = [
        replace(
            role, unless=(), only=tuple(one for one in role.only if one.path != ("spec", field))
        )
        if role.generation
        else role
        for role in kind.roles
        if role.generation in ("", field)
    ]
    return replace(kind, roles=tuple(roles))


def shown(obj: Any, templates: Iterable[Template]) -> frozenset[tuple[str, str]]:
    """Tell by the templates of an object which field the cluster has that it comes from."""
    return frozenset(
        (one.kind.name, one.definition.generation)
        for one in templates
        if lookup(obj, (*one.base, "spec", one.definition.generation)) is not None
    )


# --- reading a cluster's OpenAPI ---------------------------------------------------------------


def documents(index: Any) -> dict[str, str]:
    """
    Tell by kind where the API server's index (`/openapi/v3`) says that its schema is.

    A URL changes whenever what it gives does.
    """
    listed = lookup(index, ("paths",))
    found: dict[str, str] = {}
    for kind in builtin().kinds.values():
        for version in kind.versions if kind.generations else ():
            url = lookup(listed, (f"apis/{kind.group}/{version}", "serverRelativeURL"))
            if isinstance(url, str):
                found.setdefault(kind.name, url)
    return found


def field_of(document: Any, name: str) -> str:
    """Tell which of a kind's fields the schema in an OpenAPI document has; empty: none of them."""
    kind = builtin().named(name)
    schemas = lookup(document, ("components", "schemas"))
    if kind is None or not isinstance(schemas, dict):
        return ""
    for schema in schemas.values():
        named = lookup(schema, ("x-kubernetes-group-version-kind", 0))
        if (lookup(named, ("group",)), lookup(named, ("kind",))) == (kind.group, kind.kind):
            has = lookup(schema, ("properties", "spec", "properties"))
            return next((one for one in kind.generations if lookup(has, (one,)) is not None), "")
    return ""
