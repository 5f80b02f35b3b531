"""
A load generator for machines without `wrk`: `python -m bench.client PORT SECONDS`.

What is sent and what must come back is in the environment, as for `wrk.lua`.

It is Python, so it may be slower than the server it measures; the table says which one was used.
Prints one JSON object, the same as the script for `wrk` does.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import time
from pathlib import Path

import orjson
import uvloop


async def connection(port: int, request: bytes, *, until: float) -> list[float]:
    """Send one request after the other; give the seconds each took, negative where it was bad."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    status, must_hold = os.environ["BENCH_STATUS"], os.environ["BENCH_MUST_HOLD"].encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    took = []
    while time.perf_counter() < until:
        start = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        body = await body_of(reader, head.lower())
        good = head.startswith(f"HTTP/1.1 {status}".encode()) and must_hold in body
        took.append((time.perf_counter() - start) * (1 if good else -1))
    writer.close()
    return took


async def body_of(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """Read an answer's body, whole or in chunks, as an API server sends large ones."""
    if b"transfer-encoding: chunked" not in head:
        return await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


async def main(port: int, seconds: float, body: bytes) -> None:
    """Load the server from all connections and print what came of it."""
    token = os.environ["BENCH_TOKEN"]
    head = (
        f"POST {os.environ['BENCH_PATH']} HTTP/1.1\r\nHost: localhost\r\n"
        + (f"Authorization: Bearer {token}\r\n" if token else "")
        + f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    start = time.perf_counter()
    lists = await asyncio.gather(
        *(
            connection(port, head.encode() + body, until=start + seconds)
            for _ in range(int(os.environ["BENCH_CONNECTIONS"]))
        )
    )
    passed = time.perf_counter() - start
    took = sorted(abs(one) for each in lists for one in each)
    result = {
        "reviews_per_second": len(took) / passed,
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[len(took) * 99 // 100] * 1000,
        "bad": sum(one < 0 for each in lists for one in each),
    }
    sys.stdout.buffer.write(orjson.dumps(result) + b"\n")


if __name__ == "__main__":
    sent = Path(os.environ["BENCH_BODY"]).read_bytes()
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2]), sent))
