"""The manifests as they are shipped, on a real API server."""

import subprocess
from typing import Any

from tests.e2e.controlplane import waiting
from tests.e2e.installed import Installed

IMAGE = "registry.example.com/train:1"


def pod(name: str = "one", **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "annotations": {f"kubectl-ml.io/{key}": value for key, value in annotations.items()},
        },
        "spec": {"containers": [{"name": "main", "image": IMAGE}]},
    }


def deployment(name: str = "many", **annotations: str) -> dict[str, Any]:
    labels = {"app": name}
    template = pod()
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": pod(name, **annotations)["metadata"],
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": template["spec"]},
        },
    }


def apply(
    installed: Installed, namespace: str, manifest: dict[str, Any]
) -> subprocess.CompletedProcess[str]:
    return installed.control_plane.admin.try_kubectl(
        "apply", "-n", namespace, "-f", "-", stdin=manifest
    )


def pods(installed: Installed, namespace: str) -> list[Any]:
    found = installed.control_plane.admin.get(f"/api/v1/namespaces/{namespace}/pods")
    return list(found["items"])


def first_pod(installed: Installed, namespace: str) -> Any:
    return waiting.until(lambda: pods(installed, namespace), what="a pod")[0]


def limits(made: Any) -> Any:
    return made["spec"]["containers"][0].get("resources", {}).get("limits")


def test_a_deployment_says_what_it_needs_and_its_pods_get_it(installed: Installed):
    namespace = installed.namespace()

    applied = apply(installed, namespace, deployment(accelerator="a100:2"))

    made = first_pod(installed, namespace)
    assert applied.stdout == "deployment.apps/many created\n"
    assert limits(made) == {"nvidia.com/gpu": "2"}
    running = waiting.until(
        lambda: pods(installed, namespace)[0]["spec"].get("nodeName"), what="the pod to be bound"
    )
    assert running == "gpu-a100-0"
