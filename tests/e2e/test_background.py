"""`up` leaves a cluster running, `down` ends it and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.controlplane import build, processes


@pytest.fixture
def environ(programs: build.Programs, tmp_path: Path) -> dict[str, str]:
    """Have another user's cache, so that a cluster that runs here is left alone."""
    assets = tmp_path / "assets"
    assets.mkdir()
    for name, path in programs.paths.items():
        (assets / name).symlink_to(path)
    places = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "KUBEBUILDER_ASSETS": str(assets)}
    return {**os.environ, **places}


def controlplane_program(verb: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 -- this interpreter
        (sys.executable, "-m", "tests.e2e.controlplane", verb),
        cwd=processes.CHECKOUT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_up_stays_until_down(environ: dict[str, str], programs: build.Programs, tmp_path: Path):
    up = controlplane_program("up", environ)
    try:
        second = controlplane_program("up", environ)
        kubeconfig = up.stdout.removeprefix("export KUBECONFIG=").strip()
        nodes = subprocess.run(  # noqa: S603 -- the real kubectl
            (programs["kubectl"], "get", "nodes", "-o", "name"),
            env={**os.environ, "KUBECONFIG": kubeconfig},
            capture_output=True,
            text=True,
        )
    finally:
        down = controlplane_program("down", environ)
    again = controlplane_program("down", environ)

    assert (up.returncode, kubeconfig) == (
        0,
        f"{tmp_path}/cache/kubectl-ml/cluster/pki/admin.kubeconfig",
    )
    assert nodes.stdout.split() == ["node/cpu-0", "node/gpu-a100-0", "node/gpu-t4-0"]
    assert (second.returncode, second.stdout) == (1, up.stdout)
    assert second.stderr == "a cluster is running already; `make cluster-down` ends it\n"
    assert (down.returncode, down.stderr) == (0, "ended 6 processes\n")
    assert (again.returncode, again.stderr) == (0, "no cluster is running\n")
    assert not Path(kubeconfig).exists()


def test_a_process_that_took_over_a_number_is_left_alone(environ: dict[str, str], tmp_path: Path):
    state = tmp_path / "cache" / "kubectl-ml" / "cluster"
    state.mkdir(parents=True)
    with subprocess.Popen(("/bin/sleep", "60")) as bystander:
        (state / "processes").write_text(f"etcd {bystander.pid} 1\n")

        down = controlplane_program("down", environ)

        alive = bystander.poll() is None
        bystander.kill()
    assert alive
    assert down.stderr == "no cluster is running\n"
