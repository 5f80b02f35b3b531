"""Builds reviews, as an API server sends them."""

from __future__ import annotations

from typing import Any

UID = "705ab4f5-6393-11e8-b7cc-42010a800002"


def pod(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """Build a pod of one container."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "train", "namespace": "ml", "annotations": annotations or {}},
        "spec": {"containers": [{"name": "main", "image": "train:1"}], **spec},
    }


def intents(**values: str) -> dict[str, str]:
    """Build annotations that say what is needed."""
    return {f"kubectl-ml.io/{key}": value for key, value in values.items()}


def deployment(annotations: dict[str, str] | None = None) -> dict[str, Any]:
    """Build a deployment of that pod."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "train", "namespace": "ml", "annotations": annotations or {}},
        "spec": {
            "selector": {"matchLabels": {"app": "train"}},
            "template": {
                "metadata": {"labels": {"app": "train"}},
                "spec": {"containers": [{"name": "main", "image": "train:1"}]},
            },
        },
    }


def review(subject: Any, **request: Any) -> dict[str, Any]:
    """Build the CREATE review of an object; `request` replaces members."""
    group, _, version = (
        str(subject.get("apiVersion", "v1")).rpartition("/") if subject else ("", "", "v1")
    )
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": UID,
            "kind": {
                "group": group,
                "version": version,
                "kind": subject["kind"] if subject else "Pod",
            },
            "name": "train",
            "namespace": "ml",
            "operation": "CREATE",
            "userInfo": {"username": "jane", "groups": ["system:authenticated"]},
            "object": subject,
            "oldObject": None,
            "dryRun": False,
            **request,
        },
    }
