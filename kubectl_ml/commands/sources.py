"""`kubectl ml sources`: the data sources that can be named, and what each becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from kubectl_ml import flags, policy_flags, tables, words
from kubectl_ml.policy_flags import Chosen
from policies.model import DataSource, LabelSelector, NamespaceMatch, PolicySet

_READ_ONLY = frozenset({"s3", "gcs", "hf", "oci", "configMap", "secret"})  # whatever is said
# The library's sources of these names stand for every URI of the scheme: the URI says the rest.
_SCHEMES = frozenset({"pvc", "s3", "gs", "hf", "oci", "scratch", "memory", "configmap", "secret"})
_FETCHED = frozenset({"s3", "gcs", "hf"})


@click.command(context_settings=flags.CONTEXT, options_metavar="[flags]")
@click.argument("names", nargs=-1, metavar="[NAME]...", type=words.DataSourceName())
@policy_flags.options
@flags.where
@click.option(
    "-n",
    "--namespace",
    default="",
    metavar="NAME",
    help="Of the teams' own sources, those of this namespace.  [default: all you may see]",
)
@flags.listing
@flags.verbosity
def sources(
    *,
    names: tuple[str, ...],
    chosen: Chosen,
    namespace: str,
    output: str,
    no_headers: bool,
) -> None:
    """
    List the data sources that can be named, and what each becomes.

    A manifest names one in its annotation kubectl-ml.io/mounts: imagenet:/data:ro. A source
    named after a scheme says how URIs of that scheme are mounted: s3://bucket/prefix:/data.

    \b
    Examples:
      # What is there?
      kubectl ml sources
      # With what your cluster has
      kubectl ml sources --policies cluster
      # With what your cluster's repository adds
      kubectl ml sources --policies policies/ -o wide
      # A start for a source of your own
      kubectl ml sources s3 -o yaml
    """
    found = listing(chosen.read(), namespace).only(names)
    tables.show(found, output, named=bool(names), headers=not no_headers)


def listing(policies: PolicySet, namespace: str = "") -> tables.Listing:
    """Give a row for each data source; of the teams' own, those of one namespace, or all."""
    sources = {
        name: each
        for name, each in sorted(policies.data_sources.items())
        if not namespace or name.rpartition("/")[0] in ("", namespace)
    }
    return tables.Listing(
        noun="data source",
        plural="sources",
        headers=("NAME", "TYPE", "BECOMES", "MODE", "NAMESPACES"),
        wide_headers=("SECRET", "IMAGE", "DESCRIPTION"),
        rows={name: _row(each) for name, each in sources.items()},
    )


def _row(found: DataSource) -> tables.Row:
    secret = found.secret_name
    if secret and found.secret_optional:
        secret += " (optional)"
    return tables.Row(
        cells=(
            found.name,
            found.type,
            becomes(found),
            "ro" if _is_read_only(found) else "rw",
            _who(found.namespaces),
        ),
        wide=(secret, found.image, found.description),
        manifest=_manifest(found),
    )


def _manifest(found: DataSource) -> dict[str, Any]:
    namespace, _, name = found.name.rpartition("/")
    kind = "NamespacedDataSource" if namespace else "DataSource"
    made = tables.manifest(kind, name, _spec(found), keep=found.type)
    if namespace:
        made["metadata"]["namespace"] = namespace
    return made


def _is_read_only(found: DataSource) -> bool:
    parameters = found.parameters
    return found.type in _READ_ONLY or bool(found.read_only or parameters.get("readOnly"))


def becomes(found: DataSource) -> str:
    """
    Say what the pod gets.

    `s3://datasets/imagenet/v3, fetched by an init container`; `claim datasets`.
    """
    how = " and ".join(filter(None, [_fetch(found), _kept(found)]))
    default = "…" if found.name in _SCHEMES else found.name.rpartition("/")[2]
    what = _what(found.type, found.parameters, default)
    if found.revision:
        what += f" at {found.revision}"
    return f"{what}, {how}" if how else what


def _fetch(found: DataSource) -> str:
    match found.fetch or ("Init" if found.type in _FETCHED else ""):
        case "Init":
            return "fetched by an init container"
        case "CSI" if not found.parameters.get("claimName") and _driver(found):
            return f"mounted by {_driver(found)}"
        case "CSI":
            claim = found.parameters.get("claimName") or found.name.rpartition("/")[2]
            return f"mounted by the claim {claim}"
        case "Fluid":
            return "cached by Fluid"
        case _:
            return ""


def _driver(found: DataSource) -> str:
    default = "gcsfuse.csi.storage.gke.io" if found.type == "gcs" else ""
    return str(found.parameters.get("driver") or default)


def _kept(found: DataSource) -> str:
    path, claim = found.cache.get("hostPath"), found.cache.get("claimName")
    if path:
        return f"kept in {path} of the node"
    return f"kept in the claim {claim}" if claim else ""


def _what(kind: str, of: Mapping[str, Any], default: str) -> str:
    match kind:
        case "s3" | "gcs" | "hf" | "oci":
            return _uri(kind, of)
        case "nfs":
            return f"nfs://{of['server']}{of['path']}"
        case "hostPath":
            return f"{of['path']} of the node"
        case "csi":
            return f"a volume of {of['driver']}"
        case "scratch" | "memory":
            return _space(kind, of)
        case _:
            return _object(kind, of, default)


def _uri(kind: str, of: Mapping[str, Any]) -> str:
    match kind:
        case "hf":
            revision = f"@{of['revision']}" if of.get("revision") else ""
            return f"hf://{of.get('repo', '…')}{revision}"
        case "oci":
            return f"image {of.get('reference') or of.get('image') or '…'}"
        case _:
            scheme = "gs" if kind == "gcs" else kind
            place = "/".join(filter(None, [of.get("bucket", "…"), of.get("prefix")]))
            return f"{scheme}://{place}"


def _space(kind: str, of: Mapping[str, Any]) -> str:
    size = f" of {of['size']}" if of.get("size") else ""
    if kind == "memory":
        return f"a directory in memory{size}"
    storage_class = (
        f", storage class {of['storageClassName']}" if of.get("storageClassName") else ""
    )
    return f"a volume{size} that goes with the pod{storage_class}"


def _object(kind: str, of: Mapping[str, Any], default: str) -> str:
    """Name an object of the pod's namespace; without a name of its own it has the source's."""
    word, member = {
        "pvc": ("claim", "claimName"),
        "fluid": ("Fluid dataset", "dataset"),
        "configMap": ("ConfigMap", "name"),
        "secret": ("Secret", "secretName"),
    }.get(kind, (kind, "name"))
    name = of.get(member) or of.get("name") or default
    path = f", directory {of['subPath']}" if of.get("subPath") else ""
    return f"{word} {name}{path}"


def _who(found: NamespaceMatch | None) -> str:
    if found is None:
        return "*"
    labels = _selector(found.selector) if found.selector else ""
    return " and ".join(filter(None, [",".join(found.names), labels])) or "*"


def _selector(found: LabelSelector) -> str:
    """Write a selector as `kubectl -l` takes it, near enough."""
    words = [f"{key}={value}" for key, value in found.match_labels.items()]
    for each in found.match_expressions:
        values = f" ({','.join(each['values'])})" if each.get("values") else ""
        words.append(f"{each['key']} {each['operator'].lower()}{values}")
    return ",".join(words)


def _spec(found: DataSource) -> dict[str, Any]:
    private = found.name.partition("/")[0] if "/" in found.name else None
    namespaces = _namespaces(found.namespaces) if private is None else None
    return {
        "description": found.description,
        found.type: dict(found.parameters),
        "fetch": found.fetch,
        "readOnly": found.read_only,
        "secretName": found.secret_name,
        "secretOptional": found.secret_optional or None,
        "env": list(found.env),
        "namespaces": namespaces,
        "cache": dict(found.cache),
        "revision": found.revision,
        "image": found.image,
        "command": list(found.command),
        "resources": dict(found.resources),
    }


def _namespaces(found: NamespaceMatch | None) -> dict[str, Any] | None:
    if found is None:
        return None
    spec: dict[str, Any] = {"names": list(found.names)} if found.names else {}
    if found.selector is not None:
        selector = {
            "matchLabels": dict(found.selector.match_labels),
            "matchExpressions": list(found.selector.match_expressions),
        }
        spec["selector"] = {key: value for key, value in selector.items() if value}
    return spec
