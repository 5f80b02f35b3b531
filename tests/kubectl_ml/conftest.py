"""A fake API server, and the plugin that is pointed at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kubectl_ml import apiserver
from tests.kubectl_ml.program import Outcome, invoke


@pytest.fixture
def server() -> Iterator[apiserver.APIServer]:
    with apiserver.serving() as running:
        yield running


@pytest.fixture
def ml(server: apiserver.APIServer, tmp_path: Path) -> Callable[..., Outcome]:
    """Run `kubectl ml` against the fake API server."""
    config = apiserver.kubeconfig(tmp_path / "config", server.port)

    def run(*args: str) -> Outcome:
        return invoke(*args, env={"KUBECONFIG": str(config)})

    return run
