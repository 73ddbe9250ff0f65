"""Ids that are said again: shorter, and each can be told."""

import random
import re
import uuid
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from headroom.transforms.base import Context
from headroom.transforms.ids import LEGEND, compress
from tests.support.short import short

_dice = random.Random(7)
UUIDS = [str(uuid.UUID(int=_dice.getrandbits(128), version=4)) for _ in range(9)]
SPANS = [f"{_dice.getrandbits(128):032x}" for _ in range(9)]
NAMED = [f"req_011C{n}{_dice.randint(10, 99)}PqRs{_dice.randint(100, 999)}XyZ{'abcDEF' * 2}" for n in range(9)]


def read(text: str) -> str:
    """What a reader makes of the form: an id that ends in … is the first above that begins so."""
    assert text.startswith(LEGEND)
    out = ""
    for part in re.split(r"([\w-]+…)", text.removeprefix(LEGEND)):
        if part.endswith("…") and len(part) > 1:
            whole = re.search(rf"(?<![\w./-]){re.escape(part[:-1])}[\w-]+", out)
            assert whole is not None
            out += whole[0]
        else:
            out += part
    return out


def log(ids: list[str]) -> str:
    return "".join(f"{word} {one} took {n} ms\n" for n, one in enumerate(ids) for word in ("start", "retry", "end"))


def test_an_id_is_said_in_full_where_it_comes_first() -> None:
    for ids in (UUIDS, SPANS, NAMED):
        found = short(compress, log(ids), Context())
        assert (found.strategy, found.lossless, found.left_out) == ("ids", True, 0)
        assert [found.text.count(one) for one in ids] == [1] * len(ids)
        assert read(found.text) == log(ids)


def test_the_kind_of_an_id_stays_before_its_beginning() -> None:
    text = short(compress, log(NAMED), Context()).text
    assert f"retry {NAMED[0][:12]}… took" in text


def test_ids_that_begin_alike_stay_whole() -> None:
    twins = ["5440873c" + one[8:] for one in UUIDS[:2]]
    text = short(compress, log([*twins, *UUIDS]), Context()).text
    assert [text.count(one) for one in twins] == [3, 3]
    assert read(text) == log([*twins, *UUIDS])


@given(st.lists(st.sampled_from([*UUIDS, *SPANS, *NAMED]), min_size=20, max_size=60), st.sampled_from(" ,\"'\n|"))
def test_any_text_with_ids_can_be_read_again(ids: list[str], between: str) -> None:
    text = between.join(f"id={one}" for one in ids)
    found = compress(text, Context())
    assert found is None or read(found.text) == text


def test_paths_and_words_are_no_ids() -> None:
    for one in (
        f"/var/lib/{SPANS[0]}",
        f"{SPANS[0]}.json",
        "test_that_a_long_name_with_2_numbers_and_1_more_stays",
        "20260211213000_add_annotation_message_refs",
        "CamelCaseNamesAreNoIdsEither2And3",
    ):
        assert compress(f"{one} here\n" * 40, Context()) is None, one


def test_a_text_that_has_the_sign_itself_is_left_alone() -> None:
    assert compress(log(UUIDS) + f"see {UUIDS[0][:8]}… above\n", Context()) is None


def test_few_ids_are_left_alone() -> None:
    assert compress(f"{UUIDS[0]} {UUIDS[0]}", Context()) is None
    assert compress("", Context()) is None


def test_layers_of_a_build_are_ids() -> None:
    build = (Path(__file__).parents[2] / "benchmarks/corpus/outputs/docker-build.txt").read_text()
    found = compress(build, Context())
    assert found is not None and read(found.text) == build
