"""That the bench of the command line measures what it says, on a few documents."""

from __future__ import annotations

from pathlib import Path

from bench import commandline


def test_reports_documents_a_second_and_memory(tmp_path: Path) -> None:
    report = commandline.run(rounds=1, directory=tmp_path, few=3, many=5)

    assert list(report) == ["render", "demand"]
    for section in report.values():
        assert (section["documents"], section["documents_many"]) == (3, 5)
        assert 240 <= section["document_bytes"] <= 260
        assert section["docs_per_second"] > 0
        assert section["max_rss_mb"] > 5
