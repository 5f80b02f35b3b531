"""
A small API server on loopback: real HTTP, objects in memory, answers that a test can set.

    server.objects          what is there, by path
    server.answers          what is answered instead: {("POST", "/apis/batch/v1/…"): (403, {...})}
    server.requests         what was asked: (method, path with query, body)
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from policies import engine, load
from policies.model import Facts, Request

CORE = {
    "v1": {
        "Pod": "pods",
        "Service": "services",
        "PersistentVolumeClaim": "persistentvolumeclaims",
        "ResourceQuota": "resourcequotas",
        "LimitRange": "limitranges",
        "Namespace": "namespaces",
    },
    "apps/v1": {
        "Deployment": "deployments",
        "ReplicaSet": "replicasets",
        "StatefulSet": "statefulsets",
    },
    "batch/v1": {"Job": "jobs"},
}
TEMPLATE_KINDS = ("Job",)


@dataclass
class APIServer:
    """What the server has and says."""

    kinds: dict[str, dict[str, str]] = field(default_factory=lambda: dict(CORE))
    objects: dict[str, Any] = field(default_factory=dict)
    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    logs: dict[str, bytes] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    carries: bool = False  # a webhook acts
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    on_request: Callable[[APIServer], None] | None = None
    version: str = "v1.36.0"
    port: int = 0

    def add(self, path: str, found: Any) -> None:
        """Have an object at this path."""
        metadata = found.setdefault("metadata", {})
        metadata.setdefault("uid", uuid.uuid4().hex)
        metadata.setdefault("name", path.rpartition("/")[2])
        metadata.setdefault("namespace", path.split("/namespaces/")[1].split("/")[0])
        metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        self.objects[path] = found

    def asked(self, method: str) -> list[str]:
        """Give the paths that were asked for with this method."""
        return [path for each, path, _ in self.requests if each == method]

    # What it answers

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        url = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        self.requests.append((method, target, body))
        if self.on_request:
            self.on_request(self)
        if (method, url.path) in self.answers:
            return self.answers[(method, url.path)]
        if discovered := self._discovered(url.path):
            return discovered
        match method:
            case "GET":
                return self._get(url.path, query)
            case "POST":
                return self._create(url.path, body, dry_run="dryRun" in query)
            case "DELETE":
                self.objects.pop(url.path, None)
                return 200, {"kind": "Status", "status": "Success"}
            case "PATCH" if isinstance(body, list):
                return self._edit(url.path, body, dry_run="dryRun" in query)
            case _:
                self.add(url.path, body)
                return 200, body

    def _discovered(self, path: str) -> tuple[int, Any] | None:
        if path == "/version":
            return 200, {"gitVersion": self.version}
        if path == "/apis":
            groups = [{"name": each.partition("/")[0]} for each in self.kinds if "/" in each]
            return 200, {"kind": "APIGroupList", "groups": groups}
        group_version = path.removeprefix("/apis/").removeprefix("/api/")
        if group_version not in self.kinds:
            return (
                (404, status(404, "NotFound", "404 page not found"))
                if (
                    path.startswith("/apis/")
                    and "/".join(group_version.split("/")[:2]) not in self.kinds
                )
                else None
            )
        resources = [
            {"kind": kind, "name": plural, "namespaced": True}
            for kind, plural in self.kinds[group_version].items()
        ]
        return 200, {"kind": "APIResourceList", "resources": resources}

    def _get(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        if path.endswith("/log"):
            log = self.logs.get(path.split("/")[-2])
            return (404, not_found("pods", path)) if log is None else (200, log)
        if path in self.objects:
            return 200, self.objects[path]
        plural = path.rpartition("/")[2]
        if any(plural in kinds.values() for kinds in self.kinds.values()) or plural == "events":
            items = [
                found
                for where, found in self.objects.items()
                if path in (where.rpartition("/")[0], _everywhere(where)) and _matches(found, query)
            ]
            return 200, {"kind": "List", "metadata": {}, "items": items}
        return 404, not_found(path.split("/")[-2], path)

    def _create(self, path: str, body: Any, *, dry_run: bool) -> tuple[int, Any]:
        where = f"{path}/{body['metadata']['name']}"
        if where in self.objects:
            return 409, status(409, "AlreadyExists", "already exists")
        if self.carries and body["kind"] in TEMPLATE_KINDS:
            annotations = body["metadata"].get("annotations") or {}
            body["spec"]["template"].setdefault("metadata", {})["annotations"] = annotations
        if not dry_run:
            self.add(where, body)
        return 201, body

    def _edit(self, path: str, operations: Any, *, dry_run: bool) -> tuple[int, Any]:
        old = self.objects[path]
        found = json.loads(json.dumps(old))
        for one in operations:
            if one["path"] == "/metadata/resourceVersion":
                if one["value"] != old["metadata"]["resourceVersion"]:
                    return 409, status(409, "Conflict", "the object has been modified")
                continue
            *parents, last = (
                part.replace("~1", "/").replace("~0", "~") for part in one["path"].split("/")[1:]
            )
            node = found
            for part in parents:
                node = node[int(part) if isinstance(node, list) else part]
            node[int(last) if isinstance(node, list) else last] = one["value"]
        if self.carries:
            found = _updated(found, old)
        if not dry_run:
            self.objects[path] = found
        return 200, found


def _updated(found: Any, old: Any) -> Any:
    """Do what the webhook does with an update."""
    group, _, version = found["apiVersion"].rpartition("/")
    request = Request(
        operation="UPDATE",
        group=group,
        version=version,
        kind=found["kind"],
        namespace=found["metadata"]["namespace"],
        name=found["metadata"]["name"],
        object=found,
        old_object=old,
    )
    return engine.review(request, load.library(), Facts()).object


def _everywhere(where: str) -> str:
    """Give the path of a list over all namespaces that an object at `where` is in."""
    base, _, rest = where.partition("/namespaces/")
    return f"{base}/{rest.split('/')[1]}" if rest.count("/") == 2 else ""


def _matches(found: Any, query: dict[str, str]) -> bool:
    labels = found["metadata"].get("labels") or {}
    key, equals, value = query.get("labelSelector", "").partition("=")
    return not key or (labels.get(key) == value if equals else key in labels)


def status(code: int, reason: str, message: str, **details: Any) -> Any:
    """Write a Status as the API server does."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    }


def not_found(plural: str, path: str) -> Any:
    name = path.rpartition("/")[2]
    return status(404, "NotFound", f'{plural} "{name}" not found', name=name, kind=plural)


def forbidden(message: str) -> tuple[int, Any]:
    return 403, status(403, "Forbidden", message)


@contextmanager
def serving() -> Iterator[APIServer]:
    """Run one."""
    server = APIServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 64 * 1024  # one packet an answer: several would wait for each other

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            server.headers.append(self.headers)
            code, found = server.answer(self.command, self.path, body)
            payload = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(code)
            for warning in server.warnings:
                self.send_header("Warning", f'299 - "{warning}"')
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 -- named by http.server

        def log_message(self, *_: Any) -> None:
            """Be silent."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    server.port = http.server_port
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def kubeconfig(path: Path, port: int, *, namespace: str = "ml") -> Path:
    """Write a kubeconfig for it, with a second context `other` for namespace `else`."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "ann", "user": {"token": "secret"}}],
        "contexts": [
            {"name": "fake", "context": {"cluster": "fake", "user": "ann", "namespace": namespace}},
            {"name": "other", "context": {"cluster": "fake", "user": "ann", "namespace": "else"}},
        ],
        "current-context": "fake",
    }
    path.write_text(json.dumps(config))
    return path
