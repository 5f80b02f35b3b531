"""
KServe's manager: its controllers and webhooks in one program.

It reads a ConfigMap of its own, so that one is installed as it is shipped. What the manifests have
besides is cert-manager's, and the agent that fetches models on nodes.
"""

from pathlib import Path

from tests.e2e.controlplane import build, cluster, errors, install, parts, waiting
from tests.e2e.controlplane.certificates import Authority
from tests.e2e.controlplane.cluster import ControlPlane

HERE = Path(__file__).parent
MODULE = build.Module(name="kserve", gives=("manager",), beside=HERE)
PATH = "github.com/kserve/kserve"
LEFT_OUT = ("Deployment", "DaemonSet", "Certificate", "Issuer")
SERVICE = "kserve-webhook-server-service.kserve"


def start(control_plane: ControlPlane) -> None:
    """Install KServe as it is shipped and run it, until the control plane ends."""
    programs = build.ensure(modules=(MODULE,))
    webhook, health = parts.free_numbers(2)
    directory = control_plane.directory / MODULE.name
    authority = Authority()
    pair = authority.server("localhost", f"{SERVICE}.svc")
    # Where controller-runtime looks, below TMPDIR; this program has no flag for it.
    certificates = directory / "k8s-webhook-server" / "serving-certs"
    certificates.mkdir(parents=True)
    (certificates / "tls.crt").write_bytes(pair.certificate)
    (certificates / "tls.key").write_bytes(pair.key)
    folder = build.folder_of(MODULE, PATH) / "config"
    for source in ("default", "runtimes", "storagecontainers"):
        if source == "runtimes":  # which its webhook judges
            _run(control_plane, programs["manager"], directory, webhook=webhook, health=health)
        install.install(
            control_plane,
            folder / source,
            port=webhook,
            ca=authority.certificate,
            leave_out=LEFT_OUT,
        )


def _run(
    control_plane: ControlPlane, program: str, directory: Path, *, webhook: int, health: int
) -> None:
    control_plane.run(
        MODULE.name,
        program,
        f"--kubeconfig={control_plane.admin.kubeconfig}",
        f"--webhook-port={webhook}",
        f"--health-probe-addr=127.0.0.1:{health}",
        "--metrics-addr=0",
        environ={**control_plane.admin.environment(), "TMPDIR": str(directory)},
    )
    try:
        waiting.until(
            lambda: cluster.answers(health, "/readyz", None),
            what="KServe to be ready",
            timeout_seconds=60,
        )
    except errors.WaitError as error:
        log = control_plane.log(MODULE.name)[-2000:]
        raise errors.WaitError(f"{error}; its log ends\n{log}") from error
