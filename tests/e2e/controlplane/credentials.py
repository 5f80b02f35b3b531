"""
The files by which the parts and the users of one control plane know each other.

Names in its folder: `ca.crt`, `server.crt` and `.key`, `service-accounts.key`, and for each user
`NAME.kubeconfig`, which holds all that is needed.
"""

import base64
import json
import re
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.e2e.controlplane import certificates

_SERVER_NAMES = (
    *("127.0.0.1", "localhost", "10.0.0.1"),
    *("kubernetes", "kubernetes.default", "kubernetes.default.svc"),
)


class Credentials:
    """Makes the files and the TLS contexts."""

    def __init__(self, directory: Path, *, port: int):
        self._directory = directory
        self._port = port
        self._authority = certificates.Authority()
        directory.mkdir(mode=0o700)
        server = self._authority.server(*_SERVER_NAMES)
        self._write("ca.crt", self._authority.certificate)
        self._write("server.crt", server.certificate)
        self._write("server.key", server.key)
        self._write("service-accounts.key", certificates.service_account_key())

    def certified(
        self, user: str, groups: Sequence[str] = (), *, name: str | None = None
    ) -> tuple[Path, ssl.SSLContext]:
        """Make a user known by a client certificate."""
        pair = self._authority.client(user, groups)
        name = name or _file_name(user)
        chain = self._write(f"{name}.pem", pair.certificate + pair.key)
        tls = self.tls()
        tls.load_cert_chain(chain)
        data = {
            "client-certificate-data": base64.b64encode(pair.certificate).decode(),
            "client-key-data": base64.b64encode(pair.key).decode(),
        }
        return self._kubeconfig(name, data), tls

    def tokened(self, user: str, token: str) -> tuple[Path, ssl.SSLContext]:
        """Make a user known by a token."""
        return self._kubeconfig(_file_name(user), {"token": token}), self.tls()

    def tls(self) -> ssl.SSLContext:
        """Trust this control plane's servers, and no other."""
        return ssl.create_default_context(cadata=self._authority.certificate.decode())

    def _kubeconfig(self, name: str, user: dict[str, str]) -> Path:
        cluster = {
            "server": f"https://127.0.0.1:{self._port}",
            "certificate-authority-data": base64.b64encode(self._authority.certificate).decode(),
        }
        config: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "kubectl-ml", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": "kubectl-ml", "user": name}}],
            "current-context": name,
        }
        return self._write(f"{name}.kubeconfig", json.dumps(config, indent=1).encode())

    def _write(self, name: str, content: bytes) -> Path:
        path = self._directory / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        return path


def _file_name(user: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", user)
