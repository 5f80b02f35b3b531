"""
The review that is sent: a PyTorchJob's worker pod, 2.8 KB, as an API server sends it.

By the built-in library alone it receives a device with its affinity, tolerations, two volumes, two
mounts, two variables and a sidecar.
"""

from __future__ import annotations

import base64
from typing import Any

import jsonpatch
import orjson

UID = "705ab4f5-6393-11e8-b7cc-42010a800002"

INTENTS = {
    "kubectl-ml.io/accelerator": "a100:2",
    "kubectl-ml.io/experiment": "resnet50-baseline",
    "kubectl-ml.io/sidecars": "logs",
}

_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 -- a path

_PROJECTED = {
    "defaultMode": 420,
    "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {
            "configMap": {
                "name": "kube-root-ca.crt",
                "items": [{"key": "ca.crt", "path": "ca.crt"}],
            }
        },
    ],
}

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "resnet50-worker-0",
        "namespace": "vision",
        "labels": {
            "training.kubeflow.org/job-name": "resnet50",
            "training.kubeflow.org/operator-name": "pytorchjob-controller",
            "training.kubeflow.org/replica-index": "0",
            "training.kubeflow.org/replica-type": "worker",
        },
        "annotations": INTENTS,
        "ownerReferences": [
            {
                "apiVersion": "kubeflow.org/v1",
                "kind": "PyTorchJob",
                "name": "resnet50",
                "uid": "1f7c9a52-2b6e-4a71-8d0f-0c3f0f0a9d11",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    },
    "spec": {
        "containers": [
            {
                "name": "pytorch",
                "image": "registry.example.com/vision/train:2026.11.3",
                "imagePullPolicy": "IfNotPresent",
                "command": ["torchrun", "--nnodes=4", "--nproc-per-node=2", "train.py"],
                "args": ["--epochs=90", "--batch-size=256", "--data=/data", "--amp"],
                "env": [
                    {"name": "MASTER_ADDR", "value": "resnet50-master-0"},
                    {"name": "MASTER_PORT", "value": "23456"},
                    {"name": "WORLD_SIZE", "value": "4"},
                    {"name": "RANK", "value": "1"},
                    {"name": "PYTHONUNBUFFERED", "value": "1"},
                    {"name": "PET_RDZV_ENDPOINT", "value": "resnet50-master-0:23456"},
                ],
                "ports": [{"name": "pytorchjob-port", "containerPort": 23456, "protocol": "TCP"}],
                "resources": {
                    "limits": {"cpu": "8", "memory": "64Gi"},
                    "requests": {"cpu": "8", "memory": "64Gi"},
                },
                "volumeMounts": [
                    {"name": "data", "mountPath": "/data", "readOnly": True},
                    {"name": "kube-api-access-x7k2p", "mountPath": _TOKEN, "readOnly": True},
                ],
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "imagenet"}},
            {"name": "kube-api-access-x7k2p", "projected": _PROJECTED},
        ],
        "restartPolicy": "OnFailure",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "serviceAccountName": "default",
        "securityContext": {},
        "enableServiceLinks": True,
        "priority": 0,
        "terminationGracePeriodSeconds": 30,
    },
}

REVIEW: dict[str, Any] = {
    "kind": "AdmissionReview",
    "apiVersion": "admission.k8s.io/v1",
    "request": {
        "uid": UID,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
        "requestResource": {"group": "", "version": "v1", "resource": "pods"},
        "name": "resnet50-worker-0",
        "namespace": "vision",
        "operation": "CREATE",
        "userInfo": {
            "username": "system:serviceaccount:kubeflow:training-operator",
            "groups": ["system:serviceaccounts", "system:authenticated"],
        },
        "object": POD,
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    },
}


def missing(answer: bytes) -> list[str]:
    """Name what the pod did not receive; an empty list is what the measurement stands on."""
    response = orjson.loads(answer)["response"]
    patch = orjson.loads(base64.b64decode(response.get("patch", "W10=")))
    pod: dict[str, Any] = jsonpatch.apply_patch(POD, patch)
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    was = POD["spec"]["containers"][0]
    sidecars = [c["name"] for c in (*spec["containers"], *spec.get("initContainers", ()))]
    received = {
        "a device": "nvidia.com/gpu" in container["resources"]["limits"],
        "a toleration": bool(spec.get("tolerations")),
        "two volumes": len(spec["volumes"]) >= len(POD["spec"]["volumes"]) + 2,
        "two mounts": len(container["volumeMounts"]) >= len(was["volumeMounts"]) + 2,
        "two variables": len(container["env"]) >= len(was["env"]) + 2,
        "a sidecar": "logs" in sidecars,
        "its own uid": response["uid"] == UID and response["allowed"] is True,
    }
    return [what for what, there in received.items() if not there]
