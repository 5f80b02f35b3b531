"""
Golden cases: `testdata/FAMILY/CASE/` holds what goes in and what comes out, written once and read.

In: `input.yaml`, and where the case needs them `old.yaml` (it is an UPDATE then), `policies.yaml`
over the library, `facts.yaml` (kubeVersion, installed, namespaces, stage). Out: `expected.yaml`,
the object, and `said.yaml`, what the user is told. `UPDATE_GOLDEN=1` writes what comes out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from policies import inject, manifests
from policies.model import Decision, Facts
from tests.builders import applied, review

TESTDATA = Path(__file__).parent / "testdata"
NOT_GOLDEN = ("load",)
GIVEN = ("input.yaml", "old.yaml", "policies.yaml", "facts.yaml")
CASES = sorted(
    one.parent for one in TESTDATA.glob("*/*/input.yaml") if one.parts[-3] not in NOT_GOLDEN
)
CASES_A_FAMILY = 5
MORE = ("kserve", "provenance", "restore")  # families that no `inject` names


def read(file: Path) -> Any:
    return manifests.documents(file.read_bytes())[0] if file.exists() else None


def facts(found: dict[str, Any]) -> Facts:
    major, _, minor = found.get("kubeVersion", "1.36").partition(".")
    installed = found.get("installed")
    return Facts(
        kube_version=(int(major), int(minor)),
        namespaces=found.get("namespaces", {}),
        installed=None if installed is None else frozenset(installed),
    )


def said(decision: Decision) -> dict[str, Any]:
    """Collect what the user is told."""
    found = {
        "warnings": [*decision.warnings],
        "refused": [f"{one.policy}: {one.message} ({one.code})" for one in decision.violations],
    }
    return {key: value for key, value in found.items() if value}


def decide(case: Path) -> tuple[Any, Decision, dict[str, Any]]:
    given = read(case / "facts.yaml") or {}
    file = case / "policies.yaml"
    parts = {
        "given": file.read_text() if file.exists() else "",
        "facts": facts(given),
        "stage": given.get("stage", "admission"),
    }
    obj = read(case / "input.yaml")
    return obj, review(obj, old=read(case / "old.yaml"), **parts), parts


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parts[-2]}-{case.parts[-1]}")
def test_what_comes_out_is_what_was_written_down(case: Path) -> None:
    obj, decision, parts = decide(case)
    expected: dict[str, str] = {"expected.yaml": manifests.dump(decision.object)}
    if said(decision):
        expected["said.yaml"] = manifests.dump(said(decision))
    if os.environ.get("UPDATE_GOLDEN"):
        update(case, expected)

    found = {one.name: one.read_text() for one in case.iterdir() if one.name not in GIVEN}

    assert found == expected
    assert applied(obj, decision) == decision.object
    assert review(decision.object, **parts).patch == [] or (case / "old.yaml").exists()


def update(case: Path, expected: dict[str, str]) -> None:
    for file in case.iterdir():
        if file.name not in GIVEN:
            file.unlink()
    for name, text in expected.items():
        (case / name).write_text(text)


def families() -> list[str]:
    """List the modules that inject."""
    folder = Path(str(inject.__file__)).parent
    return sorted(
        {one.stem for one in folder.glob("*.py") if "\ndef inject(" in one.read_text()} | {*MORE}
    )


@pytest.mark.parametrize("family", families())
def test_each_family_has_its_cases_and_a_conflict(family: str) -> None:
    names = [case.name for case in CASES if case.parent.name == family]

    assert len(names) >= CASES_A_FAMILY
    assert [name for name in names if name.startswith("conflict-")] != []


def test_no_case_is_of_no_family() -> None:
    assert {case.parent.name for case in CASES} <= {*families()}
    assert all(
        (one / "input.yaml").exists()
        for one in TESTDATA.glob("*/*")
        if one.is_dir() and one.parent.name not in NOT_GOLDEN
    )
