"""LangChain: a middleware that makes what an agent sends to its model shorter.

    from langchain.agents import create_agent
    from headroom.integrations.langchain import HeadroomMiddleware

    agent = create_agent("anthropic:claude-sonnet-5-5", tools=[...], middleware=[HeadroomMiddleware()])

Only the request is changed: the agent's state, its checkpoints and traces keep every message as it was. Put it last,
so that it sees what the others have made of the messages. Needs the extra ``langchain``.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage

from headroom.config import HeadroomConfig
from headroom.integrations.shortener import Shortener

INDEX = "index"
"""In a message that ``compress`` is given: which of LangChain's it is."""
_PICTURE = {"type": "image_url", "image_url": {"url": ""}}
"""Stands for what is no text: beside such things nothing is rewritten."""


class HeadroomMiddleware(AgentMiddleware):
    """For ``create_agent(middleware=[...])``. Takes what ``compress`` takes:
    ``HeadroomMiddleware(tool_profiles={"read_file": "skip"})``.

    ``model_limit``: tokens that fit into the model; by default as is known of each. What fails leaves the messages as
    they came, and says so in the log. Raises ConfigurationError for a wrong setting.
    """

    def __init__(self, config: HeadroomConfig | None = None, model_limit: int | None = None, **overrides: Any) -> None:
        super().__init__()
        self._shortener = Shortener(config, model_limit, **overrides)

    def get_stats(self) -> dict[str, int]:
        """Since it was made: ``requests_total``, ``requests_optimized`` and ``tokens_saved_total`` (estimates)."""
        return self._shortener.get_stats()

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """LangChain calls this around each call of the model."""
        return handler(self._shortened(request))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """The same where the agent runs asynchronously."""
        from anyio import to_thread

        return await handler(await to_thread.run_sync(self._shortened, request))

    def _shortened(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        given = [_plain(message, number) for number, message in enumerate(request.messages)]
        shorter = self._shortener.shorter(given, _name(request.model))
        if shorter is None:
            return request
        return request.override(messages=[_message(each, request.messages) for each in shorter])


def _name(model: object) -> str:
    """The name of a chat model's model."""
    found = getattr(model, "model_name", None) or getattr(model, "model", None) or ""
    return str(found).removeprefix("models/")


def _plain(message: AnyMessage, number: int) -> dict[str, Any]:
    """A message as OpenAI's chat completions write it, as far as its texts and calls go."""
    content = _content(message.content)
    match message:
        case ToolMessage():
            return {INDEX: number, "role": "tool", "tool_call_id": message.tool_call_id, "content": content}
        case AIMessage():
            said = [part for part in content if part is not _PICTURE] if isinstance(content, list) else content
            calls = [
                {"id": call["id"], "type": "function", "function": _function(call["name"], call["args"])}
                for call in message.tool_calls
            ]
            return {INDEX: number, "role": "assistant", "content": said, **({"tool_calls": calls} if calls else {})}
        case SystemMessage():
            return {INDEX: number, "role": "system", "content": content}
    return {INDEX: number, "role": "user", "content": content}


def _content(content: str | Sequence[Any]) -> str | list[Any]:
    return content if isinstance(content, str) else [_part(part) for part in content]


def _part(part: Any) -> Any:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    return _PICTURE


def _function(name: str, arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False, default=str)}


def _message(shorter: dict[str, Any], messages: Sequence[AnyMessage]) -> AnyMessage:
    """LangChain's message for one of ``compress``: the very same where nothing in it changed."""
    if INDEX not in shorter:  # what says that messages were dropped
        return HumanMessage(content=shorter["content"])
    original: AnyMessage = messages[shorter[INDEX]]
    if not isinstance(original, ToolMessage | HumanMessage) or shorter["content"] == _content(original.content):
        return original
    if isinstance(original.content, str):
        return original.model_copy(update={"content": shorter["content"]})
    pairs = zip(original.content, shorter["content"], strict=True)
    return original.model_copy(update={"content": [_with_text(part, new) for part, new in pairs]})


def _with_text(part: Any, new: dict[str, Any]) -> Any:
    if isinstance(part, str):
        return new["text"]
    return {**part, "text": new["text"]} if "text" in new else part
