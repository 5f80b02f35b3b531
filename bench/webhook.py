"""
The webhook beside an empty aiohttp handler, over TLS with keep-alive.

The servers share one core and are loaded in turn; the load has the other core.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bench import pod
from bench.load import Load, Unusable, generator, pin

CONNECTIONS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How long to measure, and where to leave files."""

    seconds: float = 5
    rounds: int = 3
    directory: Path = Path("build/bench")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that runs."""

    name: str
    port: int
    pid: int
    must_hold: str  # what each of its answers holds


def run(options: Options) -> dict[str, Any]:
    """Measure, and give the section of the report."""
    options.directory.mkdir(parents=True, exist_ok=True)
    body = options.directory / "review.json"
    body.write_bytes(orjson.dumps(pod.REVIEW))
    with serving(options.directory) as ours, _empty(options.directory) as floor:
        _check(ours, options.directory / "ca.crt", body.read_bytes())
        servers = (floor, ours)
        loads = {server.name: _load_of(server, body) for server in servers}
        for load in loads.values():
            load.run(seconds=min(1.0, options.seconds))
        rounds = [
            {name: load.run(seconds=options.seconds) for name, load in loads.items()}
            for _ in range(options.rounds)
        ]
        report = {server.name: _summary(server, rounds) for server in servers}
    ratios = [
        one[ours.name]["reviews_per_second"] / one[floor.name]["reviews_per_second"]
        for one in rounds
    ]
    return {
        **report,
        "ratio": round(statistics.median(ratios), 3),
        "review_bytes": body.stat().st_size,
        "connections": CONNECTIONS,
        "seconds": options.seconds,
        "rounds": options.rounds,
        "load": generator(),
    }


# --- servers -------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(directory: Path, *flags: str) -> Iterator[Server]:
    """Run the webhook on the first core, with its files in a directory."""
    log = directory / "webhook.log"
    command = [sys.executable, "-m", "webhook", "--listen=127.0.0.1:0"]
    command += ["--metrics-listen=127.0.0.1:0", f"--self-signed={directory}", *flags]
    with log.open("wb") as written, _running(command, stdout=None, stderr=written) as process:
        address = _said(log, process, key="address")
        yield Server(
            name="webhook",
            port=int(address.rpartition(":")[2]),
            pid=process.pid,
            must_hold='"patchType":"JSONPatch"',
        )
    log.unlink()  # a line a review


@contextlib.contextmanager
def _empty(directory: Path) -> Iterator[Server]:
    command = [sys.executable, "-m", "bench.empty", str(directory)]
    with _running(command, stdout=subprocess.PIPE, stderr=None) as process:
        assert process.stdout is not None  # noqa: S101 -- a pipe was asked for
        port = int(process.stdout.readline())
        yield Server(name="empty", port=port, pid=process.pid, must_hold='"allowed":true')


@contextlib.contextmanager
def _running(command: list[str], *, stdout: Any, stderr: Any) -> Iterator[subprocess.Popen[bytes]]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KUBECTL_ML_")}
    process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=environment)  # noqa: S603 -- our own
    try:
        pin(process.pid, 0)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _load_of(server: Server, body: Path) -> Load:
    return Load(
        name=server.name,
        port=server.port,
        path="/mutate",
        body=body,
        must_hold=server.must_hold,
        connections=CONNECTIONS,
        core=1,
    )


def _said(log: Path, process: subprocess.Popen[bytes], *, key: str) -> str:
    """Wait for the line in which the webhook says where it listens."""
    for _ in range(200):
        for line in log.read_bytes().splitlines():
            if line.startswith(b"{") and orjson.loads(line).get("event") == "listening":
                return str(orjson.loads(line)[key])
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)
            break
    raise Unusable(f"the webhook did not start: {log.read_text()}")


def _check(server: Server, ca: Path, body: bytes) -> None:
    tls = ssl.create_default_context(cafile=str(ca))
    request = urllib.request.Request(
        f"https://localhost:{server.port}/mutate",
        data=body,
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, context=tls, timeout=10) as response:  # noqa: S310 -- see above
        lacking = pod.missing(response.read())
    if lacking:
        raise Unusable(f"the pod did not receive {', '.join(lacking)}; nothing was measured")


def _summary(server: Server, rounds: list[dict[str, dict[str, float]]]) -> dict[str, float]:
    each = [one[server.name] for one in rounds]
    found = {
        key: round(statistics.median(one[key] for one in each), 3)
        for key in ("reviews_per_second", "p50_ms", "p99_ms")
    }
    return {**found, "rss_mb": round(_rss_bytes(server.pid) / 1e6, 1)}


def _rss_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
