"""Start `python -m webhook` on a free port of the loopback, and always stop it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 20
STOP_SECONDS = 5


class NotStarted(Exception):  # noqa: N818 -- named for what happened
    """Raised when the webhook ends, or stays silent, before it listens."""


@contextmanager
def running(directory: Path, *, policies: Path) -> Iterator[str]:
    """Give the address on which the webhook listens; its CA is in `directory`/ca.crt."""
    log = directory / "webhook.log"
    command = [sys.executable, "-m", "webhook", "--offline"]
    command += ["--self-signed", str(directory), "--policies", str(policies)]
    command += ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=stderr)  # noqa: S603 -- our own program
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines(keepends=True):
            if line.endswith("\n") and line.startswith("{"):
                entry = json.loads(line)
                if entry.get("event") == "listening":
                    return str(entry["address"])
        time.sleep(0.02)
    raise NotStarted(f"the webhook did not start:\n{log.read_text()}")
