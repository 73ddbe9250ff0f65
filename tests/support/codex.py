"""Codex's WebSocket through the proxy, in the hands of one thread.

A connection of which one thread reads and another writes, as that of ``websockets.sync``, can hang within OpenSSL.
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.support.stage import Stage

URL = "chatgpt.com/backend-api/codex/responses"
LAST = ("response.completed", "error")
SECONDS = 30
type Json = dict[str, Any]


@contextlib.contextmanager
def websocket(on: Stage, headers: Mapping[str, str]) -> Iterator[Callable[[Json], list[Json]]]:
    """A connection: a function that sends a ``response.create`` and gives back the events of its answer."""
    trust = ssl.create_default_context(cafile=str(on.proxy.certificate))

    async def opened() -> ClientConnection:
        return await connect(f"wss://{URL}", ssl=trust, proxy=on.proxy.url, additional_headers=headers)

    async def answered(socket: ClientConnection, request: Json) -> list[Json]:
        await socket.send(json.dumps(request))
        events: list[Json] = []
        while not events or events[-1]["type"] not in LAST:
            events.append(json.loads(await socket.recv()))
        return events

    with asyncio.Runner() as loop:
        socket = loop.run(opened())
        try:
            yield lambda request: loop.run(asyncio.wait_for(answered(socket, request), SECONDS))
        finally:
            loop.run(socket.close())
