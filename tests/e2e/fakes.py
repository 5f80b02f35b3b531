"""
Fake webhooks of others: they prepend, append, undo, or stand in front of ours and are slow.

Each is a small HTTPS server in this process. Mutating webhooks are called in the order of their
configurations' names: ours is `mutate.kubectl-ml.io`.
"""

import base64
import copy
import http.client
import http.server
import json
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import certificates, waiting
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import Installed

BEFORE, AFTER = "a-fake", "z-fake"
_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_OURS = f"{_CONFIGURATIONS}/mutate.kubectl-ml.io"

Answer = Callable[[bytes], bytes]


class Server:
    """An HTTPS server on 127.0.0.1 that answers every POST; `calls` counts them."""

    def __init__(self, answer: Answer, directory: Path):
        authority = certificates.Authority("a fake's CA")
        pair = authority.server("127.0.0.1")
        stem = directory / f"fake-{uuid.uuid4().hex[:6]}"
        stem.with_suffix(".crt").write_bytes(pair.certificate)
        stem.with_suffix(".key").write_bytes(pair.key)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(stem.with_suffix(".crt"), stem.with_suffix(".key"))
        self.calls = 0
        self._server = _Quiet(("127.0.0.1", 0), self._handler(answer))
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.client_config = {
            "url": f"https://127.0.0.1:{self._server.server_port}/mutate",
            "caBundle": base64.b64encode(authority.certificate).decode(),
        }

    def _handler(self, answer: Answer) -> type[http.server.BaseHTTPRequestHandler]:
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.calls += 1
                said = answer(body)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of callers that didn't wait: the API server's time was up."""


@contextmanager
def injector(
    place: Place, change: Callable[[Manifest], None], *, name: str, again: bool = False
) -> Iterator[Server]:
    """
    Register a webhook that changes every new pod of a place; `again`: it is reinvoked, too.

    From the start of the block it is called, after its end it is not.
    """

    def answer(body: bytes) -> bytes:
        request = json.loads(body)["request"]
        changed = copy.deepcopy(request["object"])
        change(changed)
        response: Manifest = {"uid": request["uid"], "allowed": True}
        if changed != request["object"]:
            patch = [{"op": "replace", "path": "", "value": changed}]
            response["patchType"] = "JSONPatch"
            response["patch"] = base64.b64encode(json.dumps(patch).encode()).decode()
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        return json.dumps({**review, "response": response}).encode()

    with Server(answer, place.control_plane.directory) as server:
        place.admin.create(_CONFIGURATIONS, _configuration(place, server, name, again=again))
        try:
            _until_called(place, server)
            yield server
        finally:
            place.admin.delete(f"{_CONFIGURATIONS}/{name}")
            _until_not_called(place, server)


def _configuration(place: Place, server: Server, name: str, *, again: bool) -> Manifest:
    webhook = {
        "name": f"{name}.example.com",
        "admissionReviewVersions": ["v1"],
        "clientConfig": server.client_config,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.name}},
        "rules": [
            {
                "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"],
                "operations": ["CREATE"],
            }
        ],
        "sideEffects": "None",
        "reinvocationPolicy": "IfNeeded" if again else "Never",
    }  # fmt: skip
    return {"metadata": {"name": name}, "webhooks": [webhook]}


def _until_called(place: Place, server: Server) -> None:
    def called() -> bool:
        place.would_be(acting.pod("probe"))
        return server.calls > 0

    waiting.until(called, what="the fake webhook to be called")


def _until_not_called(place: Place, server: Server) -> None:
    def silent() -> bool:
        before = server.calls
        place.would_be(acting.pod("probe"))
        return server.calls == before

    waiting.until(silent, what="the fake webhook to be left alone")


class Delay:
    """How long the slow one waits; `end()` lets it answer at once, also those who wait now."""

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._over = threading.Event()

    def wait(self) -> None:
        """Wait, unless it is over."""
        self._over.wait(self._seconds)

    def end(self) -> None:
        """Answer at once from now on."""
        self._over.set()


@contextmanager
def slow_way_to_ours(installed: Installed, place: Place, delay: Delay) -> Iterator[Server]:
    """Put a slow proxy in front of our `/mutate`: its answers come too late."""
    tls = ssl.create_default_context(cafile=str(installed.ca_file))

    def forward(body: bytes) -> bytes:
        delay.wait()
        connection = http.client.HTTPSConnection(
            "127.0.0.1", installed.port, context=tls, timeout=10
        )
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/mutate", body, headers)
            return connection.getresponse().read()
        finally:
            connection.close()

    with Server(forward, place.control_plane.directory) as server:
        webhook = place.admin.get(_OURS)["webhooks"][0]
        _redirect(place, server.client_config)
        try:
            _until_called(place, server)
            yield server
        finally:
            delay.end()
            _redirect(place, webhook["clientConfig"])
            _until_not_called(place, server)


def _redirect(place: Place, client_config: Manifest) -> None:
    path = "/webhooks/0/clientConfig"
    changed = place.admin.request(
        "PATCH",
        _OURS,
        [{"op": "replace", "path": path, "value": client_config}],
        content_type="application/json-patch+json",
    )
    assert changed.ok, changed.body
