"""The demo runs against the real server; what the README shows of it is what it prints."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo.expected import EXPECTED, REFUSED

Demo = subprocess.CompletedProcess[str]


def test_shows_every_example_and_finds_all_as_expected(demo: Demo, root: Path) -> None:
    folder = root / "examples"
    paths = (*folder.glob("*.yaml"), *folder.glob("kinds/*.yaml"))
    examples = {str(path.relative_to(folder)) for path in paths}

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stderr == ""
    assert demo.stdout.splitlines()[-2].endswith(": all as expected.")
    assert examples == EXPECTED.keys()
    for name in (*examples, *REFUSED):
        assert f"── examples/{name} ─" in demo.stdout


def test_is_plain_where_it_is_no_terminal(demo: Demo) -> None:
    assert "\x1b" not in demo.stdout


def test_names_the_policy_behind_each_block(demo: Demo) -> None:
    pod = section(demo.stdout, "examples/job.yaml")

    behind = {
        name: re.sub(r"^\+\s+|\s+#.*", "", line)
        for line in pod
        if line.startswith("+") and "  # " in line
        for name in [line.rpartition("  # ")[2]]
    }
    assert set(behind) == {
        "device-tolerations",
        "devices",
        "gpu-pods",
        "intents",
        "logs",
        "mounts",
        "tracking",
    }


def test_readme_shows_what_the_demo_prints(demo: Demo, root: Path) -> None:
    """`UPDATE_GOLDEN=1` writes it anew."""
    page = root / "README.md"
    readme = page.read_text()
    found = re.search(r"<!-- demo: (\S+) -->\n```diff\n(.*?)```", readme, re.DOTALL)
    assert found

    shown = abridged(section(demo.stdout, found[1]))

    if os.environ.get("UPDATE_GOLDEN"):
        page.write_text(readme[: found.start(2)] + shown + readme[found.end(2) :])
    else:
        assert found[2] == shown


def test_stops_the_webhook_when_it_is_ended(root: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout
    with process.stdout:
        address = re.search(r"https://127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert address

        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        process.wait(10)

    assert process.returncode == 143
    assert not listens(int(address[1]))


def test_a_reader_that_leaves_is_no_error(root: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout
    assert process.stderr
    process.stdout.readline()

    process.stdout.close()

    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(10) == 141


def listens(port: int) -> bool:
    table = Path("/proc/net/tcp")
    if not table.exists():
        pytest.skip("listening ports are read from /proc/net/tcp")
    time.sleep(0.05)
    return any(
        line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
        for line in table.read_text().splitlines()[1:]
    )


def section(output: str, title: str) -> list[str]:
    lines = output.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"── {title} ─"))
    end = next(i for i, line in enumerate(lines) if i > start and not line)
    return lines[start:end]


def abridged(lines: list[str]) -> str:
    """Take what was added to the pod, without the security contexts."""
    start = next(i for i, line in enumerate(lines) if line.startswith("Its pod")) + 2
    text = "\n".join(lines[start:]) + "\n"
    return re.sub(r"^\+( +)securityContext:\n(?:\+\1 .*\n)+", "   ⋮\n", text, flags=re.MULTILINE)
