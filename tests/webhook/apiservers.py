"""A small API server: namespaces that can be watched, a version, API groups."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

_BOUNDS = ("limitranges", "resourcequotas")


@dataclass(kw_only=True)
class State:
    """What it holds; change it by its methods."""

    minor: str = "36"
    groups: tuple[str, ...] = ()
    openapi: dict[str, Any] = field(default_factory=dict)  # documents by path and query
    lists: dict[str, list[Any]] = field(default_factory=dict)  # objects of others, by path
    namespaces: dict[str, Mapping[str, str]] = field(default_factory=dict)
    refusal: int = 0  # the status of every answer, if any
    events: list[tuple[int, str, str]] = field(default_factory=list)  # version, type, name
    asked: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    cut: int = 0  # raised: every watch ends
    oldest: int = 0  # a watch from before that is 410
    closing: bool = False
    lease: Any = None
    bounds_refusal: int = 0  # answer what bounds pods with this
    bounds: list[tuple[str, str, Any]] = field(default_factory=list)  # type, plural, object

    @property
    def version(self) -> int:
        """The newest resource version."""
        return 100 + len(self.events)

    def discovery(self) -> dict[str, Any]:
        """Say what everyone may read, by path."""
        return {
            "/version/": {"major": "1", "minor": self.minor},
            "/apis/": {"groups": [{"name": name} for name in self.groups]},
            "/openapi/v3": {"paths": {}},
            **self.openapi,
        }

    def label(self, name: str, **labels: str) -> None:
        """Make or change a namespace."""
        with self.changed:
            kind = "MODIFIED" if name in self.namespaces else "ADDED"
            self.namespaces[name] = labels
            self.events.append((self.version + 1, kind, name))
            self.changed.notify_all()

    def remove(self, name: str) -> None:
        """Delete a namespace."""
        with self.changed:
            self.events.append((self.version + 1, "DELETED", name))
            del self.namespaces[name]
            self.changed.notify_all()

    def bound(self, plural: str, name: str, *, gone: bool = False, **rest: Any) -> None:
        """Make or change a LimitRange or a ResourceQuota, or delete it."""
        with self.changed:
            version = str(501 + len(self.bounds))
            metadata = {"name": name, "namespace": "ml", "resourceVersion": version}
            kind = "DELETED" if gone else "MODIFIED"
            self.bounds.append((kind, plural, {"metadata": metadata, **rest}))
            self.changed.notify_all()

    def end_watches(self, *, forget: bool = False) -> None:
        """End each watch; `forget`: none of them can go on from where it was."""
        with self.changed:
            self.cut += 1
            if forget:
                self.events.append((self.version + 1, "BOOKMARK", ""))
                self.oldest = self.version
            self.changed.notify_all()

    def namespace(self, name: str, version: int) -> dict[str, Any]:
        """Describe a namespace."""
        metadata = {"name": name, "resourceVersion": str(version)}
        return {"metadata": {**metadata, "labels": dict(self.namespaces.get(name, {}))}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def state(self) -> State:
        return cast("_Server", self.server).state

    def do_POST(self) -> None:
        """Keep a Lease, as its holder writes it."""
        self.state.lease = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(self.state.refusal or 201, self.state.lease)

    def do_PUT(self) -> None:
        """Take the Lease as it is renewed."""
        self.do_POST()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        state = self.state
        watch = query.get("watch", "").lower() == "true"
        plural = url.path.rpartition("/")[2]
        if plural in _BOUNDS and not (state.closing or state.refusal):
            self._bounded(plural, int(query["resourceVersion"]) - 500 if watch else None)
        else:
            self._get(url.path, int(query["resourceVersion"]) if watch else None)

    def _get(self, path: str, watch: int | None) -> None:
        state = self.state
        state.asked.append(path if watch is None else f"watch {watch}")
        if state.closing:  # a connection that was kept open is gone like the rest
            self.close_connection = True
        elif state.refusal:
            self._answer(state.refusal, {"kind": "Status", "message": "not today"})
        elif path in state.lists and watch is None:
            self._list(state.lists[path])
        elif path.startswith("/apis/coordination.k8s.io/") and state.lease:
            self._answer(200, state.lease)
        elif path.startswith("/apis/") and path != "/apis/":  # our own kinds among them
            self._answer(404, {"kind": "Status", "code": 404, "message": "not found"})
        elif self.path in (said := state.discovery()):
            self._answer(200, said[self.path])
        elif watch is not None:
            self._watch(watch)
        else:
            self._list([state.namespace(name, state.version) for name in state.namespaces])

    def _list(self, items: list[Any]) -> None:
        version = str(self.state.version)
        self._answer(200, {"metadata": {"resourceVersion": version}, "items": items})

    def _answer(self, status: int, body: Any) -> None:
        written = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)

    def _watch(self, sent: int) -> None:
        state = self.state
        began = state.cut
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if sent < state.oldest:
            gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
            self._event("ERROR", gone)
        else:
            self._events(sent, began)
        self._chunk(b"")

    def _bounded(self, plural: str, sent: int | None) -> None:
        """List what bounds pods, or follow it."""
        state = self.state
        if state.bounds_refusal:
            self._answer(state.bounds_refusal, {"kind": "Status", "message": "not today"})
            return
        if sent is None:
            kept = [each for kind, one, each in state.bounds if one == plural and kind != "DELETED"]
            items = list({each["metadata"]["name"]: each for each in kept}.values())
            version = str(500 + len(state.bounds))
            self._answer(200, {"metadata": {"resourceVersion": version}, "items": items})
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while not state.closing:
            with state.changed:
                state.changed.wait_for(lambda sent=sent: len(state.bounds) > sent or state.closing)
                news, sent = state.bounds[sent:], len(state.bounds)
            for kind, one, each in news:
                if one == plural:
                    self._event(kind, each)
        self._chunk(b"")

    def _events(self, sent: int, began: int) -> None:
        state = self.state

        def due() -> list[tuple[int, str, str]]:
            return [event for event in state.events if event[0] > sent]

        while True:
            with state.changed:
                state.changed.wait_for(lambda: due() or state.cut > began or state.closing)
                if state.cut > began or state.closing:
                    return
                news = due()
            for sent, kind, name in news:
                self._event(kind, state.namespace(name, sent))

    def _event(self, kind: str, found: Any) -> None:
        self._chunk(json.dumps({"type": kind, "object": found}).encode() + b"\n")

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


class _Server(ThreadingHTTPServer):
    state: State

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that hang up."""


@dataclass(kw_only=True)
class ApiServer:
    """A running one, and the kubeconfig that leads to it."""

    state: State
    kubeconfig: Path
    server: _Server

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.server_port

    def stop(self) -> None:
        """Be gone: its port refuses, its watches end."""
        with self.state.changed:
            self.state.closing = True
            self.state.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def serving(directory: Path, state: State, *, port: int = 0) -> Iterator[ApiServer]:
    """Serve while the context is open."""
    server = _Server(("127.0.0.1", port), _Handler)
    server.state = state
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(_config(server.server_port))
    made = ApiServer(state=state, kubeconfig=kubeconfig, server=server)
    try:
        yield made
    finally:
        if not state.closing:
            made.stop()


def _config(port: int) -> str:
    cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [cluster],
            "users": [{"name": "u", "user": {}}],
            "contexts": [context],
            "current-context": "x",
        }
    )
