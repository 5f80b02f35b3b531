"""Workloads that many scale at once, up and down, by every way there is."""

import concurrent.futures
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane.client import Client, Manifest
from tests.e2e.installed import Installed
from tests.e2e.test_policies import applied
from tests.e2e.test_quota import (
    GPUS,
    NOWHERE,
    in_force,
    quota,
    replicas,
    settles,
    team,
    worker,
)

__all__ = ["replicas", "team", "worker"]  # fixtures

CONTROL_PLANE = "quota"
pytestmark = pytest.mark.load
BUDGET = 8
NAMES = [f"web-{number}" for number in range(4)]
ROUNDS = 3
CHANGES = 40  # of each thread in a round
MERGE = "application/merge-patch+json"


def deployment(name: str) -> Manifest:
    made = acting.deployment(name, accelerator="a100:1", replicas=1)
    made["spec"]["strategy"] = {"type": "Recreate"}  # so that what it asks for is its replicas
    made["spec"]["template"]["spec"]["nodeSelector"] = NOWHERE
    return made


def test_what_is_scaled_at_once_never_goes_over(
    replicas: Installed, team: Place, worker: Client
) -> None:
    with applied(replicas, quota(budget={GPUS: BUDGET})):
        in_force(replicas)
        team.apply(*map(deployment, NAMES))
        settles(replicas, team, len(NAMES))
        for number in range(ROUNDS):
            with watched(team) as most, concurrent.futures.ThreadPoolExecutor(8) as pool:
                list(
                    pool.map(
                        lambda seed: scales(worker, team, seed), range(8 * number, 8 * number + 8)
                    )
                )
            assert max(most) <= BUDGET, most
            settles(replicas, team, asked(team))


def scales(client: Client, place: Place, seed: int) -> None:
    """Set replicas at random: as `kubectl scale` does, as an autoscaler, and by the object."""
    chance = random.Random(seed)  # noqa: S311 -- a test
    for _ in range(CHANGES):
        path = place.path("Deployment", chance.choice(NAMES))
        body: Any = {"spec": {"replicas": chance.randint(0, 5)}}
        how = chance.choice(["patch", "scale", "put"])
        if how == "put":
            found = client.get(f"{path}/scale")
            answer = client.request("PUT", f"{path}/scale", {**found, **body})
        else:
            at = f"{path}/scale" if how == "scale" else path
            answer = client.request("PATCH", at, body, content_type=MERGE)
        assert answer.status in (200, 403, 409), answer.body


@contextmanager
def watched(place: Place) -> Iterator[list[int]]:
    """Look all the time at what is asked for; each list is of one moment."""
    found, over = [0], threading.Event()

    def look() -> None:
        while not over.is_set():
            found.append(asked(place))
            time.sleep(0.02)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def asked(place: Place) -> int:
    items = place.admin.get(place.path("Deployment"))["items"]
    return sum(one["spec"]["replicas"] for one in items)
