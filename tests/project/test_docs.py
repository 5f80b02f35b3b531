"""
What the pages say is so: their commands run, their files load, their links lead somewhere.

In a page, `<!-- file: NAME -->` before a block writes it to a file; the commands of a block marked
`console` are run in order, ending with 0 or with what `<!-- exit: N -->` before the block says;
lines beneath a command are its whole output.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubectl_ml.cli import VERBS
from policies import intents, load

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(
    r"(?:^<!-- (?P<note>file|exit): (?P<value>\S+) -->\n)?"
    r"^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    line: str
    exit_code: int
    output: str  # empty: not compared


def commands(block: re.Match[str]) -> Iterator[Command]:
    exit_code = int(block["value"]) if block["note"] == "exit" else 0
    for part in re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        yield Command(line=line, exit_code=exit_code, output=output)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```console" in page.read_text()], ids=named
)
def test_commands_of_the_page_do_what_it_says(page: Path, tmp_path: Path) -> None:
    programs = Path(sys.executable).parent
    folder = ROOT if page.parent == ROOT else tmp_path
    environ = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    for block in BLOCK.finditer(page.read_text()):
        if block["note"] == "file":
            target = tmp_path / block["value"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block["text"])
        if block["language"] != "console":
            continue
        for command in commands(block):
            done = subprocess.run(  # noqa: S602 -- our own pages, run as a reader's shell would
                command.line.replace(".venv/bin/", f"{programs}/"),
                shell=True,
                cwd=folder,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60,
            )
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
