"""
Knative Serving: its webhook and its controller, with their own definitions and ConfigMaps.

Its manifests are no kustomization, its certificate lies in a Secret, and it is told all by
environment variables, so it is started here rather than in `programs`. Without activator,
autoscaler and an ingress nothing becomes ready; but Revisions get their Deployments, hence pods.
"""

import base64
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.controlplane import build, errors, install, parts, waiting
from tests.e2e.controlplane.certificates import Authority
from tests.e2e.controlplane.client import Manifest
from tests.e2e.controlplane.cluster import ControlPlane
from tests.e2e.operators import programs

MODULE = programs.KNATIVE
NAMESPACE = "knative-serving"
SERVICE = f"webhook.{NAMESPACE}"
# Kinds of pods that nobody runs here, and an image that Knative's own build tool would name.
LEFT_OUT = ("Deployment", "HorizontalPodAutoscaler", "Image")
# The definitions of what serving makes: they lie in the modules that it is built from.
BESIDE = {
    "knative.dev/networking": "config/*.yaml",
    "knative.dev/caching": "config/*.yaml",
}
SETTINGS = {
    # The registries of the tests don't exist, so nobody can ask them for digests.
    "config-deployment": {
        "queue-sidecar-image": "registry.example.com/queue:1",
        "registries-skipping-tag-resolving": "registry.example.com",
    },
}
# Only the webhook has a flag to go without leases.
FLAGS: dict[str, tuple[str, ...]] = {"webhook": ("--disable-ha",), "controller": ()}


def start(control_plane: ControlPlane) -> None:
    """Install Knative Serving as it is shipped and run it, until the control plane ends."""
    programs_built = build.ensure(modules=(MODULE,))
    (port,) = parts.free_numbers(1)
    authority = Authority()
    install.install(
        control_plane,
        yaml.safe_dump_all([_fitted(each, authority) for each in _manifests()]),
        port=port,
        ca=authority.certificate,
        leave_out=LEFT_OUT,
    )
    for program in MODULE.gives:
        control_plane.run(
            _part(program),
            programs_built[program],
            f"--kubeconfig={control_plane.admin.kubeconfig}",
            *FLAGS[program],
            environ=control_plane.admin.environment(_environment(program, port)),
        )
    _wait_until_it_refuses(control_plane)


def kill(control_plane: ControlPlane) -> None:
    """End it without asking: asked, it goes on for 45 seconds."""
    for program in MODULE.gives:
        if control_plane.is_running(_part(program)):
            control_plane.kill(_part(program))


def _part(program: str) -> str:
    return f"knative-{program}"


def _environment(program: str, port: int) -> dict[str, str]:
    health, metrics, profiling = parts.free_numbers(3)
    return {
        "SYSTEM_NAMESPACE": NAMESPACE,
        "CONFIG_LOGGING_NAME": "config-logging",
        "CONFIG_OBSERVABILITY_NAME": "config-observability",
        "METRICS_DOMAIN": "knative.dev/internal/serving",
        "METRICS_PROMETHEUS_HOST": "127.0.0.1",
        "METRICS_PROMETHEUS_PORT": str(metrics),
        "PROFILING_PORT": str(profiling),
        "KNATIVE_HEALTH_PROBES_PORT": str(health),
        "POD_NAME": f"{program}-0",
        "WEBHOOK_NAME": "webhook",
        "WEBHOOK_PORT": str(port),
    }


def _manifests() -> list[Manifest]:
    serving = build.folder_of(MODULE, "knative.dev/serving")
    files = sorted((serving / "config" / "core").rglob("*.yaml"))
    for path, pattern in BESIDE.items():
        files += sorted(build.folder_of(MODULE, path).glob(pattern))
    return [each for file in files for each in _documents(file)]


def _documents(file: Path) -> list[Any]:
    return [each for each in yaml.safe_load_all(file.read_text()) if each]


def _fitted(manifest: Manifest, authority: Authority) -> Manifest:
    """Give the Secret a certificate, which its owner then keeps, and ConfigMaps their settings."""
    name = manifest["metadata"]["name"]
    if manifest["kind"] == "Secret" and name == "webhook-certs":
        pair = authority.server("localhost", f"{SERVICE}.svc")
        files = {
            "ca-cert.pem": authority.certificate,
            "server-cert.pem": pair.certificate,
            "server-key.pem": pair.key,
        }
        data = {key: base64.b64encode(value).decode() for key, value in files.items()}
        return {**manifest, "data": data}
    if manifest["kind"] == "ConfigMap" and name in SETTINGS:
        return {**manifest, "data": {**manifest.get("data", {}), **SETTINGS[name]}}
    return manifest


def _wait_until_it_refuses(control_plane: ControlPlane) -> None:
    """Ask it about a Service without containers until it says no; it has no `/readyz`."""
    bad = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "probe"},
        "spec": {"template": {"spec": {"containers": []}}},
    }
    path = "/apis/serving.knative.dev/v1/namespaces/default/services?dryRun=All"

    def refused() -> bool:
        answer = control_plane.admin.request("POST", path, bad)
        return "validation.webhook.serving.knative.dev" in str(answer.body) and "denied" in str(
            answer.body
        )

    try:
        waiting.until(refused, what="Knative's webhook to answer", timeout_seconds=60)
    except errors.WaitError as error:
        log = control_plane.log(_part("webhook"))[-2000:]
        raise errors.WaitError(f"{error}; its log ends\n{log}") from error
