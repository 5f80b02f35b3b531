"""
Start programs and end them, whatever happens to us.

Each runs in a session of its own, so that Ctrl-C in a terminal reaches only us and we end the rest
in order. Each waits at a gate (a shell's `read`) until someone else knows its id: were we killed
in between, it would never run.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.e2e.controlplane import errors, reaper

CHECKOUT = Path(__file__).parents[3]
_GATE = 'read -r open && exec "$@" </dev/null'
_TAIL_LINES = 15


class Processes:
    """The running programs, in the order in which they were first started."""

    def __init__(self, *, logs: Path, register: Callable[[reaper.Identity], None]):
        self._logs = logs
        self._register = register
        self._order: dict[str, None] = {}  # one that is started again keeps its place
        self._running: dict[str, tuple[reaper.Identity, subprocess.Popen[bytes]]] = {}

    def start(
        self, name: str, argv: Sequence[str], *, environ: Mapping[str, str] | None = None
    ) -> reaper.Identity:
        """Start a program whose output goes to `NAME.log`."""
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 -- what the caller asks to run
                ("/bin/sh", "-c", _GATE, name, *argv),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environ,
                cwd=CHECKOUT,
                start_new_session=True,
            )
        identity = reaper.identify(name, process.pid)
        self._register(identity)
        self._order[name] = None
        self._running[name] = (identity, process)
        assert process.stdin is not None
        with process.stdin as gate:
            gate.write(b"open\n")
        return identity

    def log(self, name: str) -> Path:
        """Tell where the output of a program goes."""
        return self._logs / f"{name}.log"

    def is_running(self, name: str) -> bool:
        """Tell whether the program was started and hasn't ended."""
        return name in self._running and reaper.is_running(self._running[name][0])

    def check(self) -> None:
        """Raise when one ended by itself."""
        for name, (_, process) in self._running.items():
            if process.poll() is not None:
                raise errors.StartError(
                    f"{name} ended with code {process.returncode}; its log ({self.log(name)}) "
                    f"ends with:\n{self._tail(name)}"
                )

    def _tail(self, name: str) -> str:
        return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-_TAIL_LINES:])

    def stop(self, name: str, *, grace_seconds: float = reaper.GRACE_SECONDS) -> None:
        """Ask one to end and wait until it has."""
        identity, process = self._running.pop(name)
        reaper.end([identity], grace_seconds=grace_seconds)
        process.wait()

    def kill(self, name: str) -> None:
        """End one without asking."""
        identity, process = self._running.pop(name)
        reaper.kill(identity)
        process.wait()

    def stop_all(self) -> None:
        """Stop all, what started last first."""
        for name in reversed(self._order):
            if name in self._running:
                self.stop(name)


class Guard:
    """A process that ends ours when we are gone; see `reaper`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 -- our own interpreter and module
            (sys.executable, "-m", reaper.__name__),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd=CHECKOUT,
            start_new_session=True,
            text=True,
        )

    def process(self, process: reaper.Identity) -> None:
        """Have this process ended."""
        self._tell(f"process {process.name} {process.pid} {process.started}")

    def remove(self, directory: Path) -> None:
        """Have this directory removed after the processes ended."""
        self._tell(f"remove {directory}")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def dismiss(self) -> None:
        """Let it do what is left to do and wait for it."""
        self._process.communicate()
