"""`kubectl_complete-ml` speaks kubectl's protocol: a line an offer, then a directive."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kubectl_ml.program import BIN, run

NO_FILES, FILES, DIRECTORIES, ERROR = ":4", ":0", ":16", ":1"
POLICIES = Path(__file__).parent / "testdata" / "policies.yaml"


def complete(*args: str) -> list[str]:
    done = run(*args, program="kubectl_complete-ml")

    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().splitlines()


def test_offers_the_commands_with_what_they_do() -> None:
    assert complete("") == [
        "render\tShow what the policies make of manifests, offline",
        "explain\tTell what was or would be added, by which policy, and what wasn't",
        "inspect\tList which objects hold which device class, data source and policy",
        "strip\tTake out of manifests what was injected",
        "adopt\tBring in workloads from before the webhook acted",
        "lint\tFind intents that can't be used, with file and line",
        "fn\tRender a ResourceList: a KRM function for kustomize and kpt",
        "argocd\tWrite what Argo CD is to ignore of what the webhook adds",
        "demand\tCount the pods, devices, cpu and memory that manifests ask for",
        "quota\tShow what groups may use, what they use, and who holds it",
        "gpus\tList the cluster's devices by class and node: what is free, and who holds them",
        "classes\tList the device classes that can be named",
        "sources\tList the data sources that can be named",
        "policy\tList, read and check the policies in force, and try manifests against them",
        "train\tRun a training, on one node or on many",
        "serve\tServe a model, or a server of your own",
        "list\tList what train and serve made",
        "status\tShow one of them down to its pods, and why something isn't ready",
        "logs\tPrint what the pods write, of all ranks",
        "wait\tWait until a training is done or a server is ready",
        "delete\tDelete what train and serve made",
        "version\tPrint the version of the plugin",
        NO_FILES,
    ]


def test_offers_what_begins_with_the_word() -> None:
    assert complete("ver") == ["version\tPrint the version of the plugin", NO_FILES]


def test_offers_flags_of_the_command() -> None:
    *offers, directive = complete("render", "--kube-")

    assert [offer.split("\t")[0] for offer in offers] == ["--kube-version"]
    assert directive == NO_FILES


CASES = [
    pytest.param(["render", "-o", ""], ["yaml", "json", "diff", "patch", NO_FILES], id="choices"),
    pytest.param(["render", "-o", "p"], ["patch", NO_FILES], id="choices-that-begin-so"),
    pytest.param(["render", "--output=d"], ["diff", NO_FILES], id="choices-after-equals"),
    pytest.param(["render", "-f", ""], [FILES], id="files"),
    pytest.param(["render", "--facts", "fa"], [FILES], id="facts"),
    pytest.param(["render", "-k", ""], [DIRECTORIES], id="kustomizations"),
    pytest.param(["render", "--policies", ""], [DIRECTORIES], id="policies"),
    pytest.param(["version", ""], [NO_FILES], id="nothing"),
    pytest.param(["classes", "--policies", "/nope", ""], [ERROR], id="unreadable-policies"),
]


@pytest.mark.parametrize(("args", "expected"), CASES)
def test_offers(args: list[str], expected: list[str]) -> None:
    assert complete(*args) == expected


def test_offers_device_classes_of_the_library() -> None:
    offers = complete("classes", "a100")

    assert [offer.split("\t")[0] for offer in offers] == [
        "a100",
        "a100-40gb",
        "a100-80gb",
        NO_FILES,
    ]


def test_offers_device_classes_of_policies() -> None:
    offers = complete("classes", "--no-library", "--policies", str(POLICIES), "")

    assert offers == ["a100\tNVIDIA A100 with 80 GB", "shared\tshared-gpu", NO_FILES]


def test_offers_data_sources() -> None:
    offers = complete("sources", "--no-library", "--policies", str(POLICIES), "im")

    assert offers == ["imagenet\ts3", NO_FILES]


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not on the PATH")
def test_kubectl_asks_it() -> None:
    done = subprocess.run(
        ["kubectl", "__complete", "ml", "ren"],  # noqa: S607 -- found on PATH
        capture_output=True,
        text=True,
        env={"PATH": os.pathsep.join([str(BIN), os.environ["PATH"]])},
        timeout=60,
        check=True,
    )

    assert done.stdout == "render\tShow what the policies make of manifests, offline\n:4\n"
