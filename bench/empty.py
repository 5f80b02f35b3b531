"""
The floor: an aiohttp server that parses a review, allows it, and does nothing else.

`python -m bench.empty DIR [PORT]`: certificates in DIR; prints its port.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path

import orjson
import uvloop
from aiohttp import web


async def allow(request: web.Request) -> web.Response:
    """Allow whatever is asked."""
    review = orjson.loads(await request.read())
    answer = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": review["request"]["uid"], "allowed": True},
    }
    return web.Response(body=orjson.dumps(answer), content_type="application/json")


async def serve(directory: Path, port: int) -> None:
    """Serve until the process is ended."""
    app = web.Application(client_max_size=7 * 1024 * 1024)
    for path in ("/mutate", "/validate"):
        app.router.add_post(path, allow)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
