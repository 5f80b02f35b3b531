"""
Talk to the API server as one user.

`Client.kubectl` runs the real kubectl; `Client.request` is one plain HTTPS request, for waits and
bursts where a process each would be too slow.
"""

import http.client
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.controlplane import errors

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API server said."""

    status: int
    body: Any

    @property
    def ok(self) -> bool:
        """Tell whether the request did what was asked."""
        return self.status < http.HTTPStatus.BAD_REQUEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One user's way to the API server."""

    kubeconfig: Path
    kubectl_path: str
    port: int
    tls: ssl.SSLContext = field(repr=False)
    token: str | None = field(default=None, repr=False)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """
        Give the environment in which `kubectl`, our plugin included, means this user here.

        The real kubectl comes first on PATH, then the programs of this interpreter's environment.
        """
        path = [str(Path(self.kubectl_path).parent), str(Path(sys.executable).parent)]
        return {
            **os.environ,
            "PATH": os.pathsep.join([*path, os.environ.get("PATH", os.defpath)]),
            "KUBECONFIG": str(self.kubeconfig),
            # A port that is used again must not meet the discovery of the server before.
            "KUBECACHEDIR": str(self.kubeconfig.parent / "kubectl-cache"),
            "KUBERC": "off",
            **(extra or {}),
        }

    def kubectl(
        self, *args: str, stdin: str | Manifest | None = None, timeout_seconds: float = 120.0
    ) -> str:
        """Run kubectl and return what it printed; raise when it fails."""
        done = self.try_kubectl(*args, stdin=stdin, timeout_seconds=timeout_seconds)
        if done.returncode != 0:
            raise errors.KubectlError(
                f"kubectl {' '.join(args)}: exit code {done.returncode}\n{done.stderr}"
            )
        return done.stdout

    def try_kubectl(
        self, *args: str, stdin: str | Manifest | None = None, timeout_seconds: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl and return how it went: returncode, stdout, stderr."""
        return subprocess.run(  # noqa: S603 -- the real kubectl, with a test's arguments
            (self.kubectl_path, *args),
            input=json.dumps(stdin) if isinstance(stdin, dict) else stdin or "",
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        timeout_seconds: float = 30.0,
    ) -> Answer:
        """Send one request and return whatever comes back."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=self.tls, timeout=timeout_seconds
        )
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, body=payload, headers=headers)
            response = connection.getresponse()
            return Answer(status=response.status, body=_decoded(response.read()))
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """Get what is there; raise when there is nothing."""
        return self._must("GET", path)

    def create(self, path: str, manifest: Manifest) -> Any:
        """Create an object in a collection, `/api/v1/namespaces/default/pods`; raise if refused."""
        return self._must("POST", path, manifest)

    def patch(self, path: str, merge: Manifest) -> Any:
        """Merge into an object; raise when that is refused."""
        return self._must("PATCH", path, merge, content_type="application/merge-patch+json")

    def delete(self, path: str) -> Any:
        """Delete an object; raise when that is refused."""
        return self._must("DELETE", path)

    def _must(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        answer = self.request(method, path, body, **options)
        if not answer.ok:
            said = answer.body.get("message") if isinstance(answer.body, dict) else answer.body
            raise errors.RequestError(f"{method} {path}: {said}", status=answer.status)
        return answer.body


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
