"""The golden cases of the engine, and what their pods name, for an API server to be asked."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from policies import manifests
from tests.e2e.controlplane import processes
from tests.e2e.controlplane.cluster import ControlPlane

TESTDATA = processes.CHECKOUT / "tests" / "policies" / "testdata"
CASES = sorted(one.parent for one in TESTDATA.glob("*/*/expected.yaml"))
CONFLICT = 409
# What a pod may name must be there, or the API server refuses the pod.
NAMED = {
    "priorityClassName": (
        "/apis/scheduling.k8s.io/v1/priorityclasses",
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1},
    ),
    "runtimeClassName": (
        "/apis/node.k8s.io/v1/runtimeclasses",
        {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "handler": "runc"},
    ),
    "serviceAccountName": (
        "/api/v1/namespaces/{}/serviceaccounts",
        {"apiVersion": "v1", "kind": "ServiceAccount"},
    ),
}


@cache
def read(file: Path) -> Any:
    return manifests.documents(file.read_bytes())[0] if file.exists() else None


def values(node: Any, key: str) -> Iterator[str]:
    """Find every value of a member, wherever it is."""
    for name, value in node.items() if isinstance(node, dict) else ():
        if name == key and isinstance(value, str):
            yield value
    for one in (node.values() if isinstance(node, dict) else node) or ():
        if isinstance(one, (dict, list)):
            yield from values(one, key)


def put_what_is_named(controlplane: ControlPlane, namespace: str) -> None:
    """Have everything in a namespace that the pods of the cases name."""
    objects = [read(case / name) for case in CASES for name in ("input.yaml", "expected.yaml")]
    for key, (path, manifest) in NAMED.items():
        for name in {*values(objects, key)} - {"default"}:
            found = {**manifest, "metadata": {"name": name}}
            answer = controlplane.admin.request("POST", path.format(namespace), found)
            assert answer.ok or answer.status == CONFLICT, answer.body  # another test made it
