"""
End processes in order, also those of a program that was killed.

Run as a program (`python -m tests.e2e.controlplane.reaper`) it reads lines from its standard input:
`process NAME PID STARTED` for what to end, `remove DIRECTORY` for what to remove. When the input
ends, because the program that wrote it is gone, however it went, it does so: what started last ends
first. A process is known by its id and its start time, so none other with the same id is ever hit.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

GRACE_SECONDS = 10.0
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One process that was started."""

    name: str
    pid: int
    started: str


def identify(name: str, pid: int) -> Identity:
    """Note when the process started, so that it can be told from a later one with its id."""
    return Identity(name=name, pid=pid, started=_started(pid) or "never")


def is_running(process: Identity) -> bool:
    """Tell whether exactly this process still runs (a zombie doesn't)."""
    return _started(process.pid) == process.started


def _started(pid: int) -> str | None:
    if not _PROC.is_dir():
        return _started_by_ps(pid)
    try:
        # The name in parentheses may hold anything; behind it come the state and, 19 on, the start.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _started_by_ps(pid: int) -> str | None:
    argv = ("/bin/ps", "-o", "stat=,lstart=", "-p", str(pid))
    done = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603 -- ps
    state, _, started = done.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else "-".join(started.split())


def end(processes: Iterable[Identity], *, grace_seconds: float = GRACE_SECONDS) -> None:
    """Ask each to end, in this order, waiting for one before asking the next; then insist."""
    for process in processes:
        _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        while is_running(process) and time.monotonic() < deadline:
            time.sleep(0.02)
        kill(process)


def kill(process: Identity) -> None:
    """End the process and what it started in its session, at once."""
    if is_running(process):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    while is_running(process):
        time.sleep(0.01)


def _signal(process: Identity, number: signal.Signals) -> None:
    if is_running(process):
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def main() -> None:
    """Read until the other side is gone, then end and remove what it named."""
    processes: dict[str, Identity] = {}  # one that is started again keeps its place
    directories: list[str] = []
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "process":
            name, pid, started = rest.split(" ")
            processes[name] = Identity(name=name, pid=int(pid), started=started)
        elif word == "remove":
            directories.append(rest)
    end(reversed(processes.values()))
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
