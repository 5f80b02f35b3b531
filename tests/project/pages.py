"""
The commands and files in the pages of the documentation.

In a page, comments before a block say what it is: `<!-- file: NAME -->` names what it is written
to, `<!-- exit: N -->` how the commands of a `console` block end, `<!-- cluster -->` that they need
`make cluster`. Lines beneath a command are its whole output.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("manifests/*.md")])
PROGRAMS = Path(sys.executable).parent
_BLOCK = re.compile(
    r"(?P<notes>(?:^<!-- [^>]* -->\n)*)^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    line: str
    exit_code: int
    output: str  # empty: not compared

    def run(self, folder: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run it as a reader's shell would; what it prints comes in one stream."""
        return subprocess.run(  # noqa: S602 -- our own pages
            self.line.replace(".venv/bin/", f"{PROGRAMS}/"),
            shell=True,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    language: str
    text: str
    notes: Mapping[str, str]

    @property
    def commands(self) -> Iterator[Command]:
        """Give the commands of a `console` block."""
        if self.language != "console":
            return
        exit_code = int(self.notes.get("exit", "0"))
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            found = re.match(r"((?:.*\\\n)*.*)\n?", part)  # a line that ends with \ goes on
            assert found
            yield Command(line=found[1], exit_code=exit_code, output=part[found.end() :])


def blocks(page: Path) -> Iterator[Block]:
    """Read the blocks of a page."""
    for found in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        notes = re.findall(r"<!-- (\w+)(?:: (\S+))? -->", found["notes"])
        yield Block(language=found["language"], text=found["text"], notes=dict(notes))


def has_commands(page: Path, *, cluster: bool) -> bool:
    """Tell whether a page has commands that need a cluster, or some that need none."""
    return any(
        block.language == "console" and ("cluster" in block.notes) is cluster
        for block in blocks(page)
    )


def named(page: Path) -> str:
    """Name a page in a test's id."""
    return str(page.relative_to(ROOT))
