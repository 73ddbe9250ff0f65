"""What a conversation has said so far, for the judgement of what will be needed: see ``headroom.kompress``."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from headroom.ccr.markers import read_instead, standing
from headroom.kompress.vocabulary import NAME, Vocabulary, content_keys
from headroom.transforms.base import EARLY, LATER, Outlook
from headroom.transforms.keep import strings
from headroom.wire.layout import Block

_FILE = re.compile(r"[\w./-]*\w\.\w+")
_STARTED = re.compile(r"\bID: (\w+)\. Output is being written to: (\S+\.output)\b")
"""What Claude Code says when a command goes on in the background."""
_BEGINNING = 1000
"""Characters in which it says so."""


@dataclass(slots=True)
class Watch:
    """Follows a conversation block by block."""

    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    said: str = ""
    """What the model said in its last answer, beside its calls."""
    tokens: int = 0
    """Of all blocks so far, as the provider gets them."""
    _answering: bool = False
    _cut: set[str] = field(default_factory=set)
    _missing: set[str] = field(default_factory=set)
    """Lines that were left out and stand nowhere else."""
    _tasks: dict[str, str] = field(default_factory=dict)
    """Background tasks, and the files that they write into."""

    def begin(self, system: str) -> None:
        """The system prompt."""
        self.vocabulary.seen.update(NAME.findall(system))

    def see(self, block: Block, texts: Iterable[str], tokens: int) -> None:
        """The next block: its texts as the provider gets them."""
        self.tokens += tokens
        answer = block.kind in ("assistant", "call")
        if answer and not self._answering:
            self.vocabulary.answered()
            self.said = ""
        self._answering = answer
        for text in texts:
            if block.kind == "result":
                self.vocabulary.shown(text)
                self._tasks.update(_STARTED.findall(text[:_BEGINNING]))
                if self._missing:
                    self._missing.difference_update(content_keys(text.split("\n")))
            elif block.kind == "user":
                self.vocabulary.asked(text)
            else:
                self.vocabulary.speaks(text)
                if block.kind == "assistant":
                    self.said = f"{self.said}\n{text}" if self.said else text

    def outlook(self, arguments: Mapping[str, object], subject: str, head: int) -> Outlook | None:
        """What is to be expected of the output of a call; None when the agent asks for what it got in part before.

        ``head`` are the tokens before the messages.
        """
        if self._cut and self._cut.intersection(_asked(arguments)):
            return None
        return Outlook(
            self.vocabulary,
            self.said,
            subject,
            prefix=head + self.tokens,
            remaining=EARLY[turn // 10] if (turn := self.vocabulary.turn) < 10 * len(EARLY) else LATER,
            written=self._tasks.get(str(arguments.get("task_id")), ""),
            missing=self._missing,
        )

    def cut(self, arguments: Mapping[str, object], text: str, stands: str) -> None:
        """Note that something was left out of what a call printed: ``text``, for which ``stands`` stands."""
        self._cut.update(_asked(arguments), read_instead(stands))
        named = [lines for _, lines in standing(stands, text) if lines != text]  # what stays may have another form
        kept = set() if named else set(content_keys(stands.split("\n")))
        keys = content_keys("\n".join(named or [text]).split("\n"))
        self._missing.update([key for key in keys if key not in kept and key not in self.vocabulary.lines])


def _asked(arguments: Mapping[str, object]) -> list[str]:
    """What a call is known by: its files, what it searches for, and all that it says."""
    said = "\n".join(strings(arguments))
    pattern = arguments.get("pattern")
    return [*_FILE.findall(said), *([f"pattern={pattern}"] if pattern else []), *([said] if said else [])]
