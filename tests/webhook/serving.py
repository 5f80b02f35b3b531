"""Starts the real program and talks to it over TLS."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

JSON = {"Content-Type": "application/json"}


@dataclass(kw_only=True)
class Served:
    """A running webhook."""

    process: subprocess.Popen[bytes]
    directory: Path
    log: Path
    connection: http.client.HTTPSConnection | None = field(default=None, repr=False)

    def lines(self) -> list[dict[str, Any]]:
        """Read what was logged so far."""
        whole = self.log.read_bytes().rpartition(b"\n")[0]
        return [orjson.loads(line) for line in whole.splitlines()]

    def events(self, event: str) -> list[dict[str, Any]]:
        """Read the lines of one sort."""
        return [line for line in self.lines() if line["event"] == event]

    @property
    def port(self) -> int:
        """The port of the reviews."""
        return int(self.events("listening")[-1]["address"].rpartition(":")[2])

    def connect(self) -> http.client.HTTPSConnection:
        """Open a connection of its own."""
        tls = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        return http.client.HTTPSConnection("localhost", self.port, context=tls, timeout=20)

    def call(
        self, path: str, body: Any = None, *, method: str = "POST", headers: Any = None
    ) -> tuple[int, Any]:
        """Send a call on the connection that is kept, and give status and JSON."""
        if self.connection is None:
            self.connection = self.connect()
        sent = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        self.connection.request(method, path, sent, JSON if headers is None else headers)
        answer = self.connection.getresponse()
        read = answer.read()
        assert answer.headers["Content-Type"].startswith("application/json"), read
        return answer.status, orjson.loads(read) if method != "HEAD" else None

    def mutate(self, review: Any) -> dict[str, Any]:
        """Give the response of /mutate."""
        status, body = self.call("/mutate", review)
        assert status == 200, body
        return dict(body["response"])

    def validate(self, review: Any) -> dict[str, Any]:
        """Give the response of /validate."""
        status, body = self.call("/validate", review)
        assert status == 200, body
        return dict(body["response"])

    def metrics(self) -> str:
        """Read the page of metrics."""
        address = self.events("listening")[-1]["metrics_address"]
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as page:
            return str(page.read().decode())

    def metric(self, line: str) -> float:
        """Read one sample, 0 where it isn't there."""
        found = [had for had in self.metrics().splitlines() if had.startswith(f"{line} ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    def rss_kib(self) -> int:
        """Read how much memory the process has."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def close(self) -> None:
        """Close the connection that is kept."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def stop(self) -> int:
        """Send SIGTERM and give the exit code."""
        self.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


@contextlib.contextmanager
def webhook(directory: Path, *flags: str) -> Iterator[Served]:
    """Run `python -m webhook` with a certificate of its own in `directory`."""
    log = directory / "log"
    command = [sys.executable, "-m", "webhook", "--listen=127.0.0.1:0"]
    command += ["--metrics-listen=127.0.0.1:0", *flags]
    if not any(flag.startswith("--cert") for flag in flags):
        command.append(f"--self-signed={directory}")
    with log.open("wb") as written:
        process = subprocess.Popen(command, stderr=written, env=environment())  # noqa: S603 -- our own program
    served = Served(process=process, directory=directory, log=log)
    try:
        until(lambda: served.events("listening") or process.poll() is not None)
        yield served
    finally:
        served.close()
        if process.poll() is None:
            process.kill()
        process.wait()


def environment() -> dict[str, str]:
    """Give the environment without what would change the program."""
    return {key: value for key, value in os.environ.items() if not key.startswith("KUBECTL_ML_")}


def until(condition: Callable[[], Any], *, seconds: float = 15) -> Any:
    """Wait until something is so, and give it."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found
