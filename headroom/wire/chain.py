"""The conversation on one WebSocket to OpenAI Responses: what ``previous_response_id`` stands for.

After its first request a client sends only what is new, and the id of the answer that it goes on from; the provider
keeps the rest as long as the connection lasts (https://platform.openai.com/docs/guides/websocket-mode). Only with the
rest can be told which tool an output came from and what already stands in the conversation. A client that has to
connect again sends all of it again, in the same words.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from headroom.wire.spans import (
    Patch,
    ScanError,
    Span,
    as_it_stood,
    members,
    read_string,
    read_value,
    skip_space,
    splice,
)

ANSWERS = 2
"""Answers from which a request may go on; providers keep the last one."""
LARGEST = 32 << 20
"""Bytes of a conversation above which it is no longer followed."""
_SAID = frozenset({"message", "function_call", "custom_tool_call", "local_shell_call", "shell_call"})
_ITEM = b'"response.output_item.done"'
_ENDS = (b'"response.completed"', b'"response.incomplete"')
_HEAD = 256
"""Bytes at the start of an event in which its type is looked for."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A request in which the conversation stands in place of its id: ``body`` is the message with ``patches``, of which
    ``history`` is where the conversation stands in ``body``."""

    body: bytes
    patches: list[Patch]
    history: Span

    def own(self, patches: Iterable[Patch]) -> list[Patch]:
        """Of these patches of the body those that concern the message itself, at their places in the message."""
        return [
            Patch(as_it_stood(start, self.patches), as_it_stood(end, self.patches), replacement)
            for start, end, replacement in patches
            if not self.history.start <= start < self.history.end
        ]


class Chain:
    """Follows one connection: its requests and what the model answered. Never raises."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, bytes] = OrderedDict()
        """What was said up to an answer, the items of a list without its brackets."""
        self._asked: bytes | None = None
        """What was said up to the answer that is under way; None when that is not known."""
        self._said: list[bytes] = []

    def ask(self, message: bytes) -> Whole | None:
        """Take in a request. None when it says all by itself, or goes on from what was not seen."""
        self._asked, self._said = None, []
        text = message.decode("latin-1")
        try:
            fields, _ = members(text, skip_space(text, 0))
        except ScanError:
            return None
        items, previous = fields.get("input"), fields.get("previous_response_id")
        if items is None or text[items.start] != "[":
            return None
        own = message[items.start + 1 : items.end - 1].strip()
        going_on = previous is not None and message[previous.start : previous.end] != b"null"
        earlier = self._known.get(read_string(message, previous) or "") if going_on else b""
        if earlier is None or len(earlier) + len(own) > LARGEST:
            return None
        self._asked = _joined(earlier, own)
        if not going_on or previous is None:
            return None
        history = earlier + b"," if earlier and own else earlier
        patches = [Patch(items.start + 1, items.start + 1, history), Patch(*previous, b"null")]
        before = len(b"null") - (previous.end - previous.start) if previous.start < items.start else 0
        start = items.start + 1 + before
        return Whole(splice(message, patches), patches, Span(start, start + len(history)))

    def hear(self, event: bytes) -> None:
        """Take in an event of the answer."""
        head = event[:_HEAD]
        if _ITEM in head:
            said = _field(read_value(event, Span(0, len(event))), "item")
            kind = str(said.get("type"))
            if "compaction" in kind:
                self._asked = None  # what stood before is gone
            elif kind in _SAID:
                self._said.append(orjson.dumps(said))
        elif any(end in head for end in _ENDS) and self._asked is not None:
            name = _field(read_value(event, Span(0, len(event))), "response").get("id")
            if isinstance(name, str):
                self._known[name] = _joined(self._asked, *self._said)
                while len(self._known) > ANSWERS:
                    self._known.popitem(last=False)


def _joined(*items: bytes) -> bytes:
    return b",".join(filter(None, items))


def _field(value: object, name: str) -> dict[str, object]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
