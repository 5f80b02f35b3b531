"""
A directory as a platform has it: thousands of files, of many kinds, one declared by an admin.

Every hundred files are the same, counted by hand in `HUNDRED`.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench import launcher
from policies.quantity import parse
from tests.kubectl_ml.program import BIN

FILES = 5000
LEAST = {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
CONTAINER = {"name": "main", "image": "registry.example.com/train:1", **LEAST}
POD = {"spec": {"containers": [CONTAINER]}}
L4 = {"kubectl-ml.io/accelerator": "l4:2"}
KIND = {
    "apiVersion": "kubectl-ml.io/v1alpha1",
    "kind": "WorkloadKind",
    "metadata": {"name": "bertjob"},
    "spec": {
        "group": "example.com",
        "kind": "BertJob",
        "roles": [
            {
                "name": "worker",
                "template": "spec.workers.*.template",
                "replicas": "@.count ?? 1",
                "maxReplicas": "@.most ?? 0",
                "primaryContainer": "main",
                "compute": True,
            },
            {"name": "driver", "podSpec": "spec.driver"},
        ],
    },
}
# How many of a hundred files, what is in each, and the pods and devices of one: steady, peak.
HUNDRED: list[tuple[int, str, str, dict[str, Any], tuple[int, int], tuple[int, int]]] = [
    (20, "batch/v1", "Job", {"parallelism": 3, "completions": 2, "template": POD}, (2, 2), (4, 4)),
    (20, "apps/v1", "Deployment", {"replicas": 4, "template": POD}, (4, 5), (8, 10)),
    (
        10,
        "jobset.x-k8s.io/v1alpha2",
        "JobSet",
        {
            "replicatedJobs": [
                {
                    "name": "w",
                    "replicas": 2,
                    "template": {"spec": {"parallelism": 3, "template": POD}},
                }
            ]
        },
        (6, 6),
        (12, 12),
    ),
    (
        10,
        "kubeflow.org/v1",
        "PyTorchJob",
        {
            "pytorchReplicaSpecs": {
                "Master": {"template": POD},
                "Worker": {"replicas": 3, "template": POD},
            }
        },
        (4, 4),
        (8, 8),
    ),
    (
        10,
        "ray.io/v1",
        "RayCluster",
        {
            "enableInTreeAutoscaling": False,
            "headGroupSpec": {"template": POD},
            "workerGroupSpecs": [
                {"groupName": "w", "replicas": 2, "maxReplicas": 5, "template": POD}
            ],
        },
        (3, 3),
        (4, 4),
    ),
    (
        10,
        "argoproj.io/v1alpha1",
        "Workflow",
        {
            "entrypoint": "main",
            "templates": [
                {"name": "main", "steps": [[{"name": "a", "template": "t"}] * 2] * 3},
                {"name": "t", "container": CONTAINER},
            ],
        },
        (2, 2),
        (4, 4),
    ),
    (
        10,
        "example.com/v1",
        "BertJob",
        {
            "driver": POD["spec"],
            "workers": [{"count": 3, "most": 5, "template": POD}, {"template": POD}],
        },
        (5, 7),
        (8, 12),
    ),
    (9, "batch/v1", "Job", {"suspend": True, "template": POD}, (0, 1), (0, 2)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write them into folders of a hundred, with a file of another tool in each."""
    root = tmp_path_factory.mktemp("manifests")
    (root.parent / "kinds.yaml").write_text(json.dumps(KIND))
    for number in range(FILES // 100):
        team = root / f"team-{number:02}"
        team.mkdir()
        (team / "values.yaml").write_text("replicaCount: 3\n")
        at = 0
        for times, version, kind, spec, *_ in HUNDRED:
            for _ in range(times):
                at += 1
                metadata = {"name": f"w-{at}", "namespace": team.name, "annotations": L4}
                found = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
                (team / f"w-{at}.json").write_text(json.dumps(found))
    return root


def run(command: str, folder: Path) -> tuple[dict[str, Any], float, str]:
    """Give what comes out, the most memory in MB, and what was said."""
    flags = ("-R", "-f", str(folder), "--policies", str(folder.parent / "kinds.yaml"), "-o", "json")
    line = [f"{BIN}/kubectl-ml", command, *flags]
    done = subprocess.run(line, capture_output=True, check=True)  # noqa: S603 -- our own program
    measured = subprocess.run(  # noqa: S603 -- our own program
        launcher.command(*line), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
    )
    return json.loads(done.stdout), float(measured.stdout.split()[-1]), done.stderr.decode()


def test_all_of_it_is_counted(folder: Path) -> None:
    found, most_mb, said = run("demand", folder)

    expected = {
        when: {
            "pods": sum(times * pods[at] for times, *_, pods, _ in HUNDRED) * FILES // 100,
            "devices": sum(times * devices[at] for times, *_, devices in HUNDRED) * FILES // 100,
        }
        for at, when in enumerate(("steady", "peak"))
    }
    totals = {
        when: {"pods": share["pods"], "devices": parse(share["requests"]["nvidia.com/gpu"])}
        for when, share in found["total"].items()
    }
    assert totals == expected
    assert len(found["items"]) == 99 * FILES // 100
    others = f"Warning: {FILES // 100} documents are no Kubernetes objects and weren't counted, as "
    assert said.startswith(others)
    assert len(said.splitlines()) == 1
    assert most_mb < 150
