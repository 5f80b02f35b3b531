"""What `kubectl apply -k` would send, built by the real kubectl; skipped where there is none."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies import load
from policies.workloads.catalogue import builtin
from tests.e2e.controlplane import build

MANIFESTS = Path(__file__).parents[2] / "manifests"
DEFINITIONS = {
    ("CustomResourceDefinition", yaml.safe_load(file.read_text())["metadata"]["name"])
    for file in (MANIFESTS / "crds").iterdir()
    if file.name != "kustomization.yaml"
}
BASE = DEFINITIONS | {
    ("Namespace", "kubectl-ml"),
    ("ServiceAccount", "kubectl-ml"),
    ("ClusterRole", "kubectl-ml"),
    ("ClusterRole", "kubectl-ml-namespaces"),
    ("ClusterRole", "kubectl-ml-view"),
    ("ClusterRole", "kubectl-ml-edit"),
    ("ClusterRole", "kubectl-ml-usage"),
    ("ClusterRoleBinding", "kubectl-ml"),
    ("ClusterRoleBinding", "kubectl-ml-usage"),
    ("Role", "kubectl-ml"),
    ("RoleBinding", "kubectl-ml"),
    ("Service", "kubectl-ml"),
    ("Deployment", "kubectl-ml"),
    ("PodDisruptionBudget", "kubectl-ml"),
    ("MutatingWebhookConfiguration", "mutate.kubectl-ml.io"),
    ("MutatingWebhookConfiguration", "0.mutate.kubectl-ml.io"),
    ("ValidatingWebhookConfiguration", "validate.kubectl-ml.io"),
    ("ValidatingWebhookConfiguration", "enforce.kubectl-ml.io"),
    ("ValidatingWebhookConfiguration", "policies.kubectl-ml.io"),
    ("PriorityLevelConfiguration", "kubectl-ml"),
    ("FlowSchema", "kubectl-ml"),
    ("ValidatingAdmissionPolicy", "kubectl-ml-namespace-labels"),
    ("ValidatingAdmissionPolicyBinding", "kubectl-ml-namespace-labels"),
}


@pytest.fixture(scope="module")
def kubectl() -> str:
    programs = build.find()
    found = programs["kubectl"] if programs else shutil.which("kubectl")
    if not found:
        pytest.skip("needs kubectl: `make controlplane` builds it")
    return found


def built(kubectl: str, directory: Path) -> dict[tuple[str, str], Any]:
    done = subprocess.run(  # noqa: S603 -- the real kubectl
        (kubectl, "kustomize", str(directory)), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    objects = [each for each in yaml.safe_load_all(done.stdout) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def configurations(objects: dict[tuple[str, str], Any]) -> list[Any]:
    return [each for (kind, _), each in objects.items() if kind.endswith("WebhookConfiguration")]


def test_the_base(kubectl: str) -> None:
    objects = built(kubectl, MANIFESTS / "base")

    assert set(objects) == BASE
    assert {
        each["metadata"].get("namespace")
        for (kind, _), each in objects.items()
        if kind in ("ServiceAccount", "Service", "Deployment", "PodDisruptionBudget")
    } == {"kubectl-ml"}
    assert [
        webhook["clientConfig"].get("caBundle")
        for each in configurations(objects)
        for webhook in each["webhooks"]
    ] == [None] * 6


def test_by_cert_manager(kubectl: str) -> None:
    objects = built(kubectl, MANIFESTS / "overlays" / "default")

    assert set(objects) - BASE == {
        ("Issuer", "kubectl-ml"),
        ("Certificate", "kubectl-ml"),
        ("ConfigMap", "kubectl-ml-policies"),
    }
    assert [each["metadata"]["annotations"] for each in configurations(objects)] == [
        {"cert-manager.io/inject-ca-from": "kubectl-ml/kubectl-ml"}
    ] * 5
    certificate = objects["Certificate", "kubectl-ml"]["spec"]
    volumes = objects["Deployment", "kubectl-ml"]["spec"]["template"]["spec"]["volumes"]
    sources = {volume["name"]: volume for volume in volumes}
    assert sources["tls"]["secret"]["secretName"] == certificate["secretName"]
    assert sources["policies"]["configMap"]["name"] == "kubectl-ml-policies"


def test_the_policies_that_come_with_it_can_be_used() -> None:
    read = load.read([MANIFESTS / "overlays" / "default" / "policies.yaml"])

    assert "big-gpu" in read.accelerators


def test_with_a_certificate_from_files(kubectl: str, tmp_path: Path) -> None:
    shutil.copytree(MANIFESTS, tmp_path / "manifests")
    files = tmp_path / "manifests" / "components" / "self-signed"
    subprocess.run(  # noqa: S603 -- our own program, as `make certificates` runs it
        (sys.executable, "-m", "webhook.self_signed", str(files)), capture_output=True, check=True
    )

    objects = built(kubectl, tmp_path / "manifests" / "overlays" / "self-signed")

    ca = (files / "ca.crt").read_bytes()
    secret = objects["Secret", "kubectl-ml-tls"]
    assert secret["type"] == "kubernetes.io/tls"
    assert sorted(secret["data"]) == ["ca.crt", "tls.crt", "tls.key"]
    assert [
        base64.b64decode(webhook["clientConfig"]["caBundle"])
        for each in configurations(objects)
        for webhook in each["webhooks"]
    ] == [ca] * 6


def test_the_webhook_may_read_what_it_needs_and_no_more(kubectl: str) -> None:
    objects = built(kubectl, MANIFESTS / "base")

    ours, read = ["kubectl-ml.io"], ["get", "list", "watch"]
    assert objects["ClusterRole", "kubectl-ml"]["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["namespaces", "limitranges", "resourcequotas"],
            "verbs": read,
        },
        {"apiGroups": ours, "resources": ["*"], "verbs": read},
        {"apiGroups": ours, "resources": ["*/status"], "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
        {
            "apiGroups": ["trainer.kubeflow.org"],
            "resources": ["clustertrainingruntimes", "trainingruntimes"],
            "verbs": read,
        },
        {
            "apiGroups": ["admissionregistration.k8s.io"],
            "resources": ["validatingwebhookconfigurations"],
            "resourceNames": ["validate.kubectl-ml.io", "enforce.kubectl-ml.io"],
            "verbs": ["get"],
        },
    ]
    leases = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    assert objects["Role", "kubectl-ml"]["rules"] == [
        {**leases, "verbs": ["create"]},
        {**leases, "resourceNames": ["kubectl-ml"], "verbs": ["get", "update"]},
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "verbs": [*read, "create", "update", "delete"],
        },
    ]
    usage = objects["ClusterRole", "kubectl-ml-usage"]["rules"]
    assert {verb for rule in usage for verb in rule["verbs"]} == set(read)
    assert {(rule["apiGroups"][0], one) for rule in usage for one in rule["resources"]} == {
        (kind.group, kind.plural)
        for kind in builtin().kinds.values()
        if not kind.cluster_scoped and not kind.template
    }
    assert objects["ClusterRoleBinding", "kubectl-ml"]["subjects"] == [
        {"kind": "ServiceAccount", "name": "kubectl-ml", "namespace": "kubectl-ml"}
    ]
