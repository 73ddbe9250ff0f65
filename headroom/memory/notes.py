"""What a note is, and whose."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from headroom.errors import ValidationError

LONGEST = 20_000
"""Characters of a note: it is a fact or a few, and not a document."""
MOST_TAGS = 20
ID_LENGTH = 12
_is_tag = re.compile(r"[\w][\w.:/-]{0,39}").fullmatch
_is_id = re.compile(rf"[0-9a-f]{{{ID_LENGTH}}}").fullmatch


@dataclass(frozen=True, slots=True)
class Note:
    """``project`` is the folder that it is about, "" for all; ``user`` whose it is, "" for everybody's. Times are unix
    seconds."""

    id: str
    text: str
    project: str = ""
    user: str = ""
    tags: tuple[str, ...] = ()
    made: float = 0.0
    changed: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """A note, and how well it answers a search, from 0 to 1."""

    note: Note
    score: float


def id_of(text: str, project: str, user: str) -> str:
    """What a note is called: the same words of the same user about the same project are the same note."""
    words = " ".join(unicodedata.normalize("NFC", text).split())
    raw = "\0".join((words, project, user)).encode("utf-8", "surrogatepass")
    return sha256(raw).hexdigest()[:ID_LENGTH]


def checked_text(text: object) -> str:
    """A note's text without blanks around it. Raises ValidationError."""
    if not isinstance(text, str) or not text.strip():
        raise ValidationError("a note has no text; expected words", {"field": "text"})
    said = text.strip().encode("utf-8", "replace").decode()
    if len(said) > LONGEST:
        raise ValidationError(
            f"a note has {len(said):,} characters; expected at most {LONGEST:,}: keep the facts, not the document",
            {"field": "text", "found": len(said), "expected": LONGEST},
        )
    return said


def checked_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags in lower case, each once. Raises ValidationError."""
    if isinstance(tags, str):
        tags = [tag for tag in re.split(r"[,\s]+", tags) if tag]
    found = tuple(dict.fromkeys(str(tag).strip().lower() for tag in tags))
    wrong = next((tag for tag in found if not _is_tag(tag)), None)
    if wrong is not None or len(found) > MOST_TAGS:
        said = f"a tag is {wrong!r}" if wrong is not None else f"there are {len(found)} tags"
        raise ValidationError(
            f"{said}; expected at most {MOST_TAGS} tags of letters, digits and . : / - _",
            {"field": "tags", "found": wrong or len(found)},
        )
    return found


def checked_id(id: str) -> str:
    """Raises ValidationError for what is no note's id."""
    said = str(id).strip().lower()
    if not _is_id(said):
        raise ValidationError(f"{said[:80]!r} is no note's id: {ID_LENGTH} hex digits", {"field": "id"})
    return said


def project_of(folder: str | Path) -> str:
    """The project that a folder belongs to: the nearest above it that git or the like keeps, else the folder itself."""
    place = Path(folder).expanduser().absolute()
    for above in (place, *place.parents):
        if any((above / name).exists() for name in (".git", ".hg", ".jj")):
            return str(above)
    return str(place)
