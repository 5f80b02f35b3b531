"""What every step of one review works from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from policies import variables
from policies.inject import provenance
from policies.inject.prepared import Prepared, prepare
from policies.inject.provenance import Claims
from policies.intents import INJECTED, Intents
from policies.match import Target
from policies.model import Facts, PolicySet, Reason, Request, Skip
from policies.patch import Path, lookup
from policies.workloads.catalogue import Catalogue, Kind

_ANNOTATIONS = "annotations"
_NO_LABELS: Mapping[str, str] = {}


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Context:
    """
    One request with all that is looked up for it once.

    `fold`: what the pods will be is put into the object's templates (the template stage), where
    otherwise only what has to be there before pods exist is.
    """

    request: Request
    prepared: Prepared
    facts: Facts
    catalogue: Catalogue
    kind: Kind | None  # None: an object that makes no pods
    metadata: Mapping[str, Any]
    fold: bool = False
    skips: list[Skip] | None = None  # filled where somebody asks
    faults: list[str] = field(default_factory=list)  # of conditions
    reasons: list[Reason] | None = None  # the same, of guards

    @classmethod
    def of(
        cls, request: Request, policies: PolicySet, facts: Facts, *, fold: bool = False
    ) -> Context:
        """Look up what the review of `request` needs."""
        prepared = prepare(policies)
        known = prepared.catalogue
        if facts.fields or facts.launchers:
            known = _as_served(known, facts, request.namespace)
        metadata = request.object.get("metadata") if isinstance(request.object, dict) else None
        return cls(
            request=request,
            prepared=prepared,
            facts=facts,
            catalogue=known,
            kind=known.find(request.group, request.kind),
            metadata=metadata if isinstance(metadata, dict) else {},
            fold=fold,
        )

    @property
    def old(self) -> Any:
        """The object before an UPDATE; None for another operation."""
        return self.request.old_object if self.request.operation == "UPDATE" else None

    def recorded(self, obj: Any, metadata: Path | None) -> Claims:
        """
        Read what an object's provenance claims, without what nobody who is in force has added.

        Who writes an object may write anything there. On an UPDATE what the old object had stays.
        """
        claims = provenance.read(
            lookup(obj, (*metadata, _ANNOTATIONS, INJECTED)) if metadata else None
        )
        known = self.prepared.authors
        unknown = [key for key in claims.by_policy if key.rpartition("@")[0] not in known]
        if unknown:
            held = self._held(metadata)
            for key in unknown:
                found = claims.by_policy.pop(key)
                if key in held:
                    kept = {at: before for at, before in found.items() if at in held[key]}
                    claims.by_policy[key] = kept
        return claims

    def _held(self, metadata: Path | None) -> Mapping[str, Mapping[str, Any]]:
        if self.request.operation != "UPDATE" or not metadata:
            return {}
        old = lookup(self.request.old_object, (*metadata, _ANNOTATIONS, INJECTED))
        return provenance.read(old).by_policy

    def target(
        self,
        kind: str,
        labels: Any,
        owner: str,
        intents: Intents,
        *,
        seen: Callable[[], tuple[Any, Any]],
    ) -> Target:
        """Describe what policies are matched on; `seen` gives the object and the old one."""
        request = self.request
        return Target(
            kind=kind,
            operation=request.operation,
            namespace=request.namespace,
            namespace_labels=self.facts.namespaces.get(request.namespace, _NO_LABELS),
            labels=labels if isinstance(labels, dict) else _NO_LABELS,
            owner=owner,
            user=request.user,
            intents=intents.keys,
            values=lambda: variables.of(request, self.facts, *seen()),
            faults=self.faults,
        )


def _as_served(known: Catalogue, facts: Facts, namespace: str) -> Catalogue:
    """Give the kinds as the cluster has them."""
    from policies.workloads import generations, trainings  # here, because a terminal knows neither

    if facts.fields:
        known = generations.served(known, facts.fields)
    return trainings.with_launchers(known, trainings.near(facts.launchers, namespace))
