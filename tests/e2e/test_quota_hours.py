"""Budgets by the hour: what runs when a larger one ends goes on, and nothing new comes in."""

import datetime
import time
import zoneinfo
from collections.abc import Iterator

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.installed import ENFORCED, Installed
from tests.e2e.test_policies import applied
from tests.e2e.test_quota import GPUS, job, quota, settles

CONTROL_PLANE = "quota"
pytestmark = pytest.mark.load
ZONE = zoneinfo.ZoneInfo("Asia/Kathmandu")  # 5:45 ahead of UTC
ROOM = 20  # seconds in which the first half must be done


@pytest.fixture
def team(installed: Installed) -> Iterator[Place]:
    with acting.place(installed, ENFORCED) as place:
        yield place


def test_a_budget_changes_with_the_hour(installed: Installed, team: Place) -> None:
    now = datetime.datetime.now(ZONE)
    if now.second > 60 - ROOM:
        time.sleep(60 - now.second)
        now = datetime.datetime.now(ZONE)
    turn = now.replace(second=0, microsecond=0) + datetime.timedelta(minutes=1)
    begin, end = (f"{turn + datetime.timedelta(hours=hours):%H:%M}" for hours in (-1, 1))
    schedules = [
        {"name": "day", "from": begin, "to": f"{turn:%H:%M}", "budget": {GPUS: 4}},
        {"name": "night", "from": f"{turn:%H:%M}", "to": end, "budget": {GPUS: 5}},
    ]
    for one in schedules:
        one["timeZone"] = ZONE.key
    with applied(installed, quota(budget={GPUS: 1}, schedules=schedules)):
        time.sleep(1)  # until the webhook has it
        team.apply(job("large", 4))
        settles(installed, team, 4)
        over = team.try_apply(job("more", 1))
        assert (
            "has 4 of 4 a100 (schedule day) in use (large 4); more asks for 1, 1 too many"
            in over.stderr
        )

        time.sleep((turn - datetime.datetime.now(ZONE)).total_seconds() + 0.1)
        over = team.try_apply(job("more", 2))
        assert (
            "has 4 of 5 a100 (schedule night) in use (large 4); more asks for 2, 1 too many"
            in over.stderr
        )
        team.apply(job("more", 1))
        settles(installed, team, 5)

    with applied(installed, quota(budget={GPUS: 1}, schedules=schedules[:1])):
        time.sleep(1)
        over = team.try_apply(job("last", 1))
        assert (
            "has 5 of 1 a100 in use (large 4, more 1); last asks for 1, 5 too many" in over.stderr
        )
        assert sum(1 for _ in team.admin.get(team.path("Job"))["items"]) == 2
