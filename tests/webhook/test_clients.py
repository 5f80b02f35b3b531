"""Slow clients, and the end of a server that has clients."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import ssl
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from tests.webhook import serving
from tests.webhook.reviews import intents, pod, review
from webhook import logs, server
from webhook.settings import Address, Limits, SelfSigned, Settings

ANY = Address(host="127.0.0.1", port=0)
BODY = orjson.dumps(review(pod(intents(accelerator="a100:2"))))
HEAD = b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@asynccontextmanager
async def impatient(
    directory: Path,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Serve in this loop with short limits, and connect."""
    settings = Settings(
        certificate=SelfSigned(directory=directory),
        limits=Limits(client_seconds=0.3, linger_seconds=0.2, drain_seconds=0, finish_seconds=1),
    )
    bound = server.bind(ANY)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with (directory / "log").open("wb") as log:
        sockets = server.Sockets(reviews=bound)
        async with server.serve(settings, sockets=sockets, log=logs.make("info", log.fileno())):
            tls.load_verify_locations(directory / "ca.crt")
            port = server.address_of(bound).port
            reader, writer = await asyncio.open_connection("localhost", port, ssl=tls)
            yield reader, writer
            writer.close()
            await writer.wait_closed()


async def test_cuts_a_client_that_drips_its_headers(tmp_path: Path) -> None:
    async with impatient(tmp_path) as (reader, writer):
        start = time.monotonic()
        for byte in HEAD * 9:
            if reader.at_eof():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)

        assert await reader.read() == b""
        assert time.monotonic() - start < 2


async def test_answers_a_client_that_drips_its_body_and_cuts_it(tmp_path: Path) -> None:
    async with impatient(tmp_path) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 5000\r\n\r\n{")

        answer = await asyncio.wait_for(reader.read(), 3)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"error":"the body did not arrive within 0.3 s"' in answer


async def test_a_connection_may_idle_between_reviews(tmp_path: Path) -> None:
    async with impatient(tmp_path) as (reader, writer):
        for _ in range(2):
            writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            await asyncio.sleep(0.6)

            assert head.startswith(b"HTTP/1.1 200 ")


async def test_a_body_may_come_later_than_its_headers(tmp_path: Path) -> None:
    async with impatient(tmp_path) as (reader, writer):
        writer.write(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        for at in range(0, len(BODY), 100):
            writer.write(BODY[at : at + 100])
            await asyncio.sleep(0.005)

        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


# --- the end -------------------------------------------------------------------------------


def load(served: serving.Served, stop: threading.Event, failures: list[str]) -> int:
    """Review until told to stop; what was sent must be answered, a closed door is none."""
    answered = 0
    connection: http.client.HTTPSConnection | None = None
    while not stop.is_set():
        if connection is None:
            connection = served.connect()
            try:
                connection.connect()
            except OSError:
                return answered
        try:
            connection.request("POST", "/mutate", BODY, serving.JSON)
            answer = connection.getresponse()
            if answer.status != 200 or b"JSONPatch" not in answer.read():
                failures.append(f"status {answer.status}")
        except (OSError, http.client.HTTPException) as error:
            failures.append(repr(error))
            return answered
        answered += 1
        if answer.will_close:
            connection.close()
            connection = None
    return answered


@pytest.mark.parametrize("workers", [1, 2])
def test_drains_under_load_without_a_failed_review(tmp_path: Path, workers: int) -> None:
    with serving.webhook(tmp_path, f"--workers={workers}") as served:
        stop, failures, answered = threading.Event(), list[str](), list[int]()
        threads = [
            threading.Thread(target=lambda: answered.append(load(served, stop, failures)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.5)

        code = served.stop()

        stop.set()
        for thread in threads:
            thread.join()
        assert (code, failures) == (0, [])
        assert min(answered) > 10
        assert served.lines()[-1]["event"] == "stopped"


def test_is_not_ready_while_draining_and_closes_each_connection(tmp_path: Path) -> None:
    with serving.webhook(tmp_path) as served:
        kept, busy = served.connect(), served.connect()
        kept.connect()
        busy.connect()
        served.process.send_signal(signal.SIGTERM)
        serving.until(lambda: served.events("draining"))

        kept.request("GET", "/readyz")
        ready = kept.getresponse()
        busy.request("POST", "/mutate", BODY, serving.JSON)
        reviewed = busy.getresponse()

        assert (ready.status, orjson.loads(ready.read())["error"]) == (503, "draining")
        assert (reviewed.status, reviewed.headers["Connection"]) == (200, "close")
        kept.close()
        busy.close()
        assert served.process.wait(timeout=10) == 0


def test_a_second_sigterm_ends_at_once(tmp_path: Path) -> None:
    with serving.webhook(tmp_path) as served:
        kept = served.connect()
        kept.connect()
        served.process.send_signal(signal.SIGTERM)
        serving.until(lambda: served.events("draining"))
        start = time.monotonic()

        served.process.send_signal(signal.SIGTERM)

        assert served.process.wait(timeout=5) != 0
        assert time.monotonic() - start < 0.9
        kept.close()


def test_a_worker_that_dies_is_started_again_and_counts_add_up(tmp_path: Path) -> None:
    with serving.webhook(tmp_path, "--workers=2") as served:
        pids = {line["pid"] for line in served.events("worker listening")}
        for _ in range(8):
            served.mutate(orjson.loads(BODY))
            served.close()
        sample = 'kubectl_ml_reviews_total{endpoint="mutate",kind="Pod",operation="CREATE",'
        assert served.metric(sample + 'outcome="patched"}') == 8

        os.kill(min(pids), signal.SIGKILL)

        serving.until(lambda: served.events("a worker died"))
        serving.until(lambda: len({x["pid"] for x in served.events("worker listening")}) == 3)
        assert served.stop() == 0
