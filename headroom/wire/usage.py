"""What an answer says it used, read from a copy of its bytes while they pass.

Where the figures stand: https://docs.anthropic.com/en/api/messages-streaming,
https://platform.openai.com/docs/api-reference/responses-streaming, https://ai.google.dev/api/generate-content
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

from headroom.wire.decoding import UndecodableError, decoder
from headroom.wire.spans import Span, read_value

LIMIT = 16 << 20
"""Bytes of one JSON answer, or of one event of a stream, that are kept; more is not read."""
_BLANK = b"\xef\xbb\xbf \t\r\n"
_is_name = re.compile(r"[\w.:/@+-]{1,128}").fullmatch
_never_says = re.compile(r"audio/|image/|video/|text/html", re.I).match


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one exchange as the provider bills them: no token is in two fields.

    ``input_tokens`` is what was neither read from the cache nor written to it (Anthropic's meaning, for every
    provider). ``cache_write_1h_tokens`` were written for the longer of the two lives that a provider sells (an hour
    at Anthropic, 12 hours at OpenAI), ``cache_write_tokens`` for the shorter one (5 minutes, 30 minutes).
    ``output_tokens`` include what the model thought.
    """

    input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0

    @property
    def total_input(self) -> int:
        """All tokens of the request, whatever each cost."""
        return self.input_tokens + self.cache_write_tokens + self.cache_write_1h_tokens + self.cache_read_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


class Stored(NamedTuple):
    """An answer of OpenAI's Responses, which the provider keeps by its ``id``: the calls in it of tools that the client
    has itself, each with its id, the tool's name and its arguments."""

    id: str
    calls: tuple[tuple[str, str, Mapping[str, object]], ...]


class UsageReader:
    """Give it an answer's chunks as they pass; it never raises and keeps at most LIMIT bytes of them.

    ``shape`` is "anthropic", "openai-chat", "openai-responses" or "gemini". One reader reads one answer; on a
    WebSocket that is what follows one request, and each message is given to ``feed_event``. A JSON answer is parsed
    when a property is first asked for (some milliseconds for a megabyte), events when they have arrived.
    """

    def __init__(self, shape: str, content_type: str = "", content_encoding: str = "") -> None:
        self._read, self._inside, self._marks = _SHAPES[shape]
        self._merged: dict[str, object] = {}
        self._usage: Usage | None = None
        self._error_type: str | None = None
        self._model: str | None = None
        self.stored: Stored | None = None
        """The answer, once it has come whole, where the provider may keep it; a JSON answer is read with ``usage``."""
        self._off = _never_says(content_type) is not None
        try:
            self._decode = decoder(content_encoding)
        except UndecodableError:
            self._decode, self._off = None, True
        self._kind = b""  # what the answer begins with: b"{", b"[" or, for a stream of events, any other byte
        self._kept = bytearray()
        self._searched = 0
        self._skipping = False
        self._after_cr = False
        self._settled = True

    @property
    def usage(self) -> Usage | None:
        """What has been said so far; None when the answer has not said it, or can't be read."""
        self._settle()
        return self._usage

    @property
    def error_type(self) -> str | None:
        """The provider's name for the error that it answered with; None when it did not."""
        self._settle()
        return self._error_type

    @property
    def model(self) -> str | None:
        """The model that answered, by the name the provider gives."""
        self._settle()
        return self._model

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes of the answer's body, as they were sent."""
        if self._off:
            return
        if self._decode is not None:
            try:
                chunk = self._decode(chunk)
            except UndecodableError:
                self._off = True
                return
        if not self._kind:
            chunk = chunk.lstrip(_BLANK)
            self._kind = chunk[:1]
        if not chunk:
            return
        self._settled = False
        if self._kind not in (b"{", b"["):
            self._feed_events(chunk)
        elif len(self._kept) + len(chunk) > LIMIT:
            self._off = True
            self._kept.clear()
        else:
            self._kept += chunk

    def feed_event(self, data: bytes) -> None:
        """Read one whole event, which is JSON."""
        if self._model is None or any(mark in data for mark in self._marks):
            self._take(read_value(data, Span(0, len(data))))

    def _feed_events(self, chunk: bytes) -> None:
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:  # JSON has none, so all of them end lines
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        kept, start = self._kept, 0
        kept += chunk
        while (end := kept.find(b"\n\n", max(start, self._searched))) >= 0:
            if not self._skipping and self._matters(start, end):
                self._take(_event(kept[start:end]))
            self._skipping = False
            start = end + 2
        if start:
            del kept[:start]
        if len(kept) > LIMIT:
            self._skipping = True
        if self._skipping:
            del kept[:-1]  # the first half of the blank line may have come
        self._searched = max(len(kept) - 1, 0)

    def _matters(self, start: int, end: int) -> bool:
        if end - start > LIMIT:
            return False
        find = self._kept.find
        return self._model is None or any(find(mark, start, end) >= 0 for mark in self._marks)

    def _settle(self) -> None:
        """Read what has come and not been read: a JSON answer, or a last event that lacks its blank line."""
        if self._settled:
            return
        self._settled = True
        if self._kind in (b"{", b"["):
            self._take(read_value(bytes(self._kept), Span(0, len(self._kept))))
        elif not self._skipping and self._matters(0, len(self._kept)):
            self._take(_event(self._kept))

    def _take(self, value: object) -> None:
        for item in value if isinstance(value, list) else (value,):
            if not isinstance(item, dict):
                continue
            inside = item.get(self._inside)
            said = inside if isinstance(inside, dict) else item
            model = said.get("model") or said.get("modelVersion")
            if isinstance(model, str) and _is_name(model):
                self._model = model
            self._error_type = _error(item) or _error(said) or self._error_type
            if said.get("object") == "response":
                self.stored = _stored(said) or self.stored
            figures = item.get("usage") or said.get("usage") or said.get("usageMetadata")
            if isinstance(figures, dict):
                self._merge(figures)

    def _merge(self, figures: Mapping[str, object]) -> None:
        """Anthropic says the input first and the output last, Gemini says all again and again; both only count up."""
        for name, figure in figures.items():
            before = self._merged.get(name)
            if figure is not None and not (isinstance(figure, int) and isinstance(before, int) and figure < before):
                self._merged[name] = figure
        self._usage = self._read(self._merged)


def _event(event: bytes | bytearray) -> object:
    """The value of one server-sent event: what its lines of data say."""
    lines = [line[5:] for line in event.split(b"\n") if line.startswith(b"data:")]
    raw = bytes(lines[0] if len(lines) == 1 else b"\n".join(lines))
    return read_value(raw, Span(0, len(raw))) if raw else None


def _stored(said: Mapping[str, object]) -> Stored | None:
    """A Responses answer that is complete; None before that, and where it can't be read."""
    name, output = said.get("id"), said.get("output")
    if not isinstance(name, str) or said.get("status") not in ("completed", "incomplete"):
        return None
    calls = []
    for item in output if isinstance(output, list) else ():
        if not isinstance(item, dict) or item.get("type") != "function_call" or item.get("namespace"):
            continue
        call, tool, given = item.get("call_id"), item.get("name"), item.get("arguments")
        if isinstance(call, str) and isinstance(tool, str) and isinstance(given, str):
            raw = given.encode("utf-8", "surrogatepass")
            arguments = read_value(raw, Span(0, len(raw)))
            calls.append((call, tool, arguments if isinstance(arguments, dict) else {}))
    return Stored(name, tuple(calls))


def _error(value: Mapping[str, object]) -> str | None:
    """The type of the error that an answer or an event is; only ever a name, never a message."""
    error = value.get("error")
    if isinstance(error, dict):  # {"error": {...}}; Google has a code that is a number and a status that is a name
        names = (error.get("type"), error.get("status"), error.get("code"))
    elif value.get("type") == "error":  # an event of OpenAI's Responses
        names = (value.get("code"), None, None)
    else:
        return None
    return next((name for name in names if isinstance(name, str) and _is_name(name)), "error")


def _anthropic(said: Mapping[str, object]) -> Usage:
    by_life = _object(said, "cache_creation")
    written = _tokens(said, "cache_creation_input_tokens")
    short, long = _tokens(by_life, "ephemeral_5m_input_tokens"), _tokens(by_life, "ephemeral_1h_input_tokens")
    if written > short + long:  # the sum is said again at the end of the stream, its parts are not
        short, long = (short, written - short) if long and not short else (written - long, long)
    usage = Usage(
        _tokens(said, "input_tokens"),
        short,
        long,
        _tokens(said, "cache_read_input_tokens"),
        _tokens(said, "output_tokens"),
    )
    iterations = said.get("iterations")
    for step in iterations if isinstance(iterations, list) else ():
        if isinstance(step, dict) and step.get("type") == "compaction":  # billed, and not in the figures above
            usage += _anthropic({name: figure for name, figure in step.items() if name != "iterations"})
    return usage


def _openai(said: Mapping[str, object]) -> Usage:
    chat = "prompt_tokens" in said
    total = _tokens(said, "prompt_tokens" if chat else "input_tokens")
    output = _tokens(said, "completion_tokens" if chat else "output_tokens")
    details = _object(said, "prompt_tokens_details" if chat else "input_tokens_details")
    # DeepSeek and Moonshot, which speak the chat shape, have names of their own
    read = (
        _tokens(details, "cached_tokens") or _tokens(said, "prompt_cache_hit_tokens") or _tokens(said, "cached_tokens")
    )
    written = _tokens(details, "cache_write_tokens")
    longer = min(_tokens(_object(details, "cache_write_tokens_details"), "ttl_12h_tokens"), written)
    # xAI counts what was thought in the total only
    output = max(output, _tokens(said, "total_tokens") - total)
    return Usage(max(total - read - written, 0), written - longer, longer, read, output)


def _gemini(said: Mapping[str, object]) -> Usage:
    read = _tokens(said, "cachedContentTokenCount")
    total = _tokens(said, "promptTokenCount") + _tokens(said, "toolUsePromptTokenCount")
    output = _tokens(said, "candidatesTokenCount") + _tokens(said, "thoughtsTokenCount")
    return Usage(max(total - read, 0), cache_read_tokens=read, output_tokens=output)


def _tokens(said: Mapping[str, object], name: str) -> int:
    figure = said.get(name)
    return figure if type(figure) is int and 0 <= figure < 1 << 53 else 0


def _object(said: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = said.get(name)
    return value if isinstance(value, dict) else {}


# How each shape's figures are read, where its events have them, and what the bytes of an event must have to be worth
# parsing. Within a JSON string the quotes would be escaped, so text that the model wrote never looks like one of these.
_SHAPES: dict[str, tuple[Callable[[Mapping[str, object]], Usage], str, tuple[bytes, ...]]] = {
    "anthropic": (_anthropic, "message", (b'"usage"', b'"error"')),
    "openai-chat": (_openai, "", (b'"usage"', b'"error"')),
    "openai-responses": (_openai, "response", (b'"usage"', b'"error"')),
    "gemini": (_gemini, "", (b'"usageMetadata"', b'"error"')),
}
