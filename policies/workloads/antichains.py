"""
The most that runs at once of tasks of which some wait for others.

    heaviest([1, 2, 2, 1], [{}, {0}, {0}, {0, 1, 2}]) -> 4

Tasks that may run side by side are those of which none waits for another: an antichain. The
heaviest one weighs what all weigh, less the largest flow between tasks and what comes after them
(Dilworth's theorem, with weights).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

MAX_TASKS = 200  # beyond, all count as side by side
_ZERO = Decimal(0)
After = Sequence[frozenset[int]]


def closed(after: Sequence[frozenset[int]]) -> tuple[frozenset[int], ...]:
    """Give for each task all those that it waits for, through others too; none where it is long."""
    if len(after) > MAX_TASKS:
        return tuple(frozenset() for _ in after)
    found: dict[int, frozenset[int]] = {}

    def of(task: int, above: frozenset[int]) -> frozenset[int]:
        if task in found or task in above:
            return found.get(task, frozenset())
        direct = after[task]
        all_of_them = direct.union(*(of(one, above | {task}) for one in direct))
        found[task] = all_of_them - {task}
        return found[task]

    return tuple(of(task, frozenset()) for task in range(len(after)))


def heaviest(weights: Sequence[Decimal], after: After) -> Decimal:
    """Weigh the heaviest tasks that may run side by side; `after` is closed."""
    total = sum(weights, _ZERO)
    if not any(after):
        return total
    return total - _flow(weights, after)


def _flow(weights: Sequence[Decimal], after: After) -> Decimal:
    """Find the largest flow from tasks (each once) to tasks that come after them (each once)."""
    left, right = list(weights), list(weights)
    sent: dict[tuple[int, int], Decimal] = {}
    later = [[two for two in range(len(after)) if one in after[two]] for one in range(len(after))]
    flow = _ZERO
    while path := _augmenting(left, right, sent, later):
        amount = min(left[path[0][0]], right[path[-1][1]])
        amount = min([amount, *(sent[edge] for edge in _back(path))])
        left[path[0][0]] -= amount
        right[path[-1][1]] -= amount
        for edge in path:
            sent[edge] = sent.get(edge, _ZERO) + amount
        for edge in _back(path):
            sent[edge] -= amount
        flow += amount
    return flow


def _back(path: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give the edges on which a path takes flow back, between those on which it sends more."""
    return [(after[0], before[1]) for before, after in pairwise(path)]


def _augmenting(
    left: list[Decimal],
    right: list[Decimal],
    sent: dict[tuple[int, int], Decimal],
    later: list[list[int]],
) -> list[tuple[int, int]]:
    """Find the edges, first to last, along which more can flow; empty: there are none."""
    queue: list[list[tuple[int, int]]] = []
    met_left = {one for one, free in enumerate(left) if free}
    met_right: set[int] = set()
    queue += [[(one, two)] for one in sorted(met_left) for two in later[one]]
    for path in queue:
        two = path[-1][1]
        if two in met_right:
            continue
        met_right.add(two)
        if right[two]:
            return path
        for one, _ in [edge for edge, amount in sent.items() if edge[1] == two and amount]:
            if one not in met_left:
                met_left.add(one)
                queue += [[*path, (one, further)] for further in later[one]]
    return []
