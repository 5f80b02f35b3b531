"""
How much work the expressions of one review may do, and those of one policy in it.

A unit is about a tenth of a microsecond on a core of 2024. What is spent is counted by sizes, not
by a clock, so that the same review always ends the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

OF_A_REVIEW = 2_000_000
OF_A_POLICY = 500_000


class SpentError(Exception):
    """Raised inside the runtime when a budget is used up."""


class Budget:
    """What is left, in units, for a review and for the policy whose turn it is."""

    __slots__ = ("is_shared_out", "of_policy", "of_review")

    def __init__(self) -> None:
        self.is_shared_out = False
        self.of_review: float = OF_A_REVIEW
        self.of_policy: float = OF_A_POLICY

    @property
    def is_spent(self) -> bool:
        """Tell whether more was asked for than there was."""
        return self.of_policy < 0 or self.of_review < 0

    def charge(self, units: float) -> None:
        """
        Take units off before their work is done, or raise SpentError; once spent it stays so.

        A policy that asks for more than its part leaves the others what is beyond that part.
        """
        if units > self.of_policy:
            self.of_review -= max(self.of_policy, 0)
            self.of_policy = -1
            raise SpentError
        self.of_policy -= units
        self.of_review -= units
        if self.of_review < 0:
            raise SpentError

    def why(self) -> str:
        """Say what was passed, and what helps."""
        if self.of_review < 0:
            limit = f"the {OF_A_REVIEW:,} units of work that all policies may do in a review"
        else:
            limit = f"the {OF_A_POLICY:,} units of work that one policy may do in a review"
        return (
            f"it goes past {limit}; loop over less, or compare and build smaller strings and lists"
        )


_CURRENT: ContextVar[Budget | None] = ContextVar("budget", default=None)


def running() -> Budget | None:
    """Give the budget of the review that runs, if one does."""
    return _CURRENT.get()


def current() -> Budget:
    """Give the budget of the review that runs, or one for this question alone."""
    return _CURRENT.get() or Budget()


@contextmanager
def review() -> Iterator[Budget]:
    """Let all expressions within share one budget; inside another review its own goes on."""
    found = _CURRENT.get()
    if found is not None:
        yield found
        return
    token = _CURRENT.set(Budget())
    try:
        yield current()
    finally:
        _CURRENT.reset(token)


@contextmanager
def policy() -> Iterator[Budget]:
    """Give the expressions within one policy's part of the budget; within it, that goes on."""
    with review() as budget:
        if budget.is_shared_out:
            yield budget
            return
        budget.is_shared_out, budget.of_policy = True, OF_A_POLICY
        try:
            yield budget
        finally:
            budget.is_shared_out = False
