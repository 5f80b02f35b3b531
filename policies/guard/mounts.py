"""
Which data pods may mount, and in which namespaces: `checks.mounts`.

    mounts: {sources: [imagenet, "s3://datasets/*", {name: "pvc://*", namespaces: [team-*]}]}

Judges what the intent `mounts` names, as it is written, and the pod's own volumes as a URI would
name them: `pvc://CLAIM`, `hostPath:///DIRECTORY`, `nfs://SERVER/PATH`, `csi://DRIVER`,
`oci://IMAGE`, `configmap://NAME`, `secret://NAME`. A pod's scratch space and the ConfigMaps and
Secrets of its namespace need no leave, but may be denied. Volumes that mounts and policies bring
are not judged again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from policies.guard import lists
from policies.guard.containers import at, items
from policies.guard.lists import Lists
from policies.guard.subject import Check, Given, Subject
from policies.model import Manifest

_INTENT = "kubectl-ml.io/mounts"
# Volumes that reach nothing beyond the pod and its namespace's own ConfigMaps and Secrets.
_OWN = frozenset({"emptyDir", "configMap", "secret", "projected", "downwardAPI"})
_NAMED = {
    "persistentVolumeClaim": ("pvc", "claimName"),
    "hostPath": ("hostPath", "path"),
    "csi": ("csi", "driver"),
    "image": ("oci", "reference"),
    "configMap": ("configmap", "name"),
    "secret": ("secret", "secretName"),
}
_TYPES = {"pvc": "persistentVolumeClaim", "configmap": "configMap"}


def compiled(check: Mapping[str, Any]) -> Check:
    """Make the check ready."""
    sources = lists.read(check, "sources")
    types = lists.read({"types": check.get("volumes")}, "types")

    def judge(subject: Subject) -> Iterator[str]:
        for mount in subject.intents.mounts:
            names = (mount.written, mount.source if not mount.scheme else mount.written)
            if why := sources.refusal(subject.target, *names):
                yield f'source "{mount.written}" of {_INTENT} {why}'
        given = subject.given()
        for volume in items(subject.spec, "volumes"):
            if not _is_given(volume, given):
                yield from _of_volume(sources, types, volume, subject)

    return judge


def _is_given(volume: Manifest, given: Given) -> bool:
    return volume in given.named or _bare(volume) in given.volumes


def _bare(volume: Manifest) -> Manifest:
    return {key: value for key, value in volume.items() if key != "name"}


def _of_volume(sources: Lists, types: Lists, volume: Manifest, subject: Subject) -> Iterator[str]:
    kind = next((key for key in volume if key != "name"), "emptyDir")
    name, uri = volume.get("name", ""), _uri(kind, volume)
    spellings = [kind, *(short for short, long in _TYPES.items() if long == kind)]
    if why := types.refusal(subject.target, *spellings):
        yield f'volume "{name}" is of type {kind}, which {why}'
    known = Lists(allow=None, deny=sources.deny) if kind in _OWN else sources
    if why := known.refusal(subject.target, uri, uri.replace("hostPath:", "hostpath:")):
        yield f'volume "{name}" mounts "{uri}", which {why}'


def _uri(kind: str, volume: Manifest) -> str:
    """Name what a volume mounts as a source would be named."""
    if kind == "nfs":
        server, path = (at(volume, kind, member) or "" for member in ("server", "path"))
        return f"nfs://{server}{path}"
    if kind == "emptyDir":
        return "memory://" if at(volume, kind, "medium") == "Memory" else "scratch://"
    scheme, member = _NAMED.get(kind, (kind, ""))
    return f"{scheme}://{at(volume, kind, member) or ''}" if member else f"{scheme}://"
