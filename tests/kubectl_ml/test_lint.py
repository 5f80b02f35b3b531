"""`kubectl ml lint`: findings with file, line and column, in three formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kubectl_ml.program import Outcome, invoke

TYPOS = """\
# mine
---
apiVersion: batch/v1
kind: Job
metadata:
  name: t
  labels: {kubectl-ml.io/shm: 1Gi}
  annotations:
    # what it needs
    kubectl-ml.io/accelerator: a1000:2
    kubectl-ml.io/sidecar: logs
spec:
  template:
    metadata:
      annotations:
        kubectl-ml.io/shm: lots
    spec: {restartPolicy: Never, containers: [{name: a, image: b}]}
"""
LINES = (
    'job.yaml:7:12: warning: Job "t": intents: kubectl-ml.io/shm is a label, which says nothing '
    "here; write it as an annotation\n"
    'job.yaml:10:5: error: Job "t": devices: kubectl-ml.io/accelerator: unknown device class '
    '"a1000"; did you mean "a100"?\n'
    'job.yaml:11:5: error: Job "t": intents: unknown intent "sidecar"; did you mean "sidecars"?\n'
    'job.yaml:16:9: error: Job "t": intents: kubectl-ml.io/shm "lots": "lots" is not a quantity '
    'of memory; write "16Gi"\n'
)
WARNING = (
    "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n"
    "  metadata: {name: s, annotations: {kubectl-ml.io/shm: 1Gi}}\n"
)
WARNED = (
    'job.yaml:6:37: warning: Service "s": intents: kubectl-ml.io/shm changes nothing here: '
    "a Service makes no pods\n"
)


@pytest.fixture
def lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def run(text: str, *args: str) -> Outcome:
        Path("job.yaml").write_text(text)
        return invoke("lint", "-f", "job.yaml", *args)

    return run


def test_each_finding_has_its_line(lint) -> None:
    assert lint(TYPOS) == Outcome(code=1, out=LINES, err="")


@pytest.mark.parametrize(
    ("text", "fail_on", "code"),
    [
        (TYPOS, "error", 1),
        (TYPOS, "warning", 1),
        (TYPOS, "never", 0),
        (WARNING, "error", 0),
        (WARNING, "warning", 1),
        (WARNING, "never", 0),
        ("apiVersion: v1\nkind: Service\n", "warning", 0),
    ],
)
def test_the_exit_code(lint, text: str, fail_on: str, code: int) -> None:
    assert lint(text, "--fail-on", fail_on).code == code


def test_the_item_of_a_list_has_its_place(lint) -> None:
    assert lint(WARNING) == Outcome(code=0, out=WARNED, err="")


def test_json(lint) -> None:
    outcome = lint(WARNING, "-o", "json")

    assert json.loads(outcome.out) == {
        "findings": [
            {
                "severity": "warning",
                "policy": "intents",
                "message": "kubectl-ml.io/shm changes nothing here: a Service makes no pods",
                "object": "Service/default/s",
                "pointer": "/items/0/metadata/annotations/kubectl-ml.io~1shm",
                "file": "job.yaml",
                "line": 6,
                "column": 37,
            }
        ]
    }


def test_sarif_has_the_shape_of_2_1_0(lint) -> None:
    log = json.loads(lint(TYPOS, "-o", "sarif").out)

    [run] = log["runs"]
    driver = run["tool"]["driver"]
    assert (log["version"], driver["name"]) == ("2.1.0", "kubectl-ml")
    assert log["$schema"].endswith("/sarif-schema-2.1.0.json")
    assert driver["rules"] == [{"id": "devices"}, {"id": "intents"}]
    assert [result["level"] for result in run["results"]] == ["warning", "error", "error", "error"]
    assert run["results"][1] == {
        "ruleId": "devices",
        "ruleIndex": 0,
        "level": "error",
        "message": {
            "text": 'kubectl-ml.io/accelerator: unknown device class "a1000"; did you mean "a100"?'
        },
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "job.yaml"},
                    "region": {"startLine": 10, "startColumn": 5},
                },
                "logicalLocations": [
                    {"fullyQualifiedName": "Job.batch/default/t", "kind": "object"}
                ],
            }
        ],
    }


def test_no_finding_is_a_log_without_results(lint) -> None:
    log = json.loads(lint("apiVersion: v1\nkind: Service\n", "-o", "sarif").out)

    assert log["runs"][0]["results"] == []


@pytest.mark.parametrize(
    ("text", "out"),
    [
        pytest.param("image: {tag: x}\n", "", id="values-of-a-chart"),
        pytest.param("[1]\n", "", id="no-object"),
        pytest.param(
            "a: 1\nb: [\n",
            "job.yaml:3:1: error: manifests: did not find expected node content\n",
            id="no-yaml",
        ),
        pytest.param(
            "# x\n---\nkind: Pod\n",
            "job.yaml:2:1: error: manifests: this document is no Kubernetes object: "
            'it has no "apiVersion"\n',
            id="half-an-object",
        ),
    ],
)
def test_what_is_no_manifest(lint, text: str, out: str) -> None:
    assert lint(text) == Outcome(code=int(bool(out)), out=out, err="")
