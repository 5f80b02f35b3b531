"""`checks.knativeAutoscaling`, through the front door."""

from __future__ import annotations

from typing import Any

import pytest

from tests.policies.guard.cases import pod, policies, said, twice

AT = "autoscaling.knative.dev/"


def service(scale: str = "", *, concurrency: int | None = None, **annotations: str) -> Any:
    intents = {"kubectl-ml.io/scale": scale} if scale else {}
    given = {AT + key.replace("_", "-"): value for key, value in annotations.items()}
    spec = {} if concurrency is None else {"containerConcurrency": concurrency}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "s", "annotations": intents},
        "spec": {
            "template": {
                "metadata": {"annotations": given},
                "spec": {"containers": [{"name": "main", "image": "i:1"}], **spec},
            }
        },
    }


def predictor(**fields: Any) -> Any:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "s"},
        "spec": {"predictor": {"containers": [{"name": "kserve-container"}], **fields}},
    }


def of_object(found: Any = None, **annotations: str) -> Any:
    found = found or predictor()
    given = {AT + key.replace("_", "-"): value for key, value in annotations.items()}
    return {**found, "metadata": {**found["metadata"], "annotations": given}}


@pytest.mark.parametrize(
    ("check", "given", "sentences"),
    [
        pytest.param("{}", service(), [], id="nothing-said"),
        pytest.param(
            "true", service(min_scale="5", max_scale="2"),
            ["max-scale=2 is less than min-scale=5"], id="what-knative-refuses",
        ),
        pytest.param(
            "{maxScale: 10}", service(),
            [f'{AT}max-scale sets no bound, and 10 is the most; write "10"'], id="no-bound",
        ),
        pytest.param(
            "{maxScale: {max: 10}}", service("max=20"),
            [f'{AT}max-scale: "20" is more than 10; write 10 or less'], id="by-intent",
        ),
        pytest.param("{max-scale: {max: 10}}", service("max=10"), [], id="within"),
        pytest.param(
            "{max: 10}", service(maxScale="11"),
            [f'{AT}maxScale: "11" is more than 10; write 10 or less'], id="knatives-older-spelling",
        ),
        pytest.param(
            "{minScale: 1}", service(),
            [f'{AT}min-scale: "0" is less than 1; write 1 or more'], id="scaled-to-zero",
        ),
        pytest.param(
            "{minScale: {max: 2}}", service("min=3"),
            [f'{AT}min-scale: "3" is more than 2; write 2 or less'], id="too-many-kept",
        ),
        pytest.param(
            "{window: {min: 60s}}", service(window="30s"),
            [f'{AT}window: "30s" is less than 60s; write 60s or more'], id="durations",
        ),
        pytest.param(
            "{metric: [concurrency]}", service(metric="rps"),
            [f'{AT}metric: "rps" is none of concurrency; write one of them'], id="values",
        ),
        pytest.param(
            "{target: {required: true, max: 50}}", service(),
            [f'{AT}target is missing; write "50"'], id="required",
        ),
        pytest.param(
            "{containerConcurrency: 50}", service(concurrency=0),
            ['containerConcurrency sets no bound, and 50 is the most; write "50"'],
            id="of-the-revision",
        ),
        pytest.param(
            "{maxScale: 3}", predictor(maxReplicas=4),
            ['maxReplicas: "4" is more than 3; write 3 or less'], id="kserve",
        ),
        pytest.param("{minScale: 1, maxScale: 3}", predictor(maxReplicas=2), [], id="kserves-own"),
        pytest.param(
            "{target: 50}", predictor(scaleTarget=100),
            ['scaleTarget: "100" is more than 50; write 50 or less'], id="kserves-target",
        ),
        pytest.param(
            "{metric: [concurrency]}", predictor(scaleMetric="rps"),
            ['scaleMetric: "rps" is none of concurrency; write one of them'], id="kserves-metric",
        ),
        pytest.param(
            "{window: {min: 60s}}", of_object(window="10s"),
            [f'{AT}window: "10s" is less than 60s; write 60s or more'],
            id="kserve-passes-on-what-is-on-the-object",
        ),
        pytest.param(
            "{window: {min: 60s}}",
            of_object(predictor(annotations={f"{AT}window": "90s"}), window="10s"), [],
            id="the-components-own-wins",
        ),
        pytest.param(
            "{minScale: 2}", of_object(min_scale="5"),
            ['minReplicas: "1" is less than 2; write 2 or more'],
            id="kserve-leaves-out-what-it-has-fields-for",
        ),
        pytest.param("{maxScale: 1}", pod(), [], id="a-pod-does-not-scale"),
    ],
)  # fmt: skip
def test_autoscaling(check: str, given: Any, sentences: list[str]) -> None:
    assert twice(policies(f"{{knativeAutoscaling: {check}}}"), given) == sentences


def test_a_guard_that_names_the_service() -> None:
    known = policies(
        "{knativeAutoscaling: {max: 1}}", match="{kinds: [Service.serving.knative.dev]}"
    )

    assert said(known, service("max=2")) == [f'{AT}max-scale: "2" is more than 1; write 1 or less']
