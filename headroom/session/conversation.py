"""One conversation as the provider has it: what stands for each block, and which lines can be referred to."""

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from hashlib import blake2b

from headroom.session.inputs import verbatim
from headroom.session.standing import Reports, Standing
from headroom.session.watch import Watch
from headroom.transforms.commands import commands_of
from headroom.transforms.envelope import unwrapped
from headroom.transforms.line_index import LineIndex
from headroom.transforms.references import Source
from headroom.wire.layout import PROBE, Block, Layout

CANDIDATES = 8
"""Conversations with the same beginning that are compared with a new body, latest first."""
_SUBJECTS = {
    "file_path": "path", "path": "path", "notebook_path": "path", "absolute_path": "path", "dir_path": "path",
    "paths": "path", "include": "path", "command": "command", "cmd": "command", "commands": "command",
    "input": "command", "pattern": "pattern", "query": "query", "url": "URL",
}  # fmt: skip
_PATCHED = re.compile(r"\*\*\* (?:Add|Update|Delete) File: ([^\n\\\"]+)")
_SUBJECT_LENGTH = 80


@dataclass(slots=True)
class Conversation:
    """Grows with its requests; a request that is not its continuation belongs to another conversation."""

    layout: Layout
    keys: list[bytes] = field(default_factory=list)
    chain: bytes = b""
    """Tells all blocks so far from those of any other conversation."""
    standings: list[Standing] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    index: LineIndex = field(default_factory=LineIndex)
    identities: dict[bytes, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    """The blocks of which something was left out, by the hash of the original."""
    reports: Reports = field(default_factory=Reports)
    lock: threading.Lock = field(default_factory=threading.Lock)
    watch: Watch | None = None
    """Where it is judged what will be needed; None where nothing is."""
    untouched: bool = False
    """Whether outputs were left as they were sent before this conversation was seen."""
    indexed: bool = True
    """Whether its lines can be referred to; only where nothing is decided they need not be."""
    dropped: bool = False
    """Whether its state can't be relied on: a thread that waited for the lock has another begin anew."""

    def continues_in(self, layout: Layout) -> bool:
        """Whether all blocks of this conversation stand at the beginning of ``layout``, unchanged."""
        if self.dropped or len(layout.blocks) < len(self.keys):
            return False
        return all(layout.blocks[i].key(layout.body) == self.keys[i] for i in range(layout.reused, len(self.keys)))

    def restart(self, layout: Layout) -> None:
        """Forget what stands: all blocks are taken in anew, by whoever holds the lock."""
        fresh = Conversation(layout)
        for one in fields(self):
            if one.name != "lock":
                setattr(self, one.name, getattr(fresh, one.name))

    def stands(self, key: bytes, standing: Standing, source: Source, *texts: str) -> None:
        """Add the next block: what stands for it, and its texts."""
        self.identities[standing.identity] = len(self.keys)
        self.keys.append(key)
        self.chain = chained(self.chain, key)
        self.standings.append(standing)
        self.sources.append(source)
        replacement = standing.decision.replacement if standing.decision else None
        if standing.decision is not None and standing.decision.hash:  # the original does not stand here
            if standing.decision.before > standing.decision.after:
                self.left_out.setdefault(standing.decision.hash, len(self.keys) - 1)
            texts, replacement = (standing.decision.replacement,), None
        if not self.indexed:
            return
        for text in texts:
            self.index.add(source, _lines(text, replacement), replacement)


def chained(chain: bytes, key: bytes) -> bytes:
    """What tells a block together with all that stands before it; ``chain`` tells those. 16 bytes."""
    return blake2b(chain + key, digest_size=16, person=b"second sight").digest()


class Conversations:
    """The conversations in memory, by how they begin; the longest unused go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_start: OrderedDict[bytes, list[Conversation]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, hint: str, layout: Layout) -> Conversation | None:
        """The conversation that has most in common with a body whose first turns are scanned.

        ``hint`` is what the request's headers say of its session; it only narrows the search.
        """
        with self._lock:
            candidates = list(self._by_start.get(start_of(hint, layout), ()))
        best, most = None, -1
        for conversation in candidates:
            turns = conversation.layout.turns
            same = 0 if len(turns) <= PROBE else _turns_in_common(conversation.layout, layout)
            if same > most:
                best, most = conversation, same
        return best

    def keep(self, hint: str, conversation: Conversation) -> None:
        """Put a conversation first."""
        start = start_of(hint, conversation.layout)
        with self._lock:
            known = self._by_start.setdefault(start, [])
            if conversation in known:
                known.remove(conversation)
            known.insert(0, conversation)
            del known[CANDIDATES:]
            self._by_start.move_to_end(start)
            while sum(len(some) for some in self._by_start.values()) > self._limit and len(self._by_start) > 1:
                self._by_start.popitem(last=False)

    def drop(self, conversation: Conversation) -> None:
        """Forget a conversation whose state can't be relied on."""
        conversation.dropped = True
        with self._lock:
            for known in self._by_start.values():
                if conversation in known:
                    known.remove(conversation)
                    return


def start_of(hint: str, layout: Layout) -> bytes:
    """What conversations with the same beginning have in common: the shape, the session, the first two turns."""
    digest = blake2b(f"{layout.shape}\0{hint}".encode("utf-8", "surrogatepass"), digest_size=16)
    end = layout.turns[PROBE].first_block if len(layout.turns) > PROBE else len(layout.blocks)
    for block in layout.blocks[:end]:
        digest.update(block.key(layout.body))
    return digest.digest()


def _turns_in_common(old: Layout, new: Layout) -> int:
    """A quick measure of how far two bodies agree: whether old turns, from the last back, stand in the new body."""
    shift = new.list_start - old.list_start
    for count in range(len(old.turns), PROBE, -1):
        start, end = old.turns[count - 1].span
        middle = max(start, end - 64)
        if new.body[middle + shift : end + shift] == old.body[middle:end]:
            return count
    return 0


def source_of(layout: Layout, block: Block, number: int) -> Source:
    """How a reference names a block."""
    if block.kind == "user":
        return Source("the user's message", "", "", number)
    if block.kind == "assistant":
        return Source("your message", "", "", number)
    tool = layout.tool(block) or "a tool"
    label, subject = subject_of(layout.arguments(block))
    return Source(tool if block.kind == "result" else f"the input of {tool}", label, subject, number)


def subject_of(arguments: Mapping[str, object]) -> tuple[str, str]:
    """What a call is about: ("path", "src/a.py"); ("", "") where that can't be told."""
    for key, label in _SUBJECTS.items():
        value = arguments.get(key)
        if label == "command":
            value = "; ".join(line.strip().split("\n", 1)[0] for line in commands_of({key: value}))
        elif isinstance(value, list):
            value = value[-1] if value else None
        if isinstance(value, str) and value.strip():
            line = value.strip().split("\n", 1)[0]
            return label, line if len(line) <= _SUBJECT_LENGTH else line[:_SUBJECT_LENGTH] + "…"
    code = arguments.get("input")
    patched = _PATCHED.search(code) if isinstance(code, str) else None
    return ("path", patched[1]) if patched else ("", "")


def _lines(text: str, replacement: str | None) -> str:
    """The text in the lines that the provider sees: in JSON that is mostly one string, those of the string."""
    lines = unwrapped(text)
    if lines is None:
        return text
    if replacement is None:
        return verbatim(lines)
    return lines if replacement.split("\n", 1)[0] == lines.split("\n", 1)[0] else text
