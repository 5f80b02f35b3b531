"""One client's connection: aiohttp's own, with a time limit for headers and errors as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from aiohttp import web

from webhook import review as codec
from webhook.settings import Limits


class Connections:
    """
    Makes connections, and knows those that are open: a drain waits for them.

    They count from their TCP handshake on. A TLS 1.3 client may have sent its review before the
    server knows that the TLS handshake is done, and aiohttp knows of a connection only after that.
    """

    def __init__(self, manager: web.Server, *, limits: Limits, on_cut: Callable[[], None]) -> None:
        self.on_cut = on_cut
        self.open: WeakSet[Connection] = WeakSet()  # a failed handshake only lets go
        self._manager = manager
        self._limits = limits
        self._loop = asyncio.get_running_loop()

    def __call__(self) -> Connection:
        """Make the protocol of a new connection."""
        return Connection(self._manager, self, limits=self._limits, loop=self._loop)

    async def ended(self, *, seconds: float) -> None:
        """Wait until none is open, but not longer than that."""
        end = self._loop.time() + seconds
        # Looked at, not waited for: a handshake that fails tells nobody.
        while self.open and self._loop.time() < end:  # noqa: ASYNC110 -- see above
            await asyncio.sleep(0.02)


class Connection(web.RequestHandler):
    """
    Cuts a client that begins a request and doesn't finish its headers in time.

    aiohttp bounds only how long a connection may idle, which must be long here (`idle_seconds`):
    a client that sends a byte now and then would hold its connection for as long.
    """

    __slots__ = ("__weakref__", "_cut_timer", "_header_seconds", "_on_cut", "_open")

    def __init__(
        self, manager: web.Server, crowd: Connections, *, limits: Limits, **options: Any
    ) -> None:
        super().__init__(
            manager,
            keepalive_timeout=limits.idle_seconds,
            lingering_time=limits.linger_seconds,
            auto_decompress=False,  # a review is never compressed, and a bomb would be
            access_log=None,  # type: ignore[arg-type]  # as aiohttp's own runner does
            **options,
        )
        self._header_seconds = limits.client_seconds
        self._on_cut = crowd.on_cut
        self._open = crowd.open
        self._open.add(self)
        self._cut_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Take bytes in; start the clock when they don't complete the headers of a request."""
        super().data_received(data)
        if self._awaits_headers():
            if self._cut_timer is None:
                self._cut_timer = self._loop.call_later(self._header_seconds, self._cut)
        elif self._cut_timer is not None:
            self._stop_timer()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the clock, and that there was a connection."""
        self._stop_timer()
        self._open.discard(self)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, and what our handlers let through, with JSON."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already; it can't be replaced")
        if status >= 500:
            self.log_exception("Error handling request", exc_info=exc)
            message = "the webhook failed; its log says why"
        said = codec.one_line((message or "the request is not HTTP").split("\n", 1)[0])
        response = web.Response(
            status=status, body=codec.errored(status, said), content_type="application/json"
        )
        response.force_close()
        return response

    def _awaits_headers(self) -> bool:
        if self._force_close or self._messages:
            return False
        waiter = self._waiter
        return self._request_count == 0 or (waiter is not None and not waiter.done())

    def _cut(self) -> None:
        self._cut_timer = None
        if self._awaits_headers():
            self._on_cut()
            self.force_close()

    def _stop_timer(self) -> None:
        if self._cut_timer is not None:
            self._cut_timer.cancel()
            self._cut_timer = None
