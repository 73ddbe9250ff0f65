"""The server: MCP's messages in, the tools' answers out. What goes wrong is told to the model, which can do better."""

import logging
from typing import Any

import anyio
import mcp_types as types
from anyio import to_thread
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from headroom import __version__
from headroom.errors import HeadroomError, without_message
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
