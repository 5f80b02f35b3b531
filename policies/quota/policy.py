"""QuotaPolicy, read: frozen values, like the other objects' in `policies.model`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from policies.model import Match


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupBy:
    """
    What makes a group: `by` is namespace, namespaceLabel, user, queue or expression.

    `of` is the key of the label, or the CEL expression.
    """

    by: str = "namespace"
    of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much groups may use at most, by budget key; `groups` (globs) empty: every group."""

    amounts: Mapping[str, Decimal]
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Other budgets at some times of the week; of several the first that holds counts."""

    name: str
    days: frozenset[int]  # 0: Monday
    start: int  # minutes after midnight, by the clocks of `time_zone`
    end: int  # at or before the start: of the next day
    time_zone: str
    budget: Budget
    overrides: tuple[Budget, ...] = ()

    @property
    def title(self) -> str:
        """Name it: by its name, or by when it holds (`20:00-06:00 Europe/Berlin`)."""
        hours = "-".join(f"{one // 60:02}:{one % 60:02}" for one in (self.start, self.end))
        return self.name or f"{hours} {self.time_zone}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaPolicy:
    """
    How much the workloads of a group may ask for together, at their peak.

    A budget key is `accelerators` (devices by weight), `accelerators.CLASS`, `pods` or a resource.
    """

    name: str
    digest: str
    match: Match = field(default_factory=Match)
    enforcement: str = "Deny"  # Warn, Audit
    group_by: GroupBy = field(default_factory=GroupBy)
    budget: Budget
    overrides: tuple[Budget, ...] = ()
    per_workload: Mapping[str, Decimal] = field(default_factory=dict)
    schedules: tuple[Schedule, ...] = ()
    description: str = ""
