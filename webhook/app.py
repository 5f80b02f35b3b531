"""The application: which path is answered by what."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from webhook import handlers, metrics
from webhook import review as codec
from webhook.facts import FactsSource
from webhook.settings import Limits, Settings

READINESS = web.AppKey("readiness", handlers.Readiness)
LIMITS = web.AppKey("limits", Limits)


def create_app(
    settings: Settings,
    *,
    policies: handlers.PolicySource,
    facts: FactsSource,
    recorder: handlers.Recorder,
    log: FilteringBoundLogger,
    quotas: handlers.Quotas | None = None,
) -> web.Application:
    """Make the application that is served on the TLS port."""
    app = web.Application(client_max_size=settings.limits.body_bytes)
    app[READINESS] = readiness = handlers.Readiness()
    app[LIMITS] = settings.limits
    for endpoint, answer in (("mutate", handlers.mutation), ("validate", handlers.validation)):
        reviews = handlers.Reviews(
            endpoint=endpoint,
            answer=answer,
            policies=policies,
            facts=facts,
            recorder=recorder,
            readiness=readiness,
            log=log,
            limits=settings.limits,
            quotas=quotas if endpoint == "validate" else None,
        )
        _route(app, f"/{endpoint}", reviews.handle)

    async def ready(request: web.Request) -> web.Response:
        unready = facts.unready or policies.unready or (quotas.unready if quotas else "")
        if reason := readiness.reason or unready:
            return answer_json(request, 503, codec.errored(503, reason))
        return answer_json(request, 200, b'{"ready":true}')

    async def healthy(request: web.Request) -> web.Response:
        return answer_json(request, 200, b'{"healthy":true}')

    _route(app, "/readyz", ready)
    _route(app, "/healthz", healthy)
    _route(app, "/{path:.*}", _not_found)
    return app


def create_metrics_app(registry: CollectorRegistry) -> web.Application:
    """Make the application that is served on the metrics port."""
    app = web.Application()

    async def page(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.page(registry), headers={"Content-Type": metrics.TYPE})

    app.router.add_get("/metrics", page)
    return app


def answer_json(request: web.Request, status: int, body: bytes) -> web.Response:
    """Answer a GET with JSON, and anything else with 405."""
    headers = {}
    if request.method not in ("GET", "HEAD"):
        status, body = 405, codec.errored(405, f"{request.method} is not allowed here; use GET")
        headers["Allow"] = "GET, HEAD"
    return web.Response(status=status, body=body, headers=headers, content_type="application/json")


def _route(app: web.Application, path: str, handler: Handler) -> None:
    app.router.add_route("*", path, handler, expect_handler=_expect)


async def _not_found(_request: web.Request) -> web.Response:
    message = "there is nothing here; reviews go to /mutate and /validate"
    return web.Response(
        status=404, body=codec.errored(404, message), content_type="application/json"
    )


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """Let a client that asks first send its body, without an error page for other wishes."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # as aiohttp does: the answer proper is still to come
    return None
