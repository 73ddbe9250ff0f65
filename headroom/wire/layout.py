"""What a request body is made of: its blocks with their byte spans, and the few facts that sessions live by."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, Protocol

from headroom.wire.spans import (
    UTF8_BOM,
    ScanError,
    Span,
    common_prefix,
    read_string,
    read_value,
    skip_space,
    skip_value,
    walk_array,
    walk_items,
    walk_members,
)

BlockKind = Literal["result", "call", "user", "assistant"]


class Block(NamedTuple):
    """One string in a request.

    ``span`` includes the quotes. ``call`` is the id of the tool call that a result answers or a call carries.
    ``part`` tells the strings of one result apart. Only strings of kind "result" are ever replaced, and only
    when ``free``: the others (what a tool was told to write, what was said) are what a reference may point at.
    A block of kind "call" spans the whole input, not a string. ``error``: the client flagged the result as one.
    """

    span: Span
    kind: BlockKind
    turn: int
    call: str = ""
    part: int = 0
    free: bool = True
    error: bool = False

    def key(self, body: bytes) -> bytes:
        """What tells this block from every other: its call, its part and its bytes as they arrived. 16 bytes."""
        digest = hashlib.blake2b(body[self.span.start : self.span.end], digest_size=16)
        digest.update(f"\0{self.kind}\0{self.call}\0{self.part}".encode("utf-8", "surrogatepass"))
        return digest.digest()


class Call(NamedTuple):
    """A tool call: the tool's name and where its input stands (an object, or a string that holds JSON)."""

    tool: str
    input: Span


class Turn(NamedTuple):
    """One element of the list of messages: its span, whether the model said it, the index of its first block."""

    span: Span
    answer: bool
    first_block: int


class Cacheable(NamedTuple):
    """One block in the provider's prefix order: its span, its type, whether the client set a breakpoint on it."""

    span: Span
    type: str
    marked: bool
    turn: int


@dataclass(slots=True)
class Layout:
    """A scanned body. ``fields`` are the spans of the top-level values, ``turns`` the list of messages."""

    shape: str
    body: bytes
    opening: int = 0
    list_start: int = 0
    fields: dict[str, Span] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    calls: dict[str, Call] = field(default_factory=dict)
    cacheable: list[Cacheable] = field(default_factory=list)
    reused: int = 0
    """How many blocks were taken over from the layout before."""

    def text(self, block: Block) -> str | None:
        """The block's text; None when it can't be written back as it is (a lone surrogate, broken UTF-8)."""
        return read_string(self.body, block.span)

    def tool(self, block: Block) -> str:
        """The name of the tool that a result came from; "" when its call is not in the body."""
        call = self.calls.get(block.call)
        return call.tool if call else ""

    def arguments(self, block: Block) -> Mapping[str, object]:
        """The input of the call that a result answers; empty when there is none."""
        call = self.calls.get(block.call)
        if call is None:
            return {}
        value = read_value(self.body, call.input)
        if isinstance(value, str):  # OpenAI: a string that holds JSON
            raw = value.encode("utf-8", "surrogatepass")
            value = read_value(raw, Span(0, len(raw)))
        return value if isinstance(value, dict) else {}

    @property
    def first_new_turn(self) -> int:
        """The first turn that the provider has not seen: the one after the model's last answer.

        Answers at the very end (a prefilled one) don't count: nothing has been said to them yet.
        """
        end = len(self.turns)
        while end and self.turns[end - 1].answer:
            end -= 1
        while end and not self.turns[end - 1].answer:
            end -= 1
        return end

    def string(self, name: str) -> str | None:
        """A top-level string field."""
        return read_string(self.body, self.fields.get(name))


class Shape(Protocol):
    """What differs between providers: the name of the list of messages, and how to read one of them."""

    LIST: str

    def turn(self, layout: Layout, text: str, start: int, index: int) -> int:
        """Add turn ``index``, which starts at ``start``, to the layout; return its end. Raises ScanError."""
        ...


def scan(name: str, shape: Shape, body: bytes, before: Layout | None = None) -> Layout:
    """Scan a request body.

    ``before`` is an earlier layout of the same conversation: turns whose bytes did not change are taken over from
    it, so that a turn costs what is new in it. The result is the same with and without. Raises ScanError.
    """
    text = body.decode("latin-1")
    layout, resume = _resume(name, body, before)

    def item(start: int, index: int) -> int:
        return shape.turn(layout, text, start, index)

    def member(key: str, start: int) -> int:
        if key in layout.fields:
            raise ScanError(f"{key!r} only once in the request", start)
        if key == shape.LIST and text[start : start + 1] == "[":
            layout.list_start = start
            end = walk_array(text, start, item)
        else:
            end = skip_value(text, start)
        layout.fields[key] = Span(start, end)
        return end

    if resume:
        end = walk_items(text, resume, len(layout.turns), item)
        layout.fields[shape.LIST] = Span(layout.list_start, end)
        pos = skip_space(text, end)
        if text[pos : pos + 1] == ",":
            end = walk_members(text, skip_space(text, pos + 1), member)
        elif text[pos : pos + 1] == "}":
            end = pos + 1
        else:
            raise ScanError(", or }", pos)
    else:
        pos = skip_space(text, 3 if body.startswith(UTF8_BOM) else 0)
        layout.opening = pos
        if text[pos : pos + 1] != "{":
            raise ScanError("a JSON object", pos)
        pos = skip_space(text, pos + 1)
        end = pos + 1 if text[pos : pos + 1] == "}" else walk_members(text, pos, member)
    if skip_space(text, end) != len(text):
        raise ScanError("nothing after the request", end)
    return layout


def _resume(name: str, body: bytes, before: Layout | None) -> tuple[Layout, int]:
    """A layout with the turns that ``before`` shares with ``body``, and where to go on (0: from the start)."""
    fresh = Layout(name, body)
    if before is None or before.shape != name or not before.turns:
        return fresh, 0
    same = common_prefix(before.body, body)
    keep = len(before.turns) - 1
    while keep > 0 and before.turns[keep].span.start > same:
        keep -= 1
    if keep < 1:
        return fresh, 0
    start = before.turns[keep].span.start
    blocks = before.turns[keep].first_block
    fields = {key: span for key, span in before.fields.items() if span.end <= before.list_start}
    calls = {key: call for key, call in before.calls.items() if call.input.end <= start}
    cacheable = [block for block in before.cacheable if block.turn < keep]
    return replace(
        fresh,
        opening=before.opening,
        list_start=before.list_start,
        fields=fields,
        turns=before.turns[:keep],
        blocks=before.blocks[:blocks],
        calls=calls,
        cacheable=cacheable,
        reused=blocks,
    ), start
