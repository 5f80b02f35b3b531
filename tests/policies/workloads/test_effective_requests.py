"""What one pod asks for, and how many there are at most, counted by hand: the corners."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from policies.workloads import catalogue
from policies.workloads.catalogue import Condition
from tests.policies.workloads.test_demand import CPU, demand_of, manifests, shown, workload

ALWAYS = "restartPolicy: Always"


def container(requests: str = "", limits: str = "", more: str = "") -> str:
    return f"{{resources: {{requests: {{{requests}}}, limits: {{{limits}}}}}, {more}}}"


def pod(containers: list[str], init: list[str] | None = None, more: str = "") -> str:
    return (
        f"{{containers: [{', '.join(containers)}], initContainers: [{', '.join(init or [])}], "
        f"{more}}}"
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            # the second init container runs beside the first sidecar: 1 + 6; later 1 + 2 + 3
            pod(
                [container("cpu: 3")],
                [
                    container("cpu: 1", more=ALWAYS),
                    container("cpu: 6"),
                    container("cpu: 2", more=ALWAYS),
                ],
            ),
            {"cpu": "7"},
            id="an-init-container-between-two-sidecars",
        ),
        pytest.param(
            # each resource has its own largest moment: cpu 5 while it starts, memory 3Gi later
            pod(
                [container("cpu: 1, memory: 2Gi")],
                [container("memory: 1Gi", more=ALWAYS), container("cpu: 5, memory: 1Gi")],
            ),
            {"cpu": "5", "memory": "3Gi"},
            id="each-resource-by-itself",
        ),
        pytest.param(
            # a custom kind's definition takes it; its pods with 4 are made, the others refused
            pod([container("cpu: 4"), container("cpu: -4", limits="cpu: -4")]),
            {"cpu": "4"},
            id="what-is-negative-makes-up-for-nothing",
        ),
        pytest.param(
            pod([container("cpu: 1")], [container("cpu: 4")], "overhead: {cpu: 250m}"),
            {"cpu": "4250m"},
            id="overhead-on-top-of-the-init-container",
        ),
        pytest.param(
            pod(
                [container(limits="nvidia.com/gpu: 2")],
                [
                    container(limits="nvidia.com/gpu: 1", more=ALWAYS),
                    container(limits="nvidia.com/gpu: 4"),
                ],
            ),
            {"nvidia.com/gpu": "5"},
            id="devices-of-an-init-container-beside-a-sidecar",
        ),
        pytest.param(
            pod([container(limits="rdma/hca: 1, cpu: 2", requests="cpu: 500m")]),
            {"cpu": "500m", "rdma/hca": "1"},
            id="a-request-beats-its-limit",
        ),
        pytest.param(
            pod([container(limits="cpu: 2, memory: 1Gi", requests="cpu: 0")]),
            {"memory": "1Gi"},
            id="a-request-of-nothing-beats-its-limit",
        ),
        pytest.param(
            pod([container("hugepages-2Mi: 64Mi", "hugepages-2Mi: 64Mi")]),
            {"hugepages-2Mi": "64Mi"},
            id="huge-pages",
        ),
        pytest.param(
            pod(
                [container("cpu: 4"), container("cpu: 4")],
                [container("cpu: 9")],
                "resources: {requests: {cpu: 6}}",
            ),
            {"cpu": "6"},
            id="the-pods-own-request-beats-init-containers-too",
        ),
        pytest.param(
            pod(
                [container("cpu: 1", "nvidia.com/gpu: 2")],
                more="resources: {requests: {cpu: 3, nvidia.com/gpu: 8}}",
            ),
            {"cpu": "3", "nvidia.com/gpu": "2"},
            id="devices-are-not-asked-for-by-the-pod-as-a-whole",
        ),
        pytest.param(
            # a limit of the pod alone: what its containers ask for, else the limit
            pod(
                [container("cpu: 500m")],
                more="resources: {limits: {cpu: 4, memory: 8Gi}}",
            ),
            {"cpu": "500m", "memory": "8Gi"},
            id="the-pods-own-limit",
        ),
        pytest.param(
            pod(
                [container(limits="cpu: 1")],
                more="resources: {limits: {cpu: 4}, requests: {memory: 1Gi}}",
            ),
            {"cpu": "1", "memory": "1Gi"},
            id="the-pods-own-limit-beside-a-limit-of-a-container",
        ),
        pytest.param(
            pod([container()], more="resources: {limits: {cpu: 4}}, overhead: {cpu: 1}"),
            {"cpu": "5"},
            id="the-pods-own-limit-and-overhead",
        ),
    ],
)
def test_what_one_pod_asks_for(spec: str, expected: dict[str, str]) -> None:
    found = demand_of(workload("v1", "Pod", spec))

    assert found.steady.quantities() == expected
    assert found.peak.quantities() == expected


def kind(api_version: str, name: str, spec: str, more: str = "") -> str:
    return workload(api_version, name, f"{{{spec} template: {{spec: {CPU}}}}}", more)


def deployment(spec: str) -> str:
    return kind("apps/v1", "Deployment", spec)


def cron_job(spec: str, job: str = "") -> str:
    return workload(
        "batch/v1",
        "CronJob",
        f"{{{spec} jobTemplate: {{spec: {{{job} template: {{spec: {CPU}}}}}}}}}",
    )


def rollout(spec: str) -> str:
    return kind("argoproj.io/v1alpha1", "Rollout", spec)


def daemon_set(spec: str) -> str:
    text = kind("apps/v1", "DaemonSet", spec)
    return text[:-1] + ", status: {desiredNumberScheduled: 5}}"


ROLLING = "strategy: {{rollingUpdate: {{maxSurge: {}}}}},"


@pytest.mark.parametrize(
    ("text", "pods"),
    [
        pytest.param(deployment("replicas: 1,"), (1, 2), id="a-quarter-of-1-is-1"),
        pytest.param(deployment("replicas: 4,"), (4, 5), id="a-quarter-of-4-is-1"),
        pytest.param(deployment("replicas: 5,"), (5, 7), id="a-quarter-of-5-is-2"),
        pytest.param(
            deployment("replicas: 3," + ROLLING.format("34%")), (3, 5), id="34-of-a-100-of-3-is-2"
        ),
        pytest.param(
            deployment("replicas: 3," + ROLLING.format("100%")), (3, 6), id="all-of-it-again"
        ),
        pytest.param(deployment("replicas: 3," + ROLLING.format("0%")), (3, 3), id="no-surge"),
        pytest.param(
            deployment("replicas: 8, strategy: {rollingUpdate: {maxUnavailable: 0}},"),
            (8, 10),
            id="only-the-other-bound-is-written",
        ),
        pytest.param(deployment("replicas: 8, paused: true,"), (8, 10), id="paused-still-runs"),
        pytest.param(deployment("replicas: 0,"), (0, 0), id="scaled-to-zero-with-nothing-to-go-by"),
        pytest.param(
            rollout("replicas: 10, strategy: {canary: {maxSurge: 5%}},"), (10, 11), id="canary"
        ),
        pytest.param(
            rollout("replicas: 10, strategy: {blueGreen: {previewReplicaCount: 2}},"),
            (10, 20),
            id="a-preview-is-scaled-up-before-the-old-goes",
        ),
        pytest.param(
            rollout("replicas: 3, strategy: {canary: {maxSurge: 1, trafficRouting: {istio: {}}}},"),
            (3, 6),
            id="canary-with-traffic-routing",
        ),
        pytest.param(daemon_set(""), (5, 5), id="daemonset"),
        pytest.param(
            daemon_set("updateStrategy: {rollingUpdate: {maxSurge: 30%}},"),
            (5, 7),
            id="daemonset-with-surge",
        ),
        pytest.param(
            daemon_set("updateStrategy: {type: OnDelete, rollingUpdate: {maxSurge: 2}},"),
            (5, 5),
            id="daemonset-that-doesn-t-roll",
        ),
        pytest.param(
            kind("apps/v1", "StatefulSet", "replicas: 3,"), (3, 3), id="statefulset-has-no-surge"
        ),
        pytest.param(cron_job(""), (0, "unbounded"), id="cronjob-allows-by-default"),
        pytest.param(
            cron_job("concurrencyPolicy: Allow,"), (0, "unbounded"), id="cronjob-that-allows"
        ),
        pytest.param(
            cron_job("concurrencyPolicy: Forbid,", "parallelism: 4, completions: 3,"),
            (0, 3),
            id="cronjob-that-forbids",
        ),
        pytest.param(
            cron_job("concurrencyPolicy: Replace, suspend: true,", "parallelism: 2,"),
            (0, 2),
            id="cronjob-that-replaces-suspended",
        ),
        pytest.param(
            kind("batch/v1", "Job", "suspend: true, parallelism: 3,"), (0, 3), id="job-suspended"
        ),
        pytest.param(kind("batch/v1", "Job", "parallelism: 0,"), (0, 0), id="job-of-none"),
        pytest.param(
            kind("batch/v1", "Job", "parallelism: 5, completions: 2,"), (2, 2), id="job-of-few"
        ),
        pytest.param(
            workload(
                "serving.kserve.io/v1beta1",
                "InferenceService",
                "{predictor: {minReplicas: 0, maxReplicas: 3, model: {}}}",
                ", annotations: {serving.kserve.io/stop: 'true'}",
            ),
            (0, 3),
            id="inferenceservice-stopped",
        ),
    ],
)
def test_how_many_pods_there_are(text: str, pods: tuple[Any, Any]) -> None:
    found = demand_of(text)

    assert (shown(found.steady.pods), shown(found.peak.pods)) == pods


def held(manifest: Any, suspend: Condition) -> Any:
    """Give the manifest as it is when it is held back."""
    value = suspend.values[0] if suspend.values else "2026-01-01T00:00:00Z"
    *members, last = suspend.path
    changed = copy.deepcopy(manifest)
    node = changed
    for member in members:
        node = node.setdefault(member, {})
    node[last] = value
    return changed


def holdable() -> Iterator[Any]:
    known = catalogue.builtin()
    for number, manifest in enumerate(manifests()):
        kind = known.of(manifest)
        if kind is None or not kind.suspend or kind.suspend.holds(manifest):
            continue
        if demand_of(yaml.safe_dump(manifest)).notes != ("it is over",):
            yield pytest.param(manifest, kind.suspend, id=f"{kind.name}-{number}")


@pytest.mark.parametrize(("manifest", "suspend"), list(holdable()))
def test_what_is_held_back_asks_for_nothing_and_for_all_when_it_goes_on(
    manifest: Any, suspend: Condition
) -> None:
    runs = demand_of(yaml.safe_dump(manifest))
    found = demand_of(yaml.safe_dump(held(manifest, suspend)))

    assert (found.steady.pods, found.steady.quantities()) == (0, {})
    assert found.peak.pods == runs.peak.pods
    assert found.peak.quantities() == runs.peak.quantities()
    assert [role.steady.pods for role in found.roles] == [0 for _ in runs.roles]


def test_every_kind_that_can_be_held_back_is_in_the_table() -> None:
    known = catalogue.builtin()
    tried = {kind.name for manifest in manifests() if (kind := known.of(manifest)) is not None}

    assert {kind.name for kind in known.kinds.values() if kind.suspend} - tried == set()
