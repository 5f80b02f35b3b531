"""
The floors: aiohttp servers that parse a review and allow it, and decide nothing.

`python -m bench.empty DIR [PORT] [--ready]`: certificates in DIR; prints its port. With `--ready`
its `/mutate` answers with the patch that the webhook made of the first review, so that what is
left of a create is what the API server itself does with such a patch.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import sys
from pathlib import Path
from typing import Any

import orjson
import uvloop
from aiohttp import web
from aiohttp.typedefs import Handler

from policies import engine, load
from policies.model import Facts
from webhook import review as codec


async def allow(request: web.Request) -> web.Response:
    """Allow whatever is asked."""
    review = orjson.loads(await request.read())
    return _answer({"uid": review["request"]["uid"], "allowed": True})


class Ready:
    """Answers each pod with the patch of the first; only its token volume has another name."""

    def __init__(self) -> None:
        self._policies = load.library()
        self._patch = b""
        self._name = b""

    async def allow(self, request: web.Request) -> web.Response:
        """Allow, with the ready patch."""
        review = orjson.loads(await request.read())
        name = _token_volume(review["request"]["object"])
        if not self._patch:
            asked = codec.decode(orjson.dumps(review)).request
            self._patch = orjson.dumps(engine.review(asked, self._policies, Facts()).patch)
            self._name = name
        patch = base64.b64encode(self._patch.replace(self._name, name)).decode()
        answer = {"uid": review["request"]["uid"], "allowed": True}
        return _answer({**answer, "patchType": "JSONPatch", "patch": patch})


def _token_volume(pod: Any) -> bytes:
    names = [one["name"] for one in pod["spec"]["volumes"] if "projected" in one]
    return str(names[0]).encode()


def _answer(response: dict[str, Any]) -> web.Response:
    answer = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": response,
    }
    return web.Response(body=orjson.dumps(answer), content_type="application/json")


async def serve(directory: Path, port: int, mutate: Handler) -> None:
    """Serve until the process is ended."""
    app = web.Application(client_max_size=7 * 1024 * 1024)
    app.router.add_post("/mutate", mutate)
    app.router.add_post("/validate", allow)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    ready = "--ready" in sys.argv
    where, *ports = [argument for argument in sys.argv[1:] if argument != "--ready"]
    uvloop.run(serve(Path(where), int(ports[0]) if ports else 0, Ready().allow if ready else allow))
