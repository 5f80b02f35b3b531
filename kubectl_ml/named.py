"""
Objects as a command is given them: in files, or by KIND/NAME in the cluster.

Every command that reads both has the same flags for it and says the same when it can't.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from kubectl_ml.cluster import Cluster
from kubectl_ml.documents import Document
from kubectl_ml.errors import ClusterError, NotFound, PluginError
from kubectl_ml.manifest_flags import Files
from policies import manifests
from policies.model import Manifest
from policies.workloads import referring
from policies.workloads.catalogue import Catalogue, Kind

_LONGEST_CHAIN = 10  # a pod's Job's CronJob is two


def check_usage(ctx: click.Context, names: tuple[str, ...], files: Files, what: str) -> None:
    """Raise unless one of files and names is given; `what` is what would be done."""
    if bool(names) == bool(files):
        raise click.UsageError(f"give one of -f and KIND/NAME: what is to be {what}?", ctx)
    files.check()


def in_cluster(cluster: Cluster, known: Catalogue, text: str) -> Manifest:
    """Read the object that `text`, KIND/NAME, names."""
    written, slash, name = text.partition("/")
    if not (written and slash and name):
        raise PluginError(
            f'"{text}" names no object', hint="write KIND/NAME, such as deployment/web"
        )
    kinds = find_kinds(known, written) or _of_short_name(cluster, known, written)
    if not kinds:
        raise PluginError(
            f'"{written}" is no kind that makes pods',
            hint="write KIND or KIND.GROUP, such as rayjob.ray.io",
        )
    for kind in kinds:
        for api_version in _api_versions(kind):
            if cluster.serves(api_version, kind.kind):
                namespace = None if kind.cluster_scoped else ""
                return cluster.get(api_version, kind.kind, name, namespace=namespace)
    raise NotFound(
        f"this cluster has no {kinds[0].name}",
        hint=f"kubectl api-resources | grep -i {kinds[0].kind}",
    )


def referred(
    cluster: Cluster, known: Catalogue, reference: tuple[str, str, str]
) -> Manifest | None:
    """Read what an object refers to (KIND.GROUP, namespace, name); None where it can't be had."""
    kind = known.named(reference[0])
    if reference[0] == referring.CONFIG_MAP:
        with contextlib.suppress(ClusterError):
            return cluster.get("v1", reference[0], reference[2], namespace=reference[1])
    if kind is None:
        return None
    for api_version in _api_versions(kind):
        try:
            if cluster.serves(api_version, kind.kind):
                namespace = reference[1] or None
                return cluster.get(api_version, kind.kind, reference[2], namespace=namespace)
        except ClusterError:  # the notes say what isn't counted
            return None
    return None


def everything(cluster: Cluster, known: Catalogue) -> Iterator[Manifest]:
    """List every object of every kind that makes pods, in all namespaces."""
    for kind in known.kinds.values():
        for api_version in _api_versions(kind):
            if cluster.serves(api_version, kind.kind):
                yield from cluster.find_all(api_version, kind.kind, namespace=None)
                break


def owners(cluster: Cluster, found: Manifest) -> Iterator[Manifest]:
    """Follow an object's controllers up to the workload that the user wrote."""
    for _ in range(_LONGEST_CHAIN):
        metadata = found.get("metadata") or {}
        owner = next((one for one in metadata.get("ownerReferences") or () if _controls(one)), None)
        if owner is None:
            return
        api_version, kind = str(owner["apiVersion"]), str(owner["kind"])
        if not cluster.serves(api_version, kind):
            return
        try:
            found = cluster.get(api_version, kind, str(owner["name"]))
        except ClusterError as error:
            click.echo(f"Warning: {kind} {owner['name']!r} can't be read: {error}", err=True)
            return
        yield found


def _controls(owner: Manifest) -> bool:
    return owner.get("controller") is True


def as_document(manifest: Manifest, source: str) -> Document:
    """Give an object of the cluster as if a file had held it."""
    return Document(
        source=source, line=1, raw=manifests.dump(manifest).encode(), first=True, value=manifest
    )


def find_kinds(known: Catalogue, text: str) -> list[Kind]:
    """Find the kinds that a user may mean by `job`, `jobs`, `Job` or `job.batch`."""
    word, _, group = text.casefold().partition(".")
    return [
        kind
        for kind in known.kinds.values()
        if word in (kind.kind.casefold(), kind.plural) and group in ("", kind.group)
    ]


def _of_short_name(cluster: Cluster, known: Catalogue, text: str) -> list[Kind]:
    """Find the kinds that the server knows by a short name, `deploy` or `isvc`."""
    word, _, group = text.casefold().partition(".")
    served = {"", *cluster.groups()}
    kinds = [each for each in known.kinds.values() if each.group in served]
    kinds = [each for each in kinds if group in ("", each.group)]
    meant = {each: cluster.short_for(each, word) for kind in kinds for each in _api_versions(kind)}
    return [kind for kind in kinds if kind.kind in (meant[each] for each in _api_versions(kind))]


def _api_versions(kind: Kind) -> list[str]:
    return [f"{kind.group}/{version}" if kind.group else version for version in kind.versions]
