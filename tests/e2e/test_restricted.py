"""
Every golden case in a namespace that is restricted, has bounds, and demands requests.

What goes in is made to fit there first; what comes out, each pod of it, then still does. Only what
an admin gives by a policy may reach further, and each such case is named here.
"""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from policies.model import Decision
from policies.patch import lookup
from policies.workloads import catalogue, locate
from tests.builders import policies, review
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Answer, Manifest
from tests.e2e.controlplane.cluster import ControlPlane
from tests.e2e.goldens import CASES, put_what_is_named, read
from tests.policies.test_goldens import facts

CONTROL_PLANE = "goldens"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
BOUNDS = {
    "type": "Container",
    "min": {"cpu": "5m", "memory": "16Mi"},
    "max": {"cpu": "64", "memory": "512Gi"},
}
AMOUNTS = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
CONTAINERS = ("initContainers", "containers")
# What an admin's policy gives there, as Pod Security names it.
OF_ADMINS = {
    "devices-recipe-gpudirect-rdma": "restricted volume types",
    "devices-recipe-tcpxo": "restricted volume types",
    "mounts-kept-in-caches": "restricted volume types",
    "mounts-servers-nodes-and-drivers-of-admins": "restricted volume types",
}


@pytest.fixture(scope="module")
def place(controlplane: ControlPlane) -> str:
    """Give a namespace that admits nothing without requests, limits and the least rights."""
    namespace = controlplane.add_namespace(labels=RESTRICTED)
    put_what_is_named(controlplane, namespace)
    admin, path = controlplane.admin, f"/api/v1/namespaces/{namespace}"
    admin.create(f"{path}/limitranges", named("bounds", limits=[BOUNDS]))
    hard = {name: "64Ti" if "memory" in name else "32k" for name in AMOUNTS}
    admin.create(f"{path}/resourcequotas", named("budget", hard=hard))
    waiting.until(
        lambda: admin.get(f"{path}/resourcequotas/budget").get("status", {}).get("used"),
        what="the quota to be in force",
    )
    return namespace


def named(name: str, **spec: Any) -> Manifest:
    return {"metadata": {"name": name}, "spec": spec}


@pytest.fixture
def refused(controlplane: ControlPlane, place: str) -> Callable[[Any], list[str]]:
    """Create the pods that an object makes in a dry run, and give what is said against them."""

    def create(pod: Manifest) -> Answer:
        path = f"/api/v1/namespaces/{place}/pods?dryRun=All"
        return controlplane.admin.request("POST", path, pod)

    def ask(obj: Any) -> list[str]:
        answers = [create(pod) for pod in pods(obj)]
        return [str(one.body.get("message")) for one in answers if not one.ok]

    return ask


def templates(obj: Any) -> Iterator[tuple[Manifest, Any]]:
    """Find the metadata and the spec of every pod that an object makes, as they lie in it."""
    known = catalogue.builtin()
    kind = known.of(obj)
    assert kind is not None
    if kind.kind == "Pod":
        yield obj["metadata"], obj["spec"]
        return
    for one in locate.templates(obj, kind, known):
        spec = lookup(obj, one.pod_spec)
        if isinstance(spec, dict):
            yield (one.metadata and lookup(obj, one.metadata)) or {}, spec


def pods(obj: Any) -> Iterator[Manifest]:
    """Write out the pods of an object; those of which an operator makes the containers are left."""
    for metadata, spec in templates(obj):
        if not all("image" in one and "name" in one for one in spec.get("containers") or [{}]):
            continue
        kept = {key: metadata[key] for key in ("labels", "annotations") if metadata.get(key)}
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "one", **kept},
            "spec": spec,
        }


def fitting(obj: Any) -> Any:
    """Have the containers of an object ask for what such a namespace wants to be asked."""
    made = copy.deepcopy(obj)
    for _, spec in templates(made):
        for one in (one for member in CONTAINERS for one in spec.get(member) or ()):
            context = one.setdefault("securityContext", {})
            context.setdefault("allowPrivilegeEscalation", False)
            context.setdefault("capabilities", {"drop": ["ALL"]})
            context.setdefault("runAsNonRoot", True)
            context.setdefault("seccompProfile", {"type": "RuntimeDefault"})
            resources = one.setdefault("resources", {})
            for kind in ("requests", "limits"):
                amounts = resources.setdefault(kind, {})
                amounts.setdefault("cpu", "1")
                amounts.setdefault("memory", "1Gi")
    return made


def injected(case: Path, obj: Any) -> Decision:
    file = case / "policies.yaml"
    return review(
        obj,
        given=policies(file.read_text() if file.exists() else ""),
        facts=facts(read(case / "facts.yaml") or {}),
        stage="template",
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parts[-2]}-{case.parts[-1]}")
def test_what_fits_before_fits_after(
    case: Path, refused: Callable[[Any], list[str]], request: pytest.FixtureRequest
) -> None:
    obj = fitting(read(case / "input.yaml"))
    if not [*pods(obj)]:
        pytest.skip("an operator writes its pods")
    before = refused(obj)
    if before:
        pytest.skip(f"what goes in doesn't fit: {before[0][:200]}")
    decision = injected(case, obj)
    if decision.violations:
        pytest.skip("the engine refuses it")

    found = refused(decision.object)

    further = OF_ADMINS.get(request.node.callspec.id)
    if further:
        assert found
        assert all(further in one for one in found)
    else:
        assert json.dumps(found) == "[]"
