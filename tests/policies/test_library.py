"""The built-in library is sound, complete, and changes nothing that wasn't asked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from policies import load, manifests, quantity

LIBRARY = Path(load.__file__).parent / "library"
FILES = sorted(LIBRARY.rglob("*.yaml"))
CLASSES = [
    "gpu",
    "t4",
    "v100",
    "a10",
    "a10g",
    "a100",
    "a100-40gb",
    "a100-80gb",
    "l4",
    "l40s",
    "h100",
    "h200",
    "b200",
    "gh200",
    "mig-1g.5gb",
    "mig-1g.10gb",
    "mig-2g.20gb",
    "mig-3g.40gb",
    "mig-7g.80gb",
    "gpu-shared",
    "mi250",
    "mi300x",
    "gaudi2",
    "gaudi3",
    "intel-gpu",
    "tpu-v4",
    "tpu-v5e",
    "tpu-v5p",
    "tpu-v6e",
    "trainium",
    "trainium2",
    "inferentia2",
    "ascend-910b",
    "rdma",
]
SCHEMES = ("pvc", "s3", "gs", "hf", "oci", "scratch", "memory", "configmap", "secret")
LABEL_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
)
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")

library = load.library()


def test_passes_the_schemas() -> None:
    read = load.read([LIBRARY], library=False)

    assert read.accelerators == library.accelerators
    assert read.data_sources == library.data_sources
    assert read.injections == library.injections


def test_has_every_device_class() -> None:
    assert sorted(library.accelerators) == sorted(CLASSES)


def test_has_a_source_for_every_scheme() -> None:
    assert sorted(library.data_sources) == sorted(SCHEMES)


def test_has_the_policies() -> None:
    assert [policy.name for policy in library.injections] == [
        "checkpoints",
        "dapr-defaults",
        "device-shm",
        "device-tolerations",
        "istio-defaults",
        "istio-training",
        "knative-defaults",
        "lineage",
        "logs",
        "openfeature",
        "otel",
        "scrape",
        "tensorboard",
        "threads",
        "tracking",
        "undisturbed",
    ]


def test_changes_nothing_without_an_intent() -> None:
    for policy in library.injections:
        fields = {name for name in policy.inject.__slots__ if getattr(policy.inject, name)}
        offers_only = fields == {"sidecars"} and all(
            sidecar.offered for sidecar in policy.inject.sidecars
        )

        assert policy.match.intents or policy.opt_in or offers_only, policy.name


@pytest.mark.parametrize("name", CLASSES)
def test_a_device_class_is_well_formed(name: str) -> None:
    accelerator = library.accelerators[name]

    assert accelerator.description
    assert accelerator.max_per_pod > 0
    for text in filter(None, (accelerator.memory, accelerator.shm)):
        assert quantity.parse(text) > 0
    for key, value in accelerator.node_selector.items():
        assert LABEL_KEY.fullmatch(key)
        for item in [value] if isinstance(value, str) else value:
            assert LABEL_VALUE.fullmatch(item)


def test_a100_is_every_a100() -> None:
    product = "nvidia.com/gpu.product"
    every, small, large = (
        set(library.accelerators[name].node_selector[product])
        for name in ("a100", "a100-40gb", "a100-80gb")
    )

    assert every == small | large
    assert not small & large


def test_any_gpu_is_any() -> None:
    assert library.accelerators["gpu"].node_selector == {}


def test_fetched_sources_have_all_that_fetching_needs() -> None:
    for name in ("s3", "gs", "hf"):
        source = library.data_sources[name]

        assert (source.fetch, source.read_only) == ("Init", True)
        assert (source.secret_name, source.secret_optional) == (name, True)
        assert source.image
        assert set(source.resources) == {"requests", "limits"}


def test_sidecars_have_all_that_a_restricted_namespace_and_a_quota_want() -> None:
    for policy in library.injections:
        for sidecar in policy.inject.sidecars:
            assert set(sidecar.container["resources"]) == {"requests", "limits"}
            assert sidecar.container["securityContext"] == {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_tells_admins_what_it_does(file: Path) -> None:
    assert file.read_text().startswith("# ")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_can_be_applied_to_a_cluster(file: Path) -> None:
    for document in manifests.documents(file.read_text()):
        assert document["apiVersion"] == "kubectl-ml.io/v1alpha1"


RECIPES = sorted((Path(__file__).parents[2] / "examples" / "accelerators").glob("*.yaml"))


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_classes_to_copy_can_be_used_beside_the_library(file: Path) -> None:
    found = load.read([file])

    own = [one for one in manifests.documents(file.read_bytes()) if one["kind"] == "Accelerator"]
    assert own != []
    for document in own:
        device_class = found.accelerators[document["metadata"]["name"]]
        assert device_class.resource == document["spec"]["resource"]
        assert device_class.description


def test_every_class_to_copy_has_a_golden_case() -> None:
    cases = Path(__file__).parent / "testdata"
    used = {one.resolve() for one in cases.glob("*/*/policies.yaml") if one.is_symlink()}

    assert used == {file.resolve() for file in RECIPES}
