"""The proxy's addon in the test's own process: what it makes of a request, before it would leave."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from mitmproxy import http
from mitmproxy.test import taddons, tflow

from addon import HeadroomAddon

ANTHROPIC = "https://api.anthropic.com/v1/messages"
OPENAI = "https://api.openai.com/v1/responses"
MODEL, SYSTEM = "claude-sonnet-4-5", "You are a coding agent. " * 50


class Proxied:
    """Requests through the addon."""

    def __init__(self, addon: HeadroomAddon) -> None:
        self._addon = addon

    async def send(
        self, headers: Mapping[str, str], said: str = "Hello!", url: str = ANTHROPIC, body: Any = None
    ) -> http.HTTPFlow:
        """The flow of a request of one conversation, or with this body, when it has been handled."""
        if body is not None:
            pass
        elif url == ANTHROPIC:
            body = {"model": MODEL, "max_tokens": 9, "system": SYSTEM}
            body["messages"] = [{"role": "user", "content": said}]
        else:
            body = {"model": "gpt-5", "instructions": SYSTEM, "input": said}
        request = http.Request.make("POST", url, json.dumps(body).encode())
        request.headers.update({"content-type": "application/json", **headers})
        flow = tflow.tflow(req=request)
        self._addon.requestheaders(flow)
        await self._addon.request(flow)
        return flow

    async def betas(self, headers: Mapping[str, str], said: str = "Hello!", url: str = ANTHROPIC) -> str | None:
        """What leaves as the beta header of a request."""
        flow = await self.send(headers, said, url)
        assert flow.response is None
        name = "anthropic-beta" if url == ANTHROPIC else "openai-beta"
        value: str | None = flow.request.headers.get(name)
        return value


@contextlib.asynccontextmanager
async def proxied(**options: Any) -> AsyncIterator[Proxied]:
    """The addon with these options, and time enough on a busy machine."""
    addon = HeadroomAddon()
    with taddons.context(addon) as context:
        context.configure(addon, headroom_time_budget=30_000, **options)
        addon.running()
        yield Proxied(addon)
        addon.done()
