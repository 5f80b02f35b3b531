"""That the bench of hostile expressions runs them all and names one."""

from __future__ import annotations

from bench import expressions
from tests.policies.cost.hostile import STOPPED


def test_names_the_slowest_of_all() -> None:
    found = expressions.run(rounds=1)

    assert found["expressions"] == len(STOPPED)
    assert found["slowest"] in STOPPED
    assert found["slowest_ms"] > 0
