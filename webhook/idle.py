"""What of a policy in the cluster does nothing there; of guards, worked out once a version."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from policies import idle
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
class Idle:
    """Says of a GuardPolicy what nobody asks us about, of a QuotaPolicy what bounds nothing."""

    facts: FactsSource
    policies: PolicySource
    _known: dict[str, _Known] = field(default_factory=dict)

    def of(self, kind: str, value: Manifest) -> tuple[str, ...]:
        """Give a sentence for each part of a policy that can be used."""
        if self.policies.unready or kind not in ("GuardPolicy", "QuotaPolicy"):
            return ()
        if kind == "QuotaPolicy":
            return idle.of_quota(value["spec"], self.policies.current)
        return self._of_guard(value)

    def _of_guard(self, value: Manifest) -> tuple[str, ...]:
        facts = self.facts.known
        if facts is None or facts.sent is None:
            return ()
        name, kinds = value["metadata"]["name"], catalogue.of(self.policies.current)
        known = self._known.get(name)
        if (
            known is None
            or known.value is not value
            or known.sent is not facts.sent
            or known.catalogue is not kinds
        ):
            found = idle.of_guard(name, value["spec"], facts, kinds)
            known = self._known[name] = _Known(value, facts.sent, kinds, found)
        return known.sentences
