"""The MCP server as a client sees it: started as a process, asked over standard input and output."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client, StdioServerParameters, stdio_client

from headroom.ccr.originals import hash_of, open_originals, original_of
from headroom.ccr.tool import DESCRIPTION
from headroom.ccr.ways import TOOL
from headroom.errors import StorageError, ValidationError
from headroom.ledger import Ledger
from headroom.mcp.tools import Tools
from headroom.paths import ledger_path
from tests.ledger.rows import exchange

INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}
TEXT = "\n".join(f"line {n}: {'refused' if n == 77 else 'ok'}" for n in range(200))


@asynccontextmanager
async def client(*options: str) -> AsyncIterator[Client]:
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "headroom.cli.main", "mcp", *options], env=dict(os.environ)
    )
    async with Client(stdio_client(parameters)) as made:
        yield made


def text_of(result: Any) -> str:
    (part,) = result.content
    return str(part.text)


@pytest.fixture
def kept() -> str:
    """The hash of an original in the workspace."""
    store = open_originals()
    store.keep([original_of(TEXT, "s1", "Bash", "make")])
    store.close()
    return hash_of(TEXT)


async def test_a_client_lists_the_tools_and_gets_an_original_back(kept: str) -> None:
    async with client() as to:
        tools = (await to.list_tools()).tools
        assert [tool.name for tool in tools] == ["headroom_retrieve", "headroom_compress", "headroom_stats"]
        assert tools[0].description == DESCRIPTION and tools[0].input_schema["required"] == ["hash"]
        found = await to.call_tool(TOOL, {"hash": kept})
        assert not found.is_error and text_of(found) == TEXT
        part = text_of(await to.call_tool(TOOL, {"hash": f"hash={kept}", "query": "refused"}))
        assert "line 77: refused" in part and len(part) < len(TEXT) / 4
        unknown = await to.call_tool(TOOL, {"hash": "0" * 24})
        assert unknown.is_error and "nothing was ever kept under the hash 000000000000000000000000" in text_of(unknown)
        assert "needs the argument hash" in text_of(await to.call_tool(TOOL, {}))


async def test_a_client_has_a_text_compressed(kept: str) -> None:
    rows = json.dumps([{"id": n, "name": f"part {n}", "state": "active"} for n in range(200)])
    async with client() as to:
        said = text_of(await to.call_tool("headroom_compress", {"text": rows, "tool": "parts"}))
        assert len(said) < len(rows) / 2 and "part 199" in said
        assert text_of(await to.call_tool("headroom_compress", {"text": "short"})) == "short"
        assert (await to.call_tool("headroom_compress", {})).is_error


async def test_a_client_gets_the_figures() -> None:
    async with client() as to:
        assert text_of(await to.call_tool("headroom_stats", {})) == "No request was seen yet."
        ledger = Ledger(ledger_path())
        ledger.record(exchange())
        ledger.close()
        found = json.loads(text_of(await to.call_tool("headroom_stats", {"since": "all"})))
        assert (found["since"], found["requests"], found["tokens_saved"]) == ("all", 1, 300)
        assert "since is 'ever'" in text_of(await to.call_tool("headroom_stats", {"since": "ever"}))


async def test_memory_is_there_when_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    async with client("--memory-db-path", str(path), "--project", str(tmp_path)) as to:
        names = [tool.name for tool in (await to.list_tools()).tools]
        assert names[3:] == ["memory_save", "memory_search", "memory_forget"]
        saved = text_of(await to.call_tool("memory_save", {"text": "The suite runs with pytest"}))
        id = re.findall(r"[0-9a-f]{12}", saved)[0]
        assert f"[{id}]" in text_of(await to.call_tool("memory_search", {"query": "suite"}))
        assert text_of(await to.call_tool("memory_forget", {"id": id})) == "Forgotten."
        assert (await to.call_tool("memory_save", {"text": ""})).is_error
    assert path.exists()


@contextmanager
def over_http(**environment: str) -> Iterator[str]:
    """The address of a server of its own process."""
    command = [sys.executable, "-m", "headroom.cli.main", "mcp", "--port", "0"]
    with subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


async def test_clients_over_http_get_the_same(kept: str) -> None:
    with over_http() as url:
        assert url.startswith("http://127.0.0.1:")
        async with Client(url) as one, Client(url) as other:
            for to in (one, other):
                assert text_of(await to.call_tool(TOOL, {"hash": kept})) == TEXT


def test_a_web_page_and_another_hosts_name_are_refused_over_http() -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"accept": "application/json, text/event-stream"}
    with over_http() as url:
        for headers in ({"origin": "https://evil.example"}, {"host": "evil.example"}):
            assert httpx.post(url, json=asked, headers=accept | headers, trust_env=False).status_code in (403, 421)


def test_where_there_is_a_key_it_has_to_be_shown_over_http() -> None:
    with over_http(HEADROOM_API_KEY="the-key") as url:
        for shown, status in ((None, 401), ("Bearer other", 401), ("Bearer the-key", 200)):
            asked = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
            headers = {"accept": "application/json, text/event-stream"} | ({"authorization": shown} if shown else {})
            assert httpx.post(url, json=asked, headers=headers, trust_env=False).status_code == status


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "headroom.cli.main", "mcp", "--port", port]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode and f"port {port}" in ran.stderr and "Traceback" not in ran.stderr


def test_without_memory_its_tools_are_none() -> None:
    tools = Tools()
    with pytest.raises(ValidationError, match="'memory_save' is none of the tools headroom_retrieve"):
        tools.call("memory_save", {"text": "a"})
    tools.close()


def test_an_original_that_expired_is_told_from_one_that_never_was(kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 40 * 86_400)
    tools = Tools()
    with pytest.raises(StorageError, match="was kept for a while and is gone now"):
        tools.call(TOOL, {"hash": kept})
    tools.close()
