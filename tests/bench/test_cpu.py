"""The CPU that programs use, as the bench counts it: theirs and their children's, nobody else's."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench import cpu

BUSY = """
import subprocess, sys, time
if sys.argv[-1] == "parent":
    child = subprocess.Popen([sys.executable, *sys.orig_argv[1:-1], "child"], stdout=-1)
    child.stdout.readline()
while time.process_time() < 0.3:
    pass
print("done", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(("role", "least", "most"), [("alone", 0.25, 0.5), ("parent", 0.5, 1.0)])
def test_counts_a_program_with_what_it_started(role: str, least: float, most: float) -> None:
    with _started("counted", role):
        found = cpu.seconds({"it": "counted", "other": "never started"})
        assert least <= found["it"] <= most
        assert found["other"] == 0


def test_counts_no_program_that_is_not_named() -> None:
    with _started("unnamed", "alone"):
        assert cpu.seconds({"it": "another name"}) == {"it": 0}


@contextlib.contextmanager
def _started(name: str, role: str) -> Iterator[None]:
    """Run a program until it has used 0.3 s of CPU, and let it wait."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", BUSY, name, role]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:  # noqa: S603 -- this interpreter
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        yield
        process.communicate()
