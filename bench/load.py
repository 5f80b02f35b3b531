"""
Load for a server on loopback: `wrk` where it is installed, else a client of our own.

Every answer is checked; one that isn't what was meant makes the measurement unusable.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import orjson

HERE = Path(__file__).parent


class Unusable(Exception):  # noqa: N818 -- named for what the measurement is
    """Raised when what was measured is not what was meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is sent, to whom, over how many connections, and what every answer must be."""

    name: str
    port: int
    path: str
    body: Path
    must_hold: str
    status: int = 200
    token: str = ""
    connections: int
    core: int | None = None  # that the load is pinned to

    def run(self, *, seconds: float) -> dict[str, float]:
        """Load for so long; give reviews_per_second, p50_ms and p99_ms."""
        wrk = shutil.which("wrk")
        if wrk:
            command = [wrk, "-t1", f"-c{self.connections}", f"-d{max(1, round(seconds))}s"]
            command += ["--timeout=10s", "-s", str(HERE / "wrk.lua")]
            command += [f"https://127.0.0.1:{self.port}{self.path}"]
        else:
            command = [sys.executable, "-m", "bench.client", str(self.port), str(seconds)]
        done = subprocess.run(  # noqa: S603 -- our own
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
            env={**os.environ, **self._environment()},
            timeout=seconds * 3 + 30,
            preexec_fn=None if self.core is None else lambda: pin(0, self.core or 0),
        )
        result: dict[str, float] = orjson.loads(done.stdout.strip().splitlines()[-1])
        if result["bad"]:
            raise Unusable(f"{result['bad']:.0f} answers of {self.name} were not good")
        return result

    def _environment(self) -> dict[str, str]:
        return {
            "BENCH_BODY": str(self.body),
            "BENCH_MUST_HOLD": self.must_hold,
            "BENCH_STATUS": str(self.status),
            "BENCH_TOKEN": self.token,
            "BENCH_PATH": self.path,
            "BENCH_CONNECTIONS": str(self.connections),
        }


def generator() -> str:
    """Name what makes the load."""
    return "wrk" if shutil.which("wrk") else "built-in client"


def pin(pid: int, core: int) -> None:
    """Give a process one core; on a machine with a single one there is nothing to choose."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(pid, {cores[core % len(cores)]})
