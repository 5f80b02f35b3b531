"""
A load generator for machines without `wrk`: `python -m bench.client PORT SECONDS MUST_HOLD < BODY`.

It is Python, so it may be slower than the server it measures; the table says which one was used.
Prints one JSON object, the same as the script for `wrk` does.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import time

import orjson
import uvloop

CONNECTIONS = 16


async def connection(port: int, request: bytes, *, until: float, must_hold: bytes) -> list[float]:
    """Send one request after the other; give the seconds each took, negative where it was bad."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    took = []
    while time.perf_counter() < until:
        start = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        good = head.startswith(b"HTTP/1.1 200") and must_hold in body
        took.append((time.perf_counter() - start) * (1 if good else -1))
    writer.close()
    return took


async def main(port: int, seconds: float, must_hold: bytes) -> None:
    """Load the server from 16 connections and print what came of it."""
    body = sys.stdin.buffer.read()
    head = (
        "POST /mutate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    start = time.perf_counter()
    lists = await asyncio.gather(
        *(
            connection(port, head.encode() + body, until=start + seconds, must_hold=must_hold)
            for _ in range(CONNECTIONS)
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
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3].encode()))
