"""These tests run when asked for, not before."""

import subprocess
import sys

import pytest

from tests.e2e.controlplane import processes

THIS = "tests/e2e/test_selection.py"


@pytest.mark.parametrize(
    ("arguments", "runs"),
    [
        pytest.param(["tests"], False, id="not-with-all-tests"),
        pytest.param(["tests/e2e"], True, id="named-folder"),
        pytest.param([f"{THIS}::test_runs_when_asked_for"], True, id="named-test"),
        pytest.param(["-m", "e2e", "tests/e2e/../../tests"], True, id="named-marker"),
        pytest.param(["-m", "not e2e", "tests"], False, id="marker-left-out"),
    ],
)
def test_runs_when_asked_for(arguments: list[str], runs: bool):
    ignored = [f"--ignore=tests/{name}" for name in ("policies", "webhook", "kubectl_ml")]
    done = subprocess.run(  # noqa: S603 -- this interpreter
        (sys.executable, "-m", "pytest", "--collect-only", "-q", *ignored, *arguments),
        cwd=processes.CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (THIS in done.stdout) == runs, done.stdout
