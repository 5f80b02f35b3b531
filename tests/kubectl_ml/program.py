"""The plugin as tests call it: as a process, or (quicker) through click's runner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from kubectl_ml.cli import cli

BIN = Path(sys.executable).parent
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # by who started us in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else what we start ignores it, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run ended with."""

    code: int
    out: str
    err: str


def invoke(
    *args: str | Path, stdin: str | bytes = b"", env: Mapping[str, str] | None = None
) -> Outcome:
    """Run `kubectl ml ARGS` within this process."""
    result = CliRunner().invoke(
        cli, [str(arg) for arg in args], input=stdin, prog_name="kubectl ml", env=env
    )
    return Outcome(
        code=result.exit_code,
        out=result.stdout_bytes.decode(),
        err=result.stderr,
    )


def run(
    *args: str | Path,
    stdin: bytes = b"",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    program: str = "kubectl-ml",
) -> subprocess.CompletedProcess[bytes]:
    """Run the real program with a clean environment."""
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    return subprocess.run(  # noqa: S603 -- our own programs
        [str(BIN / program), *map(str, args)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        timeout=60,
        env={"PATH": path, "HOME": os.environ.get("HOME", "/"), **(env or {})},
        check=False,
    )
