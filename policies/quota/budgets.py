"""How much a group may use now: the policy's budget, the group's override, the schedule's."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from policies.quota.ledger import Amounts
from policies.quota.policy import Budget, QuotaPolicy, Schedule


def of(policy: QuotaPolicy, group: str, now: float | None) -> Amounts:
    """
    Tell how much `group` may use at `now` (seconds since 1970; None: no schedule holds).

    The policy's own, then the first override for the group, then those of the first schedule that
    holds: each replaces the figures that it names.
    """
    schedule = schedule_of(policy, now)
    amounts: dict[str, Decimal] = {}
    for budget, overrides in (
        (policy.budget, policy.overrides),
        *([(schedule.budget, schedule.overrides)] if schedule else []),
    ):
        amounts |= budget.amounts
        amounts |= next(_for(overrides, group), Budget(amounts={})).amounts
    return amounts


def schedule_of(policy: QuotaPolicy, now: float | None) -> Schedule | None:
    """Give the schedule that holds at `now`: the first of several."""
    return next(_holding(policy.schedules, now), None)


def keys(policy: QuotaPolicy) -> frozenset[str]:
    """Name what the policy bounds, for any group at any time."""
    budgets = [policy.budget, *policy.overrides]
    for schedule in policy.schedules:
        budgets += [schedule.budget, *schedule.overrides]
    return frozenset(policy.per_workload).union(*(one.amounts for one in budgets))


def _for(overrides: Iterable[Budget], group: str) -> Iterator[Budget]:
    """Find the overrides for a group: one that names it before those with globs."""
    listed = list(overrides)
    yield from (one for one in listed if group in one.groups)
    yield from (
        one for one in listed if any(fnmatch.fnmatchcase(group, name) for name in one.groups)
    )


def _holding(schedules: Iterable[Schedule], now: float | None) -> Iterator[Schedule]:
    if now is None:
        return
    for schedule in schedules:
        local = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(schedule.time_zone))
        if _holds(schedule, local):
            yield schedule


def _holds(schedule: Schedule, local: datetime) -> bool:
    """Compare by the clocks on the wall: an hour that comes twice counts twice."""
    minute = local.hour * 60 + local.minute
    if schedule.start < schedule.end:
        return local.weekday() in schedule.days and schedule.start <= minute < schedule.end
    if minute >= schedule.start:
        return local.weekday() in schedule.days
    yesterday = (local.weekday() - 1) % 7
    return minute < schedule.end and yesterday in schedule.days
