"""What guards of the cluster name that no registration sends to us, worked out once a version."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from policies import asked, guarding
from policies.model import Facts, Manifest, PolicySet
from policies.workloads import catalogue
from policies.workloads.catalogue import Catalogue


class FactsSource(Protocol):
    """Holds what is known of the cluster."""

    @property
    def known(self) -> Facts | None:
        """Give it; None where nothing is known yet."""
        ...


class PolicySource(Protocol):
    """Holds the policies in force."""

    @property
    def current(self) -> PolicySet:
        """Give them."""
        ...

    @property
    def unready(self) -> str:
        """Say why there are none yet; nothing where there are."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    value: Manifest
    sent: frozenset[tuple[str, str, str]]
    catalogue: Catalogue
    sentences: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Unsent:
    """Says for a GuardPolicy what of it nobody asks us about."""

    facts: FactsSource
    policies: PolicySource
    _known: dict[str, _Known] = field(default_factory=dict)

    def of(self, value: Manifest) -> tuple[str, ...]:
        """Give a sentence for each kind."""
        facts = self.facts.known
        if facts is None or facts.sent is None or self.policies.unready:
            return ()
        name, kinds = value["metadata"]["name"], catalogue.of(self.policies.current)
        known = self._known.get(name)
        if (
            known is None
            or known.value is not value
            or known.sent is not facts.sent
            or known.catalogue is not kinds
        ):
            guard = guarding.guard_policy(name, value["spec"])
            found = asked.unsent(guard, facts, kinds)
            known = self._known[name] = _Known(value, facts.sent, kinds, found)
        return known.sentences
