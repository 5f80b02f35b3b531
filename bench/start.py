"""What a cold start of the plugin costs: `render` of one Pod beside `kubectl version --client`."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

from bench.load import Unusable

_POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web, annotations: {kubectl-ml.io/accelerator: a100}}
spec: {containers: [{name: main, image: x}]}
"""


def run(*, rounds: int, directory: Path) -> dict[str, float]:
    """
    Give the least milliseconds of the processor that each took, and how many times the other's.

    Raises:
        Unusable: there is no kubectl to compare with, or one of them failed.
    """
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise Unusable("there is no kubectl on the PATH")
    file = directory / "one-pod.yaml"
    file.write_text(_POD)
    ours = [str(Path(sys.executable).with_name("kubectl-ml")), "render", "-f", str(file)]
    _milliseconds(ours)  # so that both have been read from the disk
    taken = [
        (_milliseconds(ours), _milliseconds([kubectl, "version", "--client"]))
        for _ in range(max(rounds, 5))
    ]
    render_ms, kubectl_ms = (min(column) for column in zip(*taken, strict=True))
    return {
        "render_ms": round(render_ms, 1),
        "kubectl_ms": round(kubectl_ms, 1),
        "kubectls": round(render_ms / kubectl_ms, 2),
    }


def _milliseconds(command: list[str]) -> float:
    """Run a command and give its processor time, which other load on the machine disturbs least."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, env=os.environ, check=False)  # noqa: S603 -- our own program, or kubectl
    if done.returncode:
        raise Unusable(f"{' '.join(command)} ended with {done.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000
