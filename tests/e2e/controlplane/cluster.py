"""
A control plane: etcd, API server, controllers, scheduler and fake kubelets.

>>> with ControlPlane() as control_plane:  # doctest: +SKIP
...     control_plane.add_nodes(*nodes.FLEET)
...     control_plane.kubectl("get", "nodes")
"""

import http.client
import shutil
import ssl
import sys
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.e2e.controlplane import (
    build,
    credentials,
    errors,
    nodes,
    parts,
    processes,
    reaper,
    waiting,
)
from tests.e2e.controlplane.client import Client, Manifest

_ADMINS = ("system:masters",)
_START_SECONDS = 60.0  # 3 on an idle machine


class ControlPlane:
    """
    One control plane, alive between `start` and `stop` (or in a `with`).

    flags: more flags for a part, `{"kube-apiserver": ["--v=6"]}`.
    directory: where its files are; a temporary one unless given.
    register: told of each process before it runs; by default a guard that ends them all when this
    interpreter is gone, however it went.
    """

    def __init__(
        self,
        *,
        programs: build.Programs | None = None,
        directory: Path | None = None,
        flags: Mapping[str, Sequence[str]] | None = None,
        register: Callable[[reaper.Identity], None] | None = None,
    ):
        programs = programs or build.ensure()
        self.directory = directory or Path(tempfile.mkdtemp(prefix="kubectl-ml-"))
        self.logs = self.directory / "logs"
        self.logs.mkdir(parents=True)
        self._flags = flags or {}
        self._guard = None if register else self._post_guard()
        self._processes = processes.Processes(logs=self.logs, register=register or self._tell_guard)
        self._at = parts.Layout(
            directory=self.directory, programs=programs, ports=parts.free_ports()
        )
        self._credentials = credentials.Credentials(self.directory / "pki", port=self.port)
        self.admin = self.as_user("kubernetes-admin", _ADMINS, name="admin")
        self.as_user("system:kube-controller-manager", name="controllers")
        self.as_user("system:kube-scheduler", name="scheduler")
        self._keep_logs = False

    def _post_guard(self) -> processes.Guard:
        guard = processes.Guard()
        for folder in ("etcd", "pki"):  # the logs stay: that we were killed is a failure
            guard.remove(self.directory / folder)
        return guard

    def _tell_guard(self, process: reaper.Identity) -> None:
        assert self._guard is not None
        self._guard.process(process)

    @property
    def port(self) -> int:
        """Where the API server listens on 127.0.0.1."""
        return self._at.ports.apiserver

    def start(self) -> Self:
        """Start all parts and wait until they are ready."""
        etcd, apiserver, *others = parts.PARTS
        for part in (etcd, apiserver):
            self._launch(part)
            self._wait_until_ready(part)
        for part in others:
            self._launch(part)
        for part in others:
            self._wait_until_ready(part)
        self._wait_for_service_account("default")
        return self

    def stop(self, *, failed: bool = False) -> None:
        """Stop all, etcd last; the logs of a failed run stay."""
        try:
            self._processes.stop_all()
        finally:
            if self._guard:
                self._guard.dismiss()
            if failed or self._keep_logs:
                for folder in ("etcd", "pki"):
                    shutil.rmtree(self.directory / folder, ignore_errors=True)
                print(f"the control plane's logs are in {self.logs}", file=sys.stderr)
            else:
                shutil.rmtree(self.directory, ignore_errors=True)

    def keep_logs(self) -> None:
        """Keep the logs when it stops: something failed."""
        self._keep_logs = True

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop(failed=True)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop(failed=error is not None)

    # Parts and other programs

    def stop_part(self, name: str) -> None:
        """Stop one part, `kube-apiserver`."""
        self._processes.stop(name)

    def start_part(self, name: str, *flags: str) -> None:
        """Start a part that was stopped, on its old port, and wait until it is ready."""
        part = next(part for part in parts.PARTS if part.name == name)
        self._launch(part, *flags)
        self._wait_until_ready(part)

    def run(
        self, name: str, *argv: str, environ: Mapping[str, str] | None = None
    ) -> reaper.Identity:
        """Run another program, a webhook, beside the parts; it ends with them or by `stop_part`."""
        return self._processes.start(name, argv, environ=environ)

    def is_running(self, name: str) -> bool:
        """Tell whether a part or another program was started and hasn't ended."""
        return self._processes.is_running(name)

    def kill(self, name: str) -> None:
        """End a part or another program without asking it."""
        self._processes.kill(name)

    def log(self, name: str) -> str:
        """Read what a part or another program has written."""
        return self._processes.log(name).read_text(errors="replace")

    def _launch(self, part: parts.Part, *flags: str) -> None:
        argv = (*part.argv(self._at), *self._flags.get(part.name, ()), *flags)
        self._processes.start(part.name, argv)

    def _wait_until_ready(self, part: parts.Part) -> None:
        port = part.port(self._at.ports)
        tls = self._credentials.tls() if part.tls else None

        def ready() -> bool:
            self._processes.check()
            return answers(port, part.ready_path, tls)

        waiting.until(ready, what=f"{part.name} to be ready", timeout_seconds=_START_SECONDS)

    # Users

    def as_user(self, user: str, groups: Sequence[str] = (), *, name: str | None = None) -> Client:
        """Be this user, by a client certificate."""
        return self._client(*self._credentials.certified(user, groups, name=name))

    def as_service_account(
        self, namespace: str, name: str, *, lifetime: timedelta = timedelta(days=1)
    ) -> Client:
        """Be this service account, by a token from the API server; it is made if it isn't there."""
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        if not self.admin.request("GET", f"{accounts}/{name}").ok:
            self.admin.create(accounts, {"metadata": {"name": name}})
        asked = {"spec": {"expirationSeconds": int(lifetime.total_seconds())}}
        token = self.admin.create(f"{accounts}/{name}/token", asked)["status"]["token"]
        path_and_tls = self._credentials.tokened(f"{namespace}.{name}", token)
        return self._client(*path_and_tls, token=token)

    def _client(self, kubeconfig: Path, tls: ssl.SSLContext, token: str | None = None) -> Client:
        return Client(
            kubeconfig=kubeconfig,
            kubectl_path=self._at.programs["kubectl"],
            port=self.port,
            tls=tls,
            token=token,
        )

    # What is in it

    def kubectl(self, *args: str, stdin: str | Manifest | None = None) -> str:
        """Run the real kubectl as admin and return what it printed."""
        return self.admin.kubectl(*args, stdin=stdin)

    def add_node(
        self,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        taints: Sequence[Mapping[str, str]] = (),
        capacity: Mapping[str, str] | None = None,
    ) -> None:
        """Add a fake node and wait until pods can go there."""
        self.add_nodes(nodes.node(name, labels=labels, taints=taints, capacity=capacity))

    def add_nodes(self, *manifests: Manifest) -> None:
        """Add fake nodes, made by `nodes.node` or `nodes.gpu_node`."""
        for manifest in manifests:
            self.admin.create("/api/v1/nodes", manifest)
        for manifest in manifests:
            self.wait_for(f"/api/v1/nodes/{manifest['metadata']['name']}", nodes.is_ready)

    def add_namespace(
        self, prefix: str = "test", *, labels: Mapping[str, str] | None = None
    ) -> str:
        """Make a namespace of a new name that pods can be created in."""
        name = f"{prefix}-{uuid.uuid4().hex[:6]}"
        metadata = {"name": name, "labels": dict(labels or {})}
        self.admin.create("/api/v1/namespaces", {"metadata": metadata})
        self._wait_for_service_account(name)
        return name

    def wait_for(
        self, path: str, condition: Callable[[Any], Any], *, timeout_seconds: float = 30.0
    ) -> Any:
        """Wait until the object at this path is there and as it should be; return it."""
        last: Any = None

        def found() -> Any:
            nonlocal last
            answer = self.admin.request("GET", path)
            last = answer.body
            return answer.body if answer.ok and condition(answer.body) else None

        try:
            return waiting.until(found, what=path, timeout_seconds=timeout_seconds)
        except errors.WaitError as error:
            raise errors.WaitError(f"{error}; it is now {last}") from error

    def _wait_for_service_account(self, namespace: str) -> None:
        # The controller makes it; until then no pod gets in.
        self.wait_for(f"/api/v1/namespaces/{namespace}/serviceaccounts/default", bool)


def answers(port: int, path: str, tls: ssl.SSLContext | None) -> bool:
    """Tell whether a local server answers a GET with 200."""
    connection = (
        http.client.HTTPSConnection("127.0.0.1", port, context=tls, timeout=5)
        if tls
        else http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    )
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
