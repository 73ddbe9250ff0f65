"""What a request body is made of: its blocks with their byte spans, and the few facts that sessions live by."""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from headroom.wire.spans import (
    UTF8_BOM,
    WALKED,
    ScanError,
    Span,
    common_prefix,
    read_string,
    read_value,
    skip_space,
    skip_value,
    walk_object,
)

BlockKind = Literal["result", "call", "user", "assistant"]


class Block(NamedTuple):
    """One string in a request.

    ``span`` includes the quotes. ``call`` is the id of the tool call that a result answers or a call carries.
    ``part`` tells the strings of one result apart. Only strings of kind "result" are ever replaced, and only
    when ``free`` (not beside an image, and not marked as not to be cached): the others (what a tool was told to
    write, what was said) are what a reference may point at. A block of kind "call" spans the whole input, not a
    string. ``error``: the client flagged the result as one.
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
    """A tool call: the tool's name and where its input stands (an object, or a string that holds JSON).

    ``namespace`` is that of a server's tool, where Codex calls it by one.
    """

    tool: str
    input: Span
    namespace: str = ""


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
    digests: dict[str, bytes] = field(default_factory=dict)
    """Of the fields for which somebody asked, here or in the layout before."""

    def text(self, block: Block) -> str | None:
        """The block's text; None when it can't be written back as it is (a lone surrogate, broken UTF-8)."""
        return read_string(self.body, block.span)

    def tool(self, block: Block) -> str:
        """The name of the tool that a result came from; "" when its call is not in the body."""
        call = self.calls.get(block.call)
        return call.tool if call else ""

    def arguments(self, block: Block) -> Mapping[str, object]:
        """The input of the call that a result answers; empty when there is none. A text, as the tools that Codex
        calls with one have it, is ``{"input": text}``."""
        call = self.calls.get(block.call)
        if call is None:
            return {}
        value = read_value(self.body, call.input)
        if isinstance(value, str):  # OpenAI: a string that holds JSON, or is the input itself
            raw = value.encode("utf-8", "surrogatepass")
            held = read_value(raw, Span(0, len(raw)))
            value = held if isinstance(held, dict) else {"input": value}
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

    def digest(self, name: str) -> bytes:
        """What tells a top-level field, which must be there, from another. 16 bytes."""
        if name not in self.digests:
            start, end = self.fields[name]
            self.digests[name] = hashlib.blake2b(self.body[start:end], digest_size=16).digest()
        return self.digests[name]

    def string(self, name: str) -> str | None:
        """A top-level string field."""
        return read_string(self.body, self.fields.get(name))


class Shape(Protocol):
    """What differs between providers: the name of the list of messages, and how to read one of them."""

    LIST: str

    def turn(self, layout: Layout, text: str, start: int, index: int) -> int:
        """Add turn ``index``, which starts at ``start``, to the layout; return its end. Raises ScanError."""
        ...


PROBE = 2
"""Turns that are always scanned: they tell which conversation a body belongs to."""

Find = Callable[[Layout], Layout | None]


def scan(name: str, shape: Shape, body: bytes, find: Find = lambda _: None) -> Layout:
    """Scan a request body.

    ``find`` is given the layout of the first two turns and may return an earlier layout of the same conversation:
    turns, and fields after them, whose bytes did not change are taken over from it, so that a turn costs what is new
    in it. The result is the same with and without. Raises ScanError.
    """
    text = body.decode("latin-1")
    layout = Layout(name, body)
    before: Layout | None = None

    def remembered(layout: Layout) -> Layout | None:
        nonlocal before
        before = find(layout)
        return before

    def member(key: str, start: int) -> int:
        if key in layout.fields:
            raise ScanError(f"{key!r} only once in the request", start)
        if key == shape.LIST and text[start : start + 1] == "[":
            end = _turns(layout, shape, text, start, remembered)
        else:
            end = _same_field(before, key, layout, start) or skip_value(text, start, WALKED)
        layout.fields[key] = Span(start, end)
        return end

    layout.opening = skip_space(text, len(UTF8_BOM) if body.startswith(UTF8_BOM) else 0)
    end = walk_object(text, layout.opening, member)
    if skip_space(text, end) != len(text):
        raise ScanError("nothing after the request", end)
    return layout


def _same_field(before: Layout | None, key: str, layout: Layout, start: int) -> int:
    """The end of a value that stands in ``before`` too; 0 when it doesn't, or does not tell itself where it ends."""
    span = before.fields.get(key) if before else None
    if before is None or span is None or before.body[span.start : span.start + 1] not in (b"{", b"[", b'"'):
        return 0
    if not layout.body.startswith(before.body[span.start : span.end], start):
        return 0
    if key in before.digests:
        layout.digests[key] = before.digests[key]
    return start + span.end - span.start


def _turns(layout: Layout, shape: Shape, text: str, start: int, find: Find) -> int:
    layout.list_start = start
    pos, index = skip_space(text, start + 1), 0
    if text[pos : pos + 1] == "]":
        return pos + 1
    while True:
        if index == PROBE:
            pos, index = _take_over(layout, find(layout), pos)
        pos = skip_space(text, shape.turn(layout, text, pos, index))
        index += 1
        mark = text[pos : pos + 1]
        if mark == "]":
            return pos + 1
        if mark != ",":
            raise ScanError(", or ]", pos)
        pos = skip_space(text, pos + 1)


def _take_over(layout: Layout, before: Layout | None, pos: int) -> tuple[int, int]:
    """Add the turns that ``before`` shares with this body; return where the first other one starts, and its index."""
    if before is None or len(before.turns) <= PROBE:
        return pos, PROBE
    shift = layout.list_start - before.list_start
    same = before.list_start + common_prefix(before.body, before.list_start, layout.body, layout.list_start)
    keep = len(before.turns) - 1
    while keep > PROBE and before.turns[keep].span.start > same:
        keep -= 1
    if keep <= PROBE:
        return pos, PROBE
    start = before.turns[keep].span.start
    blocks = before.turns[keep].first_block
    cacheable = bisect_left(before.cacheable, keep, key=lambda block: block.turn)

    layout.turns[:] = before.turns[:keep]
    layout.blocks[:] = before.blocks[:blocks]
    layout.cacheable[:] = before.cacheable[:cacheable]
    layout.calls.update({key: call for key, call in before.calls.items() if call.input.end <= start})
    if shift:  # what stands before the list of messages changed its length
        _move(layout, shift)
    layout.reused = blocks
    return start + shift, keep


def _move(layout: Layout, shift: int) -> None:
    """Move all that was taken over by ``shift`` bytes."""

    def moved(span: Span) -> Span:
        return Span(span.start + shift, span.end + shift)

    layout.turns[:] = [turn._replace(span=moved(turn.span)) for turn in layout.turns]
    layout.blocks[:] = [block._replace(span=moved(block.span)) for block in layout.blocks]
    layout.cacheable[:] = [block._replace(span=moved(block.span)) for block in layout.cacheable]
    layout.calls.update({key: call._replace(input=moved(call.input)) for key, call in layout.calls.items()})
