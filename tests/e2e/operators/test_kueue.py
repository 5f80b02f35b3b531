"""
Kueue beside us: what is queued with an intent is charged to the right flavor, by the right amount,
runs there, waits without pods while there is no quota, and comes back after it was evicted.

What Kueue manages without its operator being here is in `test_kueue_alone`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import Installed
from tests.e2e.operators import foretold, queues
from tests.e2e.operators.queues import LABEL, PRIORITY_LABEL, QUEUE, admitted, charged, workloads
from tests.e2e.operators.test_jobset import job_set, template
from tests.e2e.operators.test_training_operator import training

NODE = "gpu-a100-0"


@pytest.fixture(scope="module", autouse=True)
def cluster_queue(beside: Installed) -> None:
    queues.set_up(beside.control_plane.admin)


@pytest.fixture
def queued(enabled: Place) -> Iterator[Place]:
    """Give a namespace with a queue."""
    queues.add_to(enabled)
    yield enabled
    cordon(enabled, unschedulable=False)


def cordon(place: Place, *, unschedulable: bool) -> None:
    """Keep pods off the node, so that what is admitted stays until it is evicted."""
    place.admin.patch(f"/api/v1/nodes/{NODE}", {"spec": {"unschedulable": unschedulable}})


def _job() -> Manifest:
    made = acting.job("bert", accelerator="a100:2", queue=QUEUE)
    made["spec"] = {"parallelism": 2, "completions": 2, "template": template()}
    return made


def _deployment() -> Manifest:
    return acting.deployment("bert", replicas=2, accelerator="a100:2", queue=QUEUE)


def _stateful_set() -> Manifest:
    made = acting.stateful_set("bert", replicas=2, accelerator="a100:2", queue=QUEUE)
    made["spec"]["podManagementPolicy"] = "Parallel"  # the node is cordoned while we count
    return made


def _pod() -> Manifest:
    return acting.pod("bert", accelerator="a100:2", queue=QUEUE)


def _labeled_pod() -> Manifest:
    made = acting.pod("bert", accelerator="a100:2")
    made["metadata"]["labels"] = {LABEL: QUEUE}
    return made


KINDS = [
    pytest.param(_job, 1, 2, 4, id="job"),
    pytest.param(
        lambda: job_set(accelerator="a100:1", roles="worker", queue=QUEUE), 1, 5, 4, id="jobset"
    ),
    pytest.param(
        lambda: training("PyTorchJob", accelerator="a100:1", queue=QUEUE), 1, 4, 4, id="pytorchjob"
    ),
    pytest.param(_deployment, 2, 2, 4, id="deployment"),
    pytest.param(_stateful_set, 1, 2, 4, id="statefulset"),
    pytest.param(_pod, 1, 1, 2, id="pod"),
    pytest.param(_labeled_pod, 1, 1, 2, id="pod-with-kueues-label"),
]


WHOLE = [kind.id for kind in KINDS[:3]]  # what Kueue manages as whole objects


@pytest.mark.parametrize(("made", "count", "pods", "gpus"), KINDS)
def test_it_is_charged_to_the_right_flavor_and_runs_there(
    queued: Place, made: Callable[[], Manifest], count: int, pods: int, gpus: int
):
    manifest = made()
    expected = foretold.demand(queued, manifest)
    cordon(queued, unschedulable=True)
    queued.apply(manifest)

    charges = charged(admitted(queued, count))
    there = queued.pods(pods)
    cordon(queued, unschedulable=False)
    ran = queued.pods(pods, lambda pod: pod["spec"].get("nodeName"))

    assert expected["requests"][foretold.CLASS] == str(gpus)
    assert charges == {"a100": gpus}
    assert foretold.devices(there) == gpus
    assert {pod["spec"]["nodeName"] for pod in ran if foretold.devices([pod])} == {NODE}


@pytest.mark.parametrize(("made", "count", "pods", "gpus"), KINDS[:3])
def test_it_comes_back_after_an_eviction(
    queued: Place, made: Callable[[], Manifest], count: int, pods: int, gpus: int
):
    cordon(queued, unschedulable=True)
    queued.apply(made())
    [workload] = admitted(queued, count)
    queued.pods(pods)
    path = f"{queues.KUEUE}/namespaces/{queued.name}/workloads/{workload['metadata']['name']}"

    queued.admin.patch(path, {"spec": {"active": False}})
    waiting.until(
        lambda: not foretold.devices(queued.all("Pod")), what="the pods with devices to be gone"
    )
    queued.admin.patch(path, {"spec": {"active": True}})

    assert charged(admitted(queued, count)) == {"a100": gpus}
    cordon(queued, unschedulable=False)
    ran = queued.pods(pods, lambda pod: pod["spec"].get("nodeName"))
    assert foretold.devices(ran) == gpus


def test_a_stateful_sets_pods_come_back_after_an_eviction(queued: Place):
    cordon(queued, unschedulable=True)
    queued.apply(_stateful_set())
    [workload] = admitted(queued, 1)
    first = {pod["metadata"]["uid"] for pod in queued.pods(2)}
    path = f"{queues.KUEUE}/namespaces/{queued.name}/workloads/{workload['metadata']['name']}"

    def gone() -> bool:
        there = [pod for pod in queued.all("Pod") if pod["metadata"]["uid"] in first]
        for pod in there:  # Kueue's finalizer goes when the kubelet says that the pod has ended
            if pod["metadata"].get("deletionTimestamp"):
                queued.admin.request(  # it may be gone by now
                    "PATCH",
                    queued.path("Pod", pod["metadata"]["name"]) + "/status",
                    {"status": {"phase": "Failed"}},
                    content_type="application/merge-patch+json",
                )
        return not there

    queued.admin.patch(path, {"spec": {"active": False}})
    waiting.until(gone, what="the first pods to be gone")
    again = queued.pods(2, lambda pod: pod["metadata"]["uid"] not in first)
    # With a group's last pod its Workload may go; the new one is active, and admitted at once.
    queued.admin.request(
        "PATCH", path, {"spec": {"active": True}}, content_type="application/merge-patch+json"
    )

    assert foretold.devices(again) == 4
    assert charged(admitted(queued, 1)) == {"a100": 4}
    cordon(queued, unschedulable=False)
    ran = queued.pods(2, lambda pod: pod["spec"].get("nodeName"))
    assert {pod["spec"]["nodeName"] for pod in ran} == {NODE}


@pytest.mark.parametrize("made", [kind.values[0] for kind in KINDS[:3]], ids=WHOLE)
def test_no_pod_is_there_before_there_is_quota(queued: Place, made: Callable[[], Manifest]):
    manifest = made()
    manifest["metadata"]["annotations"] |= acting.intents(queue=queues.HELD)
    version = queued.admin.get(queued.path("Pod"))["metadata"]["resourceVersion"]
    queued.apply(manifest)
    waiting.until(lambda: workloads(queued), what="Kueue to count it")

    watched = f"?watch=1&resourceVersion={version}&timeoutSeconds=2"  # from before it was there
    seen = queued.admin.kubectl("get", "--raw", queued.path("Pod") + watched)

    assert seen == ""


PRIORITIZED = """
apiVersion: kubectl-ml.io/v1alpha1
kind: InjectionPolicy
metadata: {name: priorities}
spec:
  match:
    kinds:
    - Job.batch
    - JobSet.jobset.x-k8s.io
    - PyTorchJob.kubeflow.org
    - Deployment.apps
    - StatefulSet.apps
    - Pod
  inject: {queue: {priorityClass: low}}
"""


@pytest.mark.parametrize(("made", "count", "pods", "gpus"), KINDS)
def test_its_priority_class_is_on_what_kueue_manages(
    beside: Installed,
    queued: Place,
    made: Callable[[], Manifest],
    count: int,
    pods: int,
    gpus: int,
):
    manifest = made()
    with beside.policies(PRIORITIZED):
        queued.apply(manifest)
        found = admitted(queued, count)
        there = queued.pods(pods)

    whole = [kind.values[0] for kind in KINDS[:3]]
    assert [one["spec"].get("priority") for one in found] == [10] * count
    assert {pod["metadata"]["labels"].get(PRIORITY_LABEL) for pod in there} == (
        {None} if made in whole else {queues.PRIORITY}
    )


def test_a_deployments_pods_come_back_after_an_eviction(queued: Place):
    queued.apply(_deployment())
    first = admitted(queued, 2)
    path = f"{queues.KUEUE}/namespaces/{queued.name}/workloads/{first[0]['metadata']['name']}"

    queued.admin.patch(path, {"spec": {"active": False}})
    names = {one["metadata"]["name"] for one in first}

    def replaced() -> list[Any] | None:
        there = [one for one in workloads(queued) if one.get("status", {}).get("admission")]
        new = [one for one in there if one["metadata"]["name"] not in names]
        return there if new and len(there) == 2 else None

    again = waiting.until(replaced, what="another pod to be admitted", timeout_seconds=40)
    assert charged(again) == {"a100": 4}
