"""`headroom compress`: a filter for pipelines, and for files with requests."""

import json
import subprocess
from pathlib import Path

from headroom.tokenizers import count
from tests.cli.conftest import Place

LOG = "".join(f"2026-01-02 03:04:05 INFO worker did its item {i}\n" for i in range(300))
TWICE = "".join(f"line {i} of what is said twice\n" for i in range(200))
REQUEST = {
    "model": "claude-sonnet-4-5",
    "temperature": 0.50,
    "messages": [
        {"role": "user", "content": "Run it twice."},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "toolu_1", "name": "run", "input": {}},
                {"type": "tool_use", "id": "toolu_2", "name": "run", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": TWICE},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": TWICE},
            ],
        },
    ],
}


def test_what_comes_down_a_pipe_goes_out_in_fewer_tokens(place: Place) -> None:
    done = place.headroom("compress", "--command", "cat worker.log", said=LOG)
    assert count(done.stdout) < count(LOG) / 2 and done.stderr == ""
    assert all(word in done.stdout for word in ("2026-01-02 03:04:05", "INFO worker did its item", "299"))
    told = place.headroom("compress", "--json", said=LOG)
    data = json.loads(told.stdout)
    assert data["kind"] == "text" and data["text"] == done.stdout
    assert data["tokens_saved"] == data["tokens_before"] - data["tokens_after"] > 0


def test_a_request_stays_a_request_with_all_else_as_it_was(place: Place) -> None:
    file = place.home / "request.json"
    file.write_text(json.dumps(REQUEST, indent=1))
    done = place.headroom("compress", str(file), "--verbose")
    head = file.read_text().partition("toolu_2")[0]
    assert done.stdout.startswith(head)  # byte for byte, up to what is said again
    results = json.loads(done.stdout)["messages"][2]["content"]
    assert results[0]["content"] == TWICE and len(results[1]["content"]) < len(TWICE) / 4
    assert "tokens" in done.stderr and done.stderr.count("\n") == 1
    messages = place.headroom("compress", "-", said=json.dumps(REQUEST["messages"]))
    assert json.loads(messages.stdout)[2] == json.loads(done.stdout)["messages"][2]
    rows = json.dumps([{"id": i, "name": f"n{i}", "state": "open"} for i in range(60)])
    assert json.loads(place.headroom("compress", "--json", said=rows).stdout)["kind"] == "text"


def test_what_is_no_text_goes_out_as_it_is(place: Place) -> None:
    raw = bytes(range(256)) * 10
    done = subprocess.run(place.command("compress"), input=raw, capture_output=True, env=place.environment, cwd=_root())
    assert (done.stdout, done.returncode) == (raw, 0) and b"UTF-8" in done.stderr


def test_a_file_that_is_not_there_is_said(place: Place) -> None:
    assert "no-such-file" in place.headroom("compress", "no-such-file", code=2).stderr


def _root() -> Path:
    from tests.support.proxy import ROOT

    return ROOT
