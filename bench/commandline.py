"""
The plugin over many documents: `render` and `demand` of one-pod documents, each a cold process.

Documents a second, and the most memory that the process had, at 2,000 and at 20,000 documents: who
renders a large repository waits for the one and pays for the other. `demand` is measured over
documents that all ask for the same and over some that all ask for something else (`demand_varied`),
which nothing that is remembered makes cheaper.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench import launcher
from bench.load import Unusable

FEW, MANY = 2_000, 20_000
_DEMAND = ("demand", "-o", "json")
COMMANDS = {"render": ("render",), "demand": _DEMAND, "demand_varied": _DEMAND}
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
_VARIED = """\
apiVersion: v1
kind: Pod
metadata:
  name: pod-{number:05d}
  annotations: {{kubectl-ml.io/accelerator: "a100:{devices}"}}
spec:
  containers:
  - name: main
    image: registry.example.com/train:1
    command: [sh]
    resources: {{requests: {{cpu: {cpu:05d}m}}}}
"""


def run(*, rounds: int, directory: Path, few: int = FEW, many: int = MANY) -> dict[str, Any]:
    """Measure both commands, and give their sections of the report."""
    report = {}
    for name, command in COMMANDS.items():
        document = _VARIED if name == "demand_varied" else _DOCUMENT
        files = {count: _file(directory, document, count) for count in (few, many)}
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


def _file(directory: Path, document: str, count: int) -> Path:
    file = directory / f"pods-{count}.yaml"
    texts = (
        document.format(number=number, devices=number % 8 + 1, cpu=number + 1)
        for number in range(count)
    )
    file.write_text("---\n".join(texts))
    return file


def _measured(command: tuple[str, ...], file: Path) -> tuple[float, float]:
    """Run it once: seconds, and MB of memory at the most."""
    program = Path(sys.executable).with_name("kubectl-ml")
    line = launcher.command(str(program), *command, "-f", str(file))
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 -- our own program
    if done.returncode:
        raise Unusable(f"kubectl-ml {' '.join(command)} ended with {done.returncode}")
    seconds, rss_mb = map(float, done.stdout.split())
    return seconds, rss_mb
