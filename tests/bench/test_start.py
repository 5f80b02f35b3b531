"""That the bench of the cold start says what it measured, or why it couldn't."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import start
from bench.load import Unusable


def test_tells_how_many_kubectls_a_cold_start_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kubectl").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))

    found = start.run(rounds=1, directory=tmp_path)

    assert list(found) == ["render_ms", "kubectl_ms", "kubectls"]
    assert found["kubectls"] > 1


def test_does_without_where_there_is_no_kubectl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Unusable, match="there is no kubectl on the PATH"):
        start.run(rounds=1, directory=tmp_path)
