"""What guards found in a review, for the count: which guard, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from policies.model import Decision, GuardPolicy

_EXPIRED = re.compile(r'[^ ]+: the exception "([^"]+)" has expired; renew it or delete it')


def of(decision: Decision, guards: Iterable[GuardPolicy]) -> list[tuple[str, str]]:
    """List each guard that found something once, with denied, warned or audited."""
    if not (decision.violations or decision.warnings or decision.audits):
        return []
    names = {guard.name for guard in guards}
    return sorted({(name, verdict) for name, verdict in _found(decision) if name in names})


def expired(decision: Decision) -> list[str]:
    """List the exceptions that would have let an object off, were their time not over."""
    found = map(_EXPIRED.fullmatch, decision.warnings)
    return sorted({match[1] for match in found if match})


def _found(decision: Decision) -> Iterator[tuple[str, str]]:
    yield from ((one.policy, "denied") for one in decision.violations)
    yield from ((one.policy, "audited") for one in decision.audits)
    for warning in decision.warnings:
        if not _EXPIRED.fullmatch(warning):
            yield warning.partition(": ")[0], "warned"
