"""What the package declares, and what the lock files hold it to."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, entry_points, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "pyproject.toml").read_text()
PROJECT = tomllib.loads(TEXT)
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")


def locked(name: str) -> dict[str, str]:
    pins = re.findall(
        r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", (ROOT / name).read_text(), re.MULTILINE
    )
    return {canonicalize_name(package): version for package, version in pins}


def blocks(name: str) -> list[str]:
    return re.split(r"^(?=[A-Za-z0-9])", (ROOT / name).read_text(), flags=re.MULTILINE)[1:]


def test_each_dependency_says_what_it_is_for() -> None:
    lines = TEXT.splitlines()
    start = lines.index("dependencies = [") + 1
    declared = lines[start : lines.index("]", start)]

    unexplained = [
        line
        for before, line in zip(["", *declared], declared, strict=False)
        if line.lstrip().startswith('"') and not before.lstrip().startswith("#")
    ]
    assert unexplained == []


@pytest.mark.parametrize("name", LOCKS)
def test_lock_has_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / name).read_text()

    assert [one.split()[0] for one in blocks(name) if "--hash=sha256:" not in one] == []
    assert re.findall(r"\S+://\S+|--(?:extra-)?index-url|--find-links", text) == []


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        pytest.param("requirements.lock", PROJECT["project"]["dependencies"], id="runtime"),
        pytest.param("requirements-dev.lock", PROJECT["dependency-groups"]["dev"], id="dev"),
        pytest.param("requirements-build.lock", PROJECT["build-system"]["requires"], id="build"),
    ],
)
def test_lock_agrees_with_the_project(name: str, wanted: list[str]) -> None:
    pins = locked(name)

    unmet = [
        one
        for one in map(Requirement, wanted)
        if not one.specifier.contains(pins.get(canonicalize_name(one.name), "0"))
    ]
    assert unmet == []


def test_locks_agree_with_each_other() -> None:
    everything = locked("requirements-dev.lock")

    for name in ("requirements.lock", "requirements-build.lock"):
        pins = locked(name)
        assert {package: everything.get(package) for package in pins} == pins


def test_what_is_wanted_with_extras_is_locked_with_them() -> None:
    """An older pip takes the newest version otherwise, and then misses its hash."""
    text = (ROOT / "requirements-dev.lock").read_text()
    wanted = {
        (canonicalize_name(one.name), ",".join(sorted(one.extras)))
        for package in locked("requirements-dev.lock")
        for one in map(Requirement, installed(package))
        if one.extras and (one.marker is None or one.marker.evaluate({"extra": ""}))
    }

    assert wanted
    assert [one for one in wanted if f"\n{one[0]}[{one[1]}]==" not in text] == []


def installed(package: str) -> list[str]:
    try:
        return requires(package) or []
    except PackageNotFoundError:
        return []  # for another platform


@pytest.mark.parametrize("name", ["kubectl-ml", "kubectl_complete-ml"])
def test_program_can_be_imported(name: str) -> None:
    (found,) = entry_points(group="console_scripts", name=name)

    assert callable(found.load())


def test_changelog_says_what_is_in_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    version = PROJECT["project"]["version"]

    assert f"## [{version}]" in changelog or "## [Unreleased]" in changelog
