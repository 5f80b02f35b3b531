"""The commands of the documentation that need a cluster do what their pages show."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.controlplane import waiting
from tests.e2e.installed import Installed
from tests.project import pages

CONTROL_PLANE = "pages"  # without the definitions that other tests load
NAMESPACE = "team"  # what the pages call theirs
PAGES = [page for page in pages.PAGES if pages.has_commands(page, cluster=True)]


@pytest.fixture
def afterwards_gone(installed: Installed) -> Iterator[Installed]:
    """Delete the namespace that the pages make, so that the next one can."""
    admin = installed.control_plane.admin
    path = f"/api/v1/namespaces/{NAMESPACE}"
    yield installed
    if admin.request("GET", path).ok:
        admin.delete(path)
    waiting.until(lambda: not admin.request("GET", path).ok, what=f"{path} to be gone")


@pytest.mark.parametrize("page", PAGES, ids=pages.named)
def test_commands_of_the_page_do_what_it_says(
    page: Path, afterwards_gone: Installed, tmp_path: Path
) -> None:
    environ = afterwards_gone.control_plane.admin.environment()
    folder = pages.ROOT if page.parent == pages.ROOT else tmp_path

    for block in pages.blocks(page):
        if "file" in block.notes:
            (tmp_path / block.notes["file"]).write_text(block.text)
        for command in block.commands if "cluster" in block.notes else ():
            done = command.run(folder, environ)

            assert done.returncode == command.exit_code, f"{command.line}\n{done.stdout}"
            if command.output:
                assert comparable(done.stdout) == comparable(command.output), command.line


def comparable(output: str) -> str:
    """Leave out what differs each time: ages, and what controllers put after names."""
    output = re.sub(r"\b\d+[smh]\b", "AGE", output)
    return re.sub(r"(-[bcdf-hj-np-tv-z0-9]{8,10})?-[bcdf-hj-np-tv-z2-9]{5}\b", "-ID", output)
