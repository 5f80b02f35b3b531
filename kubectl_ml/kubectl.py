"""The one module that calls `kubectl`."""

from __future__ import annotations

import shutil
import subprocess

from kubectl_ml.errors import Unreadable

KUSTOMIZE_TIMEOUT_SECONDS = 120  # a kustomization may fetch its bases from the network


def kustomize(directory: str) -> bytes:
    """Build the kustomization in `directory`, as `kubectl apply -k` would."""
    program = shutil.which("kubectl")
    if program is None:
        raise Unreadable(
            "-k needs kubectl, which is not on the PATH",
            hint="install it, or pipe: kustomize build DIR | kubectl ml render -f -",
        )
    try:
        done = subprocess.run(  # noqa: S603 -- a fixed program and one argument, no shell
            [program, "kustomize", "--", directory],
            capture_output=True,
            timeout=KUSTOMIZE_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unreadable(
            f"{directory}: kubectl kustomize took longer than {KUSTOMIZE_TIMEOUT_SECONDS} seconds",
            hint="does a base of it come from a slow network?",
        ) from error
    if done.returncode:
        raise Unreadable(
            f"{directory}: {_last_line(done.stderr)}",
            hint=f"kubectl kustomize {directory} says more",
        )
    return done.stdout


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().split("\n")
    return lines[-1].removeprefix("error: ") or "kubectl kustomize failed"
