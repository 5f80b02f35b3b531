"""
Data sources: what a mount's source becomes here: a volume, and perhaps a container that fetches.

A name is a DataSource, the namespace's own first; a URI uses the DataSource with the longest
matching bucket and prefix, else the one named after its scheme.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from policies import match, quantity
from policies.errors import UnusableIntent
from policies.inject import containers
from policies.inject.volumes import slug
from policies.intents import Mount, is_name, nearest
from policies.match import Target
from policies.model import DataSource, Facts, Manifest, PolicySet

SCHEMES = {
    "pvc": "pvc", "s3": "s3", "gs": "gcs", "hf": "hf", "oci": "oci", "scratch": "scratch",
    "memory": "memory", "configmap": "configMap", "secret": "secret",
}  # fmt: skip
READ_ONLY = frozenset({"s3", "gcs", "hf", "oci", "configMap", "secret"})
FETCHED = frozenset({"s3", "gcs", "hf"})
DIRECTORY = "/mnt/data"  # where the container that fetches sees the volume
IMAGE = "kserve/storage-initializer:v0.15.2"  # takes a URI and a directory
IMAGE_VOLUMES_SINCE = (1, 35)  # KEP-4639: on by default


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Plan:
    """How one mount is carried out. `volume` has no name yet, `mount` no path."""

    name: str  # of the volume, if it is free
    digest: str  # of the data source
    volume: Manifest
    mount: Mapping[str, Any]  # subPath, readOnly
    fetch: Manifest | None = None  # the container that fetches, without its mount
    directory: str = DIRECTORY
    needs: tuple[str, ...] = ()  # pod fields that a strict kind must let in


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class _Asked:
    """One mount with its data source: what the builders below work from."""

    mount: Mount
    source: DataSource
    where: str  # what follows the scheme, or the sub path within a named source
    facts: Facts


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class _Built:
    volume: Manifest
    sub_path: str = ""
    uri: str = ""  # to be fetched
    name: str = field(default="")


def plan(mount: Mount, policies: PolicySet, target: Target, facts: Facts) -> Plan:
    """Work out how a mount is carried out; raises UnusableIntent where it can't be."""
    source = _find(mount, policies, target)
    if source.namespaces and not match.namespaces(source.namespaces)(target):
        raise UnusableIntent(
            f'data source "{source.name}" may not be used in namespace "{target.namespace}"; '
            "ask its owner to add the namespace to spec.namespaces"
        )
    where = mount.source if mount.scheme else mount.sub
    if mount.revision and source.type not in ("hf", "oci"):
        raise UnusableIntent(
            f'"{mount.written}": data source "{source.name}" has no revisions; '
            f'leave "@{mount.revision}" out'
        )
    built = _BUILDERS[source.type](_Asked(mount=mount, source=source, where=where, facts=facts))
    return _plan(mount, source, built, _of_scheme(source, policies))


def _of_scheme(source: DataSource, policies: PolicySet) -> DataSource:
    """Find the source that says how sources of this type are fetched by default."""
    for scheme, kind in SCHEMES.items():
        default = policies.data_sources.get(scheme)
        if kind == source.type and default and default.type == kind:
            return default
    return source


def _plan(mount: Mount, source: DataSource, built: _Built, default: DataSource) -> Plan:
    fixed = source.type in READ_ONLY or source.read_only or bool(built.uri)
    if mount.mode == "rw" and fixed:
        raise UnusableIntent(f'"{mount.written}" is read-only; write ":ro", or leave the mode out')
    options: dict[str, Any] = {}
    if built.sub_path:
        options["subPath"] = built.sub_path
    if fixed or mount.mode == "ro":
        options["readOnly"] = True
    name = "ml-" + (built.name or slug(mount.source if not mount.scheme else mount.written))
    volume_type = next(iter(built.volume))
    needs = (
        () if volume_type in ("emptyDir", "configMap", "secret") else (f"volumes.{volume_type}",)
    )
    return Plan(
        name=name,
        digest=source.digest,
        volume=built.volume,
        mount=options,
        fetch=_fetch(source, default, built.uri, name) if built.uri else None,
        needs=(*needs, "initContainers") if built.uri else needs,
    )


def _find(mount: Mount, policies: PolicySet, target: Target) -> DataSource:
    sources = policies.data_sources
    if not mount.scheme:
        found = sources.get(f"{target.namespace}/{mount.source}") or sources.get(mount.source)
        if found is None:
            hint = nearest(mount.source, sources) or "; `kubectl ml sources` lists those that exist"
            raise UnusableIntent(f'unknown data source "{mount.source}"{hint}')
        if found.name in SCHEMES and not found.parameters:
            raise UnusableIntent(
                f'"{found.name}" says how {found.name}:// is mounted here, and names nothing; '
                f'write "{found.name}://…:{mount.path}"'
            )
        return found
    if mount.scheme not in SCHEMES:
        raise UnusableIntent(
            f'"{mount.written}": unknown scheme "{mount.scheme}"'
            f"{nearest(mount.scheme, SCHEMES) or '; known are ' + ', '.join(SCHEMES)}"
        )
    found = _longest(mount, sources, target) or sources.get(mount.scheme)
    if found is None or found.type != SCHEMES[mount.scheme]:
        raise UnusableIntent(
            f"no data source says how {mount.scheme}:// is mounted here; "
            f'add one named "{mount.scheme}"'
        )
    return found


def _longest(mount: Mount, sources: Mapping[str, DataSource], target: Target) -> DataSource | None:
    """Find the source with the longest matching bucket and prefix that may be used here."""
    if mount.scheme not in ("s3", "gs"):
        return None
    best, length = None, -1
    bucket, _, key = mount.source.partition("/")
    for source in sources.values():
        if source.type != SCHEMES[mount.scheme] or source.parameters.get("bucket") != bucket:
            continue
        prefix = str(source.parameters.get("prefix") or "").strip("/")
        inside = not prefix or key == prefix or key.startswith(prefix + "/")
        usable = not source.namespaces or match.namespaces(source.namespaces)(target)
        if inside and usable and len(prefix) > length:
            best, length = source, len(prefix)
    return best


def _fetch(source: DataSource, default: DataSource, uri: str, name: str) -> Manifest:
    """Make the container that fetches; what a source leaves open its scheme's own says."""
    container: Manifest = {
        "name": "fetch-" + name.removeprefix("ml-"),
        "image": source.image or default.image or IMAGE,
        "args": [uri, DIRECTORY],
    }
    if source.env:
        container["env"] = list(source.env)
    if source.secret_name:
        reference: Manifest = {"name": source.secret_name}
        if source.secret_optional:
            reference["optional"] = True
        container["envFrom"] = [{"secretRef": reference}]
    resources = source.resources or default.resources
    if resources:
        container["resources"] = dict(resources)
    return containers.complete(container)


def _join(*parts: str) -> str:
    return "/".join(part.strip("/") for part in parts if part and part.strip("/"))


def _claim(asked: _Asked) -> _Built:
    parameters = asked.source.parameters
    if asked.mount.scheme:
        claim, _, sub = asked.where.partition("/")
    else:
        claim, sub = (
            str(parameters.get("claimName") or parameters.get("name") or asked.source.name),
            "",
        )
        sub = _join(str(parameters.get("subPath") or ""), asked.where)
    if not is_name(claim):
        raise UnusableIntent(f'"{asked.mount.written}": "{claim}" is not the name of a claim')
    name = slug(f"pvc-{claim}") if asked.mount.scheme else slug(asked.source.name)
    return _Built(
        volume={"persistentVolumeClaim": {"claimName": claim}}, sub_path=_inside(sub), name=name
    )


def _inside(sub: str) -> str:
    sub = sub.strip("/")
    if ".." in sub.split("/"):
        raise UnusableIntent(f'"{sub}" leaves its source with ".."; name a path inside it')
    return sub


def _bucket(asked: _Asked) -> _Built:
    source, scheme = asked.source, "gs" if asked.source.type == "gcs" else "s3"
    if source.fetch == "CSI":
        raise UnusableIntent(
            f'data source "{source.name}" says fetch: CSI, which this version can\'t do; '
            "use fetch: Init, or a csi source"
        )
    if source.fetch == "Fluid":
        return _dataset(asked)
    if asked.mount.scheme:
        return _Built(volume={"emptyDir": {}}, uri=f"{scheme}://{asked.where}")
    bucket = source.parameters.get("bucket")
    if not bucket:
        raise UnusableIntent(
            f'data source "{source.name}" names no bucket; write {scheme}://BUCKET/…'
        )
    return _fetched(
        asked,
        f"{scheme}://{_join(str(bucket), str(source.parameters.get('prefix') or ''), asked.where)}",
    )


def _hub(asked: _Asked) -> _Built:
    if asked.mount.scheme:
        repository, _, revision = asked.where.partition("@")
    else:
        repository = _join(str(asked.source.parameters.get("repo") or ""), asked.where)
        revision = asked.mount.revision or str(asked.source.parameters.get("revision") or "")
    if not repository:
        raise UnusableIntent(
            f'data source "{asked.source.name}" names no repository; write hf://OWNER/NAME'
        )
    return _fetched(asked, f"hf://{repository}" + (f":{revision}" if revision else ""))


def _fetched(asked: _Asked, uri: str) -> _Built:
    plain = not asked.mount.scheme and not asked.mount.sub and not asked.mount.revision
    return _Built(
        volume={"emptyDir": {}},
        uri=uri,
        name=slug(asked.source.name if plain else asked.mount.written),
    )


def _image(asked: _Asked) -> _Built:
    if asked.facts.kube_version < IMAGE_VOLUMES_SINCE:
        raise UnusableIntent(
            f'"{asked.mount.written}": image volumes need Kubernetes 1.35 or later, this is '
            f"{asked.facts.kube_version[0]}.{asked.facts.kube_version[1]}"
        )
    parameters = asked.source.parameters
    if asked.mount.scheme:
        reference, sub = asked.where, ""
    else:
        reference = str(parameters.get("reference") or parameters.get("image") or "")
        sub = asked.where
        if asked.mount.revision:
            directory, slash, image = reference.rpartition("/")
            reference = f"{directory}{slash}{image.partition(':')[0]}:{asked.mount.revision}"
    if not reference:
        raise UnusableIntent(f'data source "{asked.source.name}" names no image; write oci://IMAGE')
    return _Built(
        volume={"image": {"reference": reference, "pullPolicy": "IfNotPresent"}},
        sub_path=_inside(sub),
    )


def _dataset(asked: _Asked) -> _Built:
    parameters = asked.source.parameters if asked.source.type == "fluid" else {}
    claim = str(parameters.get("dataset") or parameters.get("name") or asked.source.name)
    return _Built(
        volume={"persistentVolumeClaim": {"claimName": claim}},
        sub_path=_inside(asked.mount.sub),
        name=slug(asked.source.name),
    )


def _nfs(asked: _Asked) -> _Built:
    parameters = asked.source.parameters
    volume = {"nfs": {"server": parameters.get("server"), "path": parameters.get("path")}}
    return _Built(volume=volume, sub_path=_inside(asked.where), name=slug(asked.source.name))


def _host_path(asked: _Asked) -> _Built:
    volume = {"hostPath": dict(asked.source.parameters)}
    return _Built(volume=volume, sub_path=_inside(asked.where), name=slug(asked.source.name))


def _csi(asked: _Asked) -> _Built:
    volume = {"csi": dict(asked.source.parameters)}
    return _Built(volume=volume, sub_path=_inside(asked.where), name=slug(asked.source.name))


def _size(asked: _Asked) -> str:
    size = asked.where if asked.mount.scheme else str(asked.source.parameters.get("size") or "")
    try:
        if quantity.parse(size) > 0:
            return size
    except ValueError:
        pass
    raise UnusableIntent(
        f'"{asked.mount.written}": "{size}" is not a size; write {asked.mount.scheme or "scratch"}://100Gi'
    )


def _scratch(asked: _Asked) -> _Built:
    spec: Manifest = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": _size(asked)}},
    }
    storage_class = asked.source.parameters.get("storageClassName")
    if storage_class:
        spec["storageClassName"] = storage_class
    name = _by_path(asked) if asked.mount.scheme else ""
    return _Built(volume={"ephemeral": {"volumeClaimTemplate": {"spec": spec}}}, name=name)


def _memory(asked: _Asked) -> _Built:
    volume = {"emptyDir": {"medium": "Memory", "sizeLimit": _size(asked)}}
    return _Built(volume=volume, name=_by_path(asked) if asked.mount.scheme else "")


def _by_path(asked: _Asked) -> str:
    """Name a volume after its path: two of one size are two volumes."""
    return slug(f"{asked.mount.scheme}-{asked.mount.path.strip('/').replace('/', '-')}")


def _config_map(asked: _Asked) -> _Built:
    return _of_object(asked, member="name")


def _secret(asked: _Asked) -> _Built:
    return _of_object(asked, member="secretName")


def _of_object(asked: _Asked, *, member: str) -> _Built:
    if asked.mount.scheme:
        name, _, sub = asked.where.partition("/")
    else:
        name, sub = str(asked.source.parameters.get("name") or asked.source.name), asked.where
    if not is_name(name):
        raise UnusableIntent(
            f'"{asked.mount.written}": "{name}" is not the name of a {asked.source.type}'
        )
    return _Built(
        volume={asked.source.type: {member: name}},
        sub_path=_inside(sub),
        name=slug(f"{asked.source.type.lower()}-{name}"),
    )


_BUILDERS: dict[str, Callable[[_Asked], _Built]] = {
    "pvc": _claim, "s3": _bucket, "gcs": _bucket, "hf": _hub, "oci": _image, "fluid": _dataset,
    "nfs": _nfs, "hostPath": _host_path, "csi": _csi, "scratch": _scratch, "memory": _memory,
    "configMap": _config_map, "secret": _secret,
}  # fmt: skip
