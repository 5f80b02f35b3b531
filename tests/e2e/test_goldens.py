"""
Every golden case of the engine, and what it makes, on a real API server: it is accepted.

A case whose input the API server refuses already says nothing of ours, and is left out; so is one
that the engine refuses. Resource claims are followed to the node: made, allocated, bound.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from policies.workloads import catalogue
from policies.workloads.catalogue import Kind
from tests.e2e.acting import Place
from tests.e2e.controlplane import nodes, waiting
from tests.e2e.controlplane.client import Answer, Manifest
from tests.e2e.controlplane.cluster import ControlPlane
from tests.e2e.goldens import CASES, put_what_is_named, read
from tests.e2e.installed import Installed

CONTROL_PLANE = "goldens"
BUILT_IN = ("", "apps", "batch")
# There are two definitions of MPIJob; ours is of the MPI operator's version.
DEFINITIONS = {"mpijobs.kubeflow.org": "mpijobs.kubeflow.org.mpi-operator"}


def kind_of(obj: Manifest) -> Kind:
    found = catalogue.builtin().of(obj)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def place(controlplane: ControlPlane) -> str:
    """Give a namespace in which everything is that the pods of the cases name."""
    namespace = controlplane.add_namespace()
    put_what_is_named(controlplane, namespace)
    return namespace


@pytest.fixture
def rehearse(
    controlplane: ControlPlane, place: str, load_crds: Callable[..., None]
) -> Callable[[Manifest], Answer]:
    """Create an object in a dry run, its kind defined first where it is a custom one."""

    def create(obj: Manifest) -> Answer:
        kind, (group, _, version) = kind_of(obj), obj["apiVersion"].rpartition("/")
        if group not in BUILT_IN:
            name = f"{kind.plural}.{group}"
            load_crds(DEFINITIONS.get(name, name))
        prefix = f"/apis/{group}/{version}" if group else f"/api/{version}"
        path = f"{prefix}/namespaces/{place}/{kind.plural}?dryRun=All"
        return controlplane.admin.request("POST", path, creatable(obj))

    return create


def creatable(obj: Manifest) -> Manifest:
    """Leave the namespace to the path, and give templates the labels that select their pods."""
    made: Manifest = json.loads(json.dumps(obj))
    made["metadata"].pop("namespace", None)
    selector = made["spec"].get("selector")
    if isinstance(selector, dict):
        metadata = made["spec"]["template"].setdefault("metadata", {})
        metadata["labels"] = {**(metadata.get("labels") or {}), **selector["matchLabels"]}
    return made


def message(answer: Answer) -> str:
    return "" if answer.ok else str(answer.body)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parts[-2]}-{case.parts[-1]}")
def test_what_comes_out_is_accepted(case: Path, rehearse: Callable[[Manifest], Answer]) -> None:
    if "refused" in (read(case / "said.yaml") or {}):
        pytest.skip("the engine refuses it")
    plain = rehearse(read(case / "input.yaml"))
    if not plain.ok:
        pytest.skip(f"the API server refuses what goes in: {message(plain)[:200]}")

    answer = rehearse(read(case / "expected.yaml"))

    assert message(answer) == ""


# --- dynamic resource allocation --------------------------------------------------------------

DRIVER = "gpu.example.com"
RESOURCE = "/apis/resource.k8s.io/v1"
CLASS = """
apiVersion: kubectl-ml.io/v1alpha1
kind: Accelerator
metadata: {name: h100.dra}
spec: {deviceClassName: gpu.example.com, tolerations: [{key: nvidia.com/gpu, operator: Exists}]}
"""
POD: Manifest = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "bert", "annotations": {"kubectl-ml.io/accelerator": "h100.dra:2"}},
    "spec": {"containers": [{"name": "main", "image": "registry.example.com/main:1"}]},
}


@pytest.fixture
def devices(controlplane: ControlPlane) -> Iterator[str]:
    """Have a device class, and a node with four devices of it; give the node's name."""
    node = nodes.FLEET[0]["metadata"]["name"]
    device_class = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "DeviceClass",
        "metadata": {"name": DRIVER},
        "spec": {"selectors": [{"cel": {"expression": f'device.driver == "{DRIVER}"'}}]},
    }
    slices = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": f"{node}-gpus"},
        "spec": {
            "driver": DRIVER,
            "nodeName": node,
            "pool": {"name": node, "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": f"gpu-{number}"} for number in range(4)],
        },
    }
    controlplane.admin.create(f"{RESOURCE}/deviceclasses", device_class)
    controlplane.admin.create(f"{RESOURCE}/resourceslices", slices)
    yield node
    controlplane.admin.delete(f"{RESOURCE}/resourceslices/{node}-gpus")
    controlplane.admin.delete(f"{RESOURCE}/deviceclasses/{DRIVER}")


def test_claims_are_allocated_and_the_pod_is_bound(
    controlplane: ControlPlane, namespace: str, devices: str, tmp_path: Path
) -> None:
    (tmp_path / "class.yaml").write_text(CLASS)
    admin = controlplane.admin

    rendered = admin.kubectl(
        "ml", "render", "-n", namespace, "-f", "-", f"--policies={tmp_path}", stdin=POD
    )
    admin.kubectl("apply", "-n", namespace, "-f", "-", stdin=rendered)

    pods = f"/api/v1/namespaces/{namespace}/pods/bert"
    waiting.until(
        lambda: admin.get(pods)["spec"].get("nodeName") == devices, what="the pod to be bound"
    )
    [claim] = admin.get(f"{RESOURCE}/namespaces/{namespace}/resourceclaims")["items"]
    [request] = claim["spec"]["devices"]["requests"]
    assert request == {
        "name": "h100-dra",
        "exactly": {
            "deviceClassName": DRIVER,
            "allocationMode": "ExactCount",
            "count": 2,
        },
    }
    assert len(claim["status"]["allocation"]["devices"]["results"]) == 2


def test_two_receiving_containers_have_devices_of_their_own(
    controlplane: ControlPlane, namespace: str, devices: str, tmp_path: Path
) -> None:
    (tmp_path / "class.yaml").write_text(CLASS)
    admin, pod = controlplane.admin, json.loads(json.dumps(POD))
    pod["metadata"]["annotations"]["kubectl-ml.io/containers"] = "main,second"
    pod["spec"]["containers"] += [{"name": "second", "image": "registry.example.com/second:1"}]

    rendered = admin.kubectl(
        "ml", "render", "-n", namespace, "-f", "-", f"--policies={tmp_path}", stdin=pod
    )
    admin.kubectl("apply", "-n", namespace, "-f", "-", stdin=rendered)

    pods = f"/api/v1/namespaces/{namespace}/pods/bert"
    waiting.until(
        lambda: admin.get(pods)["spec"].get("nodeName") == devices, what="the pod to be bound"
    )
    claims = admin.get(f"{RESOURCE}/namespaces/{namespace}/resourceclaims")["items"]
    given = [
        result["device"]
        for claim in claims
        for result in claim["status"]["allocation"]["devices"]["results"]
    ]
    assert sorted(given) == [f"gpu-{number}" for number in range(4)]


def test_two_trainings_share_a_template(
    controlplane: ControlPlane, namespace: str, devices: str, tmp_path: Path
) -> None:
    (tmp_path / "class.yaml").write_text(CLASS)
    admin = controlplane.admin

    def train(name: str) -> list[str]:
        flags = (
            "--image=registry.example.com/main:1",
            "--accelerator=h100.dra",
            "-n",
            namespace,
            "--backend=job",
        )
        return admin.kubectl("ml", "train", name, *flags, f"--policies={tmp_path}").splitlines()

    first, second = train("one"), train("two")
    admin.kubectl("ml", "delete", "one", "-n", namespace)

    template = "resourceclaimtemplate.resource.k8s.io/kubectl-ml-h100.dra-1"
    assert first == ["job.batch/one created", f"{template} created"]
    assert second == ["job.batch/two created", f"{template} unchanged"]
    path = f"{RESOURCE}/namespaces/{namespace}/resourceclaimtemplates"
    assert [one["metadata"]["name"] for one in admin.get(path)["items"]] == [template.split("/")[1]]


def test_where_the_webhook_injects_train_makes_the_template(
    enabled: Place, installed: Installed, devices: str, tmp_path: Path
) -> None:
    (tmp_path / "class.yaml").write_text(CLASS)
    installed.set_policies(CLASS)
    admin = enabled.admin

    printed = admin.kubectl(
        *("ml", "train", "bert", "--image=registry.example.com/main:1", "-n", enabled.name),
        *("--accelerator=h100.dra:2", f"--policies={tmp_path}", "--backend=job"),
    )

    pods = f"/api/v1/namespaces/{enabled.name}/pods"
    [pod] = waiting.until(lambda: admin.get(pods)["items"], what="the pod of the job")
    waiting.until(
        lambda: admin.get(f"{pods}/{pod['metadata']['name']}")["spec"].get("nodeName") == devices,
        what="the pod to be bound",
    )
    assert printed.splitlines() == [
        "job.batch/bert created",
        "resourceclaimtemplate.resource.k8s.io/kubectl-ml-h100.dra-2 created",
    ]
    assert pod["spec"]["resourceClaims"] == [
        {"name": "h100-dra", "resourceClaimTemplateName": "kubectl-ml-h100.dra-2"}
    ]
