"""
One cluster that stays when the program that started it ends: `make cluster`.

Its files are in `${XDG_CACHE_HOME:-~/.cache}/kubectl-ml/cluster/`; `processes` there lists what
runs, a line each, written before each starts.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.controlplane import build, cluster, errors, nodes, reaper


def _nothing(_: cluster.ControlPlane) -> None:
    """Prepare nothing more than the nodes."""


class Background:
    """The long-running cluster of this user."""

    def __init__(self, environ: Mapping[str, str] = os.environ):
        self._environ = environ
        self._cache = build.cache_directory(environ)
        self._directory = self._cache / "cluster"
        self._list = self._directory / "processes"

    @property
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig, while it runs."""
        return self._directory / "pki" / "admin.kubeconfig"

    def up(self, prepare: Callable[[cluster.ControlPlane], None] = _nothing) -> None:
        """
        Start one with fake GPU nodes and leave it running.

        `prepare` may put more into it, and `run` more programs, which `down` ends too.
        """
        programs = build.ensure(self._environ)
        with self._alone():
            if any(reaper.is_running(process) for process in self._processes()):
                raise errors.AlreadyRunningError(
                    "a cluster is running already; `make cluster-down` ends it"
                )
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory.mkdir()
            self._start(programs, prepare)

    def _start(
        self, programs: build.Programs, prepare: Callable[[cluster.ControlPlane], None]
    ) -> None:
        control_plane = cluster.ControlPlane(
            programs=programs, directory=self._directory, register=self._note
        )
        try:
            control_plane.start()
            control_plane.add_nodes(*nodes.FLEET)
            prepare(control_plane)
        except BaseException:
            control_plane.stop(failed=True)
            raise

    def down(self) -> int:
        """End exactly what `up` started and tell how many processes that were."""
        if not self._directory.exists():
            return 0
        with self._alone():
            running = [each for each in self._processes() if reaper.is_running(each)]
            reaper.end(reversed(running))
            shutil.rmtree(self._directory, ignore_errors=True)
        return len(running)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._cache.mkdir(parents=True, exist_ok=True)
        with (self._cache / ".cluster.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise errors.AlreadyRunningError(
                    "the cluster is being started or ended by another program; try again"
                ) from error
            yield

    def _note(self, process: reaper.Identity) -> None:
        with self._list.open("a") as file:
            file.write(f"{process.name} {process.pid} {process.started}\n")

    def _processes(self) -> list[reaper.Identity]:
        if not self._list.exists():
            return []
        processes: dict[str, reaper.Identity] = {}  # one that is started again keeps its place
        for line in self._list.read_text().splitlines():
            name, pid, started = line.split(" ")
            processes[name] = reaper.Identity(name=name, pid=int(pid), started=started)
        return list(processes.values())
