"""
Policies from directories, read again when a file changes.

A bad file keeps the last good set in force: one typing error must not switch injection off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from policies import load
from policies.errors import InvalidPolicies
from policies.model import PolicySet
from webhook.settings import Settings


class Recorder(Protocol):
    """Counts what became of the files."""

    def policies_loaded(self, counts: tuple[tuple[str, int], ...]) -> None:
        """Say how many policies of each kind are in force."""
        ...

    def policies_read(self, *, good: bool) -> None:
        """Count a reload."""
        ...


def counts(policies: PolicySet) -> tuple[tuple[str, int], ...]:
    """Count the policies of a set by kind."""
    return (
        ("Accelerator", len(policies.accelerators)),
        ("DataSource", len(policies.data_sources)),
        ("InjectionPolicy", len(policies.injections)),
        ("WorkloadKind", len(policies.workload_kinds)),
    )


class PolicyFiles:
    """The policies in force. Making it reads them, and raises InvalidPolicies where it can't."""

    unready = ""
    current: PolicySet

    def __init__(
        self,
        settings: Settings,
        *,
        recorder: Recorder,
        log: FilteringBoundLogger,
    ) -> None:
        self._paths = settings.policies
        self._library = settings.library
        self._seconds = settings.reload_seconds
        self._recorder = recorder
        self._log = log
        self.on_taken: Callable[[], None] = lambda: None
        self._fingerprint: Hashable = self._look()
        self._take(self._read())

    def _look(self) -> Hashable:
        return load.fingerprint(self._paths)

    def _read(self) -> PolicySet:
        return load.read(self._paths, library=self._library)

    async def follow(self) -> None:
        """Look at the files every now and then, and take over what changed."""
        while self._paths:
            await asyncio.sleep(self._seconds)
            await self._refresh()

    async def _refresh(self) -> None:
        try:
            # In a thread, so that slow disks hold up no review.
            seen = await asyncio.to_thread(self._look)
            if seen == self._fingerprint:
                return
            self._fingerprint = seen  # a bad file is reported once, not each second
            read = await asyncio.to_thread(self._read)
        except InvalidPolicies as error:
            self._keep([str(fault) for fault in error.faults])
        except OSError as error:
            self._keep([str(error)])
        else:
            self._recorder.policies_read(good=True)
            self._take(read)

    def _take(self, policies: PolicySet) -> None:
        self.current = policies
        self._recorder.policies_loaded(counts(policies))
        self._log.info("policies loaded", **dict(counts(policies)))
        self.on_taken()

    def _keep(self, faults: list[str]) -> None:
        self._recorder.policies_read(good=False)
        self._log.error("policies not reloaded; the last good ones stay in force", faults=faults)
