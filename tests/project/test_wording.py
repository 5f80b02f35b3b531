"""The repository speaks of itself alone: no machine's paths, no registry's address."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Written in pieces, so that this file isn't found by its own search.
HOSTS = ("py" + "pi.org", "pythonhosted" + ".org", "proxy.golang" + ".org", "sum.golang" + ".org")
PATHS = (
    r"/wo" + r"rk/(?!\{)",
    "/ro" + "ot/",
    "/Us" + "ers/",
    "/ho" + r"me/(?!jovyan|kubernetes/bin/)",  # those of public images and of GKE's nodes
    "bash_" + "jobs",
)
FORBIDDEN = re.compile("|".join([*map(re.escape, HOSTS), *(rf"(?<![\w.-]){one}" for one in PATHS)]))


def committed() -> list[Path]:
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("needs the git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 -- wherever it is on PATH
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and path.suffix != ".sum"]


def test_no_registry_and_no_path_of_a_machine_is_named() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in committed()
        if (match := FORBIDDEN.search(path.read_text(encoding="utf-8")))
    ]

    assert found == []


def test_text_files_end_with_one_newline() -> None:
    ragged = [
        str(path.relative_to(ROOT))
        for path in committed()
        if (text := path.read_text(encoding="utf-8"))
        and (not text.endswith("\n") or text.endswith("\n\n"))
        and "testdata" not in path.parts
    ]

    assert ragged == []
