"""That the bench of the command line measures what it says, on a few documents."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench import commandline, launcher


def test_reports_documents_a_second_and_memory(tmp_path: Path) -> None:
    report = commandline.run(rounds=1, directory=tmp_path, few=3, many=5)

    assert list(report) == ["render", "demand", "demand_varied"]
    for section in report.values():
        assert (section["documents"], section["documents_many"]) == (3, 5)
        assert 240 <= section["document_bytes"] <= 260
        assert section["docs_per_second"] > 0
        assert section["max_rss_mb"] > 5


def test_memory_is_that_of_the_program_and_not_of_who_measures_it() -> None:
    ballast = bytearray(150_000_000)

    done = subprocess.run(launcher.command("/bin/sh", "-c", "exit 3"), stdout=subprocess.PIPE)  # noqa: S603 -- our own program

    seconds, rss_mb = map(float, done.stdout.split())
    assert len(ballast) > 1e8
    assert (done.returncode, seconds > 0) == (3, True)
    assert rss_mb < 40
