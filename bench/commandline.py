"""
The plugin over many documents: `render` and `demand` of one-pod documents, each a cold process.

Documents a second, and the most memory that the process had, at 2,000 and at 20,000 documents: who
renders a large repository waits for the one and pays for the other.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.load import Unusable

FEW, MANY = 2_000, 20_000
COMMANDS = {"render": ("render",), "demand": ("demand", "-o", "json")}
_DOCUMENT = """\
apiVersion: v1
kind: Pod
metadata:
  name: pod-{number:05d}
  annotations: {{kubectl-ml.io/accelerator: "a100:1"}}
spec:
  containers:
  - name: main
    image: registry.example.com/train:1
    command: [python, train.py]
    env: [{{name: A, value: b}}]
"""


def run(*, rounds: int, directory: Path, few: int = FEW, many: int = MANY) -> dict[str, Any]:
    """Measure both commands, and give their sections of the report."""
    files = {count: _file(directory, count) for count in (few, many)}
    report = {}
    for name, command in COMMANDS.items():
        each = [_measured(command, files[few]) for _ in range(rounds)]
        seconds, rss_mb = (statistics.median(column) for column in zip(*each, strict=True))
        report[name] = {
            "documents": few,
            "document_bytes": files[few].stat().st_size // few,
            "docs_per_second": round(few / seconds),
            "max_rss_mb": round(rss_mb, 1),
            "documents_many": many,
            "max_rss_mb_many": round(_measured(command, files[many])[1], 1),
        }
    return report


def _file(directory: Path, count: int) -> Path:
    file = directory / f"pods-{count}.yaml"
    file.write_text("---\n".join(_DOCUMENT.format(number=number) for number in range(count)))
    return file


def _measured(command: tuple[str, ...], file: Path) -> tuple[float, float]:
    """Run it once: seconds, and MB of memory at the most."""
    program = Path(sys.executable).with_name("kubectl-ml")
    began = time.perf_counter()
    process = subprocess.Popen((program, *command, "-f", file), stdout=subprocess.DEVNULL)  # noqa: S603 -- our own program
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Unusable(f"kubectl-ml {' '.join(command)} ended with {process.returncode}")
    return seconds, usage.ru_maxrss / 1024
