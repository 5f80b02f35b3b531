"""`kubectl ml demand` as it is called: what it prints and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kubectl_ml.program import invoke

POD = "{containers: [{name: c, image: i}]}"
GOOD = f"{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: good}}, spec: {{replicas: 2, template: {{spec: {POD}}}}}}}"  # noqa: E501 -- one document
BAD = [
    pytest.param("apps/v1", "Deployment", "replicas: five", 'spec.replicas is "five"', id="text"),
    pytest.param("apps/v1", "Deployment", "replicas: -3", "spec.replicas is -3", id="negative"),
    pytest.param("apps/v1", "StatefulSet", "replicas: 1.5", "spec.replicas is 1.5", id="fraction"),
    pytest.param("batch/v1", "Job", "parallelism: two", 'spec.parallelism is "two"', id="job"),
    pytest.param("batch/v1", "Job", "completions: -1", "spec.completions is -1", id="completions"),
]


@pytest.mark.parametrize(("api_version", "kind", "count", "what"), BAD)
def test_a_count_that_is_none_is_refused_and_the_rest_is_printed(
    tmp_path: Path, api_version: str, kind: str, count: str, what: str
) -> None:
    file = tmp_path / "both.yaml"
    bad = (
        f"{{apiVersion: {api_version}, kind: {kind}, metadata: {{name: bad}}, "
        f"spec: {{{count}, template: {{spec: {POD}}}}}}}"
    )
    file.write_text(f"{bad}\n---\n{GOOD}\n")

    outcome = invoke("demand", "-f", file, "-o", "json")

    printed = json.loads(outcome.out)
    assert [(one["name"], one["steady"]["pods"]) for one in printed["items"]] == [("good", 2)]
    assert printed["total"]["steady"]["pods"] == 2
    assert outcome.err == (
        f'error: {file}: {kind} "bad": {what}, which the API server refuses; '
        "write a whole number that isn't negative\n"
        "hint: these weren't counted; all others were\n"
    )
    assert outcome.code == 1


def test_a_placeholder_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(GOOD.replace("replicas: 2", "replicas: '${REPLICAS}'"))

    assert invoke("demand", "-f", file).code == 0
