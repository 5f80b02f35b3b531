"""Wait for something, with an end."""

import time
from collections.abc import Callable
from typing import TypeVar

from tests.e2e.controlplane import errors

T = TypeVar("T")


def until(
    condition: Callable[[], T | None],
    *,
    what: str,
    timeout_seconds: float = 60.0,
    pause_seconds: float = 0.05,
) -> T:
    """Call `condition` until it gives something true, and return that."""
    deadline = time.monotonic() + timeout_seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise errors.WaitError(f"waited {timeout_seconds:g} s for {what}")
        time.sleep(pause_seconds)
    return found
