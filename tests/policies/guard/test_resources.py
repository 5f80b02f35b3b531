"""`checks.resources`, through the front door."""

from __future__ import annotations

from typing import Any

import pytest

from tests.policies.guard.cases import container, job, pod, policies, said, twice

BOTH = {"limits": {"cpu": "2", "memory": "4Gi"}, "requests": {"cpu": "1", "memory": "4Gi"}}


def missing(resource: str, kind: str, name: str = "main") -> str:
    return f'container "{name}" has no {resource} {kind}; write resources.{kind}s.{resource}'


NONE = [missing(one, kind) for kind in ("request", "limit") for one in ("cpu", "memory")]


@pytest.mark.parametrize(
    ("check", "given", "sentences"),
    [
        pytest.param("{}", pod(), sorted(NONE), id="all-of-both"),
        pytest.param("true", pod(container(**BOTH)), [], id="all-there"),
        pytest.param(
            "{requests: [cpu], limits: [memory]}", pod(),
            [missing("cpu", "request"), missing("memory", "limit")], id="listed",
        ),
        pytest.param(
            "{limits: Require}", pod(),
            [missing("cpu", "limit"), missing("memory", "limit")], id="a-word",
        ),
        pytest.param(
            "{requests: {required: [ephemeral-storage]}}", pod(),
            [missing("ephemeral-storage", "request")], id="in-an-object",
        ),
        pytest.param(
            "{requests: [cpu]}", pod(container(limits={"cpu": "1"})), [], id="request-by-limit"
        ),
        pytest.param(
            "{limits: [cpu]}", pod(resources={"limits": {"cpu": "1"}}), [], id="of-the-pod"
        ),
        pytest.param(
            "{max: {cpu: 1}}", pod(container(**BOTH)),
            ['container "main" has resources.limits.cpu: 2, which is more than 1; write 1 or less'],
            id="over-max",
        ),
        pytest.param("{max: {memory: 8Gi}}", pod(), [missing("memory", "limit")], id="no-limit"),
        pytest.param("{max: {nvidia.com/gpu: 1}}", pod(), [], id="no-device-is-no-fault"),
        pytest.param(
            "{min: {cpu: 1500m}}", pod(container(**BOTH)),
            ['container "main" has resources.requests.cpu: 1, which is less than 1500m; '
             "write 1500m or more"],
            id="under-min",
        ),
        pytest.param(
            "{limits: {cpu: 1}}", pod(container(**BOTH)),
            ['container "main" has resources.limits.cpu: 2, which is more than 1; write 1 or less'],
            id="bare-numbers-are-the-most",
        ),
        pytest.param(
            "{requests: {min: {memory: 8Gi}, max: {cpu: 500m}}}", pod(container(**BOTH)),
            ['container "main" has resources.requests.cpu: 1, which is more than 500m; '
             "write 500m or less",
             'container "main" has resources.requests.memory: 4Gi, which is less than 8Gi; '
             "write 8Gi or more"],
            id="bounds-of-requests",
        ),
        pytest.param(
            "{maxLimitRequestRatio: {cpu: 1.5}}", pod(container(**BOTH)),
            ['container "main" has resources.limits.cpu: 2, more than 1.5 times its request of 1; '
             "write a larger request"],
            id="ratio",
        ),
        pytest.param(
            "{limits: [cpu]}", pod(container(**BOTH), initContainers=[container("init")]),
            [missing("cpu", "limit", "init")], id="init-containers",
        ),
    ],
)  # fmt: skip
def test_resources(check: str, given: Any, sentences: list[str]) -> None:
    known = policies(f"{{resources: {check}}}")

    assert twice(known, given) == sentences
    assert said(known, job(given)) == sentences


def test_what_we_add_is_not_judged() -> None:
    sidecar = (
        "{kind: InjectionPolicy, metadata: {name: s}, spec: "
        "{inject: {sidecars: [{container: {name: logs, image: l:1}}]}}}"
    )
    known = policies("{resources: {limits: [ephemeral-storage], min: {memory: 1Gi}}}", sidecar)
    large = {"limits": {"ephemeral-storage": "1Gi", "memory": "2Gi"}}

    assert twice(known, pod(container(**large))) == []
    assert said(known, job(pod(container(**large)))) == []


def test_what_policies_set_counts() -> None:
    defaults = (
        "{kind: InjectionPolicy, metadata: {name: r}, spec: {inject: {resources: "
        "{requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 2, memory: 1Gi}}}}}"
    )

    assert twice(policies("{resources: {}}", defaults), pod()) == []
