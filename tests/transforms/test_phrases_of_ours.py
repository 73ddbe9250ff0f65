"""Nothing is invented: each word of a shortened output is from the output, or from the documented phrases."""

import re
from pathlib import Path

import pytest

from benchmarks.corpus import Output, load
from benchmarks.transforms import shortened
from headroom.tokenizers import count
from headroom.transforms.base import Context
from headroom.transforms.line_index import LineIndex
from headroom.transforms.pipeline import shorten
from headroom.transforms.references import Source

PAGE = Path(__file__).resolve().parents[2] / "docs" / "phrases.md"
_word = re.compile(r"[^\W\d_]{2,}")


def ours() -> set[str]:
    """The words of all documented phrases."""
    spans = re.findall(r"`[^`]*`", PAGE.read_text(encoding="utf8"))
    return {word for span in spans for word in _word.findall(span)}


def unknown(text: str, *sources: str) -> set[str]:
    """Words of a text that stand in no source and in no phrase; of what is quoted a word may be cut."""
    known = {word for source in sources for word in _word.findall(source)} | ours()
    found = {word for word in _word.findall(text) if word not in known}
    whole = "\n".join(sources)
    return {word for word in found if word not in whole}


@pytest.mark.parametrize("lossless", [True, False], ids=["lossless", "may leave out"])
@pytest.mark.parametrize("output", load(), ids=lambda output: str(output.name))
def test_single_outputs_are_told_in_their_own_words(output: Output, lossless: bool) -> None:
    assert unknown(shortened(output, lossless).text, output.text) == set()


@pytest.mark.parametrize("output", load(), ids=lambda output: str(output.name))
def test_what_came_again_is_told_in_the_words_of_the_conversation(output: Output) -> None:
    changed = re.sub(r"\b(\d)\.(\d\d)s", r"\2.\1s", output.text.replace("the", "one"))
    index = LineIndex()
    index.add(Source("Bash", "command", "make all", 1), output.text)
    found = shorten(changed, count(changed), index, "make all", Context("Bash", {"command": "make all"}))
    if found is not None:
        assert unknown(found.text, output.text, changed, "Bash make all") == set()


def test_a_word_of_nobody_is_found() -> None:
    assert unknown("[3 lines as above here: fine] superfluous", "fine") == {"superfluous"}
