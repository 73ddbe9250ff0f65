"""What goes into a transform and what comes out of it."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headroom.ccr.markers import gap
from headroom.tokenizers import count as count_tokens
from headroom.transforms.config import SMART_CRUSHER, SmartCrusherConfig

if TYPE_CHECKING:
    from headroom.kompress.vocabulary import Vocabulary


EARLY, LATER = (35, 26), 20
"""Requests that follow one of the first ten, of the next ten, and any later one: the mean of recorded sessions."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the conversation says of an output that just arrived, for the judgement of what will be needed of it.

    ``vocabulary`` has the names said before, ``said`` is what the model said with the call, ``subject`` what the call
    is about, ``kind`` the kind of text. ``prefix`` are the request's tokens, ``remaining`` the requests that are
    expected to follow. ``bold``: more may be left out. ``reads``: lines may be left out also of files that may be
    edited. ``file``: a tool for files read the text. ``ranged``: a gap says how just its lines are had.
    """

    vocabulary: "Vocabulary"
    said: str = ""
    subject: str = ""
    kind: str = ""
    prefix: int = 0
    remaining: int = LATER
    bold: bool = False
    reads: bool = False
    written: str = ""
    """The file that a background task, of which the call asks, writes what it prints into."""
    file: bool = False
    ranged: bool = False
    missing: Set[str] = frozenset()
    """Lines (``kompress.vocabulary.content_key``) that were left out of earlier outputs and stand nowhere else."""
    caution: int = 1
    """How many times as likely as by default it is taken to be that a line will be needed."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a transform may know of the text beside the text itself.

    ``tool`` and ``arguments`` are the call that produced it, ``query`` is what the agent is after (the task and
    what it said with the call), ``count`` counts tokens. With ``lossless`` a transform may only write the text
    in another form from which a reader can tell every character of content; otherwise it may leave things out.
    """

    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    query: str = ""
    lossless: bool = True
    count: Callable[[str], int] = count_tokens
    gap: Callable[[int, int], str] = gap
    """(number of the text's first line that is missing, how many are) -> the line that stands there for them."""
    smart_crusher: SmartCrusherConfig = SMART_CRUSHER
    """How far structured data may be cut down, where anything may be left out."""
    outlook: Outlook | None = None
    """Where it may be judged what of the text will be needed, and the rest left out."""
    outline: bool = False
    """Whether of code only what it declares has to stay."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """A shorter way to write a text. ``strategy`` is the name the ledger shows; ``left_out`` counts what is gone
    (lines, items), 0 for a lossless form."""

    text: str
    strategy: str
    lossless: bool = True
    left_out: int = 0


Transform = Callable[[str, Context], Compressed | None]
"""None means: this text is not mine, or I cannot write it shorter."""
