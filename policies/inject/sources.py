"""
Data sources: what a mount's source becomes here: a volume, and perhaps a container that fetches.

A name is a DataSource, the namespace's own first; a URI uses the DataSource with the longest
matching bucket and prefix, else the one named after its scheme.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from policies import match
from policies.errors import UnusableIntent
from policies.inject import fetching, places
from policies.inject.places import Asked
from policies.inject.volume_types import BUILDERS, Built
from policies.inject.volumes import slug
from policies.intents import SCHEMES, Mount, nearest
from policies.match import Target
from policies.model import DataSource, Facts, Manifest, PolicySet

OF_ADMINS = {"csi": "csi", "file": "hostPath", "hostpath": "hostPath", "nfs": "nfs"}
READ_ONLY = frozenset({"s3", "gcs", "hf", "oci", "configMap", "secret"})
WITHOUT_REVISIONS = frozenset({"scratch", "memory", "configMap", "secret"})
_DIRECTORIES = frozenset({"pvc", "s3", "gcs", "fluid", "nfs", "hostPath", "csi"})
_PLAIN = frozenset({"emptyDir", "configMap", "secret"})  # volumes that every kind takes


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Plan:
    """How one mount is carried out. `volume` has no name yet, `mount` no path."""

    name: str  # of the volume, if it is free
    digest: str  # of the data source
    volume: Manifest
    mount: Mapping[str, Any]  # subPath, readOnly
    fetch: Manifest | None = None  # the container that fetches, without its mount
    keys: Manifest | None = None  # the volume with its credentials, where they are files
    beside: Manifest | None = None  # the container whose image holds the files, without its mount
    prefer: str = ""  # the label of the nodes that are nearest to the data
    annotations: Mapping[str, str] = field(default_factory=dict)
    revision: tuple[str, str] = ("", "")  # of what, and which
    needs: tuple[str, ...] = ()  # pod fields that a strict kind must let in


def plan(mount: Mount, policies: PolicySet, target: Target, facts: Facts) -> Plan:
    """Work out how a mount is carried out; raises UnusableIntent where it can't be."""
    source = _find(mount, policies, target)
    if source.namespaces and not match.namespaces(source.namespaces)(target):
        raise UnusableIntent(
            f'data source "{source.name}" may not be used in namespace "{target.namespace}"; '
            "ask its owner to add the namespace to spec.namespaces"
        )
    if mount.revision and source.type in WITHOUT_REVISIONS:
        raise UnusableIntent(
            f'"{mount.written}": data source "{source.name}" has no revisions; '
            f'leave "@{mount.revision}" out'
        )
    asked = places.find(
        mount,
        source,
        facts=facts,
        namespace=target.namespace,
        directories=source.type in _DIRECTORIES,
    )
    return _plan(asked, BUILDERS[source.type](asked), _of_scheme(source, policies))


def _of_scheme(source: DataSource, policies: PolicySet) -> DataSource:
    """Find the source that says how sources of this type are fetched by default."""
    for scheme, kind in SCHEMES.items():
        default = policies.data_sources.get(scheme)
        if kind == source.type and default and default.type == kind:
            return default
    return source


def _plan(asked: Asked, built: Built, default: DataSource) -> Plan:
    mount, source = asked.mount, asked.source
    name = built.name or slug(mount.written if mount.scheme else mount.source)
    found = Plan(
        name=f"ml-{name}",
        digest=source.digest,
        volume=built.volume,
        mount=_options(asked, built),
        prefer=built.prefer,
        annotations=built.annotations,
        revision=(_unrevised(mount), built.revision),
    )
    if built.uri:
        _fetch(found, asked, built, default)
    elif built.image:
        found.beside = fetching.linking(asked, built.image, built.sub_path, name=name)
    found.needs = tuple(_needs(found))
    return found


def _options(asked: Asked, built: Built) -> dict[str, Any]:
    fixed = asked.source.type in READ_ONLY or asked.source.read_only
    if asked.mount.mode == "rw" and fixed:
        raise UnusableIntent(
            f'"{asked.mount.written}" is read-only; write ":ro", or leave the mode out'
        )
    options: dict[str, Any] = {}
    if built.sub_path and not built.image:
        options["subPath"] = built.sub_path
    if fixed or asked.mount.mode == "ro":
        options["readOnly"] = True
    return options


def _fetch(found: Plan, asked: Asked, built: Built, default: DataSource) -> None:
    name = found.name.removeprefix("ml-")
    found.fetch = fetching.container(asked, built.uri, name=name, default=default)
    found.keys = fetching.credentials(asked.source)
    kept = fetching.cache(asked)
    if kept:
        kept_at = fetching.kept_at(asked, built.uri)
        found.name, found.volume = "ml-cache-" + slug(_where(kept)), kept
        found.mount = {**found.mount, "subPath": places.join(kept_at, built.sub_path)}


def _where(cache: Manifest) -> str:
    found = next(iter(cache.values()))
    return str(found.get("path") or found.get("claimName")).strip("/").replace("/", "-")


def _needs(found: Plan) -> list[str]:
    kind = next(iter(found.volume))
    needs = [] if kind in _PLAIN else [f"volumes.{kind}"]
    if found.fetch or found.beside:
        needs.append("initContainers")
    if found.beside:
        needs.append("shareProcessNamespace")
    return needs


def _unrevised(mount: Mount) -> str:
    """Name what a revision is of: the source, or the URI without it."""
    if not mount.scheme:
        return mount.source
    repository, at, _ = mount.source.partition("@")
    if not at:
        directory, slash, image = repository.rpartition("/")
        repository = f"{directory}{slash}{image.partition(':')[0]}"
    return f"{mount.scheme}://{repository}"


def _find(mount: Mount, policies: PolicySet, target: Target) -> DataSource:
    sources = policies.data_sources
    if not mount.scheme:
        found = sources.get(f"{target.namespace}/{mount.source}") or sources.get(mount.source)
        if found is None:
            hint = _nearest(mount, sources, target)
            raise UnusableIntent(f'unknown data source "{mount.source}"{hint}')
        if found.name in SCHEMES and not found.parameters:
            raise UnusableIntent(
                f'"{found.name}" says how {found.name}:// is mounted here, and names nothing; '
                f'write "{found.name}://…:{mount.path}"'
            )
        return found
    if mount.scheme not in SCHEMES:
        raise UnusableIntent(
            f'"{mount.written}": unknown scheme "{mount.scheme}"{_instead(mount.scheme)}'
        )
    found = _longest(mount, sources, target) or sources.get(mount.scheme)
    if found is None or found.type != SCHEMES[mount.scheme]:
        raise UnusableIntent(
            f"no data source says how {mount.scheme}:// is mounted here; "
            f'add one named "{mount.scheme}"'
        )
    return found


def _instead(scheme: str) -> str:
    """Say what to write in place of an unknown scheme."""
    if scheme in OF_ADMINS:
        return f"; name a DataSource, in which an admin gives the {OF_ADMINS[scheme]}"
    return nearest(scheme, SCHEMES) or "; known are " + ", ".join(SCHEMES)


def _nearest(mount: Mount, sources: Mapping[str, DataSource], target: Target) -> str:
    """Suggest a source of this namespace or of the cluster; another namespace's isn't told."""
    own = f"{target.namespace}/"
    known = {name.removeprefix(own) for name in sources if "/" not in name or name.startswith(own)}
    return nearest(mount.source, known) or (
        "; `kubectl ml sources` lists those that exist, with `--policies cluster` the cluster's, "
        "too"
    )


def _longest(mount: Mount, sources: Mapping[str, DataSource], target: Target) -> DataSource | None:
    """Find the source with the longest matching bucket and prefix that may be used here."""
    if mount.scheme not in ("s3", "gs"):
        return None
    best, length = None, -1
    bucket, _, key = mount.source.partition("/")
    for source in sources.values():
        if source.type != SCHEMES[mount.scheme] or source.parameters.get("bucket") != bucket:
            continue
        prefix = places.fixed_prefix(source)
        inside = not prefix or key == prefix or key.startswith(prefix + "/")
        usable = not source.namespaces or match.namespaces(source.namespaces)(target)
        if inside and usable and len(prefix) > length:
            best, length = source, len(prefix)
    return best
