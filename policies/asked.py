"""
What guards must be asked about: the requests that their matches name.

    match: {kinds: [Job.batch], operations: [DELETE]}  ->  DELETE of jobs.batch
    match: {kinds: [Pod], operations: [CONNECT]}       ->  CONNECT of pods/exec, pods/attach, …
    match: {kinds: [Service]}                          ->  CREATE and UPDATE of services

Kinds of Kubernetes without pods are listed here with their resources; the catalogue has those with
pods. What else there is, nobody knows the resource of without asking a cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from policies.guard.subject import CONNECTED
from policies.model import Facts, GuardPolicy
from policies.workloads.catalogue import Catalogue

ANY_VERSION = ("*",)

# KIND.GROUP -> resource. Of what isn't in a namespace only namespaces can be asked about: a
# registration chooses by the labels of a namespace, and a Namespace counts as its own.
WITHOUT_PODS: Mapping[str, str] = {
    "ConfigMap": "configmaps",
    "Endpoints": "endpoints",
    "LimitRange": "limitranges",
    "Namespace": "namespaces",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "ResourceQuota": "resourcequotas",
    "Secret": "secrets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "ControllerRevision.apps": "controllerrevisions",
    "HorizontalPodAutoscaler.autoscaling": "horizontalpodautoscalers",
    "Ingress.networking.k8s.io": "ingresses",
    "Lease.coordination.k8s.io": "leases",
    "NetworkPolicy.networking.k8s.io": "networkpolicies",
    "PodDisruptionBudget.policy": "poddisruptionbudgets",
    "ResourceClaim.resource.k8s.io": "resourceclaims",
    "ResourceClaimTemplate.resource.k8s.io": "resourceclaimtemplates",
    "Role.rbac.authorization.k8s.io": "roles",
    "RoleBinding.rbac.authorization.k8s.io": "rolebindings",
}
_WRITES = ("CREATE", "UPDATE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One operation on one resource that a guard names; `resource` is empty where none is known."""

    policy: str
    kind: str  # as the guard has it
    operation: str
    group: str
    versions: tuple[str, ...]
    resource: str

    @property
    def sent_as(self) -> tuple[str, str, str]:
        """Tell what a registration has to send."""
        return self.group, self.resource, self.operation


def by(
    guards: Iterable[GuardPolicy], catalogue: Catalogue, *, resources: Mapping[str, str]
) -> Iterator[Asked]:
    """List what guards name; `resources` adds to the known ones, KIND.GROUP to its plural."""
    for guard in guards:
        operations = guard.match.operations or _WRITES
        if "*" in operations:
            operations = (*_WRITES, "DELETE", "CONNECT")
        for kind in guard.match.kinds or ("Pod",):
            for operation in operations:
                for group, versions, resource in _of(kind, operation, catalogue, resources):
                    yield Asked(
                        policy=guard.name,
                        kind=kind,
                        operation=operation,
                        group=group,
                        versions=versions,
                        resource=resource,
                    )


def _of(
    written: str, operation: str, catalogue: Catalogue, resources: Mapping[str, str]
) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """List the resources of a kind that an operation is on."""
    if operation == "CONNECT" or written in CONNECTED:
        if operation == "CONNECT":
            for kind, (connected, resource) in CONNECTED.items():
                if written in (kind, connected):
                    yield "", ("v1",), resource
        return
    name, _, group = written.partition(".")
    known = catalogue.find(group, name)
    if known is not None:
        yield group, known.versions, known.plural
    else:
        yield group, ANY_VERSION, resources.get(written) or WITHOUT_PODS.get(written, "")


def sent(catalogue: Catalogue) -> frozenset[tuple[str, str, str]]:
    """List what the registrations of a catalogue send without any guard."""
    return frozenset(
        (kind.group, kind.plural, operation)
        for kind in catalogue.kinds.values()
        if kind.mutate and not kind.cluster_scoped
        for operation in _WRITES
    )


def unsent(guard: GuardPolicy, facts: Facts, catalogue: Catalogue) -> tuple[str, ...]:
    """Say what a guard names that no registration of the cluster sends, a sentence a kind."""
    if facts.sent is None:
        return ()
    missing: dict[str, dict[str, None]] = {}
    for one in by([guard], catalogue, resources={}):
        if not _is_sent(one, facts.sent):
            missing.setdefault(one.kind, {})[one.operation] = None
    return tuple(
        f"nothing sends {' and '.join(operations)} of {kind} to the webhook; write its "
        "registrations anew: python -m webhook.registrations --policies DIR"
        for kind, operations in missing.items()
    )


def _is_sent(one: Asked, sent: Iterable[tuple[str, str, str]]) -> bool:
    return any(
        group in (one.group, "*")
        and operation in (one.operation, "*")
        and (resource in (one.resource, "*", "*/*") or not one.resource)
        for group, resource, operation in sent
    )
