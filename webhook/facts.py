"""Where the server's facts about the cluster come from."""

from __future__ import annotations

from typing import Protocol

from policies.model import Facts, Request


class FactsSource(Protocol):
    """Gives the facts that a decision needs, from memory: it is asked on the hot path."""

    @property
    def unready(self) -> str:
        """Say why there are no facts yet; nothing where there are."""
        ...

    async def facts_for(self, request: Request) -> Facts:
        """Give the facts for `request`, or raise NotReady."""
        ...


class OfflineFacts:
    """Facts without a cluster: the newest Kubernetes, everything installed, no labels known."""

    unready = ""

    def __init__(self, facts: Facts | None = None) -> None:
        self._facts = facts or Facts()

    async def facts_for(self, request: Request) -> Facts:
        """Give the same facts for every request."""
        return self._facts
