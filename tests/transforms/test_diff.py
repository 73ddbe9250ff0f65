"""The headers of a diff can be written again from what is left of them."""

import re

from hypothesis import given
from hypothesis import strategies as st

from headroom.transforms.base import Context
from headroom.transforms.diff import compress
from tests.support.short import short

CONTEXT = Context()
NORMAL = Context(lossless=False)
AUTHOR = re.compile(r"\[Author, where a commit does not say: (.*)\]\n")
NAMES = re.compile(
    r"((?:(?:old|new|new file|deleted file) mode \d+\n)*index .*\n)"
    r"--- (?:a/(.*?)|/dev/null)\t?\n\+\+\+ (?:b/(.*?)|/dev/null)\t?\n"
)


def header(path: str, change: str) -> str:
    mode = {
        "new": "new file mode 100644\n",
        "gone": "deleted file mode 100644\n",
        "mode": "old mode 100644\nnew mode 100755\n",
    }
    old = "/dev/null" if change == "new" else f"a/{path}"
    new = "/dev/null" if change == "gone" else f"b/{path}"
    index = "index 1a2b3c4..5d6e7f8" + (" 100644" if change == "edit" else "")
    return f"diff --git a/{path} b/{path}\n{mode.get(change, '')}{index}\n--- {old}\n+++ {new}\n"


HUNK = "@@ -1,3 +1,3 @@ def total():\n line\n-old --- a/x\n+new\n--- a/x\n+++ b/x\n"
FILE = st.builds(
    lambda path, change: header(path, change) + HUNK,
    st.sampled_from(["shop/a.py", "b c.txt", "package-lock.json"]),
    st.sampled_from(["edit", "new", "gone", "mode"]),
)


def with_headers(text: str) -> str:
    return NAMES.sub(lambda m: f"diff --git a/{m[2] or m[3]} b/{m[2] or m[3]}\n{m[0]}", text)


@given(st.lists(FILE, max_size=5).map("".join))
def test_headers_can_be_written_again(text: str) -> None:
    found = compress(text, CONTEXT)
    assert (found is None) == (text == "")
    if found:
        assert with_headers(found.text) == text


@given(st.lists(st.sampled_from(["Ana Lima <ana@example.com>", "Rui <rui@example.com>"]), max_size=8))
def test_authors_can_be_written_again(authors: list[str]) -> None:
    text = "".join(
        f"commit {n:040x}\nAuthor: {author}\nDate:   Tue Nov 24 02:54:55 2026 +0000\n\n    Change {n}\n\n"
        for n, author in enumerate(authors)
    )
    found = compress(text, CONTEXT)
    if found:
        said = AUTHOR.match(found.text)
        assert said is not None
        author, rest = said[1], found.text[said.end() :]
        assert re.sub(r"^(commit .*\n)(?!Author: )", rf"\g<1>Author: {author}\n", rest, flags=re.M) == text


def test_a_rename_keeps_its_header() -> None:
    text = "diff --git a/a.py b/b.py\nsimilarity index 90%\nrename from a.py\nrename to b.py\n"
    assert compress(text, CONTEXT) is None


def test_lock_files_are_summed_up_where_that_is_allowed() -> None:
    text = header("package-lock.json", "edit") + HUNK + header("shop/a.py", "edit") + HUNK
    found = short(compress, text, NORMAL)
    assert not found.lossless and found.left_out == 6
    assert found.text == (
        "--- a/package-lock.json\n+++ b/package-lock.json\n[2 added and 2 removed lines left out]\n"
        "--- a/shop/a.py\n+++ b/shop/a.py\n" + HUNK
    )
    assert HUNK in short(compress, text, CONTEXT).text.split("--- a/shop")[0]


def test_a_header_without_end_takes_linear_time() -> None:
    compress("diff --git a/" + "x b/" * 500_000, CONTEXT)
    compress("diff --git a/x b/x\n" * 200_000, NORMAL)
