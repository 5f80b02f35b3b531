"""`kubectl ml classes` and `sources`: what can be named, and what each becomes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from policies import load, manifests
from tests.kubectl_ml.program import Outcome, invoke

POLICIES = Path(__file__).parent / "testdata" / "policies.yaml"


def ours(command: str, *args: str) -> Outcome:
    return invoke(command, "--no-library", "--policies", POLICIES, *args)


def cells(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.split("   ") if cell.strip()] for line in text.splitlines()
    ]


def test_classes_are_a_table() -> None:
    outcome = ours("classes")

    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == (
        "NAME     RESOURCE                 MEMORY   NODES"
        "                                               MAX/POD   SHM\n"
        "a100     nvidia.com/gpu           80Gi     nvidia.com/gpu.product=NVIDIA-A100-SXM4-80GB"
        " (+1)   8         16Gi\n"
        "shared   deviceclass/shared-gpu   <none>   <none>"
        "                                              <none>    <none>\n"
    )


def test_sources_are_a_table() -> None:
    outcome = ours("sources")

    assert cells(outcome.out) == [
        ["NAME", "TYPE", "BECOMES", "MODE", "NAMESPACES"],
        ["imagenet", "s3", "s3://datasets/imagenet/v3, fetched by an init container", "ro",
         "ml-* and team=nlp"],
        ["ram", "memory", "a directory in memory of 4Gi", "rw", "*"],
        ["vision/models", "oci", "image registry.example.com/models:1", "ro", "vision"],
        ["work", "pvc", "claim work, directory runs", "rw", "*"],
    ]  # fmt: skip


def test_wide_shows_more() -> None:
    [headers, first, _] = cells(ours("classes", "-o", "wide").out)

    assert dict(zip(headers, first, strict=True)) == {
        "NAME": "a100",
        "RESOURCE": "nvidia.com/gpu",
        "MEMORY": "80Gi",
        "NODES": "nvidia.com/gpu.product=NVIDIA-A100-SXM4-80GB (+1)",
        "MAX/POD": "8",
        "SHM": "16Gi",
        "NODE LABELS": "nvidia.com/gpu.product in (NVIDIA-A100-SXM4-80GB,NVIDIA-A100-80GB-PCIe)",
        "TOLERATIONS": "nvidia.com/gpu:NoSchedule",
        "RUNTIME": "<none>",
        "PER DEVICE": "cpu=8,memory=64Gi",
        "WEIGHT": "1",
        "COST/HOUR": "4.5",
        "DESCRIPTION": "NVIDIA A100 with 80 GB",
    }


def test_headers_can_be_left_out() -> None:
    assert ours("classes", "--no-headers").out.startswith("a100   ")


def test_names_are_for_scripts() -> None:
    assert ours("classes", "-o", "name").out == (
        "accelerator.kubectl-ml.io/a100\naccelerator.kubectl-ml.io/shared\n"
    )
    assert ours("sources", "-o", "name").out.splitlines()[2] == (
        "namespaceddatasource.kubectl-ml.io/vision/models"
    )


def test_one_that_is_named_is_one_object() -> None:
    assert json.loads(ours("classes", "shared", "-o", "json").out) == {
        "apiVersion": "kubectl-ml.io/v1alpha1",
        "kind": "Accelerator",
        "metadata": {"name": "shared"},
        "spec": {"deviceClassName": "shared-gpu", "weight": 0.25},
    }


def test_one_that_is_not_there_is_one_sentence() -> None:
    outcome = ours("classes", "a1000")

    assert (outcome.code, outcome.out, outcome.err) == (
        1,
        "",
        'error: there is no device class "a1000"; did you mean "a100"?\n'
        "hint: kubectl ml classes lists them; --policies DIR adds yours\n",
    )


def test_nothing_is_said_on_stderr() -> None:
    outcome = invoke("classes", "--no-library")

    assert (outcome.code, outcome.out, outcome.err) == (0, "", "No classes found.\n")


@pytest.mark.parametrize(
    "args", [["--no-library", "--policies", str(POLICIES)], []], ids=["ours", "library"]
)
@pytest.mark.parametrize("form", ["yaml", "json"])
def test_what_is_shown_can_be_loaded_again(args: list[str], form: str, tmp_path: Path) -> None:
    for command in ("classes", "sources"):
        (tmp_path / f"{command}.yaml").write_text(invoke(command, *args, "-o", form).out)

    again = load.read([tmp_path], library=False)

    before = load.library() if not args else load.read([POLICIES], library=False)
    assert without_digests(again.accelerators) == without_digests(before.accelerators)
    assert without_digests(again.data_sources) == without_digests(before.data_sources)


def without_digests(found: Mapping[str, object]) -> str:
    return re.sub(r"digest='\w+'", "", str(sorted(found.items())))


def test_the_library_has_every_class_of_the_documentation() -> None:
    found = {
        item["metadata"]["name"]
        for item in manifests.documents(invoke("classes", "-o", "yaml").out)[0]["items"]
    }

    assert {"gpu", "t4", "a100", "h100", "mig-1g.5gb", "gpu-shared", "tpu-v5e", "rdma"} <= found
