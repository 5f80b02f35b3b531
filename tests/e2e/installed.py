"""
The webhook as it is installed: the shipped manifests, and `python -m webhook` as a local process.

It runs with the token of its own service account, so what its RBAC lacks, it lacks here too. The
Deployment of the manifests is there as well; its pods are kwok's and answer nothing.
"""

import json
import shutil
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.e2e.controlplane import cluster, install, parts, processes, waiting
from tests.e2e.controlplane.client import Client, Manifest
from webhook import self_signed

MANIFESTS = processes.CHECKOUT / "manifests" / "base"
NAMESPACE = "kubectl-ml"
ACCOUNT = "kubectl-ml"
ENABLED = {"kubectl-ml.io/enabled": "true"}
ENFORCED = {**ENABLED, "kubectl-ml.io/enforce": "true"}
PROGRAM = "webhook"
_START_SECONDS = 60.0


class Installed:
    """
    A control plane with the webhook installed, running after `start`.

    What a test stops or sets, the fixture `installed` puts back before the next one begins.
    """

    def __init__(self, control_plane: cluster.ControlPlane, directory: Path):
        self.control_plane = control_plane
        self.port, self._metrics_port = parts.free_numbers(2)
        self._certificates = directory / "webhook-certificates"
        self.policies_directory = directory / "webhook-policies"
        self.policies_directory.mkdir(parents=True, exist_ok=True)
        self._objects: list[Manifest] = []
        self._account: Client | None = None

    # The installation

    def install(self) -> None:
        """Apply the manifests, with the Service pointed at the local process."""
        self_signed.ensure(self._certificates)
        self._objects = install.install(
            self.control_plane, MANIFESTS, port=self.port, ca=self.ca_file.read_bytes()
        )
        self._account = self.control_plane.as_service_account(
            NAMESPACE, ACCOUNT, lifetime=timedelta(days=365)
        )

    def uninstall(self) -> None:
        """Delete all that was installed."""
        install.uninstall(self.control_plane, self._objects)

    @property
    def ca_file(self) -> Path:
        """The CA that the API server trusts."""
        return self._certificates / "ca.crt"

    @property
    def account(self) -> Client:
        """The API server as the webhook's service account reaches it."""
        assert self._account is not None, "install() first"
        return self._account

    # The process

    def start(self, *flags: str, environ: Mapping[str, str] | None = None) -> None:
        """Run the webhook, on the same port each time, and wait until it is ready."""
        self.run(*flags, environ=environ)
        waiting.until(self.ready, what="the webhook to be ready", timeout_seconds=_START_SECONDS)

    def run(self, *flags: str, environ: Mapping[str, str] | None = None) -> None:
        """Run the webhook without waiting."""
        self.control_plane.run(
            PROGRAM,
            *(sys.executable, "-m", "webhook"),
            f"--listen=127.0.0.1:{self.port}",
            f"--metrics-listen=127.0.0.1:{self._metrics_port}",
            f"--self-signed={self._certificates}",
            f"--policies={self.policies_directory}",
            f"--kubeconfig={self.account.kubeconfig}",
            *flags,
            environ=self.account.environment(environ),
        )

    def stop(self) -> None:
        """End the webhook with SIGTERM; the registrations stay."""
        self.control_plane.stop_part(PROGRAM)

    def kill(self) -> None:
        """End the webhook without asking."""
        self.control_plane.kill(PROGRAM)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Have it stopped for a while."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def restore(self) -> None:
        """Bring it back to where every test begins: running, with the library's policies alone."""
        if not self.is_running:
            self._write(None)
            self.start()
        self.set_policies(None)

    def ready(self) -> bool:
        """Tell whether `/readyz` says so."""
        return cluster.answers(self.port, "/readyz", self._tls())

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca_file))

    # Its policies

    def set_policies(self, source: Path | str | None) -> None:
        """
        Have these policies besides the library's: a file's or a folder's, YAML text, or none.

        Return when the webhook has read them; one that is stopped reads them when it starts.
        """
        before = len(self.events("policies in force"))
        changed = self._write(source)
        if changed and self.is_running:
            waiting.until(
                lambda: len(self.events("policies in force")) > before,
                what="the webhook to read its policies",
                timeout_seconds=30,
            )

    @contextmanager
    def policies(self, source: Path | str) -> Iterator[None]:
        """Have these policies for a while."""
        self.set_policies(source)
        try:
            yield
        finally:
            self.set_policies(None)

    def _write(self, source: Path | str | None) -> bool:
        had = any(self.policies_directory.iterdir())
        for path in self.policies_directory.iterdir():
            path.unlink()
        if isinstance(source, str):
            (self.policies_directory / "policies.yaml").write_text(source)
        elif source is not None and source.is_dir():
            for number, path in enumerate(sorted(source.rglob("*.yaml"))):
                shutil.copy(path, self.policies_directory / f"{number:03}-{path.name}")
        elif source is not None:
            shutil.copy(source, self.policies_directory)
        return had or source is not None

    @property
    def is_running(self) -> bool:
        """Tell whether the process is there."""
        return self.control_plane.is_running(PROGRAM)

    # What it did

    def logs(self) -> list[dict[str, Any]]:
        """Read its log since the control plane started, one object a line."""
        lines = self.control_plane.log(PROGRAM).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def events(self, event: str, **members: Any) -> list[dict[str, Any]]:
        """Read the lines of one sort that have these members: `events("review", kind="Pod")`."""
        return [
            line
            for line in self.logs()
            if line["event"] == event and members.items() <= line.items()
        ]

    # Where it acts

    def namespace(self, labels: Mapping[str, str] = ENABLED) -> str:
        """Make a namespace; `ENABLED`, `ENFORCED`, or `{}`."""
        return self.control_plane.add_namespace(labels=labels)


def put_into(control_plane: cluster.ControlPlane) -> None:
    """Install the webhook and leave it running: `make cluster`."""
    made = Installed(control_plane, control_plane.directory)
    made.install()
    made.start()
    print(
        "the webhook runs where a namespace is labelled kubectl-ml.io/enabled=true; it reads "
        f"policies from {made.policies_directory}",
        file=sys.stderr,
    )
