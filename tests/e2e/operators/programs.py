"""
Which operators there are, how each is built, installed and started.

`python -m tests.e2e.operators.programs` builds them.
"""

import base64
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.e2e.controlplane import build, cluster, errors, install, parts, waiting
from tests.e2e.controlplane.certificates import Authority
from tests.e2e.controlplane.client import Manifest
from tests.e2e.controlplane.cluster import ControlPlane
from tests.e2e.operators import kserve_controller

HERE = Path(__file__).parent
# What a container of the operator would need, and its metrics, which nobody reads here.
LEFT_OUT = ("Deployment", "APIService", "ServiceMonitor", "ConfigMap")


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Where an operator listens, all on loopback."""

    webhook: int
    health: int
    metrics: int


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator."""

    module: build.Module
    path: str  # the Go module that has its manifests
    manifests: str  # the kustomization in it
    service: str  # NAME.NAMESPACE of its webhook
    # NAMESPACE/NAME of the Secret where it makes a certificate; without it we give it one.
    certificate: str = ""
    certificate_directory: str = ""  # where it looks for its files, if nobody can say so
    configuration: Callable[[Ports, Path], Manifest]  # of the folder with the certificate
    flags: Callable[[Ports, Path], Sequence[str]]  # of the configuration's file

    @property
    def name(self) -> str:
        """The operator's name."""
        return self.module.name


def _module(name: str, program: str) -> build.Module:
    return build.Module(name=name, gives=(program,), beside=HERE)


def _jobset(ports: Ports, certificates: Path) -> Manifest:
    return {
        "apiVersion": "config.jobset.x-k8s.io/v1alpha1",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": f"127.0.0.1:{ports.health}"},
        "metrics": {"bindAddress": f"127.0.0.1:{ports.metrics}"},
        "webhook": {"host": "127.0.0.1", "port": ports.webhook, "certDir": str(certificates)},
        "internalCertManagement": {"enable": False},
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"qps": 500, "burst": 500},
    }


KUEUE_KINDS = (
    *("batch/job", "jobset.x-k8s.io/jobset", "kubeflow.org/pytorchjob"),
    *("pod", "deployment", "statefulset"),
)


def _kueue(ports: Ports, certificates: Path) -> Manifest:
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": f"127.0.0.1:{ports.health}"},
        "metrics": {"bindAddress": f"127.0.0.1:{ports.metrics}"},
        "webhook": {"host": "127.0.0.1", "port": ports.webhook, "certDir": str(certificates)},
        "internalCertManagement": {"enable": True},
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"qps": 500, "burst": 500},
        "integrations": {"frameworks": list(KUEUE_KINDS)},
    }


JOBSET = Operator(
    module=_module("jobset", "jobset"),
    path="sigs.k8s.io/jobset",
    manifests="config/default",
    service="jobset-webhook-service.jobset-system",
    configuration=_jobset,
    flags=lambda ports, file: (f"--config={file}",),
)
KUEUE = Operator(
    module=_module("kueue", "kueue"),
    path="sigs.k8s.io/kueue",
    manifests="config/default",
    service="kueue-webhook-service.kueue-system",
    certificate="kueue-system/kueue-webhook-server-cert",
    configuration=_kueue,
    flags=lambda ports, file: (
        f"--config={file}",
        "--feature-gates=VisibilityOnDemand=false",
    ),
)
TRAINING_OPERATOR = Operator(
    module=_module("training-operator", "training-operator.v1"),
    path="github.com/kubeflow/training-operator",
    manifests="manifests/overlays/standalone",
    service="training-operator.kubeflow",
    certificate="kubeflow/training-operator-webhook-cert",
    certificate_directory="/tmp/k8s-webhook-server/serving-certs",  # noqa: S108 -- the operator's own choice
    configuration=lambda ports, certificates: {},
    flags=lambda ports, file: (
        f"--webhook-server-port={ports.webhook}",
        f"--health-probe-bind-address=127.0.0.1:{ports.health}",
        f"--metrics-bind-address=127.0.0.1:{ports.metrics}",
    ),
)
ALL = (JOBSET, TRAINING_OPERATOR, KUEUE)


def start(control_plane: ControlPlane, operator: Operator) -> None:
    """Install an operator as it is shipped and run it, until the control plane ends."""
    programs = build.ensure(modules=(operator.module,))
    source = build.folder_of(operator.module, operator.path) / operator.manifests
    ports = Ports(**dict(zip(("webhook", "health", "metrics"), parts.free_numbers(3), strict=True)))
    directory = control_plane.directory / operator.name
    directory.mkdir()
    authority = Authority()
    pair = authority.server("localhost", f"{operator.service}.svc")
    if not operator.certificate:
        (directory / "tls.crt").write_bytes(pair.certificate)
        (directory / "tls.key").write_bytes(pair.key)
    configuration = directory / "configuration.yaml"
    configuration.write_text(yaml.safe_dump(operator.configuration(ports, directory)))
    install.install(
        control_plane,
        source,
        port=ports.webhook,
        ca=authority.certificate,
        leave_out=LEFT_OUT,
    )
    (program,) = operator.module.gives
    control_plane.run(
        operator.name,
        programs[program],
        f"--kubeconfig={control_plane.admin.kubeconfig}",
        *operator.flags(ports, configuration),
        environ=control_plane.admin.environment(),
    )
    if operator.certificate:
        there = Path(operator.certificate_directory or directory)
        _mount(control_plane, operator.certificate, there)
    try:
        waiting.until(
            lambda: cluster.answers(ports.health, "/readyz", None),
            what=f"{operator.name} to be ready",
            timeout_seconds=60,
        )
    except errors.WaitError as error:
        log = control_plane.log(operator.name)[-2000:]
        raise errors.WaitError(f"{error}; its log ends\n{log}") from error


def _mount(control_plane: ControlPlane, secret: str, directory: Path) -> None:
    """Do what a kubelet would: have the Secret that the operator fills in files."""
    namespace, _, name = secret.partition("/")
    path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
    found = control_plane.wait_for(path, lambda it: it.get("data", {}).get("tls.crt"))
    directory.mkdir(parents=True, exist_ok=True)
    for file, text in found["data"].items():
        (directory / file).write_bytes(base64.b64decode(text))


def main() -> None:
    """Build them all."""
    for module in (*(operator.module for operator in ALL), kserve_controller.MODULE):
        build.ensure(modules=(module,))


if __name__ == "__main__":
    try:
        main()
    except errors.ControlPlaneError as error:
        sys.exit(str(error))
