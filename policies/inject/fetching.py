"""
Fetching: the container that copies what a source holds, and the one whose image holds it.

`fetch-NAME` is called with a URI and a directory, before the pod's containers start. With a cache
it copies into a directory of the cache's volume, once, and the pod mounts that. `files-NAME` runs
beside them where the server mounts no images: it links its own files into a shared volume.
"""

from __future__ import annotations

import hashlib
from typing import Any

from policies.inject import containers
from policies.inject.places import Asked
from policies.inject.volumes import slug
from policies.model import DataSource, Manifest

DIRECTORY = "/mnt/data"  # where these containers see the volume
IMAGE = "kserve/storage-initializer:v0.15.2"  # takes a URI and a directory
COMMAND = ("/storage-initializer/scripts/initializer-entrypoint",)  # that image's own
KEYS = "/var/secrets/gs"  # where a Secret with a key of Google's is mounted

# What is complete has its name; whoever comes second at the same time throws its copy away.
_CACHED = (
    'uri=$1 to=$2; shift 2; [ -e "$to" ] && exit 0; '
    'mkdir -p "${to%/*}" && new=`mktemp -d "$to.XXXXXX"` || exit 1; '
    '"$@" "$uri" "$new" || { rm -rf "$new"; exit 1; }; '
    'chmod 755 "$new"; mv -T "$new" "$to" 2>/dev/null || { rm -rf "$new"; [ -e "$to" ]; }'
)
# `$$$$` is what Kubernetes makes `$$` of: the shell's own process. Links lead through it to the
# image's files, which other containers of the pod see as they share its processes.
_LINKED = (
    "trap 'exit 0' TERM; "
    'for file in /proc/$$$$/root"$1"/*; do ln -sfn "$file" ' + DIRECTORY + "/; done; "
    "while :; do sleep 3600 & wait $!; done"
)
FILES = "/models"  # where an image for serving has its files


def container(asked: Asked, uri: str, *, name: str, default: DataSource) -> Manifest:
    """Make the container that fetches; what a source leaves open its scheme's own says."""
    source = asked.source
    found: Manifest = {
        "name": f"fetch-{name}",
        "image": source.image or default.image or IMAGE,
        **_called(asked, uri, source.command or default.command),
    }
    if source.env:
        found["env"] = list(source.env)
    if source.secret_name:
        found["envFrom"] = [{"secretRef": _reference(source, "name")}]
    resources = source.resources or default.resources
    if resources:
        found["resources"] = dict(resources)
    return containers.complete(found)


def _called(asked: Asked, uri: str, command: tuple[str, ...]) -> Manifest:
    if asked.source.cache:
        to = f"{DIRECTORY}/{kept_at(asked, uri)}"
        args = [_CACHED, "fetch", uri, to, *(command or COMMAND)]
        return {"command": ["sh", "-c"], "args": args}
    return {**({"command": list(command)} if command else {}), "args": [uri, DIRECTORY]}


def credentials(source: DataSource) -> Manifest | None:
    """Give the volume for keys that are files: Google's clients read theirs from one."""
    if source.type != "gcs" or not source.secret_name:
        return None
    return {"secret": _reference(source, "secretName")}


def _reference(source: DataSource, member: str) -> Manifest:
    reference: Manifest = {member: source.secret_name}
    if source.secret_optional:
        reference["optional"] = True
    return reference


def cache(asked: Asked) -> Manifest | None:
    """Give the volume that keeps what was fetched, if the source has one."""
    path, claim = asked.source.cache.get("hostPath"), asked.source.cache.get("claimName")
    if path:
        return {"hostPath": {"path": path, "type": "Directory"}}
    return {"persistentVolumeClaim": {"claimName": claim}} if claim else None


def kept_at(asked: Asked, uri: str) -> str:
    """
    Name the directory of a cache that a URI is kept in.

    Each namespace has its own, as what one may read another may not, unless the source is shared.
    """
    of = "shared" if asked.source.cache.get("shared") else f"of-{asked.namespace or 'default'}"
    settings = "\n".join([uri, *(f"{one['name']}={one.get('value')}" for one in asked.source.env)])
    readable = slug(uri).rpartition("-")[0]
    return f"{of}/{readable}-{hashlib.sha256(settings.encode()).hexdigest()[:16]}"


def linking(asked: Asked, image: str, sub: str, *, name: str) -> Manifest:
    """Make the container that links the files of its image into a shared volume."""
    listed = f"ls {DIRECTORY}/* >/dev/null 2>&1"
    found: dict[str, Any] = {
        "name": f"files-{name}",
        "image": image,
        "command": ["sh", "-c", _LINKED, "files", FILES + (f"/{sub}" if sub else "")],
        "startupProbe": {
            "exec": {"command": ["sh", "-c", listed]},
            "periodSeconds": 1,
            "failureThreshold": 60,
        },
    }
    if asked.source.resources:
        found["resources"] = dict(asked.source.resources)
    return containers.complete(found)
