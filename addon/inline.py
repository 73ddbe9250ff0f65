"""Calls of our tool answered within the exchange, with ``headroom_ccr_inline``: the program sees one answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from mitmproxy import http

from addon.rows import Exchange
from headroom.ccr.inline import ROUNDS, Said, follow_up, our_calls, read_answer, with_usage_of
from headroom.ccr.learning import Asked, who
from headroom.ccr.tool import TOKENS
from headroom.engine import Engine
from headroom.errors import without_message
from headroom.session.identity import lower_headers
from headroom.wire.shapes import read

log = logging.getLogger("headroom")


def may_answer(exchange: Exchange, response: http.Response, engine: Engine) -> bool:
    """Whether an answer is held back until it is whole, to see whether it calls our tool: one to a request that got the
    tool from us."""
    rewrite = exchange.rewrite
    return (
        engine.promises.settings.inline
        and exchange.outcome == "rewritten"
        and rewrite is not None
        and TOKENS in rewrite.saved
        and response.status_code == 200
        and response.headers.get("content-type", "").startswith(("application/json", "text/event-stream"))
    )


async def answer(
    flow: http.HTTPFlow,
    exchange: Exchange,
    engine: Engine,
    send: Callable[[http.HTTPFlow, bytes], Awaitable[http.Response | None]],
) -> None:
    """Let the provider go on with what was asked for, and put its last answer into ``flow``, with what all of them
    used. Whatever goes wrong, the answer that was there stays."""
    assert flow.response is not None
    shape, before, rounds = exchange.target.shape, [], 0
    try:
        body = flow.request.get_content(strict=True) or b""
        loop = asyncio.get_running_loop()
        response, said = flow.response, await _read(shape, flow.response)
        while rounds < ROUNDS and said.answer is not None and (calls := our_calls(shape, said.answer)):
            given = [
                await loop.run_in_executor(None, engine.promises.answer, call.arguments, lambda _: None)
                for call in calls
            ]
            results = [(call, one.text) for call, one in zip(calls, given, strict=True)]
            body = follow_up(read(shape, body), said.answer, results)
            next_one = await send(flow, body)
            if next_one is None or next_one.status_code != 200:
                break
            then = await _read(shape, next_one)
            if then.answer is None:
                break
            _learn(engine, exchange, flow, [one.hash for one in given if one.hash])
            before.append(said.answer)
            response, said, rounds = next_one, then, rounds + 1
        if rounds:
            response.content = with_usage_of(said, before)
            flow.response = response
            exchange.reason = f"{rounds} retrieval{'s' if rounds > 1 else ''} answered within the exchange"
    except Exception as error:
        log.warning("a retrieval could not be answered within the exchange: %s", without_message(error))


def _learn(engine: Engine, exchange: Exchange, flow: http.HTTPFlow, hashes: list[str]) -> None:
    if engine.learner is not None and exchange.rewrite is not None:
        asker = who(lower_headers(flow.request.headers), exchange.rewrite.model)
        engine.learner.take(Asked(asker, hash, "") for hash in hashes)


async def _read(shape: str, response: http.Response) -> Said:
    """Read an answer off the event loop: a long stream takes some milliseconds."""
    body = response.get_content(strict=True) or b""
    return await asyncio.get_running_loop().run_in_executor(None, read_answer, shape, body)
