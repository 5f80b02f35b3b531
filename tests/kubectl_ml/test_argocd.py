"""`kubectl ml argocd`: the rules by which Argo CD ignores what the webhook adds to lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import builders
from tests.kubectl_ml.program import Outcome, invoke

TOLERATION = '.key == "nvidia.com/gpu" and .operator == "Exists" and .effect == "NoSchedule"'
MOUNT = {"name": "own", "mountPath": "/own"}


def volcano(**intents: str) -> Any:
    main = {"name": "main", "image": "x", "volumeMounts": [MOUNT]}
    task = {"name": "worker", "template": {"spec": {"containers": [main]}}}
    return {
        "apiVersion": "batch.volcano.sh/v1alpha1",
        "kind": "Job",
        "metadata": {"name": "train", "annotations": builders.intents(**intents)},
        "spec": {"tasks": [task]},
    }


def train_job(**spec: Any) -> Any:
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "bert", "annotations": builders.intents(accelerator="gpu:2")},
        "spec": {"runtimeRef": {"name": "torch-distributed"}, **spec},
    }


def queued_job(*tolerations: Any) -> Any:
    found = builders.job(accelerator="gpu:2", queue="team-a")
    found["spec"]["template"]["spec"]["tolerations"] = [*tolerations]
    return found


def argocd(tmp_path: Path, *objects: Any, flags: tuple[str, ...] = ()) -> Outcome:
    (tmp_path / "apps.yaml").write_text(yaml.safe_dump_all(objects))
    return invoke("argocd", "-f", str(tmp_path / "apps.yaml"), *flags)


@pytest.mark.parametrize(
    ("git", "rule"),
    [
        pytest.param(volcano(experiment="e"), None, id="maps-in-lists"),
        pytest.param(
            volcano(shm="1Gi"),
            {
                "group": "batch.volcano.sh",
                "kind": "Job",
                "name": "train",
                "jqPathExpressions": [
                    '.spec.tasks[]? | select(.name == "worker") | .template.spec.containers[]? '
                    '| select(.name == "main") | .volumeMounts[]? '
                    '| select(.mountPath == "/dev/shm")'
                ],
            },
            id="a-list-within-a-list",
        ),
        pytest.param(
            train_job(runtimePatches=[{"manager": "mine.example.com/x"}]),
            {
                "group": "trainer.kubeflow.org",
                "kind": "TrainJob",
                "name": "bert",
                "jqPathExpressions": [
                    '.spec.runtimePatches[]? | select(.manager == "kubectl-ml.io/intents")'
                ],
            },
            id="an-element-more",
        ),
        pytest.param(train_job(), None, id="a-list-that-git-does-not-set"),
        pytest.param(builders.deployment(accelerator="gpu:2"), None, id="nothing-in-lists"),
        pytest.param(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}},
            None,
            id="no-workload",
        ),
    ],
)
def test_a_rule_takes_out_what_is_added_to_a_list(
    tmp_path: Path, git: Any, rule: dict[str, Any] | None
) -> None:
    outcome = argocd(tmp_path, git)

    assert (outcome.code, outcome.err) == (0, "")
    assert yaml.safe_load(outcome.out) == {"ignoreDifferences": [rule] if rule else []}


def test_a_toleration_is_known_by_all_that_it_says(tmp_path: Path) -> None:
    outcome = argocd(tmp_path, queued_job({"key": "mine", "operator": "Exists"}))

    (rule,) = yaml.safe_load(outcome.out)["ignoreDifferences"]
    assert (rule["group"], rule["kind"]) == ("batch", "Job")
    at = ".spec.template.spec.tolerations[]?"
    assert f"{at} | select({TOLERATION})" in rule["jqPathExpressions"]
    assert all(one.startswith(f"{at} | select(") for one in rule["jqPathExpressions"])


def test_what_the_webhook_would_refuse_has_no_rules(tmp_path: Path) -> None:
    outcome = argocd(tmp_path, volcano(accelerator="a1000"))

    assert (outcome.code, outcome.out) == (1, "")
    assert 'apps.yaml: Job "train": devices: ' in outcome.err
    assert "hint: nothing was printed" in outcome.err
