"""
The catalogue against the schemas of the systems it describes, in a folder beside the checkout.

Every node of a schema that is shaped like a pod spec or a container is one that the catalogue
finds, or is listed in testdata/exceptions.yaml with the reason; and every path of the catalogue is
in the schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies.workloads import catalogue, scaling
from policies.workloads.catalogue import Kind
from policies.workloads.paths import WILDCARD

CRDS = Path(__file__).parents[3].parent / "shared" / "crds"
EXCEPTIONS = Path(__file__).parent / "testdata" / "exceptions.yaml"
pytestmark = pytest.mark.skipif(
    not CRDS.is_dir(), reason=f"no CRDs beside the checkout (looked in ../{CRDS.parent.name})"
)

Steps = tuple[str, ...]
CONTAINER = {"image", "command", "args", "env", "resources"}
MAX_DEPTH = 14


@lru_cache(maxsize=1)
def schemas() -> dict[tuple[str, str], dict[str, Any]]:
    """Give the schema of every served version: (KIND.GROUP, version)."""
    found = {}
    for file in sorted(CRDS.glob("*.json")):
        crd = json.loads(file.read_text())
        spec = crd["spec"]
        name = f"{spec['names']['kind']}.{spec['group']}"
        for version in spec["versions"]:
            schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
            if version.get("served", True):
                found[name, version["name"]] = schema
    return found


def nodes(schema: Any, at: Steps = ()) -> Iterator[tuple[Steps, str]]:
    """Find the nodes shaped like a pod spec or a container; `*` is any member or element."""
    if not isinstance(schema, dict) or len(at) > MAX_DEPTH:
        return
    properties = schema.get("properties")
    if isinstance(properties, dict):
        if is_pod_spec(properties):
            yield at, "pod spec"
            return  # what lies in it is the pod's
        if len(CONTAINER & properties.keys()) >= 4:
            yield at, "container"
            return
        for name, member in properties.items():
            if at or name not in ("status", "metadata"):
                yield from nodes(member, (*at, name))
    for member in ("items", "additionalProperties"):
        yield from nodes(schema.get(member), (*at, WILDCARD))


def is_pod_spec(properties: dict[str, Any]) -> bool:
    containers = properties.get("containers")
    items = containers.get("items") if isinstance(containers, dict) else None
    inner = (items or {}).get("properties") or {}
    return len(CONTAINER & inner.keys()) >= 4


def known(kind: Kind, at: Steps, shape: str) -> bool:
    """Tell whether the catalogue finds this node, or what holds it."""
    for role in kind.roles:
        pod_spec = tuple(step for step in plain(role.pod_spec))
        if role.container and at == plain(role.container.resources[:-1]):
            return True
        if len(at) >= len(pod_spec) and all(map(is_step, at, pod_spec)):
            rest = at[len(pod_spec) :]
            members = {(one,) for one in role.inline} | {(*one, WILDCARD) for one in role.lists}
            members |= {("initContainers", WILDCARD), ("sidecars", WILDCARD), ("template", "spec")}
            members |= {one[:1] for one in role.lists}
            members |= {("containerSpec",), ("script",), ("mainContainer",)}
            if not rest or rest in members or role.flat:
                return True
    return any(at[: len(one.path)] == plain(one.path) for one in kind.embedded)


def is_step(step: str, wanted: str) -> bool:
    """Tell whether a step is meant: a name the catalogue has may be any member's to the schema."""
    return step in (wanted, WILDCARD)


def plain(path: Any) -> Steps:
    """Write `[key=value]` as any element."""
    return tuple(WILDCARD if isinstance(step, tuple) else step for step in path)


def exceptions() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = yaml.safe_load(EXCEPTIONS.read_text())
    return found


def unknown_nodes() -> list[str]:
    listed = exceptions()
    missing = set()
    for (name, _version), schema in schemas().items():
        kind = catalogue.builtin().named(name)
        for at, shape in nodes(schema):
            text = ".".join(at)
            if kind is not None and known(kind, at, shape):
                continue
            if any(text == one or text.startswith(f"{one}.") for one in listed.get(name, {})):
                continue
            missing.add(f"{name}: {text} ({shape})")
    return sorted(missing)


def test_every_pod_spec_and_container_of_every_schema_is_known_or_listed_with_a_reason() -> None:
    assert unknown_nodes() == []


def test_every_exception_is_still_needed() -> None:
    there: dict[str, set[str]] = {}
    for (name, _), schema in schemas().items():
        there.setdefault(name, set()).update(".".join(at) for at, _ in nodes(schema))
    stale = [
        f"{name}: {at}"
        for name, listed in exceptions().items()
        for at, reason in listed.items()
        if not reason
        or not any(one == at or one.startswith(f"{at}.") for one in there.get(name, ()))
    ]

    assert stale == []


def resolves(schema: Any, path: Any) -> str:
    """Tell where a path leaves a schema; empty: it is in it, or below what has none."""
    node = schema
    for index, step in enumerate(path):
        if not isinstance(node, dict) or node.get("x-kubernetes-preserve-unknown-fields"):
            return ""
        if not (node.keys() & {"properties", "items", "additionalProperties"}):
            return ""  # an object of which the schema says nothing
        properties = node.get("properties") or {}
        if isinstance(step, tuple) or step == WILDCARD:
            node = node.get("items") or node.get("additionalProperties")
        elif isinstance(node.get("additionalProperties"), dict) and step not in properties:
            node = node["additionalProperties"]
        else:
            node = properties.get(step)
        if node is None:
            return ".".join(map(str, path[: index + 1]))
    return ""


@pytest.mark.parametrize("kind", catalogue.builtin().kinds.values(), ids=lambda kind: kind.name)
def test_every_path_is_in_the_schema_of_some_served_version(kind: Kind) -> None:
    found = {version: schema for (name, version), schema in schemas().items() if name == kind.name}
    if not found:
        pytest.skip("its CRD isn't there")
    for role in kind.roles:
        for path in (role.pod_spec, role.metadata):
            if path and path[0] != "metadata":
                failures = [resolves(schema, path) for schema in found.values()]
                assert "" in failures or role.unless or role.only, failures


def test_versions_and_plurals_are_those_of_the_crds() -> None:
    for file in sorted(CRDS.glob("*.json")):
        spec = json.loads(file.read_text())["spec"]
        kind = catalogue.builtin().find(spec["group"], spec["names"]["kind"])
        if kind is not None:
            served = {one["name"] for one in spec["versions"] if one.get("served", True)}
            assert kind.plural == spec["names"]["plural"], file.name
            assert served <= set(kind.versions), file.name
            assert kind.cluster_scoped == (spec["scope"] == "Cluster"), file.name
            assert not kind.scale or any(
                "scale" in (one.get("subresources") or {}) for one in spec["versions"]
            ), file.name


def test_autoscalers_write_the_field_that_the_scale_subresource_does() -> None:
    for file in sorted(CRDS.glob("*.json")):
        spec = json.loads(file.read_text())["spec"]
        kind = catalogue.builtin().find(spec["group"], spec["names"]["kind"])
        for version in spec["versions"]:
            scale = (version.get("subresources") or {}).get("scale")
            if kind is not None and kind.scale and scale:
                assert "." + ".".join(map(str, scaling.path(kind))) == scale["specReplicasPath"]
