"""The API as a Starlette app: one line a route, and what each answers in a file of its own."""

import asyncio
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from headroom import __version__, errors
from headroom.api import compressing, figures, gate, sessions
from headroom.api.checking import parse, wrong
from headroom.api.dashboard import asset, page
from headroom.api.errors import (
    ApiError,
    JSONResponse,
    error_response,
    on_any_error,
    on_api_error,
    on_headroom_error,
    on_http_error,
)
from headroom.api.openapi import COMPRESS_BODY, LOGIN_BODY, RETRIEVE_BODY, TOOL_CALL_BODY, document
from headroom.api.prometheus import CONTENT_TYPE, Metrics
from headroom.api.retrieving import Retrieving
from headroom.api.world import World, content_token

EVENT_SECONDS = 20.0
"""So long an event stream stays open when nothing happens; the browser then comes back."""
EVENT_LOOK_SECONDS = 0.2


class Api:
    """The handlers; plain functions are run in threads, for they read the ledger."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.metrics_of = Metrics(world)
        self.originals = Retrieving(world)

    def health(self, _: Request) -> Response:
        running, ledger = self.world.running, self.world.ledger
        well = ledger.problem is None
        return JSONResponse(
            {
                "status": "healthy" if well else "degraded",
                "version": __version__,
                "pid": os.getpid(),
                "uptime_seconds": time.time() - self.world.started,
                "config": {
                    "optimize": running.mode == "optimize",
                    "mode": running.mode,
                    "cache": running.cache,
                    "rate_limit": True,
                    **running.more,
                },
            }
        )

    def live(self, _: Request) -> Response:
        return JSONResponse({"status": "alive"})

    def ready(self, _: Request) -> Response:
        problem = self.world.ledger.problem
        if problem is not None:
            return error_response(503, "storage_error", "the ledger can't be used; requests wait in memory")
        return JSONResponse({"status": "ready"})

    def stats(self, _: Request) -> Response:
        return JSONResponse(figures.stats(self.world, self.originals.stats(whole=False)))

    def summary(self, request: Request) -> Response:
        since = request.query_params.get("since", "all")
        _one_of("since", since, figures.BEGINS)
        begin = figures.begin_of(since)
        ledger = self.world.ledger
        by = {
            name: [{"name": group, **figures.summary(sums)} for group, sums in ledger.by(name, begin)[:100]]
            for name in ("project", "model", "client")
        }
        totals = figures.summary(ledger.totals(since=begin))
        return JSONResponse({"since": since, "totals": totals, "by": by, "budget": figures.budget(self.world)})

    def subscription(self, _: Request) -> Response:
        return JSONResponse({"plans": [asdict(plan) for plan in self.world.subscriptions.plans()]})

    def history(self, request: Request) -> Response:
        series = request.query_params.get("series", "history")
        form = request.query_params.get("format", "json")
        _one_of("series", series, figures.SERIES)
        _one_of("format", form, ("json", "csv"))
        points = figures.history(self.world, series)
        if form == "csv":
            names = list(points[0]) if points else ["timestamp"]
            lines = [",".join(names), *(",".join(str(point[name]) for name in names) for point in points)]
            return PlainTextResponse("\r\n".join(lines) + "\r\n", media_type="text/csv; charset=utf-8")
        return JSONResponse({"series": series, series: points})

    def metrics(self, _: Request) -> Response:
        return Response(self.metrics_of.text(), headers={"content-type": CONTENT_TYPE})

    def sessions(self, request: Request) -> Response:
        limit = _whole("limit", request.query_params.get("limit", "50"), 1, 500)
        return JSONResponse({"sessions": sessions.listed(self.world, limit)})

    def session(self, request: Request) -> Response:
        return JSONResponse(sessions.timeline(self.world, request.path_params["session"], self._may_see(request)))

    def troubles(self, request: Request) -> Response:
        limit = _whole("limit", request.query_params.get("limit", "50"), 1, 500)
        reasons = [{"reason": reason, "requests": times} for reason, times in self.world.ledger.reasons()[:50]]
        return JSONResponse({"requests": sessions.troubles(self.world, limit), "reasons": reasons})

    def retrievals(self, request: Request) -> Response:
        limit = _whole("limit", request.query_params.get("limit", "50"), 1, 500)
        whole = self._may_see(request)
        asked = self.originals.stats(whole)["recent_retrievals"]
        return JSONResponse({"whole": whole, "retrievals": sessions.retrievals(self.world, asked, limit, whole)})

    async def events(self, request: Request) -> Response:
        """Server-sent events: what ended since ``Last-Event-ID``, as soon as there is something."""
        live, after = self.world.live, self.world.live.last
        said = request.headers.get("last-event-id")
        # a browser that comes back asks the same address once more, and says in the header how far it got
        for name, named in (("after", request.query_params.get("after")), ("last-event-id", said)):
            if named is not None:
                after = _whole(name, named, 0, 2**53)
        if after > live.last:  # of a proxy that ran before
            after = live.last
        end = time.monotonic() + EVENT_SECONDS
        while live.last <= after and time.monotonic() < end:
            await asyncio.sleep(EVENT_LOOK_SECONDS)
        lines = ["retry: 500", ""]
        for seen in live.since(after):
            data = json.dumps(figures.request_metrics(seen.row))
            lines += [f"id: {seen.number}", "event: exchange", f"data: {data}", ""]
        if len(lines) == 2:
            lines += [f"id: {live.last}", "event: quiet", "data: {}", ""]
        body = "\n".join(lines) + "\n"
        return Response(body, headers={"content-type": "text/event-stream", "cache-control": "no-store"})

    async def login(self, request: Request) -> Response:
        """A browser shows the key or the token once, and gets a cookie for it."""
        body = await _json_object(request, LOGIN_BODY)
        shown = body.get("key")
        running = self.world.running
        keys = [running.key, content_token(running.workspace)]
        right = next((key for key in keys if key and isinstance(shown, str) and gate.same(shown, key)), None)
        if right is None:
            raise ApiError(401, "authentication_error", "this is not the key; `headroom dashboard` prints the address")
        answer = JSONResponse({"status": "ok"})
        answer.set_cookie(gate.COOKIE, gate.cookie_for(right), httponly=True, samesite="strict", path="/")
        return answer

    def _may_see(self, request: Request) -> bool:
        """Whether somebody may see the texts of requests: others on this machine reach the port, too."""
        running = self.world.running
        keys = [key for key in (running.key, content_token(running.workspace)) if key]
        return any(gate.has_key(dict(request.headers), key) for key in keys)

    async def compress(self, request: Request) -> Response:
        body = await _json_object(request, COMPRESS_BODY)
        return JSONResponse(await run_in_threadpool(compressing.answer, body))

    async def retrieve(self, request: Request) -> Response:
        body = await _json_object(request, RETRIEVE_BODY)
        return JSONResponse(await run_in_threadpool(self.originals.retrieve, body.get("hash"), body.get("query")))

    def retrieve_one(self, request: Request) -> Response:
        query = request.query_params.get("query")
        return JSONResponse(self.originals.retrieve(request.path_params["hash"], query))

    async def tool_call(self, request: Request) -> Response:
        body = await _json_object(request, TOOL_CALL_BODY)
        return JSONResponse(await run_in_threadpool(self.originals.tool_call, body))

    def retrieve_stats(self, request: Request) -> Response:
        return JSONResponse(self.originals.stats(self._may_see(request)))

    def clear(self, _: Request) -> Response:
        from headroom.semantic_cache.cache import FILE, clear

        return JSONResponse({"status": "cleared", "entries": clear(self.world.running.workspace / FILE)})

    def openapi(self, _: Request) -> Response:
        return JSONResponse(document(__version__))


def make_app(world: World) -> Starlette:
    """The app. Who may ask is for whoever hands requests to it (``gate``)."""
    api = Api(world)
    handlers: dict[Any, Any] = {
        ApiError: on_api_error,
        errors.HeadroomError: on_headroom_error,
        HTTPException: on_http_error,
        Exception: on_any_error,
    }
    return Starlette(
        routes=[
            Route("/health", api.health),
            Route("/livez", api.live),
            Route("/readyz", api.ready),
            Route("/stats", api.stats),
            Route("/stats/summary", api.summary),
            Route("/stats-history", api.history),
            Route("/metrics", api.metrics),
            Route("/cache/clear", api.clear, methods=["POST"]),
            Route("/v1/compress", api.compress, methods=["POST"]),
            Route("/v1/retrieve", api.retrieve, methods=["POST"]),
            Route("/v1/retrieve/stats", api.retrieve_stats),
            Route("/v1/retrieve/tool_call", api.tool_call, methods=["POST"]),
            Route("/v1/retrieve/{hash}", api.retrieve_one),
            Route("/sessions", api.sessions),
            Route("/sessions/{session:path}", api.session),
            Route("/troubles", api.troubles),
            Route("/retrievals", api.retrievals),
            Route("/events", api.events),
            Route("/subscription", api.subscription),
            Route("/openapi.json", api.openapi),
            Route(gate.LOGIN_PATH, api.login, methods=["POST"]),
            Route("/dashboard/static/{name}", asset),
            Route("/dashboard", page),
            Route("/", page),
        ],
        exception_handlers=handlers,
    )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ApiError(400, "validation_error", f"{name} is {value[:50]!r}; allowed: {' | '.join(allowed)}")


def _whole(name: str, value: str, least: int, most: int) -> int:
    if not (value.isascii() and value.isdigit() and least <= int(value[:20]) <= most):
        raise ApiError(400, "validation_error", f"{name} is {value[:50]!r}; allowed: a number from {least} to {most}")
    return int(value)


async def _json_object(request: Request, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The body. Raises ApiError where it is not as the OpenAPI document says."""
    try:
        body = await run_in_threadpool(parse, await request.body())
    except ValueError as error:
        raise ApiError(400, "validation_error", f"the body is not JSON: {str(error)[:100]}") from None
    if not isinstance(body, dict):
        raise ApiError(400, "validation_error", f"the body is a JSON {type(body).__name__}; expected an object")
    found = wrong(schema, body)
    if found is not None:
        place, what = found
        kind = "configuration_error" if place.startswith("config.") else "validation_error"
        raise ApiError(400, kind, f"{place} {what}")
    return body
