"""Requests that are sent to the provider a second time: with another body, or as the client wrote them."""

import logging
from typing import cast

from mitmproxy import ctx, http
from mitmproxy.addons.clientplayback import ReplayHandler

from headroom.errors import without_message

log = logging.getLogger("headroom")


class Resender:
    """Sends copies of flows. These pass our hooks untouched: they belong to another's exchange."""

    def __init__(self) -> None:
        self._flows: set[str] = set()

    def __contains__(self, flow_id: str) -> bool:
        return flow_id in self._flows

    async def send(self, flow: http.HTTPFlow, body: bytes) -> http.Response | None:
        """The provider's answer to the same request with another body; None where there is none."""
        again = flow.copy()
        again.request.content = body
        return await self._replay(again)

    async def send_original(
        self, flow: http.HTTPFlow, headers: http.Headers, original: bytes
    ) -> tuple[http.Request, http.Response | None]:
        """The request as the client wrote it, and the provider's answer; None where there is none."""
        again = flow.copy()
        again.request.headers = headers.copy()
        again.request.raw_content = original
        try:
            return again.request, await self._replay(again)
        except Exception as error:
            log.warning("the original request could not be sent again: %s", without_message(error))
        return again.request, None

    async def _replay(self, again: http.HTTPFlow) -> http.Response | None:
        again.response = None
        self._flows.add(again.id)
        try:
            await ReplayHandler(again, ctx.options).replay()
        finally:
            self._flows.discard(again.id)
        return cast("http.Response | None", again.response)
