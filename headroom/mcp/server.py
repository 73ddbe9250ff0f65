"""The server: MCP's messages in, the tools' answers out. What goes wrong is told to the model, which can do better."""

import logging
import socket
from collections.abc import Callable
from typing import Any

import anyio
import mcp_types as types
from anyio import to_thread
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from headroom import __version__
from headroom.api.gate import bearer, same
from headroom.errors import ConfigurationError, HeadroomError, without_message
from headroom.mcp.tools import Tools

log = logging.getLogger("headroom")
NAME = "headroom"


def make_server(tools: Tools) -> Server[Any]:
    """A server that lists ``tools`` and gives calls to them."""

    async def listed(_: Any, __: Any) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(name=tool.name, description=tool.description, input_schema=dict(tool.schema))
                for tool in tools.listed
            ]
        )

    async def called(_: Any, asked: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            text, failed = await to_thread.run_sync(tools.call, asked.name, asked.arguments or {}), False
        except HeadroomError as error:
            text, failed = error.message, True
        except Exception as error:
            log.error("a call of %s failed: %s", asked.name, without_message(error))
            text, failed = f"{asked.name} failed: {type(error).__name__}", True
        # what came with half a character is sent with a mark in its place: MCP is UTF-8
        said = text.encode("utf-8", "replace").decode()
        return types.CallToolResult(content=[types.TextContent(type="text", text=said)], is_error=failed)

    return Server(NAME, version=__version__, on_list_tools=listed, on_call_tool=called)


def serve(tools: Tools) -> None:
    """Serve one client until it closes its end."""

    async def run() -> None:
        server = make_server(tools)
        async with stdio_server() as (received, sent):
            await server.run(received, sent, server.create_initialization_options())

    try:
        anyio.run(run)
    finally:
        tools.close()


def serve_http(tools: Tools, port: int, key: str = "", ready: Callable[[str], object] = print) -> None:
    """Serve any number of clients over streamable HTTP on loopback until the process is told to end.

    ``port`` 0 takes a free one; ``ready`` is told the address. ``key``: clients have to show it as their bearer token.
    Requests that name another host, or come from a web page, are refused. Raises ConfigurationError for a taken port.
    """
    import uvicorn

    app: Any = make_server(tools).streamable_http_app(host="127.0.0.1")
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        ready(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp")
        config = uvicorn.Config(_locked(app, key) if key else app, log_level="warning", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        server.run(sockets=[listener])
    except OSError as error:
        raise ConfigurationError(
            f"port {port} can't be used: {error.strerror}",
            {"setting": "--port", "value": port, "allowed": "a free port"},
        ) from None
    finally:
        listener.close()
        tools.close()


def _locked(app: Any, key: str) -> Any:
    """``app`` for those who show the key."""

    async def asked(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            shown = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
            if not same(bearer(shown.decode("latin-1")), key):
                headers = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
                await send({"type": "http.response.start", "status": 401, "headers": headers})
                await send({"type": "http.response.body"})
                return
        await app(scope, receive, send)

    return asked
