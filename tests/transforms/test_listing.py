"""A listing can be written out again from its short form."""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headroom.transforms.base import Context
from headroom.transforms.listing import drawing, names, paths, rows
from tests.support.short import short

CONTEXT = Context()
NORMAL = Context(lossless=False)
NAME = st.text("abcxyz_.-019é", min_size=1, max_size=8).filter(lambda name: not name.startswith("-"))


Tree = dict[str, Any]
"""A directory's names; a file's value is None."""


def tree_of(depth: int) -> st.SearchStrategy[Tree]:
    return st.dictionaries(NAME, st.none() if depth == 0 else st.none() | tree_of(depth - 1), max_size=4)


def ls_recursive(root: str, tree: Tree) -> str:
    """What ``ls -R`` prints for a tree of directories (None is a file)."""
    blocks = ["\n".join([f"{root}:", *sorted(tree)])]
    blocks += [ls_recursive(f"{root}/{name}", tree[name]) for name in sorted(tree) if tree[name] is not None]
    return "\n\n".join(blocks)


def written_out(text: str) -> str:
    """``ls -R`` from its short form: labels joined to the directories that they are indented below."""
    blocks = []
    above: list[str] = []
    for line in text.split("\n"):
        match = re.fullmatch(r"( *)(\S+):(?: (.*))?", line)
        assert match is not None
        indent, label, entries = match.groups()
        del above[len(indent) :]
        *single, last = label.split("/") if indent else [label]
        path = above[-1] if above else ""
        for name in single:
            path += f"/{name}"
            blocks.append(f"{path}:\n")
        path = f"{path}/{last}" if above else label
        above.append(path)
        blocks.append("\n".join([f"{path}:", *(entries.split(" ") if entries else [])]))
    out = []
    for block, following in zip(blocks, [*blocks[1:], ""], strict=True):  # a directory on the way has one entry
        out.append(block + following.split("\n")[0].rsplit("/", 1)[-1][:-1] if block.endswith(":\n") else block)
    return "\n\n".join(out)


@given(tree_of(3))
def test_directories_can_be_listed_again(tree: Tree) -> None:
    text = ls_recursive(".", tree)
    found = names(text, CONTEXT)
    if found:
        assert written_out(found.text) == text


def test_names_stand_side_by_side() -> None:
    assert short(names, "api.md\nguide.md\n", CONTEXT).text == "api.md guide.md\n"


def test_a_directory_with_one_directory_is_joined_with_it() -> None:
    text = ".:\nlocale\n\n./locale:\naf\n\n./locale/af:\nLC_MESSAGES\n\n./locale/af/LC_MESSAGES:\na.mo\na.po"
    assert short(names, text, CONTEXT).text == ".: locale\n locale/af/LC_MESSAGES: a.mo a.po"


def test_a_name_with_a_blank_keeps_the_listing_as_it_is() -> None:
    assert names("a file\nb\nc\n", CONTEXT) is None


ROWS = """total 40
drwxr-xr-x  7 ana  staff  4096 Nov 24 02:54 .
drwxr-xr-x 12 root root  4096 Nov 20 10:00 ..
-rw-r--r--  1 ana  staff    12 Nov 24 02:54 .gitignore
-rw-r--r--  1 ana  staff  2131 Oct 24  2024 READ ME.md
lrwxrwxrwx  1 ana  staff     9 Nov 24 02:54 latest -> v1/shop.py
drwxr-xr-x  2 ana  staff  4096 Nov 24 02:54 docs
"""


def test_rows_say_only_what_differs() -> None:
    assert short(rows, ROWS, CONTEXT).text == (
        "total 40\n"
        "[ls -l; where a line does not say: -rw-r--r-- 1 ana staff, Nov 24 02:54; d is drwxr-xr-x]\n"
        "d 7 4096 .\n"
        "d 12 root root 4096 Nov 20 10:00 ..\n"
        "12 .gitignore\n"
        "2131 Oct 24  2024 READ ME.md\n"
        "lrwxrwxrwx 1 9 latest -> v1/shop.py\n"
        "d 2 4096 docs\n"
    )


DATE = r"[A-Z][a-z]{2} [ \d]\d (?: \d{4}|\d\d:\d\d)"
SHORT = re.compile(
    r"(?:(?P<mode>d|\S{10}) (?P<links>\d+) )?(?:(?P<owners>[^\d\s]\S* [^\d\s]\S*) )?(?P<size>\d+)"
    rf"(?: (?P<date>{DATE}))? (?P<name>.+)"
)
HEADER = re.compile(rf"\[ls -l; where a line does not say: (\S+ \d+) (\S+ \S+), ({DATE})(?:; d is (\S+))?\]")


def filled_in(text: str) -> list[str]:
    """Rows with all columns, one space between them."""
    header, *lines = text.split("\n")
    said = HEADER.fullmatch(header)
    assert said is not None
    kind, owners, date, directory = said.groups()
    out = []
    for line in lines:
        match = SHORT.fullmatch(line)
        assert match is not None
        row = match.groupdict()
        mode = f"{directory if row['mode'] == 'd' else row['mode']} {row['links']}" if row["mode"] else kind
        out.append(f"{mode} {row['owners'] or owners} {row['size']} {row['date'] or date} {row['name']}")
    return out


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["-rw-r--r--", "drwxr-xr-x", "drwxrwxrwx", "lrwxrwxrwx"]),
            st.integers(1, 12),
            st.sampled_from(["ana staff", "root root"]),
            st.integers(0, 99999),
            st.sampled_from(["Nov 24 02:54", "Oct  4  2024"]),
            st.sampled_from(["a.py", "my file", "24 b", "x -> y", "d", "ana b"]),
        ),
        min_size=3,
        max_size=20,
    )
)
def test_rows_can_be_filled_in_again(table: list[tuple[str, int, str, int, str, str]]) -> None:
    text = "\n".join(f"{m} {n:>3} {o} {s:>6} {d} {name}" for m, n, o, s, d, name in table)
    found = rows(text, CONTEXT)
    if found:
        assert filled_in(found.text) == [" ".join(map(str, row)) for row in table]


def draw(tree: Tree, stem: str = "") -> list[str]:
    """What ``tree`` draws."""
    out = []
    for i, name in enumerate(sorted(tree)):
        last = i == len(tree) - 1
        out.append(f"{stem}{'└' if last else '├'}── {name}")
        out += draw(tree[name] or {}, stem + ("    " if last else "│   "))
    return out


@given(tree_of(3))
def test_a_drawn_tree_can_be_drawn_again(tree: Tree) -> None:
    lines = [".", *draw(tree)]
    if tree:
        found = short(drawing, "\n".join(lines), CONTEXT)
        read: Tree = {}
        path = [read]
        for line in found.text.split("\n")[1:]:
            name = line.lstrip(" ")
            del path[len(line) - len(name) :]
            path.append(path[-1].setdefault(name, {}))
        assert [".", *draw(read)] == lines


@given(st.lists(st.lists(NAME, min_size=1, max_size=4).map("/".join), min_size=1, max_size=12))
def test_paths_can_be_joined_again(members: list[str]) -> None:
    text = "\n".join(members)
    found = paths(text, NORMAL)
    if found:
        out = []
        for line in found.text.split("\n"):
            folder, _, entries = line.rpartition(": ")
            out += [folder + entry for entry in entries.split(" ")] if folder else [line]
        assert out == members


def test_paths_stand_in_full_where_nothing_may_be_lost() -> None:
    text = "shop/core/orders.py\nshop/core/prices.py\n"
    assert paths(text, CONTEXT) is None
    assert short(paths, text, NORMAL).text == "shop/core/: orders.py prices.py\n"


def test_only_what_the_command_wrote_is_rewritten() -> None:
    text = "<returncode>0</returncode>\n<output>\na.py\nb.py\n</output>"
    assert short(names, text, CONTEXT).text == "<returncode>0</returncode>\n<output>\na.py b.py\n</output>"
