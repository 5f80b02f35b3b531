from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.webhook import serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Served]:
    """One webhook for all tests of a module, with the built-in library."""
    with serving.webhook(tmp_path_factory.mktemp("webhook")) as started:
        yield started
