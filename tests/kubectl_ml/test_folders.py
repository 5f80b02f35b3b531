"""Folders that hold more than manifests: what is read, what is named, how it ends."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.kubectl_ml.program import BIN, invoke

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, annotations: {{kubectl-ml.io/accelerator: "l4:1"}}}}
spec:
  replicas: 4
  selector: {{matchLabels: {{a: b}}}}
  template: {{metadata: {{labels: {{a: b}}}}, spec: {{containers: [{{name: c, image: i}}]}}}}
"""
JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}
"""
FILES = {
    "a/one.yaml": DEPLOYMENT.format(name="one"),
    "a/empty.yaml": "",
    "a/comment.yaml": "# nothing\n---\n---\n",
    "a/values.yaml": "replicaCount: 3\n",
    "a/names.yaml": "- a\n- b\n",
    "b/several.yaml": DEPLOYMENT.format(name="two") + "---\n" + JOB,
    "b/list.json": json.dumps(
        {
            "apiVersion": "v1",
            "kind": "List",
            "items": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}],
        }
    ),
}
BROKEN = {
    "b/chart.yaml": "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Values.name }}\n",
    "b/half.yaml": "kind: Pod\nmetadata: {name: half}\n",
    "c/last.yaml": DEPLOYMENT.format(name="three"),
}
CHART = "line 4: a key is a list or a mapping; write a string"
HELM = "this looks like a Helm template: helm template CHART | kubectl ml render -f -"
HALF = 'line 1: this document is no Kubernetes object: it has no "apiVersion"'
EVERY = "every object is a mapping with apiVersion and kind"


def folder(at: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = at / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return at


def counted(out: str) -> list[str]:
    return [one["name"] for one in json.loads(out)["items"]]


def test_what_other_tools_wrote_is_left_alone_and_said(tmp_path: Path) -> None:
    outcome = invoke("demand", "-R", "-f", folder(tmp_path, FILES), "-o", "json")

    assert counted(outcome.out) == ["one", "two", "once"]
    assert (outcome.code, outcome.err) == (
        0,
        "Warning: 2 documents are no Kubernetes objects and weren't counted, as "
        f"{tmp_path}/a/names.yaml: line 1\n",
    )


def test_what_other_tools_wrote_is_an_error_where_it_is_named(tmp_path: Path) -> None:
    file = folder(tmp_path, FILES) / "a/values.yaml"

    outcome = invoke("demand", "-f", file)

    assert (outcome.code, outcome.out, outcome.err) == (
        1,
        "",
        f"error: {file}: {HALF}\nhint: {EVERY}\n",
    )


def test_all_that_can_not_be_read_is_named_and_the_rest_counted(tmp_path: Path) -> None:
    outcome = invoke("demand", "-R", "-f", folder(tmp_path, FILES | BROKEN), "-o", "json")

    assert counted(outcome.out) == ["one", "two", "once", "three"]
    assert outcome.code == 1
    assert outcome.err.splitlines()[1:] == [
        f"error: {tmp_path}/b/chart.yaml: {CHART} ({HELM})",
        f"error: {tmp_path}/b/half.yaml: {HALF} ({EVERY})",
        "hint: these weren't counted, nor what follows them in their files; all others were",
    ]


def test_a_single_fault_keeps_its_own_hint(tmp_path: Path) -> None:
    files = {"chart.yaml": BROKEN["b/chart.yaml"], "one.yaml": FILES["a/one.yaml"]}

    outcome = invoke("demand", "-f", folder(tmp_path, files), "-o", "json")

    assert counted(outcome.out) == ["one"]
    assert outcome.err == f"error: {tmp_path}/chart.yaml: {CHART}\nhint: {HELM}\n"
    assert outcome.code == 1


def test_inspect_reads_the_rest_too(tmp_path: Path) -> None:
    outcome = invoke("inspect", "-R", "-f", folder(tmp_path, FILES | BROKEN), "-o", "json")

    assert counted(outcome.out) == ["one", "three", "two", "once"]
    assert outcome.code == 1
    assert [line.partition(": ")[0] for line in outcome.err.splitlines()] == [
        "Warning",
        "error",
        "error",
        "hint",
    ]


def test_render_prints_nothing_and_names_every_fault(tmp_path: Path) -> None:
    outcome = invoke("render", "-R", "-f", folder(tmp_path, FILES | BROKEN))

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.splitlines() == [
        f"error: {tmp_path}/a/names.yaml: line 1: this document is no Kubernetes object but a list"
        f" ({EVERY})",
        f"error: {tmp_path}/a/values.yaml: {HALF} ({EVERY})",
        f"error: {tmp_path}/b/chart.yaml: {CHART} ({HELM})",
        f"error: {tmp_path}/b/half.yaml: {HALF} ({EVERY})",
        "hint: nothing was printed",
    ]


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("render", "documents"),
        ("demand", "documents, 99 that make pods"),
        ("inspect", "documents"),
        ("lint", "files"),
    ],
)
def test_a_terminal_gets_a_bar_that_goes_away(tmp_path: Path, command: str, what: str) -> None:
    for number in range(250):
        (tmp_path / f"{number}.yaml").write_text(DEPLOYMENT.format(name=f"d{number}"))
    ours, theirs = pty.openpty()

    process = subprocess.Popen(  # noqa: S603 -- our own program
        [f"{BIN}/kubectl-ml", command, "-f", tmp_path],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )
    assert process.wait(60) == 0
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)

    assert f"100 {what}" in shown
    assert f"200 {what.partition(',')[0]}" in shown
    assert shown.endswith("\r\x1b[K")
