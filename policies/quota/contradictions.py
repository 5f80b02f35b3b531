"""What of a QuotaPolicy contradicts the rest: groups named twice, schedules that never count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policies.quota.policy import Schedule

NEVER = "those before it hold whenever it would, so it never counts; put it before them"
_DAY = 24 * 60
_WEEK = 7 * _DAY
_ALWAYS = (1 << _WEEK) - 1

Found = tuple[tuple[str | int, ...], str]


def groups_twice(spec: Mapping[str, Any], path: tuple[str | int, ...] = ()) -> Iterator[Found]:
    """Find overrides for a group that has one, of a policy or of one of its schedules."""
    seen = set()
    for number, one in enumerate(_mappings(spec.get("overrides"))):
        group = one.get("group")
        if isinstance(group, str) and group in seen:
            message = f'"{group}" has an override already; keep one'
            yield (*path, "overrides", number, "group"), message
        seen.add(group if isinstance(group, str) else None)
    for number, one in enumerate(_mappings(spec.get("schedules"))):
        yield from groups_twice(one, (*path, "schedules", number))


def _mappings(found: Any) -> Iterator[Mapping[str, Any]]:
    """List what should be mappings; in place of what is none, an empty one."""
    for one in found if isinstance(found, list) else ():
        yield one if isinstance(one, dict) else {}


def never_counting(schedules: Sequence[Schedule]) -> Iterator[int]:
    """Find schedules that are never the first to hold, by their places."""
    before: dict[str, int] = {}
    always = False
    for number, one in enumerate(schedules):
        minutes, taken = _minutes(one), before.get(one.time_zone, 0)
        if always or not minutes & ~taken:
            yield number
        before[one.time_zone] = taken | minutes
        always = always or before[one.time_zone] == _ALWAYS


def _minutes(schedule: Schedule) -> int:
    """Give a bit for each minute of the week at which it holds, by its own clocks."""
    long = (schedule.end - schedule.start) % _DAY or _DAY
    found = 0
    for day in schedule.days:
        found |= ((1 << long) - 1) << (day * _DAY + schedule.start)
    return (found | found >> _WEEK) & _ALWAYS  # Sunday's night ends on Monday
