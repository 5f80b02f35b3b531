"""That the built-in load generator reads what an API server sends."""

from __future__ import annotations

import asyncio

import pytest

from bench import client


@pytest.mark.parametrize(
    ("head", "sent"),
    [
        pytest.param(b"content-length: 5\r\n\r\n", b"hello", id="whole"),
        pytest.param(
            b"transfer-encoding: chunked\r\n\r\n",
            b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
            id="in-chunks",
        ),
    ],
)
async def test_reads_a_body(head: bytes, sent: bytes) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(sent + b"HTTP/1.1 200 OK")

    body = await client.body_of(reader, head)

    assert body == b"hello"
    assert await reader.readexactly(4) == b"HTTP"
