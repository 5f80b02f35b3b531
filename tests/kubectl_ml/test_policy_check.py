"""`kubectl ml policy check`: the webhook's verdicts offline, with exit codes for a pipeline."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kubectl_ml.program import Outcome, invoke

POLICIES = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: GuardPolicy
metadata: {name: denies}
spec:
  rules:
  - name: team
    expression: "has(object.metadata.labels) && 'team' in object.metadata.labels"
    message: Pods carry a team label.
  checks: {images: {tags: {deny: [latest]}}}
---
apiVersion: kubectl-ml.io/v1alpha1
kind: GuardPolicy
metadata: {name: warns}
spec:
  enforcement: Warn
  rules: [{expression: "object.metadata.namespace != 'default'", message: Use a namespace.}]
---
apiVersion: kubectl-ml.io/v1alpha1
kind: GuardPolicy
metadata: {name: audits}
spec:
  match: {intents: [accelerator]}
  enforcement: Audit
  rules:
  - messageExpression: "'asks for ' + string(size(object.spec.tolerations)) + ' tolerations'"
    expression: "!has(object.spec.tolerations)"
---
apiVersion: kubectl-ml.io/v1alpha1
kind: PolicyException
metadata: {name: play}
spec:
  policies: [denies]
  match: {namespaces: {names: [play]}}
  reason: a playground
  expires: "%s"
"""
MANIFESTS = """\
# the good
---
apiVersion: v1
kind: Pod
metadata: {name: good, namespace: ml, labels: {team: ml}}
spec: {containers: [{name: main, image: "example.com/main:1"}]}
---
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web}
  spec:
    selector: {matchLabels: {app: web}}
    template:
      metadata: {labels: {app: web}}
      spec: {containers: [{name: main, image: example.com/main}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: gpu, namespace: play, annotations: {kubectl-ml.io/accelerator: a100}}
  spec: {containers: [{name: main, image: "example.com/main:1"}]}
"""
OUT = """\
all.yaml:3: Allow: Pod "good"
all.yaml:11: Deny: Deployment "web": denies: Pods carry a team label.
all.yaml:11: Deny: Deployment "web": denies: image "example.com/main" of container "main" has the \
tag "latest", which it is without a tag; name another
all.yaml:11: Warn: Deployment "web": warns: Use a namespace.
all.yaml:19: Audit: Pod "gpu": audits: asks for 3 tolerations
"""


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    monkeypatch.chdir(tmp_path)

    def run(*args: str, manifests: str = MANIFESTS, expires: str = "2999-01-01T00:00:00Z"):
        Path("policies.yaml").write_text(POLICIES % expires)
        Path("all.yaml").write_text(manifests)
        return invoke("policy", "check", "-f", "all.yaml", "--policies", "policies.yaml", *args)

    return run


def test_a_verdict_for_each_object(check: Callable[..., Outcome]) -> None:
    assert check() == Outcome(code=1, out=OUT, err="")


def test_quietly(check: Callable[..., Outcome]) -> None:
    assert check("-q") == Outcome(code=1, out=OUT.split("\n", 1)[1], err="")


def test_what_is_only_warned_about_is_done(check: Callable[..., Outcome]) -> None:
    manifests = MANIFESTS.split("---\n")[1].replace("namespace: ml, ", "")

    outcome = check(manifests=manifests)

    out = 'all.yaml:1: Warn: Pod "good": warns: Use a namespace.\n'
    assert outcome == Outcome(code=0, out=out, err="")


def test_json(check: Callable[..., Outcome]) -> None:
    results = json.loads(check("-o", "json").out)["results"]

    assert [one["verdict"] for one in results] == ["Allow", "Deny", "Audit"]
    assert results[2] == {
        "file": "all.yaml",
        "line": 19,
        "object": "Pod/play/gpu",
        "verdict": "Audit",
        "denied": [],
        "warnings": [],
        "audited": ["audits: asks for 3 tolerations"],
    }


def test_an_exception_whose_time_is_over_lets_nobody_off(check: Callable[..., Outcome]) -> None:
    outcome = check(expires="2020-01-01T00:00:00Z")

    assert [line for line in outcome.out.splitlines() if "gpu" in line] == [
        'all.yaml:19: Deny: Pod "gpu": denies: Pods carry a team label.',
        'all.yaml:19: Warn: Pod "gpu": denies: the exception "play" has expired; '
        "renew it or delete it",
        'all.yaml:19: Audit: Pod "gpu": audits: asks for 3 tolerations',
    ]


def test_an_intent_that_cant_be_used_is_refused_as_at_admission(
    check: Callable[..., Outcome],
) -> None:
    outcome = check(manifests=MANIFESTS.replace("a100", "a1000"))

    assert (
        'all.yaml:19: Deny: Pod "gpu": devices: kubectl-ml.io/accelerator: unknown device class '
        '"a1000"; did you mean "a100"?\n'
    ) in outcome.out


@pytest.mark.parametrize(
    ("manifests", "sentence"),
    [
        ("kind: [", "error: all.yaml: line 2: "),
        ("kind: Pod\n", "error: all.yaml: line 1: this document is no Kubernetes object"),
    ],
)
def test_what_is_no_manifest(check: Callable[..., Outcome], manifests: str, sentence: str) -> None:
    outcome = check(manifests=manifests)

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith(sentence)
