"""What of a policy does nothing, though in force: kinds nobody sends, classes that aren't there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from policies import asked, guarding
from policies.intents import nearest
from policies.model import Facts, PolicySet
from policies.quota import contradictions, reading
from policies.workloads.catalogue import Catalogue


def of_guard(
    name: str, spec: dict[str, Any], facts: Facts, catalogue: Catalogue
) -> tuple[str, ...]:
    """Say which kinds and operations of a guard no registration sends to the webhook."""
    return asked.unsent(guarding.guard_policy(name, spec), facts, catalogue)


def of_quota(spec: Mapping[str, Any], policies: PolicySet) -> tuple[str, ...]:
    """Say which budgets are of no device class, and so bound nothing, and what never holds."""
    return (*_unbounding(spec, policies), *_never(spec))


def _unbounding(spec: Mapping[str, Any], policies: PolicySet) -> Iterator[str]:
    for (*steps, key), name in reading.of_no_class(spec, policies.accelerators):
        path = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in steps)
        yield (
            f'spec{path}["{key}"]: there is no device class "{name}", so this bounds nothing'
            f"{nearest(name, policies.accelerators)}"
        )


def _never(spec: Mapping[str, Any]) -> Iterator[str]:
    for number in contradictions.never_counting(reading.schedules(spec)):
        yield f"spec.schedules[{number}]: {contradictions.NEVER}"
