"""The mitmproxy addon: which flows are ours, and what happens to each in the order in which a flow meets it."""

import logging

from mitmproxy import connection, contentviews, ctx, exceptions, http, tls
from mitmproxy.addonmanager import Loader

from addon.direct import Direct
from addon.exchange import Exchanges
from addon.settings import OPTIONS, Settings, options_with_defaults, read_settings, wrong_deferred
from addon.view import HeadroomContentview
from headroom.errors import ConfigurationError
from headroom.wire.targets import is_provider_host

log = logging.getLogger("headroom")


class HeadroomAddon:
    """Rewrites provider requests; every other connection passes through undecrypted."""

    def __init__(self) -> None:
        self.exchanges: Exchanges | None = None
        self.settings: Settings | None = None
        self.direct = Direct(self._ready)

    def load(self, loader: Loader) -> None:
        try:
            every = list(options_with_defaults())
        except ConfigurationError:
            every = list(OPTIONS)  # configure says what is wrong: mitmproxy passes over an error of load
        for name, default, text in every:
            loader.add_option(name, type(default), default, text)
        for name, said in list(wrong_deferred(ctx.options)):
            # mitmproxy itself would go on without this addon, and say nothing
            del ctx.options.deferred[name]
            log.error("%s: %s", name, said)
        contentviews.add(HeadroomContentview())

    def configure(self, updated: set[str]) -> None:
        if self.settings is not None and not updated & {name for name, _, _ in OPTIONS}:
            return
        try:
            settings = read_settings(ctx.options)
        except ConfigurationError as error:
            raise exceptions.OptionsError(error.message) from None
        if self.settings is not None and settings.workspace != self.settings.workspace and self.exchanges is not None:
            self.exchanges.close()
            self.exchanges = None
        self.settings = settings
        if self.exchanges is not None:
            self.exchanges.configure(settings)

    def running(self) -> None:
        self._ready()

    def _ready(self) -> Exchanges:
        assert self.settings is not None  # configure comes before everything else
        if self.exchanges is None:
            self.exchanges = Exchanges(self.settings)
        return self.exchanges

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        assert self.settings is not None
        address = data.context.server.address
        host = data.client_hello.sni or (address[0] if address else "")
        if not is_provider_host(host, self.settings.hosts):
            data.ignore_connection = True

    def http_connect(self, flow: http.HTTPFlow) -> None:
        self._ready()
        self.direct.tunnel(flow)

    def client_disconnected(self, client: connection.Client) -> None:
        self.direct.gone(client)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        if flow.live and flow.response is None and flow.error is None:
            exchanges = self._ready()
            if not self.direct.request_headers(flow):
                exchanges.request_headers(flow)

    async def request(self, flow: http.HTTPFlow) -> None:
        if self.direct.is_answered_here(flow):
            await self.direct.request(flow)
        elif flow.live and flow.response is None and flow.error is None:
            await self._ready().request(flow)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        if self.exchanges is not None and not self.direct.is_answered_here(flow):
            self.exchanges.response_headers(flow)

    async def response(self, flow: http.HTTPFlow) -> None:
        self.direct.over(flow)
        if self.exchanges is not None:
            await self.exchanges.response(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self.direct.over(flow)
        if self.exchanges is not None:
            self.exchanges.ended(flow, reason=flow.error.msg if flow.error else "")

    def websocket_start(self, flow: http.HTTPFlow) -> None:
        if self.exchanges is not None:
            self.exchanges.upgraded(flow)

    async def websocket_message(self, flow: http.HTTPFlow) -> None:
        if self.exchanges is not None:
            await self.exchanges.sockets.message(flow)

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        if self.exchanges is not None:
            self.exchanges.sockets.end(flow)

    def done(self) -> None:
        if self.exchanges is not None:
            self.exchanges.close()
            self.exchanges = None
