"""
What is wrong with a data source that a schema can't say.

A NamespacedDataSource is written by who leads a namespace, not by an admin: it can name only what
its namespace holds, so that a mount reaches nothing that a manifest there couldn't.

    {kind: NamespacedDataSource, spec: {hostPath: /data}}  ->  spec.hostPath, a sentence
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from policies import objects, sentences, twice
from policies.inject.fetching import IMAGE
from policies.inject.places import PLACEHOLDER
from policies.inject.sources import WITHOUT_REVISIONS
from policies.inject.volume_types import GCS_FUSE

Found: TypeAlias = tuple[sentences.Path, str]  # where in the spec, and a sentence

_SCHEMA_REQUIRES = ("nfs", "hostPath", "csi")
_BUCKETS = ("s3", "gcs")
_FETCHES = {"s3": ("Init", "CSI", "Fluid"), "gcs": ("Init", "CSI", "Fluid"), "hf": ("Init",)}
_OF_DRIVERS = ("driver", "volumeAttributes")
_A_CLAIM = "name a claim (claimName)"
_AN_ADMIN = "ask an admin for a DataSource"
# What a namespace doesn't hold: the node's own, servers of the network, whatever a driver reaches.
_OF_ADMINS: dict[sentences.Path, str] = {
    ("hostPath",): f"a directory of a node is not of the namespace; {_AN_ADMIN}",
    ("nfs",): f"a server of the network is not of the namespace; {_AN_ADMIN}",
    ("csi",): f"a volume of a driver is not of the namespace; {_AN_ADMIN}",
    ("s3", "driver"): f"a driver is not of the namespace; {_A_CLAIM}",
    ("gcs", "driver"): f"a driver is not of the namespace; {_A_CLAIM}",
    ("cache", "hostPath"): f"a directory of a node is not of the namespace; {_A_CLAIM}",
    ("cache", "shared"): "a namespace shares with no other; take it out",
    ("namespaces",): "a NamespacedDataSource is for its own namespace alone; take it out",
}


def of(document: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[Found]:
    """Find what is wrong with a source of the cluster or of a namespace."""
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    yield from twice.of(spec)
    for kind, (default, needed) in objects.SOURCE_TYPES.items():
        if kind not in spec:
            continue
        value = spec[kind]
        missing = isinstance(value, dict | None) and not objects.parameters(kind, value).get(needed)
        if needed and name != default and missing and kind not in _SCHEMA_REQUIRES:
            hint = f' (only the library\'s "{default}" goes without)' if default else ""
            yield (kind,), f'"{needed}" is missing{hint}; add it'
        yield from _fetch(kind, value, spec)
        yield from _revision(kind, value, spec)


def of_namespaced(document: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[Found]:
    """Find what is wrong with a source of a namespace: that it reaches out of it, besides."""
    yield from of(document, spec)
    for path, message in _OF_ADMINS.items():
        value: Any = spec
        for member in path:
            value = value.get(member) if isinstance(value, dict) else None
        if value is not None:
            yield path, message
    gcs = spec.get("gcs", 0)
    if spec.get("fetch") == "CSI" and gcs != 0 and not _says(gcs, "claimName"):
        message = f'"CSI" is a volume of {GCS_FUSE}, not of the namespace; name a claim (claimName)'
        yield ("fetch",), message


def _fetch(kind: str, value: Any, spec: Mapping[str, Any]) -> Iterator[Found]:
    how, ways = spec.get("fetch"), _FETCHES.get(kind, ("Fluid",) if kind == "fluid" else ())
    if isinstance(how, str) and how not in ways:
        fix = f"write {' or '.join(ways)}" if ways else "take it out"
        yield ("fetch",), f'"{how}" is no way to get data from {kind}; {fix}'
    for field in (*_OF_DRIVERS, "claimName"):
        if kind in _BUCKETS and _says(value, field) and how != "CSI":
            yield (kind, field), "it is for fetch: CSI; write that too, or take it out"
    driver = value.get("driver") if isinstance(value, dict) and kind in _BUCKETS else None
    if driver and driver != GCS_FUSE and not _says(value, "volumeAttributes"):
        message = f'"volumeAttributes" is missing, which tell {driver} its bucket; add it'
        yield (kind,), message
    for field in ("cache", "image", "command"):
        if spec.get(field) and (kind not in _FETCHES or how in ("CSI", "Fluid")):
            yield (field,), "nothing is fetched by an init container here; take it out"
    image = spec.get("image")
    if spec.get("cache") and image and not spec.get("command") and not _alike(image):
        message = f'"command" is missing, which fetches in {image}; add it'
        yield (), message


def _revision(kind: str, value: Any, spec: Mapping[str, Any]) -> Iterator[Found]:
    members = value if isinstance(value, dict) else {"": value}
    holds = any(isinstance(one, str) and PLACEHOLDER in one for one in members.values())
    if kind in WITHOUT_REVISIONS and "revision" in spec:
        yield ("revision",), f"a {kind} has no revisions; take it out"
    if kind in WITHOUT_REVISIONS and holds:
        yield (kind,), f"{PLACEHOLDER} stands for a revision, which a {kind} hasn't; take it out"


def _alike(image: Any) -> bool:
    """Tell whether an image is the library's, at any version and from any registry."""
    own = IMAGE.partition(":")[0].rpartition("/")[2]
    return isinstance(image, str) and own in image.rpartition("/")[2]


def _says(value: Any, member: str) -> bool:
    return isinstance(value, dict) and member in value
