"""What every step of one review works from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from policies import variables
from policies.inject.prepared import Prepared, prepare
from policies.intents import Intents
from policies.match import Target
from policies.model import Facts, PolicySet, Request, Skip
from policies.workloads.catalogue import Catalogue, Kind

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

    @classmethod
    def of(
        cls, request: Request, policies: PolicySet, facts: Facts, *, fold: bool = False
    ) -> Context:
        """Look up what the review of `request` needs."""
        prepared = prepare(policies)
        known = prepared.catalogue
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
