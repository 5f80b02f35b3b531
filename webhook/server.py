"""
One serving process: sockets, the application, what is followed, and a drain at the end.

On SIGTERM `/readyz` says 503 and every answer closes its connection, so that clients go elsewhere.
When no connection is left, or `drain_seconds` later, the listener closes; so long again it waits
for those that are still open, then closes idle ones and finishes what is in flight. A second
signal ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from webhook import app as application
from webhook import logs, memory, metrics, sources
from webhook.certificates import ServedCertificate
from webhook.connections import Connections
from webhook.errors import CannotListen
from webhook.policy_files import PolicyFiles
from webhook.settings import Address, Settings

BACKLOG = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """Bound, not yet listening. A worker has no page for metrics: its parent has."""

    reviews: socket.socket
    metrics: socket.socket | None = None


def run(settings: Settings) -> int:
    """Serve in this process until SIGTERM or SIGINT; give the exit code."""
    log = logs.make(settings.log_level)
    logs.forward_libraries(log)
    with contextlib.ExitStack() as stack:
        sockets = Sockets(
            reviews=stack.enter_context(bind(settings.listen)),
            metrics=stack.enter_context(bind(settings.metrics_listen)),
        )
        return run_loop(lambda: serve(settings, sockets=sockets, log=log))


def run_loop(
    main: Callable[[], contextlib.AbstractAsyncContextManager[None]], *, worker: bool = False
) -> int:
    """Run `main` on uvloop until the first signal; a second one ends the process at once."""

    async def until_stopped() -> int:
        stop = asyncio.Event()
        _on_stop(stop, worker=worker)
        async with main():
            await stop.wait()
        return 0

    memory.return_large_blocks()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(until_stopped())


def _on_stop(stop: asyncio.Event, *, worker: bool) -> None:
    loop = asyncio.get_running_loop()

    def told() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, told)
    # Ctrl-C reaches every process of a terminal; a worker waits for its parent's word.
    loop.add_signal_handler(signal.SIGINT, told if not worker else lambda: None)
    parent = multiprocessing.parent_process()
    if worker and parent is not None:
        loop.add_reader(parent.sentinel, _parent_died, parent.sentinel, told)


def _parent_died(sentinel: int, told: Callable[[], None]) -> None:
    asyncio.get_running_loop().remove_reader(sentinel)
    told()


def bind(address: Address, *, shared: bool = False) -> socket.socket:
    """Take an address; `shared` lets our other workers take it too."""
    try:
        family, *_, where = socket.getaddrinfo(
            address.host or None,
            address.port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )[0]
        bound = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise CannotListen(f"can't listen on {address}: {error.strerror}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(where)
        if not shared:
            bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise CannotListen(f"can't listen on {address}: {error.strerror}") from error
    return bound


def address_of(bound: socket.socket) -> Address:
    """Give the address that a socket really has."""
    host, port = bound.getsockname()[:2]
    return Address(host=host, port=port)


@contextlib.asynccontextmanager
async def serve(
    settings: Settings,
    *,
    sockets: Sockets,
    log: FilteringBoundLogger,
    registry: CollectorRegistry | None = None,
) -> AsyncIterator[None]:
    """Serve while the context is open; leaving it drains."""
    registry = registry or metrics.registry()
    recorder = metrics.Metrics(registry)
    certificate = ServedCertificate(settings, recorder=recorder, log=log)
    policies = PolicyFiles(settings, recorder=recorder, log=log)
    async with contextlib.AsyncExitStack() as stack:
        followed = sources.of(settings, policies, recorder=recorder, log=log)
        found = stack.enter_context(followed)
        app = application.create_app(
            settings,
            policies=found.policies,
            facts=found.facts,
            quotas=found.quotas,
            recorder=recorder,
            log=log,
        )
        readiness = app[application.READINESS]
        if sockets.metrics is not None:
            await stack.enter_async_context(serve_metrics(registry, sockets.metrics))
        connections = await stack.enter_async_context(
            _listening(app, sockets.reviews, tls=certificate.context, recorder=recorder)
        )
        for follow in (policies.follow, certificate.follow):
            stack.push_async_callback(_ended, asyncio.create_task(follow()))
        # What lives as long as the process needn't be looked at by each garbage collection.
        gc.collect()
        gc.freeze()
        readiness.reason = ""
        # A worker's parent says where they all listen, once the last one does.
        event = "listening" if sockets.metrics is not None else "worker listening"
        log.info(event, **addresses(sockets), pid=os.getpid())
        yield
        log.info("draining", connections=len(connections.open))
        readiness.drain()
        await connections.ended(seconds=settings.limits.drain_seconds)
    log.info("stopped")


@contextlib.asynccontextmanager
async def serve_metrics(registry: CollectorRegistry, bound: socket.socket) -> AsyncIterator[None]:
    """Serve /metrics over plain HTTP while the context is open."""
    runner = web.AppRunner(application.create_metrics_app(registry), access_log=None)
    await runner.setup()
    await web.SockSite(runner, bound).start()
    try:
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _listening(
    app: web.Application,
    bound: socket.socket,
    *,
    tls: ssl.SSLContext,
    recorder: metrics.Metrics,
) -> AsyncIterator[Connections]:
    """Serve the application over TLS; leaving stops to listen and finishes what is in flight."""
    limits = app[application.LIMITS]
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=limits.finish_seconds)
    await runner.setup()
    manager = runner.server
    assert manager is not None  # noqa: S101 -- setup() made it
    connections = Connections(manager, limits=limits, on_cut=recorder.client_cut)
    listener = await asyncio.get_running_loop().create_server(
        connections,
        sock=bound,
        ssl=tls,
        backlog=BACKLOG,
        ssl_handshake_timeout=limits.client_seconds,
    )
    try:
        yield connections
    finally:
        listener.close()
        # Whoever connected just before may be about to send; idle ones are closed after that.
        await connections.ended(seconds=limits.drain_seconds)
        await runner.cleanup()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def addresses(sockets: Sockets) -> dict[str, str]:
    """Name the real addresses; port 0 has become one by now."""
    named = {"address": str(address_of(sockets.reviews))}
    if sockets.metrics is not None:
        named["metrics_address"] = str(address_of(sockets.metrics))
    return named
