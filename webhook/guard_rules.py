"""
What a registration has to send so that guards are asked about all that they name.

The catalogue's own registrations send workloads and pods that come and change. What guards name
beyond that (DELETE, CONNECT, kinds without pods) is sent by registrations of its own, of which no
rule is `*/*` either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import click

from policies import asked
from policies.asked import Asked
from policies.model import GuardPolicy, Manifest
from policies.workloads.catalogue import Catalogue

_PLURAL = re.compile(r"[a-z][a-z0-9-]*")

# What cleans up after others: an object goes because its owner or its namespace does.
CLEANERS = (
    "system:kube-controller-manager",
    "system:serviceaccount:kube-system:generic-garbage-collector",
    "system:serviceaccount:kube-system:namespace-controller",
    "system:serviceaccount:kube-system:pod-garbage-collector",
)


def beyond(
    guards: Iterable[GuardPolicy], catalogue: Catalogue, *, resources: Mapping[str, str]
) -> list[Asked]:
    """List what guards name that the catalogue's registrations don't send."""
    sent = asked.sent(catalogue)
    found = asked.by(guards, catalogue, resources=resources)
    return [one for one in found if one.sent_as not in sent]


def resource(text: str) -> tuple[str, str]:
    """Read KIND.GROUP=PLURAL of the command line."""
    kind, _, plural = text.partition("=")
    if not kind or not _PLURAL.fullmatch(plural):
        message = f'"{text}" names no resource; write KIND.GROUP=PLURAL'
        raise click.BadParameter(message, param_hint="--resource")
    return kind, plural


def unknown(beyond: Iterable[Asked]) -> list[str]:
    """Say of which kinds no resource is known."""
    found = {(one.policy, one.kind): None for one in beyond if not one.resource}
    return [
        f'GuardPolicy "{policy}": spec.match.kinds: the resource of "{kind}" is not known; add '
        f"--resource {kind}=PLURAL, as kubectl api-resources names it"
        for policy, kind in found
    ]


def rules(beyond: Sequence[Asked]) -> list[Manifest]:
    """Put resources of one group that are asked about alike into one rule."""
    operations: dict[tuple[str, tuple[str, ...], str], set[str]] = {}
    for one in beyond:
        operations.setdefault((one.group, one.versions, one.resource), set()).add(one.operation)
    together: dict[tuple[str, tuple[str, ...], tuple[str, ...], str], list[str]] = {}
    for (group, versions, resource), asked_for in operations.items():
        scope = "Cluster" if (group, resource) == ("", "namespaces") else "Namespaced"
        key = (group, versions, tuple(sorted(asked_for)), scope)
        together.setdefault(key, []).append(resource)
    return [
        {
            "apiGroups": [group],
            "apiVersions": list(versions),
            "operations": list(asked_for),
            "resources": sorted(resources),
            "scope": scope,
        }
        for (group, versions, asked_for, scope), resources in sorted(together.items())
    ]


def conditions() -> tuple[tuple[str, str], ...]:
    """Leave out what must not wait for us: names and expressions of match conditions."""
    cleaners = ",\n".join(f"  '{user}'" for user in CLEANERS)
    return (
        # Of a DELETE or CONNECT `object` is null or has no metadata.
        (
            "not-being-deleted",
            "request.operation in ['DELETE', 'CONNECT'] ||\n"
            "!has(object.metadata.deletionTimestamp)",
        ),
        (
            "not-cleaning-up",
            "request.operation != 'DELETE' ||\n"
            "!('system:nodes' in request.userInfo.groups ||\n"
            f"request.userInfo.username in [\n{cleaners}\n])",
        ),
    )
