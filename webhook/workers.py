"""
Several serving processes behind one address, and the parent that keeps them.

Each worker binds the address itself (SO_REUSEPORT: the kernel spreads connections over them), reads
the policies itself, and counts into files; the parent serves the sum as /metrics, starts a worker
again that died, and passes SIGTERM on.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from prometheus_client import multiprocess
from structlog.typing import FilteringBoundLogger

from policies import load
from webhook import apiserver, certificates, logs, metrics, server
from webhook.settings import Address, FactsFrom, Settings

RESTART_SECONDS = 1.0  # a worker that can't start must not be started in a tight loop

_SPAWN = multiprocessing.get_context("spawn")


def run(settings: Settings) -> int:
    """Serve in `settings.workers` processes until SIGTERM or SIGINT; give the exit code."""
    log = logs.make(settings.log_level)
    logs.forward_libraries(log)
    with contextlib.ExitStack() as stack:
        server.bind(settings.listen).close()  # fails where another program has it; sharing wouldn't
        held = stack.enter_context(server.bind(settings.listen, shared=True))
        bound = server.Sockets(
            reviews=held, metrics=stack.enter_context(server.bind(settings.metrics_listen))
        )
        # Whatever is wrong is said once, here, and not by each worker.
        load.read(settings.policies, library=settings.library)
        certificates.context(certificates.files(settings.certificate, host=settings.listen.host))
        if settings.facts_from is not FactsFrom.OFFLINE:
            apiserver.ApiServer(settings)
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="kubectl-ml-"))
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory  # the workers inherit it
        return server.run_loop(
            lambda: _supervise(settings, sockets=bound, directory=directory, log=log)
        )


@contextlib.asynccontextmanager
async def _supervise(
    settings: Settings, *, sockets: server.Sockets, directory: str, log: FilteringBoundLogger
) -> AsyncIterator[None]:
    workers = [_Worker(settings, sockets, directory, log) for _ in range(settings.workers)]
    assert sockets.metrics is not None  # noqa: S101 -- only workers have none
    async with server.serve_metrics(metrics.aggregate(directory), sockets.metrics):
        kept = [asyncio.create_task(worker.keep()) for worker in workers]
        try:
            await asyncio.gather(*(worker.ready.wait() for worker in workers))
            log.info("listening", **server.addresses(sockets), workers=len(workers))
            yield
        finally:
            for worker in workers:
                worker.stop()
            await asyncio.gather(*kept)
    log.info("stopped")


class _Worker:
    """One place for a process, which is filled again when the process dies."""

    def __init__(
        self,
        settings: Settings,
        sockets: server.Sockets,
        directory: str,
        log: FilteringBoundLogger,
    ) -> None:
        self.ready = asyncio.Event()
        self._settings = settings
        self._sockets = sockets
        self._directory = directory
        self._log = log
        self._process: SpawnProcess | None = None
        self._stopping = False

    async def keep(self) -> None:
        """Keep a process running until `stop`, then wait for its end."""
        while not self._stopping:
            process, signs = self._start()
            await _readable(signs.fileno())
            with contextlib.suppress(EOFError):
                signs.recv()
                self.ready.set()
            signs.close()
            await _readable(process.sentinel)
            process.join()
            multiprocess.mark_process_dead(process.pid, self._directory)  # type: ignore[no-untyped-call]
            if not self._stopping:
                self._log.error("a worker died", pid=process.pid, code=process.exitcode)
                await asyncio.sleep(RESTART_SECONDS)

    def stop(self) -> None:
        """Tell the process to drain."""
        self._stopping = True
        if self._process is not None and self._process.is_alive():
            self._process.terminate()

    def _start(self) -> tuple[SpawnProcess, Connection]:
        ours, theirs = _SPAWN.Pipe(duplex=False)
        listen = server.address_of(self._sockets.reviews)
        process = _SPAWN.Process(
            target=_work, args=(self._settings, listen, theirs), daemon=True, name="webhook-worker"
        )
        process.start()
        theirs.close()
        self._process = process
        return process, ours


def _work(settings: Settings, listen: Address, ready: Connection) -> None:
    """Serve, as a worker process; says "ready" to its parent."""
    log = logs.make(settings.log_level)
    logs.forward_libraries(log)

    @contextlib.asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        bound = server.bind(listen, shared=True)
        sockets = server.Sockets(reviews=bound)
        async with server.serve(settings, sockets=sockets, log=log):
            ready.send(True)
            ready.close()
            yield

    sys.exit(server.run_loop(serving, worker=True))


async def _readable(descriptor: int) -> None:
    """Wait until something can be read, or the other end is gone."""
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.add_reader(descriptor, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(descriptor)
