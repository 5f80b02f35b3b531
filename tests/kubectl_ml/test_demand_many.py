"""What `kubectl ml demand` makes of many manifests: owners, autoscalers, Lists, and its outputs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from bench import launcher
from tests.kubectl_ml.program import BIN, invoke

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: a}
spec:
  replicas: 3
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec: {containers: [{name: c, image: i, resources: {requests: {cpu: 250m}}}]}
"""
RECREATED = DEPLOYMENT.replace("replicas: 3", "replicas: 3\n  strategy: {type: Recreate}")
AUTOSCALER = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: a}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 8
"""
KEDA = """
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: web, namespace: a}
spec: {scaleTargetRef: {name: web}, minReplicaCount: 2, maxReplicaCount: 8}
"""
PAUSED_AT_1 = '{autoscaling.keda.sh/paused-replicas: "1"}'
CRON_JOB = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: a}
spec:
  schedule: 0 0 * * *
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: c, image: i, resources: {limits: {nvidia.com/gpu: 2}}}]
"""
JOB = """
apiVersion: batch/v1
kind: Job
metadata:
  name: nightly-1
  namespace: a
  ownerReferences: [{apiVersion: batch/v1, kind: CronJob, name: nightly, uid: u, controller: true}]
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: i, resources: {limits: {nvidia.com/gpu: 2}}}]
"""
POD = """
apiVersion: v1
kind: Pod
metadata:
  name: nightly-1-x
  namespace: a
  ownerReferences: [{apiVersion: batch/v1, kind: Job, name: nightly-1, uid: v, controller: true}]
spec: {containers: [{name: c, image: i, resources: {limits: {nvidia.com/gpu: 2}}}]}
"""
KNATIVE = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: echo, namespace: a}
spec:
  template:
    spec: {containers: [{image: i, resources: {requests: {cpu: 100m}}}]}
"""


def demanded(*documents: str) -> list[tuple[str, str, Any, Any]]:
    """Give each item's kind, name, and pods, steady and peak."""
    outcome = invoke("demand", "-f", "-", "-o", "json", stdin="---\n".join(documents))
    assert outcome.code == 0, outcome.err
    return [
        (one["kind"], one["name"], one["steady"]["pods"], one["peak"]["pods"])
        for one in orjson.loads(outcome.out)["items"]
    ]


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        pytest.param(
            (RECREATED, AUTOSCALER), [("Deployment", "web", 2, 8)], id="an-autoscaler-after"
        ),
        pytest.param(
            (AUTOSCALER, RECREATED), [("Deployment", "web", 2, 8)], id="an-autoscaler-before"
        ),
        pytest.param(
            # a quarter of 8 more while it rolls
            (DEPLOYMENT, AUTOSCALER),
            [("Deployment", "web", 2, 10)],
            id="a-rolling-update-at-an-autoscalers-most",
        ),
        pytest.param(
            (DEPLOYMENT.replace("replicas: 3", "replicas: 0"), AUTOSCALER),
            [("Deployment", "web", 0, 10)],
            id="what-was-scaled-to-zero-stays-there",
        ),
        pytest.param(
            (DEPLOYMENT.replace("replicas: 3", "replicas: 0"), KEDA),
            [("Deployment", "web", 2, 10)],
            id="but-keda-scales-it-up-again",
        ),
        pytest.param(
            (DEPLOYMENT, KEDA.replace("namespace: a", f"namespace: a, annotations: {PAUSED_AT_1}")),
            [("Deployment", "web", 1, 10)],
            id="what-keda-holds-where-it-was-paused",
        ),
        pytest.param(
            (DEPLOYMENT, AUTOSCALER.replace("namespace: a", "namespace: b")),
            [("Deployment", "web", 3, 4)],
            id="an-autoscaler-elsewhere",
        ),
        pytest.param(
            (POD, JOB, CRON_JOB), [("CronJob", "nightly", 0, 1)], id="owned-by-what-comes-later"
        ),
        pytest.param(
            (CRON_JOB, JOB, POD), [("CronJob", "nightly", 0, 1)], id="owned-by-what-came-before"
        ),
        pytest.param(
            (POD, JOB), [("Job", "nightly-1", 1, 1)], id="an-owner-that-is-not-there-counts-nothing"
        ),
        pytest.param(
            (POD, JOB.replace("namespace: a", "namespace: b")),
            [("Pod", "nightly-1-x", 1, 1), ("Job", "nightly-1", 1, 1)],
            id="an-owner-is-in-the-same-namespace",
        ),
        pytest.param((KNATIVE,), [("Service", "echo", 0, "unbounded")], id="unbounded"),
    ],
)
def test_objects_beside_each_other(
    documents: tuple[str, ...], expected: list[tuple[str, str, Any, Any]]
) -> None:
    assert demanded(*documents) == expected


def test_a_list_counts_like_its_items() -> None:
    found = [yaml.safe_load(text) for text in (JOB, CRON_JOB, DEPLOYMENT)]
    whole = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": found})

    assert demanded(whole) == demanded(JOB, CRON_JOB, DEPLOYMENT)
    assert demanded(whole) == [("CronJob", "nightly", 0, 1), ("Deployment", "web", 3, 4)]


def test_json_and_yaml_say_the_same() -> None:
    text = "---\n".join([CRON_JOB, DEPLOYMENT, KNATIVE])
    total = {
        "steady": {"pods": 3, "requests": {"cpu": "750m"}},
        "peak": {"pods": "unbounded", "requests": {"cpu": "unbounded", "nvidia.com/gpu": "2"}},
    }

    as_json = invoke("demand", "-f", "-", "-o", "json", stdin=text).out
    as_yaml = invoke("demand", "-f", "-", "-o", "yaml", stdin=text).out

    found = orjson.loads(as_json)
    assert found == yaml.safe_load(as_yaml)
    assert found["total"] == total
    assert as_json == orjson.dumps(found, option=orjson.OPT_INDENT_2).decode() + "\n"


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_nothing_that_makes_pods_is_an_empty_list(form: str) -> None:
    text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"
    nothing: dict[str, Any] = {"pods": 0, "requests": {}}

    outcome = invoke("demand", "-f", "-", "-o", form, stdin=text)

    assert yaml.safe_load(outcome.out) == {
        "items": [],
        "total": {"steady": nothing, "peak": nothing},
    }


def test_the_table_aligns_its_columns() -> None:
    outcome = invoke("demand", "-f", "-", stdin="---\n".join([CRON_JOB, DEPLOYMENT, KNATIVE]))

    assert outcome.out == (
        "KIND         NAME      ROLE   PODS            DEVICES                              "
        " CPU                MEMORY\n"
        "CronJob      nightly   pod    0 → 1           nvidia.com/gpu:0 → nvidia.com/gpu:2  "
        " 0                  0\n"
        "Deployment   web       pod    3 → 4           -                                    "
        " 750m → 1           0\n"
        "Service      echo      pod    0 → unbounded   -                                    "
        " 0 → unbounded      0\n"
        "TOTAL        -         -      3 → unbounded   nvidia.com/gpu:0 → nvidia.com/gpu:2  "
        " 750m → unbounded   0\n"
    )


def test_memory_does_not_grow_with_what_is_counted(tmp_path: Path) -> None:
    few, many = (_most_mb(_varied(tmp_path, count)) for count in (300, 6000))

    assert many - few < 12


def _varied(folder: Path, count: int) -> Path:
    """Write Deployments that all ask for something else."""
    file = folder / f"{count}.yaml"
    file.write_text(
        "---\n".join(
            DEPLOYMENT.replace("name: web", f"name: web-{number}").replace("250m", f"{number + 1}m")
            for number in range(count)
        )
    )
    return file


def _most_mb(file: Path) -> float:
    line = launcher.command(f"{BIN}/kubectl-ml", "demand", "-f", str(file), "-o", "json")
    done = subprocess.run(line, stdout=subprocess.PIPE, check=True)  # noqa: S603 -- our own program
    return float(done.stdout.split()[1])
