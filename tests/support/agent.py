"""An agent that loops on tool calls, in each of the four shapes: what a client does that does not know our tool."""

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.coding import KEY

Json = dict[str, Any]
Tool = Callable[[Mapping[str, Any]], str]
PATHS = {
    "anthropic": "https://api.anthropic.com/v1/messages",
    "openai-chat": "https://api.openai.com/v1/chat/completions",
    "openai-responses": "https://api.openai.com/v1/responses",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-flash:generateContent",
}
SHAPES = tuple(PATHS)


class Agent:
    """``tools`` are what it has, by name; for any other it tells the model in its client's words that there is none.

    ``ask`` sends the user's words and works until the model calls no tool any more; ``answers`` are what it got.
    """

    def __init__(
        self, shape: str, tools: Mapping[str, Tool], send: Callable[[bytes], Json], /, **fields: object
    ) -> None:
        self.shape, self.tools, self.send, self.fields = shape, tools, send, fields
        self.turns: list[Json] = []
        self.answers: list[Json] = []

    def ask(self, words: str, most: int = 12) -> str:
        self.turns.append(self._said(words))
        for _ in range(most):
            answer = self.send(self.body())
            self.answers.append(answer)
            calls, text = self._take(answer)
            if not calls:
                return text
            self._results([(id, name, *self._run(name, arguments)) for id, name, arguments in calls])
        raise AssertionError(f"the model still calls tools after {most} requests")

    def body(self) -> bytes:
        """The request as it is now."""
        return json.dumps(copy.deepcopy(self._request())).encode()

    def _run(self, name: str, arguments: Mapping[str, Any]) -> tuple[str, bool]:
        if name in self.tools:
            return self.tools[name](arguments), False
        return {
            "anthropic": f"<tool_use_error>Error: No such tool available: {name}</tool_use_error>",
            "openai-chat": f"unknown tool {name}",
            "openai-responses": f"unsupported call: {name}",
            "gemini": f'Tool "{name}" not found.',
        }[self.shape], True

    def _request(self) -> Json:
        schema = {"type": "object", "properties": {"page": {"type": "string"}}}
        named = [{"name": name, "description": f"Runs {name}."} for name in self.tools]
        match self.shape:
            case "anthropic":
                tools: list[Json] = [{**tool, "input_schema": schema} for tool in named]
                fields: Json = {"model": "claude-sonnet-4-5", "max_tokens": 500, "system": "You work.", "tools": tools}
                return {**fields, **self.fields, "messages": self.turns}
            case "openai-chat":
                tools = [{"type": "function", "function": {**tool, "parameters": schema}} for tool in named]
                turns = [{"role": "system", "content": "You work."}, *self.turns]
                return {"model": "gpt-5", "tools": tools, **self.fields, "messages": turns}
            case "openai-responses":
                tools = [{"type": "function", **tool, "parameters": schema} for tool in named]
                fields = {"model": "gpt-5", "instructions": "You work.", "store": False, "tools": tools}
                return {**fields, **self.fields, "input": self.turns}
        tools = [{"functionDeclarations": [{**tool, "parametersJsonSchema": schema} for tool in named]}]
        system = {"parts": [{"text": "You work."}]}
        return {"systemInstruction": system, "tools": tools, **self.fields, "contents": self.turns}

    def _said(self, words: str) -> Json:
        if self.shape == "gemini":
            return {"role": "user", "parts": [{"text": words}]}
        return {"role": "user", "content": words}

    def _take(self, answer: Json) -> tuple[list[tuple[str, str, Json]], str]:
        """Take an answer into the conversation: its calls, and its text."""
        match self.shape:
            case "anthropic":
                self.turns.append({"role": "assistant", "content": answer["content"]})
                calls = [(b["id"], b["name"], b["input"]) for b in answer["content"] if b["type"] == "tool_use"]
                return calls, "".join(b["text"] for b in answer["content"] if b["type"] == "text")
            case "openai-chat":
                message = answer["choices"][0]["message"]
                self.turns.append(message)
                made = message.get("tool_calls") or ()
                calls = [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in made]
                return calls, message["content"] or ""
            case "openai-responses":
                self.turns += answer["output"]
                made = [item for item in answer["output"] if item["type"] == "function_call"]
                calls = [(item["call_id"], item["name"], json.loads(item["arguments"])) for item in made]
                said = [item for item in answer["output"] if item["type"] == "message"]
                return calls, "".join(part["text"] for item in said for part in item["content"])
        content = answer["candidates"][0]["content"]
        self.turns.append(content)
        made = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
        return [(c["id"], c["name"], c["args"]) for c in made], "".join(p.get("text", "") for p in content["parts"])

    def _results(self, results: list[tuple[str, str, str, bool]]) -> None:
        match self.shape:
            case "anthropic":
                blocks = [
                    {"type": "tool_result", "content": text, "is_error": error, "tool_use_id": id}
                    for id, _, text, error in results
                ]
                self.turns.append({"role": "user", "content": blocks})
            case "openai-chat":
                self.turns += [{"role": "tool", "tool_call_id": id, "content": text} for id, _, text, _ in results]
            case "openai-responses":
                self.turns += [
                    {"type": "function_call_output", "call_id": id, "output": text} for id, _, text, _ in results
                ]
            case "gemini":
                parts = [
                    {"functionResponse": {"id": id, "name": name, "response": {"error" if error else "output": text}}}
                    for id, name, text, error in results
                ]
                self.turns.append({"role": "user", "parts": parts})


def results(shape: str, body: Json) -> list[Json]:
    """The tool results in a request, in their order: ``call``, ``text`` and ``error`` as the shape flags it."""
    match shape:
        case "anthropic":
            blocks = [b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"]]
            found = [b for b in blocks if b["type"] == "tool_result"]
            return [{"call": b["tool_use_id"], "text": b["content"], "error": b["is_error"]} for b in found]
        case "openai-chat":
            tools = [m for m in body["messages"] if m["role"] == "tool"]
            return [{"call": m["tool_call_id"], "text": m["content"], "error": False} for m in tools]
        case "openai-responses":
            items = [i for i in body["input"] if i.get("type") == "function_call_output"]
            return [{"call": i["call_id"], "text": i["output"], "error": False} for i in items]
    parts = [p["functionResponse"] for c in body["contents"] for p in c["parts"] if "functionResponse" in p]
    return [
        {"call": p["id"], "text": next(iter(p["response"].values())), "error": "error" in p["response"]} for p in parts
    ]


def tools(shape: str, body: Json) -> list[Json]:
    """The tools that a request lists."""
    listed: list[Json] = body["tools"]
    return listed[0]["functionDeclarations"] if shape == "gemini" else listed


def name_of(tool: Json) -> str:
    return str(tool.get("name") or tool["function"]["name"])


HEADERS = {**KEY, "authorization": "Bearer sk-test", "x-goog-api-key": "test", "anthropic-version": "2023-06-01"}
