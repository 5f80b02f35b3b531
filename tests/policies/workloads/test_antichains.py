"""The most that runs at once, against every choice of tasks that may run side by side."""

from __future__ import annotations

from decimal import Decimal
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from policies.workloads import antichains

TASKS = st.lists(st.tuples(st.integers(0, 5), st.sets(st.integers(0, 5))), max_size=6)


@given(TASKS)
def test_the_heaviest_is_the_best_of_all_choices(tasks: list[tuple[int, set[int]]]) -> None:
    # a task waits for earlier ones only
    after = antichains.closed(
        [frozenset(one for one in waits if one < at) for at, (_, waits) in enumerate(tasks)]
    )
    weights = [Decimal(weight) for weight, _ in tasks]
    choices = [
        chosen
        for size in range(len(tasks) + 1)
        for chosen in combinations(range(len(tasks)), size)
        if not any(one in after[two] for one, two in combinations(chosen, 2))
    ]

    best = max(sum((weights[one] for one in chosen), Decimal(0)) for chosen in choices)

    assert antichains.heaviest(weights, after) == best


def test_tasks_that_wait_for_each_other_end_the_search() -> None:
    after = antichains.closed([frozenset({1}), frozenset({0})])

    assert antichains.heaviest([Decimal(1), Decimal(1)], after) <= 2


def test_long_chains_are_not_ordered() -> None:
    after = antichains.closed([frozenset({at - 1} if at else ()) for at in range(5000)])

    assert antichains.heaviest([Decimal(1)] * 5000, after) == 5000
