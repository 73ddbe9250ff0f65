"""Run by another environment's Python: each output through the ``headroom-ai`` that is installed there.

Reads a list of outputs as JSON from standard input, prints for each of the MODES the text that the model would get,
the steps that were taken, and seconds. The module is imported by name, since ours has the same.
"""

import importlib
import json
import logging
import sys
import time
from typing import Any

MODES: dict[str, dict[str, Any]] = {"default": {}, "agent": {"mode": "agent"}}
"""Its default, which may leave things out, and the mode that it calls lossless."""
MODEL = "claude-sonnet-4-5-20250929"


def conversation(output: dict[str, Any]) -> list[dict[str, Any]]:
    """A question, a call of the tool, and its output as the newest message."""
    call = {"type": "tool_use", "id": "toolu_1", "name": output["tool"], "input": output["arguments"]}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": output["text"]}
    return [
        {"role": "user", "content": output["query"]},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]


def main() -> None:
    logging.disable(logging.CRITICAL)
    compress = importlib.import_module("headroom").compress
    compress(conversation({"tool": "Bash", "arguments": {}, "query": "", "text": "x\n" * 2000}), model=MODEL)
    results: dict[str, dict[str, Any]] = {}
    for output in json.load(sys.stdin):
        found = results[output["name"]] = {}
        for mode, options in MODES.items():
            start = time.perf_counter()
            done = compress(conversation(output), model=MODEL, **options)
            took = time.perf_counter() - start
            text = done.messages[2]["content"][0]["content"]
            found[mode] = {"text": text, "steps": done.transforms_applied, "seconds": took}
    print(json.dumps(results))


if __name__ == "__main__":
    main()
