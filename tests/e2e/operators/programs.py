"""
Which operators there are, how each is built, installed and started.

`python -m tests.e2e.operators.programs` builds them.
"""

import base64
import shutil
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.e2e.controlplane import build, cluster, errors, install, parts, waiting
from tests.e2e.controlplane.certificates import Authority, Pair
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
    fetched: str = ""  # what that kustomization would get from the network
    service: str  # NAME.NAMESPACE of its webhook
    # NAMESPACE/NAME of the Secret where it makes a certificate; without it we give it one.
    certificate: str = ""
    temporary: bool = False  # it reads the files below its TMPDIR, and nobody can say otherwise
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


def kueue(ports: Ports, certificates: Path, *, frameworks: Sequence[str] = KUEUE_KINDS) -> Manifest:
    """Configure Kueue to manage the kinds of these frameworks."""
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": f"127.0.0.1:{ports.health}"},
        "metrics": {"bindAddress": f"127.0.0.1:{ports.metrics}"},
        "webhook": {"host": "127.0.0.1", "port": ports.webhook, "certDir": str(certificates)},
        "internalCertManagement": {"enable": True},
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"qps": 500, "burst": 500},
        "integrations": {"frameworks": list(frameworks)},
    }


def _trainer(ports: Ports, certificates: Path) -> Manifest:
    return {
        "apiVersion": "config.trainer.kubeflow.org/v1alpha1",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": f"127.0.0.1:{ports.health}"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"host": "127.0.0.1", "port": ports.webhook},
        "statusServer": {"port": ports.metrics},
        "certManagement": {"enable": False},
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"qps": 500, "burst": 500},
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
    configuration=kueue,
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
    temporary=True,
    configuration=lambda ports, certificates: {},
    flags=lambda ports, file: (
        f"--webhook-server-port={ports.webhook}",
        f"--health-probe-bind-address=127.0.0.1:{ports.health}",
        f"--metrics-bind-address=127.0.0.1:{ports.metrics}",
    ),
)
TRAINER = Operator(
    module=_module("trainer", "trainer-controller-manager"),
    path="github.com/kubeflow/trainer/v2",
    manifests="manifests/overlays/manager",
    fetched="../../third-party/jobset",  # we build it
    service="kubeflow-trainer-controller-manager.kubeflow-system",
    temporary=True,
    configuration=_trainer,
    flags=lambda ports, file: (f"--config={file}",),
)
ALL = (JOBSET, TRAINING_OPERATOR, TRAINER, KUEUE)
# Where Kubeflow's two want to see a certificate before they start to serve.
MOUNTED = Path("/tmp/k8s-webhook-server/serving-certs")  # noqa: S108 -- their own choice
# Started by `knative_serving`.
KNATIVE = build.Module(name="knative", gives=("webhook", "controller"), beside=HERE)


def start(control_plane: ControlPlane, operator: Operator) -> None:
    """Install an operator as it is shipped and run it, until the control plane ends."""
    programs = build.ensure(modules=(operator.module,))
    ports = Ports(**dict(zip(("webhook", "health", "metrics"), parts.free_numbers(3), strict=True)))
    directory = control_plane.directory / operator.name
    directory.mkdir()
    authority = Authority()
    pair = authority.server("localhost", f"{operator.service}.svc")
    if not operator.certificate:
        _stand_in(pair, directory)
    configuration = directory / "configuration.yaml"
    configuration.write_text(yaml.safe_dump(operator.configuration(ports, directory)))
    install.install(
        control_plane,
        _manifests(operator, directory),
        port=ports.webhook,
        ca=authority.certificate,
        leave_out=LEFT_OUT,
    )
    files = directory / "k8s-webhook-server/serving-certs" if operator.temporary else directory
    if operator.temporary:
        for place in (files, MOUNTED):
            _stand_in(pair, place)
    (program,) = operator.module.gives
    control_plane.run(
        operator.name,
        programs[program],
        f"--kubeconfig={control_plane.admin.kubeconfig}",
        *operator.flags(ports, configuration),
        environ={**control_plane.admin.environment(), "TMPDIR": str(directory)},
    )
    ca = authority.certificate
    if operator.certificate:
        ca = _mount(control_plane, operator.certificate, files)
    _wait(control_plane, operator, ports=ports, ca=ca)


def _wait(control_plane: ControlPlane, operator: Operator, *, ports: Ports, ca: bytes) -> None:
    """Wait until an operator is ready and serves the certificate that the API server expects."""
    trusting = ssl.create_default_context(cadata=ca.decode())

    def ready() -> bool:
        if not cluster.answers(ports.health, "/readyz", None):
            return False
        with socket.create_connection(("localhost", ports.webhook), timeout=5) as connection:
            try:
                with trusting.wrap_socket(connection, server_hostname=f"{operator.service}.svc"):
                    return True
            except ssl.SSLCertVerificationError:
                return False

    try:
        waiting.until(ready, what=f"{operator.name} to be ready", timeout_seconds=60)
    except errors.WaitError as error:
        log = control_plane.log(operator.name)[-2000:]
        raise errors.WaitError(f"{error}; its log ends\n{log}") from error


def _manifests(operator: Operator, directory: Path) -> Path:
    """Find an operator's kustomization; one that would fetch something is copied without it."""
    root = build.folder_of(operator.module, operator.path)
    if not operator.fetched:
        return root / operator.manifests
    for file in (root / "manifests").rglob("*"):  # not copytree: Go's folders are read-only
        if file.is_file():
            copied = directory / file.relative_to(root)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copied)
    changed = directory / operator.manifests / "kustomization.yaml"
    kustomization = yaml.safe_load(changed.read_text())
    kustomization["resources"].remove(operator.fetched)
    changed.write_text(yaml.safe_dump(kustomization))
    return changed.parent


def _stand_in(pair: Pair, directory: Path) -> None:
    """
    Write a certificate where there is none.

    One that makes its own starts to serve before it has it, if another is there: it asks
    only whether there is a file, in a folder of all its like, and reads its own later.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / "tls.crt").exists():
        (directory / "tls.key").write_bytes(pair.key)
        (directory / "tls.crt").write_bytes(pair.certificate)


def _mount(control_plane: ControlPlane, secret: str, directory: Path) -> bytes:
    """Do what a kubelet would: have the Secret that the operator fills in files; give its CA."""
    namespace, _, name = secret.partition("/")
    path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
    found = control_plane.wait_for(path, lambda it: it.get("data", {}).get("tls.crt"))
    files = {name: base64.b64decode(text) for name, text in found["data"].items()}
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return files["ca.crt"]


def main() -> None:
    """Build them all."""
    for module in (*(operator.module for operator in ALL), KNATIVE, kserve_controller.MODULE):
        build.ensure(modules=(module,))


if __name__ == "__main__":
    try:
        main()
    except errors.ControlPlaneError as error:
        sys.exit(str(error))
