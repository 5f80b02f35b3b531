"""Kinds of other projects, by their own definitions: intents edited, and taken away."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import processes
from tests.e2e.controlplane.client import Manifest

EXAMPLES = processes.CHECKOUT / "examples"
MUTABLE = {
    "InferenceService": ("inferenceservice", "inferenceservices.serving.kserve.io"),
    "Knative-Service": ("knative-service", "services.serving.knative.dev"),
    "MPIJob": ("mpijob", "mpijobs.kubeflow.org.mpi-operator"),
    "PyTorchJob": ("pytorchjob", "pytorchjobs.kubeflow.org"),
}
IMMUTABLE = {
    "JobSet": ("jobset", "jobsets.jobset.x-k8s.io"),
    "TrainJob": ("trainjob", "trainjobs.trainer.kubeflow.org"),
}
LoadCrds = Callable[..., None]


def example(stem: str, **wanted: str) -> Manifest:
    """Read an example, with other intents."""
    manifest: Manifest = yaml.safe_load((EXAMPLES / f"{stem}.yaml").read_text())
    manifest["metadata"].pop("annotations")
    if wanted:
        manifest["metadata"]["annotations"] = acting.intents(**wanted)
    return copy.deepcopy(manifest)  # no YAML aliases: the roles are edited one by one


def read(place: Place, manifest: Manifest) -> Any:
    group, _, version = manifest["apiVersion"].rpartition("/")
    plural = manifest["kind"].lower() + "s"
    path = f"/apis/{group}/{version}/namespaces/{place.name}/{plural}"
    return place.user.get(f"{path}/{manifest['metadata']['name']}")


def asked_for(made: Any) -> list[str]:
    """Find the accelerators that are carried somewhere below `spec`."""
    if isinstance(made, dict):
        here = [made[key] for key in made if key == "kubectl-ml.io/accelerator"]
        return here + [one for value in made.values() for one in asked_for(value)]
    return [one for value in made for one in asked_for(value)] if isinstance(made, list) else []


def parameters(kinds: dict[str, tuple[str, str]]) -> Any:
    cases = [pytest.param(*case, id=kind) for kind, case in kinds.items()]
    return pytest.mark.parametrize(("stem", "definition"), cases)


@parameters(MUTABLE)
def test_an_intent_edited_is_followed_by_every_template(
    load_crds: LoadCrds, enabled: Place, stem: str, definition: str
):
    load_crds(definition)
    enabled.apply(example(stem, accelerator="a100:2"))
    before = asked_for(read(enabled, example(stem))["spec"])

    enabled.apply(example(stem, accelerator="a100:4"))

    after = asked_for(read(enabled, example(stem))["spec"])
    assert before
    assert set(before) == {"a100:2"}
    assert after == ["a100:4"] * len(before)


@parameters(MUTABLE)
def test_an_intent_taken_away_leaves_the_object_as_without_it(
    load_crds: LoadCrds, enabled: Place, plain: Place, stem: str, definition: str
):
    load_crds(definition)
    plain.apply(example(stem))
    enabled.apply(example(stem, accelerator="a100:2", shm="1Gi", experiment="e"))

    enabled.apply(example(stem))

    without, after = (read(place, example(stem)) for place in (plain, enabled))
    assert _without_empty(after["spec"]) == _without_empty(without["spec"])
    assert acting.INJECTED not in after["metadata"]["annotations"]


@parameters(MUTABLE | IMMUTABLE)
def test_a_label_changes_nothing_else(
    load_crds: LoadCrds, enabled: Place, stem: str, definition: str
):
    load_crds(definition)
    enabled.apply(example(stem, accelerator="a100:2"))
    before = read(enabled, example(stem))

    labelled = example(stem, accelerator="a100:2")
    labelled["metadata"]["labels"] = {"stage": "prod"}
    enabled.apply(labelled)

    after = read(enabled, example(stem))
    assert after["metadata"]["labels"] == {"stage": "prod"}
    assert after["spec"] == before["spec"]
    assert acting.of(after, "generation") == acting.of(before, "generation")


@parameters(IMMUTABLE)
def test_an_intent_changed_where_templates_cannot_change_is_refused(
    load_crds: LoadCrds, enabled: Place, stem: str, definition: str
):
    load_crds(definition)
    enabled.apply(example(stem, accelerator="a100:2"))
    before = read(enabled, example(stem))

    refused = enabled.try_apply(example(stem, accelerator="a100:4"))

    assert refused.returncode == 1
    assert (
        'kubectl-ml.io/accelerator changed from "a100:2" to "a100:4", but the pods of a '
        f"{before['kind']} can't be changed; replace the object (kubectl replace --force)"
    ) in refused.stderr
    assert read(enabled, example(stem))["spec"] == before["spec"]


def _without_empty(value: Any) -> Any:
    """Leave out maps that became empty: `metadata: {}` and no metadata are the same."""
    if isinstance(value, dict):
        found = {key: _without_empty(each) for key, each in value.items()}
        return {key: each for key, each in found.items() if each not in ({}, None)}
    return [_without_empty(each) for each in value] if isinstance(value, list) else value
