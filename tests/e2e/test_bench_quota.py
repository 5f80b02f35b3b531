"""What `make bench` counts as reservations is in the ledgers, and what is too much is refused."""

import pytest

from bench import quota as bench
from tests.e2e.controlplane import waiting
from tests.e2e.installed import Installed
from tests.e2e.test_policies import applied
from tests.e2e.test_quota import GPUS, in_force, quota, replicas, summed_up

__all__ = ["replicas"]  # a fixture

CONTROL_PLANE = "quota"
pytestmark = pytest.mark.load


@pytest.mark.parametrize("asked", [True, False], ids=["reviews", "creates"])
def test_what_is_counted_was_reserved(replicas: Installed, asked: bool) -> None:
    with applied(replicas, quota("bench", budget={GPUS: 31})):
        in_force(replicas)

        found = bench.measure(replicas, bench.Case(asked=asked, pods=40))

        assert found["refused"] == 10  # the first pod is there before
        if asked:  # what is created goes with its namespace
            waiting.until(
                lambda: (
                    summed_up(replicas, found["namespace"], "bench").get("reserved") == {GPUS: "30"}
                ),
                what="all that was counted to be reserved",
            )
