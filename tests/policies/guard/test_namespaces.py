"""What a namespace refuses of a workload's pods, through the front door."""

from __future__ import annotations

from typing import Any

import pytest

from policies.model import PolicySet
from tests.policies.guard.cases import container, job, pod, policies, review, said

DEFAULTS: dict[str, Any] = {
    "type": "Container",
    "default": {"cpu": "2", "memory": "4Gi"},
    "defaultRequest": {"cpu": "1"},
}
NONE = PolicySet()


def ranged(*bounds: dict[str, Any], name: str = "bounds") -> dict[str, Any]:
    found = {"metadata": {"name": name}, "spec": {"limits": list(bounds)}}
    return {"limit_ranges": {"ml": (found,)}}


def quoted(used: dict[str, str] | None = None, **hard: str) -> dict[str, Any]:
    written = {key.replace("_", "."): value for key, value in hard.items()}
    quota: dict[str, Any] = {"metadata": {"name": "team"}, "spec": {"hard": written}}
    if used is not None:
        quota["status"] = {"used": used}
    return {"resource_quotas": {"ml": (quota,)}}


def refused(obj: Any, **facts: Any) -> list[str]:
    return [f"{one.policy}: {one.message}" for one in review(NONE, obj, **facts).violations]


def with_limits(**limits: str) -> Any:
    return job(pod(container(limits=limits)))


# --- the check `resources` --------------------------------------------------------------------


def test_a_template_has_the_defaults_of_the_namespace() -> None:
    guard = policies("{resources: true}")

    assert said(guard, job(pod()), **ranged(DEFAULTS)) == []
    assert len(said(guard, job(pod()), namespace="other", **ranged(DEFAULTS))) == 4


def test_a_pod_has_had_them() -> None:
    assert len(said(policies("{resources: true}"), pod(), **ranged(DEFAULTS))) == 4


def test_a_limit_of_ones_own_is_the_request() -> None:
    guard = policies("{resources: {requests: {min: {cpu: 3}}}}")

    assert said(guard, with_limits(cpu="4"), **ranged(DEFAULTS)) == []
    assert said(guard, job(pod()), **ranged(DEFAULTS)) == [
        'container "main" has resources.requests.cpu: 1, which is less than 3; write 3 or more'
    ]


def test_defaults_are_judged_by_the_guards_bounds() -> None:
    guard = policies("{resources: {max: {memory: 2Gi}}}")

    assert said(guard, job(pod()), **ranged(DEFAULTS)) == [
        'container "main" has resources.limits.memory: 4Gi, which is more than 2Gi; write 2Gi or '
        "less"
    ]


# --- LimitRanges ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("obj", "bound", "sentences"),
    [
        pytest.param(
            with_limits(cpu="64"),
            {"type": "Container", "max": {"cpu": "32"}},
            [
                'container "main" has resources.limits.cpu: 64, more than the max 32 of LimitRange '
                '"bounds"; write 32 or less',
                'container "main" has resources.requests.cpu: 64, more than the max 32 of '
                'LimitRange "bounds"; write 32 or less',
            ],
            id="more-than-the-max",
        ),
        pytest.param(
            job(pod(container(requests={"memory": "1Mi"}))),
            {"type": "Container", "min": {"memory": "64Mi"}, "max": {"memory": "1Gi"}},
            [
                'container "main" has resources.requests.memory: 1Mi, less than the min 64Mi of '
                'LimitRange "bounds"; write 64Mi or more'
            ],
            id="less-than-the-min",
        ),
        pytest.param(
            job(pod(container(requests={"cpu": "1"}, limits={"cpu": "8"}))),
            {"type": "Container", "maxLimitRequestRatio": {"cpu": "4"}},
            [
                'container "main" has resources.limits.cpu: 8, more than 4 times the request of 1, '
                'the maxLimitRequestRatio of LimitRange "bounds"; write a larger request'
            ],
            id="far-from-the-request",
        ),
        pytest.param(
            job(pod(container(limits={"cpu": "3"}), container("b", limits={"cpu": "2"}))),
            {"type": "Pod", "max": {"cpu": "4"}},
            [
                'a pod has cpu limits of 5, more than the max 4 of LimitRange "bounds"; write 4 '
                "or less",
                'a pod has cpu requests of 5, more than the max 4 of LimitRange "bounds"; write 4 '
                "or less",
            ],
            id="a-pod-as-a-whole",
        ),
        pytest.param(
            job(pod()),
            {"type": "Pod", "max": {"memory": "4Gi"}, "min": {"cpu": "1"}},
            [
                'a pod has no cpu request, which the min of LimitRange "bounds" asks for; write '
                "resources.requests.cpu",
                'a pod has no memory limit, which the max of LimitRange "bounds" asks for; write '
                "resources.limits.memory",
            ],
            id="a-pod-that-says-nothing",
        ),
        pytest.param(
            job(pod(container(requests={"cpu": "1"}))),
            {"type": "Container", "maxLimitRequestRatio": {"cpu": "4"}},
            [
                'container "main" has no cpu limit, which the maxLimitRequestRatio of LimitRange '
                '"bounds" asks for; write resources.limits.cpu'
            ],
            id="no-limit-to-compare",
        ),
        pytest.param(
            job(pod(container("{kind}", limits={"cpu": "64"}) | {"resources": {"limits": 7}})),
            {"type": "Container", "max": {"cpu": "32"}},
            [],
            id="what-cannot-be-read",
        ),
        pytest.param(
            with_limits(cpu="2"), {"type": "Container", "max": {"cpu": "2"}}, [], id="fits"
        ),
        pytest.param(job(pod()), {"type": "Container", "max": {"cpu": "2"}}, [], id="defaulted"),
        pytest.param(
            job(pod()), {"type": "PersistentVolumeClaim", "max": {"storage": "1"}}, [], id="claims"
        ),
    ],
)
def test_what_a_limit_range_refuses(obj: Any, bound: dict[str, Any], sentences: list[str]) -> None:
    assert refused(obj, **ranged(bound)) == [f"namespace: {one}" for one in sentences]


def test_what_is_injected_is_judged_and_has_a_default_limit_rise() -> None:
    known = policies(
        "{images: {}}", "{kind: InjectionPolicy, metadata: {name: i}, "
        "spec: {inject: {resources: {requests: {cpu: '6'}}}}}"
    )  # fmt: skip
    bound = {"type": "Container", "default": {"cpu": "1"}, "max": {"cpu": "8"}}

    assert review(known, job(pod()), **ranged(bound)).violations == ()
    assert len(review(known, job(pod()), **ranged(bound | {"max": {"cpu": "4"}})).violations) == 2


# --- ResourceQuotas ---------------------------------------------------------------------------


def test_what_no_pod_can_have() -> None:
    facts = quoted(requests_cpu="4", memory="1Gi")

    assert refused(with_limits(cpu="8"), **facts) == [
        'namespace: a pod asks for requests.cpu: 8, more than the 4 of ResourceQuota "team"; write '
        "4 or less",
        'namespace: container "main" has no memory request, which ResourceQuota "team" asks for; '
        "write resources.requests.memory",
    ]


def test_what_a_quota_gives_none_of() -> None:
    facts = quoted({"pods": "0"}, **{"requests_nvidia.com/gpu": "0"}, pods="0")
    decision = review(NONE, with_limits(**{"nvidia.com/gpu": "1"}), **facts)

    assert [one.message for one in decision.violations] == [
        'a pod asks for requests.nvidia.com/gpu: 1, more than the 0 of ResourceQuota "team"; '
        "take it out"
    ]
    assert decision.warnings == (
        'namespace: a pod asks for pods: 1, and ResourceQuota "team" has 0 of 0 left; there are '
        "fewer pods until others end",
    )


def test_a_quotas_wish_is_met_by_a_default() -> None:
    facts = quoted(requests_cpu="4", limits_memory="8Gi") | ranged(DEFAULTS)

    assert refused(job(pod()), **facts) == []


def test_what_there_is_no_room_for_now_is_warned_of() -> None:
    facts = quoted({"requests.cpu": "3", "pods": "9"}, requests_cpu="4", pods="9")
    decision = review(NONE, with_limits(cpu="2"), **facts)

    assert decision.violations == ()
    assert decision.warnings == (
        'namespace: a pod asks for requests.cpu: 2, and ResourceQuota "team" has 1 of 4 left; '
        "there are fewer pods until others end",
        'namespace: a pod asks for pods: 1, and ResourceQuota "team" has 0 of 9 left; there are '
        "fewer pods until others end",
    )


def test_a_quota_for_some_pods_is_left_to_the_api_server() -> None:
    facts = quoted(requests_cpu="1")
    facts["resource_quotas"]["ml"][0]["spec"]["scopes"] = ["BestEffort"]

    assert refused(with_limits(cpu="8"), **facts) == []


# --- the Pod Security level -------------------------------------------------------------------


def enforcing(level: str, version: str = "") -> dict[str, Any]:
    labels = {"pod-security.kubernetes.io/enforce": level}
    if version:
        labels["pod-security.kubernetes.io/enforce-version"] = version
    return {"namespaces": {"ml": labels}}


def test_the_level_of_the_namespace() -> None:
    host = job(pod(hostNetwork=True))

    assert refused(host, **enforcing("baseline")) == [
        'namespace: namespace "ml" enforces the baseline Pod Security Standard: host '
        "namespaces: take out hostNetwork=true"
    ]
    assert refused(host, **enforcing("privileged")) == []
    assert refused(pod(hostNetwork=True), **enforcing("baseline")) == []  # the API server's own


def test_the_version_of_the_namespace() -> None:
    probing = pod(container() | {"livenessProbe": {"httpGet": {"port": 1, "host": "other"}}})

    assert refused(job(probing), **enforcing("baseline", "v1.33")) == []
    assert len(refused(job(probing), **enforcing("baseline", "v1.34"))) == 1
    assert refused(job(probing), kube_version=(1, 33), **enforcing("baseline")) == []


# --- what is left alone -----------------------------------------------------------------------


def test_on_an_update_only_what_changed() -> None:
    facts = ranged({"type": "Container", "max": {"cpu": "2"}})
    old = with_limits(cpu="8")
    new = with_limits(cpu="8")
    new["metadata"]["labels"] = {"a": "b"}

    assert review(NONE, new, old=old, **facts).violations == ()


def test_an_update_is_refused_for_what_it_brings() -> None:
    facts = ranged({"type": "Container", "max": {"cpu": "2"}})
    grown = review(NONE, with_limits(cpu="9"), old=with_limits(cpu="1"), **facts)

    assert len(grown.violations) == 2


def test_a_template_that_makes_no_pods() -> None:
    facts = ranged({"type": "Container", "max": {"cpu": "2"}})
    made = {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": "t"},
        "template": pod(container(limits={"cpu": "8"})),
    }

    assert refused(made, **facts) == []


def test_what_a_controller_makes_was_judged_before() -> None:
    facts = ranged({"type": "Container", "max": {"cpu": "2"}})
    made = with_limits(cpu="8")
    made["metadata"]["ownerReferences"] = [
        {"apiVersion": "batch/v1", "kind": "CronJob", "name": "c", "uid": "1", "controller": True}
    ]

    assert refused(made, **facts) == []


def test_templates_of_which_an_operator_makes_more() -> None:
    facts = ranged({"type": "Container", "max": {"cpu": "2"}})
    made = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "s"},
        "spec": {"predictor": {"containers": [container(limits={"cpu": "8"})]}},
    }

    assert refused(made, **facts) == []
