"""Before or after us: beside Istio's and Dapr's injectors a pod is the same in any order."""

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.builders import policies
from tests.e2e import acting, fakes
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import Installed
from webhook import first

WANTED = {
    "accelerator": "a100:2",
    "mounts": "scratch://10Gi:/tmp/work",
    "sidecars": "logs",
    "experiment": "bert-42",
    "dapr": "app-port=8080",
    "mesh": "true",
}
POLICIES = """
apiVersion: kubectl-ml.io/v1alpha1
kind: InjectionPolicy
metadata: {name: site}
spec:
  inject:
    env:
    - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: NO_PROXY, value: "localhost,$(POD_IP)"}
    initContainers: [{name: warm, image: registry.example.com/warm:1}]
    labels: {cost: ml}
    scrape: {port: 9400}
    terminationGracePeriodSeconds: 90
"""

MARKS = """
apiVersion: kubectl-ml.io/v1alpha1
kind: InjectionPolicy
metadata: {name: marks}
spec:
  match: {namespaces: {names: [test-*]}}
  inject: {mesh: {inject: "true"}, dapr: {enabled: "true", app-id: reco}}
"""
FIRST = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/0.mutate.kubectl-ml.io"

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def istio(pod: Manifest) -> None:
    """Add a proxy as Istio does: native, first where the program waits for it, else last; once."""
    metadata, spec = pod["metadata"], pod["spec"]
    annotations = metadata.setdefault("annotations", {})
    there = [*spec["containers"], *spec.get("initContainers", ())]
    if metadata.get("labels", {}).get("sidecar.istio.io/inject") != "true":
        return
    if any(one["name"] == "istio-proxy" for one in there):
        return
    annotations["sidecar.istio.io/status"] = '{"containers":["istio-proxy"]}'
    annotations.setdefault("kubectl.kubernetes.io/default-container", spec["containers"][0]["name"])
    proxy = acting.container("istio-proxy")
    inits = spec.setdefault("initContainers", [])
    if annotations.get("sidecar.istio.io/nativeSidecar") == "true":
        inits.insert(0, {**proxy, "restartPolicy": "Always"})
    elif "holdApplicationUntilProxyStarts: true" in annotations.get("proxy.istio.io/config", ""):
        spec["containers"].insert(0, proxy)
    else:
        spec["containers"].append(proxy)
    inits.insert(0, acting.container("istio-init"))
    spec.setdefault("volumes", []).append({"name": "istio-envoy", "emptyDir": {}})


def dapr(pod: Manifest) -> None:
    """Add a daprd as Dapr does: native or last, and its ports in every container; once."""
    metadata, spec = pod["metadata"], pod["spec"]
    annotations = metadata.get("annotations", {})
    there = [*spec["containers"], *spec.get("initContainers", ())]
    if annotations.get("dapr.io/enabled") != "true" or any(one["name"] == "daprd" for one in there):
        return
    for one in spec["containers"]:
        one.setdefault("env", []).append({"name": "DAPR_HTTP_PORT", "value": "3500"})
    daprd = acting.container("daprd", args=["--app-id", annotations["dapr.io/app-id"]])
    if annotations.get("dapr.io/enable-native-sidecar") == "true":
        spec.setdefault("initContainers", []).append({**daprd, "restartPolicy": "Always"})
    else:
        spec["containers"].append(daprd)
    metadata.setdefault("labels", {})["dapr.io/sidecar-injected"] = "true"
    spec.setdefault("volumes", []).append({"name": "dapr-identity-token", "emptyDir": {}})


@contextmanager
def injectors(place: Place, order: dict[str, str], *, again: bool) -> Iterator[None]:
    """Register the fakes of both, each before or after us."""
    with ExitStack() as stack:
        for change in (istio, dapr):
            name = f"{order[change.__name__]}-{change.__name__}"
            stack.enter_context(fakes.injector(place, change, name=name, again=again))
        yield


def content(made: Any) -> Any:
    """Read what a pod is made of, in no order, without what is there by chance."""
    metadata, spec = made["metadata"], made["spec"]
    annotations = {
        key: value
        for key, value in metadata["annotations"].items()
        if key not in (acting.INJECTED, APPLIED)  # positions, and the namespace
    }
    labels = {key: metadata["labels"][key] for key in metadata["labels"] if "uid" not in key}
    containers = [*spec["containers"], *spec.get("initContainers", ())]
    return {
        "annotations": annotations,
        "labels": {key: labels[key] for key in labels if "hash" not in key},
        "containers": {one["name"]: plain(one) for one in containers},
        "volumes": {
            one["name"]: one for one in spec["volumes"] if not one["name"].startswith("kube-api-")
        },
        "nodes": acting.nodes_wanted(made) or spec.get("nodeSelector"),
        "tolerations": sorted(acting.tolerated(made)),
        "grace": spec["terminationGracePeriodSeconds"],
    }


def plain(container: Any) -> Any:
    """Read a container; Dapr tells its port to the containers that are there when it comes."""
    env = {one["name"]: one for one in container.get("env", ())}
    if container["name"] != "main":
        env.pop("DAPR_HTTP_PORT", None)
    mounts = {
        one["mountPath"]: one
        for one in container["volumeMounts"]
        if "serviceaccount" not in one["mountPath"]
    }
    return {**container, "env": env, "volumeMounts": mounts}


def ours(made: Any, member: str) -> list[str]:
    """List containers without those of others, in their order."""
    others = ("istio-init", "istio-proxy", "daprd")
    return [one["name"] for one in made["spec"].get(member, ()) if one["name"] not in others]


ORDERS = [
    {"istio": "a", "dapr": "a"},
    {"istio": "a", "dapr": "z"},
    {"istio": "z", "dapr": "a"},
    {"istio": "z", "dapr": "z"},
]


@pytest.mark.parametrize("again", [False, True], ids=["called-once", "called-again"])
@pytest.mark.parametrize(
    "workload", [acting.deployment, acting.job, acting.pod], ids=["deployment", "job", "pod"]
)
def test_a_pod_is_the_same_whoever_comes_first(
    installed: Installed, workload: Callable[..., Manifest], again: bool
):
    made = []
    with installed.policies(POLICIES):
        for order in ORDERS:
            with acting.place(installed) as place, injectors(place, order, again=again):
                place.apply(workload("same", **WANTED))
                made.append(place.pod())
                # Its namespace waits for its grace period, and its devices are others' by then.
                place.kubectl(
                    "delete", "deployment,job,pod", "--all", "--force", "--grace-period=0"
                )

    contents = [content(one) for one in made]
    assert contents == [contents[0]] * len(ORDERS)
    assert {"istio-proxy", "daprd"} <= contents[0]["containers"].keys()
    assert {tuple(ours(one, "containers")) for one in made} == {
        ("main",) if workload is acting.job else ("main", "logs")
    }


@pytest.fixture
def registered(installed: Installed) -> Iterator[None]:
    """Have bare pods that MARKS marks sent to us first, as `registrations --policies` writes it."""
    admin = installed.control_plane.admin
    before = admin.get(FIRST)
    marks = policies(MARKS, with_library=False).injections
    anew = copy.deepcopy(before)
    [condition] = [
        one for one in anew["webhooks"][0]["matchConditions"] if one["name"] == "read-by-others"
    ]
    condition["expression"] = first.expression(marks)
    admin.patch(FIRST, {"webhooks": anew["webhooks"]})
    yield
    admin.patch(FIRST, {"webhooks": before["webhooks"]})


def test_a_bare_pod_that_a_policy_marks_is_sent_first_where_it_is_registered(
    installed: Installed, registered: None
) -> None:
    order = {"istio": "a", "dapr": "a"}
    with (
        installed.policies(MARKS),
        acting.place(installed) as place,
        injectors(place, order, again=False),
    ):
        waiting.until(lambda: marked(place), what="the registration to be in force")


def marked(place: Place) -> bool:
    """Create a bare pod, and tell whether both injectors saw its marks."""
    place.kubectl("delete", "pod", "bare", "--ignore-not-found", "--force", "--grace-period=0")
    place.apply(acting.pod("bare"))
    spec = place.pod()["spec"]
    names = {one["name"] for one in (*spec["containers"], *spec.get("initContainers", ()))}
    return {"istio-proxy", "daprd"} <= names
