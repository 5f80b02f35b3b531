"""
What the pages say is so: their commands run, their files load, their links lead somewhere.

`pages` says how blocks are marked; commands that need a cluster run in `tests/e2e/test_pages.py`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kubectl_ml.cli import VERBS
from policies import intents, load
from policies.workloads import catalogue
from tests.project import pages
from tests.project.pages import PAGES, ROOT, named


@pytest.mark.parametrize(
    "page", [page for page in PAGES if pages.has_commands(page, cluster=False)], ids=named
)
def test_commands_of_the_page_do_what_it_says(page: Path, tmp_path: Path) -> None:
    folder = ROOT if page.parent == ROOT else tmp_path
    environ = {**os.environ, "PATH": f"{pages.PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    environ.pop("KUBECONFIG", None)

    for block in pages.blocks(page):
        if "file" in block.notes:
            target = tmp_path / block.notes["file"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
        if "cluster" in block.notes:
            continue
        for command in block.commands:
            # The plugin is the same without kubectl, which isn't needed here.
            alone = replace(command, line=command.line.replace("kubectl ml ", "kubectl-ml "))
            done = alone.run(folder, environ)
            assert done.returncode == command.exit_code, f"{command.line}\n{done.stdout}"
            if command.output:
                assert done.stdout == command.output, command.line


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_of_the_page_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)

    missing = [
        link
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_page_has_one_sentence_a_line(page: Path) -> None:
    """Tables, lists of links and papers in words of their own are left out."""
    if page.name == "CODE_OF_CONDUCT.md" or page.parent.name == "reference":
        pytest.skip("not in our own words")
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)

    crowded = [
        line
        for line in text.splitlines()
        if not line.startswith(("|", "-", "#", "1", "2", "3", "4", "5", "6"))
        and re.search(r"[a-z)`]\. [A-Z]", line)
    ]
    assert crowded == []


def test_reference_is_not_stale(tmp_path: Path) -> None:
    subprocess.run(  # noqa: S603 -- our own script
        [sys.executable, "scripts/reference.py", str(tmp_path)], cwd=ROOT, check=True, timeout=60
    )

    for written in tmp_path.iterdir():
        kept = ROOT / "docs/reference" / written.name
        assert kept.read_text() == written.read_text(), f"{kept.name} is stale: make reference"


def test_reference_names_every_command() -> None:
    page = (ROOT / "docs/reference/commands.md").read_text()

    assert [verb for verb in VERBS if f"## `kubectl ml {verb}`" not in page] == []


def test_reference_names_every_object() -> None:
    page = (ROOT / "docs/reference/objects.md").read_text()

    assert [
        kind
        for kind in load.KINDS
        if f"## {kind}\n" not in page and kind != "NamespacedDataSource"  # a DataSource's fields
    ] == []


@pytest.mark.parametrize("page", ["README.md", "docs/reference/intents.md"])
def test_every_intent_is_explained(page: str) -> None:
    text = (ROOT / page).read_text()

    assert [key for key in sorted(intents.KEYS) if f"`{key}`" not in text] == []


def test_readme_shows_the_example_as_it_is() -> None:
    found = re.search(
        r"<!-- example: (\S+) -->\n```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    assert found

    lines = (ROOT / found[1]).read_text().splitlines(keepends=True)
    assert found[2] == "".join(line for line in lines if not line.startswith("#"))


def test_every_decision_is_in_the_table_of_contents() -> None:
    contents = (ROOT / "docs/README.md").read_text()
    decisions = sorted((ROOT / "docs/decisions").iterdir())

    assert [one.name for one in decisions if f"decisions/{one.name}" not in contents] == []
    assert [one.name[:4] for one in decisions] == [f"{n:04}" for n in range(1, len(decisions) + 1)]


def test_policies_of_the_examples_load() -> None:
    policies = load.read([ROOT / "examples/policies"])

    assert policies.accelerators["a100"].memory == "80Gi"
    assert policies.data_sources["imagenet"].read_only
    assert [kind.name for kind in policies.workload_kinds] == ["bertjob"]


def test_reference_names_every_kind_of_workload() -> None:
    page = (ROOT / "docs/reference/workload-kinds.md").read_text()

    names = [kind.name for kind in catalogue.builtin().kinds.values()]
    assert [name for name in names if f"\n### {name}\n" not in page] == []
