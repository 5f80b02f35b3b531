"""
Fake nodes: real Node objects whose kubelet is kwok.

A pod that the scheduler binds to one runs, and completes if a Job owns it; no container starts.
"""

from collections.abc import Mapping, Sequence

from tests.e2e.controlplane import parts
from tests.e2e.controlplane.client import Manifest

GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
_ROOMY = {"cpu": "96", "memory": "1Ti", "ephemeral-storage": "2Ti", "pods": "110"}


def node(
    name: str,
    *,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
    capacity: Mapping[str, str] | None = None,
) -> Manifest:
    """Describe a node; capacity adds to 96 cores, 1 TiB and 110 pods."""
    resources = {**_ROOMY, **(capacity or {})}
    key, value = parts.FAKE_NODE
    basic = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {**basic, **(labels or {})},
            "annotations": {key: value},
        },
        "spec": {"taints": [dict(taint) for taint in taints]},
        "status": {"capacity": resources, "allocatable": resources},
    }


def gpu_node(
    name: str, *, product: str, count: int, memory_mib: int, family: str = "ampere"
) -> Manifest:
    """Describe a tainted node as NVIDIA's device plugin and feature discovery leave it."""
    labels = {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": product,
        "nvidia.com/gpu.count": str(count),
        "nvidia.com/gpu.memory": str(memory_mib),
        "nvidia.com/gpu.family": family,
        "nvidia.com/gpu.replicas": "1",
    }
    capacity = {"nvidia.com/gpu": str(count)}
    return node(name, labels=labels, taints=[GPU_TAINT], capacity=capacity)


FLEET = (
    gpu_node("gpu-a100-0", product="NVIDIA-A100-SXM4-80GB", count=8, memory_mib=81920),
    gpu_node("gpu-t4-0", product="Tesla-T4", count=4, memory_mib=15360, family="turing"),
    node("cpu-0"),
)


def is_ready(node: Manifest) -> bool:
    """Tell whether pods can go there: Ready, and the taints that say otherwise are gone."""
    conditions = node.get("status", {}).get("conditions", [])
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    taints = node.get("spec", {}).get("taints", [])
    return ready and not any(taint["key"].startswith("node.kubernetes.io/") for taint in taints)
