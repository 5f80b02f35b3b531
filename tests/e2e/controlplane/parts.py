"""
The command lines of the control plane's programs.

Everything listens on 127.0.0.1 only, on ports that were free a moment ago.
"""

import random
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.controlplane import build

SERVICE_CIDR = "10.0.0.0/16"
FAKE_NODE = ("kwok.x-k8s.io/node", "fake")  # the annotation of nodes that kwok looks after
# The defaults (20 requests a second) would make a test of a burst measure the controller.
_FAST = ("--kube-api-qps=500", "--kube-api-burst=1000", "--leader-elect=false")
# Below the range from which the system takes ports for outgoing connections.
_PORTS = range(20000, 32000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where each part listens."""

    etcd: int
    etcd_peer: int
    apiserver: int
    controllers: int
    scheduler: int
    kwok: int


def free_ports() -> Ports:
    """Pick ports that nobody listens on."""
    numbers = free_numbers(6)
    names = ("etcd", "etcd_peer", "apiserver", "controllers", "scheduler", "kwok")
    return Ports(**dict(zip(names, numbers, strict=True)))


def free_numbers(count: int) -> list[int]:
    """Pick so many ports; each is held until all are found."""
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            candidate = socket.socket()
            try:
                candidate.bind(("127.0.0.1", random.choice(_PORTS)))  # noqa: S311 -- no secret
            except OSError:
                candidate.close()
            else:
                held.append(candidate)
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a command line is made of: where things are."""

    directory: Path
    programs: build.Programs
    ports: Ports

    def file(self, name: str) -> str:
        """Name a certificate, key or kubeconfig."""
        return str(self.directory / "pki" / name)


def etcd(at: Layout) -> Sequence[str]:
    """No fsync: its data is worth nothing after the run."""
    client = f"http://127.0.0.1:{at.ports.etcd}"
    peer = f"http://127.0.0.1:{at.ports.etcd_peer}"
    return (
        at.programs["etcd"],
        f"--data-dir={at.directory / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )


def apiserver(at: Layout) -> Sequence[str]:
    """Every default admission plugin is on, PodSecurity, LimitRanger and ResourceQuota too."""
    return (
        at.programs["kube-apiserver"],
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={at.ports.apiserver}",
        f"--etcd-servers=http://127.0.0.1:{at.ports.etcd}",
        f"--tls-cert-file={at.file('server.crt')}",
        f"--tls-private-key-file={at.file('server.key')}",
        f"--client-ca-file={at.file('ca.crt')}",
        f"--service-account-key-file={at.file('service-accounts.key')}",
        f"--service-account-signing-key-file={at.file('service-accounts.key')}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--authorization-mode=RBAC,Node",
        "--allow-privileged=true",
        "--endpoint-reconciler-type=none",
        # Else it waits a minute for its clients' watches when it is stopped.
        "--shutdown-watch-termination-grace-period=1s",
    )


def controllers(at: Layout) -> Sequence[str]:
    """All controllers, each as its own service account as in a cluster."""
    return (
        at.programs["kube-controller-manager"],
        "--bind-address=127.0.0.1",
        f"--secure-port={at.ports.controllers}",
        f"--tls-cert-file={at.file('server.crt')}",
        f"--tls-private-key-file={at.file('server.key')}",
        f"--kubeconfig={at.file('controllers.kubeconfig')}",
        f"--service-account-private-key-file={at.file('service-accounts.key')}",
        f"--root-ca-file={at.file('ca.crt')}",
        "--use-service-account-credentials=true",
        # kwok's heartbeat takes up to 45 s; the default of 50 s is close on a busy machine.
        "--node-monitor-grace-period=5m",
        *_FAST,
    )


def scheduler(at: Layout) -> Sequence[str]:
    """The scheduler as it comes."""
    return (
        at.programs["kube-scheduler"],
        "--bind-address=127.0.0.1",
        f"--secure-port={at.ports.scheduler}",
        f"--tls-cert-file={at.file('server.crt')}",
        f"--tls-private-key-file={at.file('server.key')}",
        f"--kubeconfig={at.file('scheduler.kubeconfig')}",
        *_FAST,
    )


def kwok(at: Layout) -> Sequence[str]:
    """Fake kubelets for the nodes that carry the annotation."""
    stages = [argument for stage in at.programs.stages for argument in ("-c", str(stage))]
    return (
        at.programs["kwok"],
        f"--kubeconfig={at.file('admin.kubeconfig')}",
        f"--server-address=127.0.0.1:{at.ports.kwok}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={'='.join(FAKE_NODE)}",
        "--node-ip=10.0.0.1",
        "--cidr=10.244.0.0/16",
        *stages,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One program: how it is started and where it says that it is ready."""

    name: str
    argv: Callable[[Layout], Sequence[str]]
    port: Callable[[Ports], int]
    ready_path: str
    tls: bool = True


PARTS = (
    Part(name="etcd", argv=etcd, port=lambda p: p.etcd, ready_path="/readyz", tls=False),
    Part(name="kube-apiserver", argv=apiserver, port=lambda p: p.apiserver, ready_path="/readyz"),
    Part(
        name="kube-controller-manager",
        argv=controllers,
        port=lambda p: p.controllers,
        ready_path="/healthz",
    ),
    Part(name="kube-scheduler", argv=scheduler, port=lambda p: p.scheduler, ready_path="/readyz"),
    Part(name="kwok", argv=kwok, port=lambda p: p.kwok, ready_path="/readyz", tls=False),
)
