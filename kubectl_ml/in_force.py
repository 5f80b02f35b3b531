"""
What is in force in a cluster: its policies, the labels of its namespaces, its version.

`--policies cluster` takes them, so that what is rendered here is what the webhook answers there.
A policy that the webhook leaves out is left out here, too, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from kubectl_ml import injection
from kubectl_ml.cluster import Cluster
from kubectl_ml.errors import NotAllowed, NotFound, NotInstalled, PluginError
from policies import load, variables
from policies.model import API_VERSION, Facts, Manifest, PolicySet


def policies(
    cluster: Cluster,
    base: PolicySet,
    warn: Callable[[str], None],
    hidden: dict[str, NotAllowed] | None = None,
) -> PolicySet:
    """Put the cluster's policies over `base`; `hidden`: see `objects`."""
    usable = []
    for one in objects(cluster, hidden):
        faults = load.judged(one)
        if faults:
            reasons = "; ".join(fault.sentence for fault in faults)
            warn(f'{one["kind"]} "{one["metadata"]["name"]}" is left out: {reasons}')
        else:
            usable.append(one)
    return load.over(base, usable)


def objects(cluster: Cluster, hidden: dict[str, NotAllowed] | None = None) -> list[Manifest]:
    """
    Read every policy of the cluster as it is there, those that can't be used among them.

    Kinds that may not be listed are put into `hidden` with the server's answer; without it that
    is an error.
    """
    found = list(_objects(cluster, hidden))
    if not found and not hidden and not cluster.serves(API_VERSION, load.KINDS[0]):
        raise PluginError(
            "--policies cluster: this cluster has no policies; kubectl-ml isn't installed there",
            hint="kubectl apply -k manifests/crds, or give a directory: --policies DIR",
        )
    return found


def _objects(cluster: Cluster, hidden: dict[str, NotAllowed] | None) -> Iterator[Manifest]:
    for kind in load.KINDS:
        try:
            yield from cluster.find_all(API_VERSION, kind, namespace=None)
        except (NotInstalled, NotFound):
            continue  # a kind that this cluster doesn't have
        except NotAllowed as error:
            if kind == "NamespacedDataSource":
                yield from _of_own_namespace(cluster, kind, hidden)
            elif hidden is None:
                raise
            else:
                hidden[kind] = error


def _of_own_namespace(
    cluster: Cluster, kind: str, hidden: dict[str, NotAllowed] | None
) -> Iterator[Manifest]:
    """Read those that one sees who may not look into every namespace."""
    try:
        yield from cluster.find_all(API_VERSION, kind)
    except NotAllowed as error:
        if hidden is None:
            raise
        hidden[kind] = error


def facts(cluster: Cluster) -> Facts:
    """Read the version, what is installed, and the namespaces as far as one may."""
    found = _namespaces(cluster)
    return replace(
        injection.facts_of(cluster),
        namespaces={name: one["metadata"].get("labels") or {} for name, one in found.items()},
        namespace_objects=found,
    )


def bounded(cluster: Cluster) -> Facts:
    """Read what bounds pods, too, for those who judge them."""
    return replace(
        facts(cluster),
        limit_ranges=_by_namespace(cluster, "LimitRange"),
        resource_quotas=_by_namespace(cluster, "ResourceQuota"),
    )


def _by_namespace(cluster: Cluster, kind: str) -> Mapping[str, Sequence[Manifest]]:
    """Read what bounds pods, as far as one may: in every namespace, else in one's own."""
    grouped: dict[str, list[Manifest]] = {}
    for everywhere in (True, False):
        try:
            found = (
                cluster.find_all("v1", kind, namespace=None)
                if everywhere
                else cluster.find_all("v1", kind)
            )
        except (NotAllowed, NotFound):
            continue
        for one in found:
            grouped.setdefault(one["metadata"]["namespace"], []).append(one)
        break
    return grouped


def _namespaces(cluster: Cluster) -> Mapping[str, Manifest]:
    try:
        found = cluster.find_all("v1", "Namespace", namespace=None)
    except NotAllowed:
        try:
            found = [cluster.get("v1", "Namespace", cluster.namespace, namespace=None)]
        except (NotAllowed, NotFound):
            return {}
    return {one["metadata"]["name"]: variables.namespace(one) for one in found}
