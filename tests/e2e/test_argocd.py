"""What Argo CD is to ignore, as the plugin writes it: our additions, and nothing of the user's."""

import copy
from typing import Any

import pytest

from tests import builders
from tests.e2e import argocd
from tests.e2e.controlplane import build, errors
from tests.e2e.controlplane.client import Manifest

ASKED = {"accelerator": "a100:2", "mounts": "scratch://10Gi:/mnt/ml", "queue": "team-a"}


@pytest.fixture(scope="module")
def program() -> str:
    try:
        return build.ensure(modules=(build.ARGO_CD,))["argocd"]
    except errors.NotAvailableError as error:
        pytest.skip(str(error))


def ray() -> Manifest:
    main = {
        "name": "main",
        "image": "x",
        "env": [{"name": "A", "value": "b"}],
        "volumeMounts": [{"name": "own", "mountPath": "/own"}],
    }
    group = {"groupName": "w", "template": {"spec": {"containers": [main]}}}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "ray", "annotations": builders.intents(**ASKED)},
        "spec": {
            "headGroupSpec": {"template": {"spec": {"containers": [{"name": "head"}]}}},
            "workerGroupSpecs": [group],
        },
    }


def tolerating() -> Manifest:
    job = builders.job(**ASKED)
    job["spec"]["template"]["spec"]["tolerations"] = [{"key": "mine", "operator": "Exists"}]
    return job


@pytest.mark.parametrize("git", [ray(), tolerating()], ids=["RayCluster", "Job"])
def test_only_what_we_add_is_ignored(program: str, git: Manifest) -> None:
    live = builders.review(git).object
    (rules,) = argocd.rules([git])

    assert argocd.out_of_sync(program, [(git, live)]) != [[]]
    assert argocd.out_of_sync(program, [(git, live)], [rules]) == [[]]


def edit(path: tuple[Any, ...], value: Any) -> Manifest:
    made = copy.deepcopy(ray())
    node: Any = made
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return made


CONTAINER = ("spec", "workerGroupSpecs", 0, "template", "spec", "containers", 0)


@pytest.mark.parametrize(
    "git",
    [
        edit((*CONTAINER, "image"), "y"),
        edit((*CONTAINER, "env", 0, "value"), "c"),
        edit((*CONTAINER, "env"), [{"name": "A", "value": "b"}, {"name": "B", "value": "b"}]),
        edit((*CONTAINER, "resources"), {"limits": {"cpu": "2"}}),
        edit((*CONTAINER, "volumeMounts", 0, "mountPath"), "/other"),
        edit(("spec", "workerGroupSpecs", 0, "template", "metadata"), {"labels": {"a": "b"}}),
        edit(("spec", "workerGroupSpecs", 0, "replicas"), 3),
    ],
    ids=["image", "env-changed", "env-added", "limit", "mount", "label", "replicas"],
)
def test_what_the_user_changes_beside_it_shows(program: str, git: Manifest) -> None:
    live = builders.review(ray()).object
    (rules,) = argocd.rules([ray()])

    assert argocd.out_of_sync(program, [(git, live)], [rules]) != [[]]
