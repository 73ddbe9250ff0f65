"""The providers' Python SDKs, each as one conversation with tools: sync or async, streaming or not.

They are pointed at the proxy as a user does it: by HTTPS_PROXY and SSL_CERT_FILE, host names stay the providers'.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import anthropic
import openai
from google import genai
from google.genai import types

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A tool call that the model asks for."""

    id: str
    name: str
    arguments: Json


@dataclass(frozen=True, slots=True)
class Said:
    """What the SDK made of an answer. ``input_tokens``: all of them, cached or not."""

    text: str
    calls: tuple[Asked, ...]
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    parameters: Sequence[str]

    @property
    def schema(self) -> Json:
        fields = {name: {"type": "string"} for name in self.parameters}
        return {"type": "object", "properties": fields, "required": list(self.parameters)}


class Conversation(Protocol):
    """``ask`` sends all that was said so far and returns the answer, ``tell`` adds the results of its calls."""

    async def ask(self) -> Said: ...

    def tell(self, results: Sequence[tuple[Asked, str]]) -> None: ...


class AnthropicMessages:
    def __init__(self, prompt: str, tools: Sequence[Tool], *, asynchronous: bool, streaming: bool) -> None:
        self.asynchronous, self.streaming = asynchronous, streaming
        self.betas: list[str] = []
        self.system: str | list[Json] = "You correct prices."
        self.cache_control: Json = {"cache_control": {"type": "ephemeral"}}
        self.history: list[Any] = [{"role": "user", "content": prompt}]
        self.tools = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.schema} for tool in tools
        ]

    async def ask(self) -> Said:
        answer = await self._send()
        self.history.append({"role": "assistant", "content": answer.content})
        calls = [Asked(block.id, block.name, dict(block.input)) for block in answer.content if block.type == "tool_use"]
        used = answer.usage
        total = used.input_tokens + (used.cache_creation_input_tokens or 0) + (used.cache_read_input_tokens or 0)
        text = "".join(block.text for block in answer.content if block.type == "text")
        return Said(text, tuple(calls), total, used.output_tokens)

    def tell(self, results: Sequence[tuple[Asked, str]]) -> None:
        content = [{"type": "tool_result", "tool_use_id": call.id, "content": text} for call, text in results]
        self.history.append({"role": "user", "content": content})

    async def _send(self) -> Any:
        request: Any = {
            "model": "claude-opus-4-8",
            "max_tokens": 1000,
            "system": self.system,
            **self.cache_control,
            "tools": self.tools,
            "messages": self.history,
            "extra_headers": {"anthropic-beta": ",".join(self.betas)} if self.betas else None,
        }
        if self.asynchronous:
            async with anthropic.AsyncAnthropic(api_key="sk-ant-api03-test") as client:
                if not self.streaming:
                    return await client.messages.create(**request)
                async with client.messages.stream(**request) as answer:
                    return await answer.get_final_message()
        with anthropic.Anthropic(api_key="sk-ant-api03-test") as client:
            if not self.streaming:
                return client.messages.create(**request)
            with client.messages.stream(**request) as answer:
                return answer.get_final_message()


class OpenAIChat:
    def __init__(self, prompt: str, tools: Sequence[Tool], *, asynchronous: bool, streaming: bool) -> None:
        self.asynchronous, self.streaming = asynchronous, streaming
        self.history: list[Any] = [
            {"role": "system", "content": "You correct prices."},
            {"role": "user", "content": prompt},
        ]
        self.tools = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema},
            }
            for tool in tools
        ]

    async def ask(self) -> Said:
        answer = await self._send()
        message = answer.choices[0].message
        self.history.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
        calls = [
            Asked(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()
        ]
        return Said(message.content or "", tuple(calls), answer.usage.prompt_tokens, answer.usage.completion_tokens)

    def tell(self, results: Sequence[tuple[Asked, str]]) -> None:
        self.history += [{"role": "tool", "tool_call_id": call.id, "content": text} for call, text in results]

    async def _send(self) -> Any:
        request: Any = {"model": "gpt-4o", "tools": self.tools, "messages": self.history}
        usage: Any = {"stream_options": {"include_usage": True}}
        if self.asynchronous:
            async with openai.AsyncOpenAI(api_key="sk-test") as client:
                if not self.streaming:
                    return await client.chat.completions.create(**request)
                async with client.chat.completions.stream(**request, **usage) as answer:
                    return await answer.get_final_completion()
        with openai.OpenAI(api_key="sk-test") as client:
            if not self.streaming:
                return client.chat.completions.create(**request)
            with client.chat.completions.stream(**request, **usage) as answer:
                return answer.get_final_completion()


class OpenAIResponses:
    def __init__(self, prompt: str, tools: Sequence[Tool], *, asynchronous: bool, streaming: bool) -> None:
        self.asynchronous, self.streaming = asynchronous, streaming
        self.history: list[Any] = [{"role": "user", "content": prompt}]
        self.tools = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.schema,
                "strict": False,
            }
            for tool in tools
        ]

    async def ask(self) -> Said:
        answer = await self._send()
        self.history += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output]
        calls = [
            Asked(item.call_id, item.name, json.loads(item.arguments))
            for item in answer.output
            if item.type == "function_call"
        ]
        return Said(answer.output_text, tuple(calls), answer.usage.input_tokens, answer.usage.output_tokens)

    def tell(self, results: Sequence[tuple[Asked, str]]) -> None:
        self.history += [{"type": "function_call_output", "call_id": call.id, "output": text} for call, text in results]

    async def _send(self) -> Any:
        request: Any = {
            "model": "gpt-5",
            "instructions": "You correct prices.",
            "tools": self.tools,
            "input": self.history,
            "store": False,
        }
        if self.asynchronous:
            async with openai.AsyncOpenAI(api_key="sk-test") as client:
                if not self.streaming:
                    return await client.responses.create(**request)
                async with client.responses.stream(**request) as answer:
                    return await answer.get_final_response()
        with openai.OpenAI(api_key="sk-test") as client:
            if not self.streaming:
                return client.responses.create(**request)
            with client.responses.stream(**request) as answer:
                return answer.get_final_response()


class GoogleGenAI:
    def __init__(self, prompt: str, tools: Sequence[Tool], *, asynchronous: bool, streaming: bool) -> None:
        self.asynchronous, self.streaming = asynchronous, streaming
        self.history: list[Any] = [types.Content(role="user", parts=[types.Part(text=prompt)])]
        declared: Any = [
            {"name": tool.name, "description": tool.description, "parameters_json_schema": tool.schema}
            for tool in tools
        ]
        self.config = types.GenerateContentConfig(
            system_instruction="You correct prices.",
            tools=[types.Tool(function_declarations=declared)],
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )

    async def ask(self) -> Said:
        chunks = await self._send()
        parts: list[Any] = [part for chunk in chunks for part in chunk.candidates[0].content.parts or ()]
        self.history.append(types.Content(role="model", parts=parts))
        called = [part.function_call for part in parts if part.function_call]
        calls = [Asked(call.id, call.name, dict(call.args)) for call in called]
        used = chunks[-1].usage_metadata
        text = "".join(part.text for part in parts if part.text)
        return Said(text, tuple(calls), used.prompt_token_count, used.candidates_token_count)

    def tell(self, results: Sequence[tuple[Asked, str]]) -> None:
        parts = [
            types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": text}))
            for call, text in results
        ]
        self.history.append(types.Content(role="user", parts=parts))

    async def _send(self) -> list[Any]:
        client = genai.Client(api_key="test", vertexai=False)
        request: Any = {"model": "gemini-2.5-pro", "contents": self.history, "config": self.config}
        try:
            if self.asynchronous:
                if not self.streaming:
                    return [await client.aio.models.generate_content(**request)]
                return [chunk async for chunk in await client.aio.models.generate_content_stream(**request)]
            if not self.streaming:
                return [client.models.generate_content(**request)]
            return list(client.models.generate_content_stream(**request))
        finally:
            await client.aio.aclose()
            client.close()


CONVERSATIONS: Mapping[str, type[AnthropicMessages | OpenAIChat | OpenAIResponses | GoogleGenAI]] = {
    "anthropic": AnthropicMessages,
    "openai-chat": OpenAIChat,
    "openai-responses": OpenAIResponses,
    "google-genai": GoogleGenAI,
}
