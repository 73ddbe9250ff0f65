import json
import random
from typing import Any

import pytest

from headroom.transforms.config import SmartCrusherConfig
from headroom.transforms.json_values import Plain, parse
from headroom.transforms.notation import Crushed
from headroom.transforms.selection import bm25, crush

CONFIG = SmartCrusherConfig()


def kept(items: list[Any], config: SmartCrusherConfig = CONFIG, query: str = "") -> list[Any]:
    value, left_out = crush(parse(json.dumps(items)), config, query, bm25)
    assert len(value) + left_out == len(items)
    return [parse_back(item) for item in value]


def parse_back(value: Any) -> Any:
    if isinstance(value, Plain):
        return json.loads(value)
    if isinstance(value, dict):
        return {key: parse_back(part) for key, part in value.items()}
    return [parse_back(part) for part in value] if isinstance(value, list) else value


def rows(count: int, **fields: Any) -> list[dict[str, Any]]:
    noise = random.Random(5)
    return [{"id": f"r{i}", "ms": 100 + noise.randint(-9, 9), "state": "ready", **fields} for i in range(count)]


def ids(items: list[Any]) -> list[str]:
    return [item["id"] for item in items]


def test_the_first_and_the_last_stay() -> None:
    chosen = ids(kept(rows(100)))
    assert chosen[:5] == ["r0", "r1", "r2", "r3", "r4"]
    assert chosen[-2:] == ["r98", "r99"]
    assert len(chosen) <= 15


def test_every_error_stays_even_over_the_budget() -> None:
    items = rows(200)
    for i in range(10, 190, 5):
        items[i]["note"] = "connection refused by peer"
    items[13]["error"] = {"code": 7}
    items[14]["http_status"] = 503
    items[16]["level"] = "Warning"
    items[17]["failures"] = 2
    chosen = set(ids(kept(items)))
    assert {f"r{i}" for i in range(10, 190, 5)} | {"r13", "r14", "r16", "r17"} <= chosen
    assert len(chosen) < 60


def test_fields_that_say_there_was_no_error_keep_nothing() -> None:
    quiet = rows(200, error=None, errors=0, failed=False, status=200)
    assert len(kept(quiet)) <= 15


def test_a_rate_of_errors_that_every_item_has_tells_no_item_from_another() -> None:
    items = rows(200)
    for i, item in enumerate(items):
        item["error_rate"] = 0.01 + i % 5 / 1000
    items[77]["error_rate"] = 0.9
    chosen = ids(kept(items))
    assert "r77" in chosen
    assert len(chosen) < 25


def test_fields_to_preserve_are_kept() -> None:
    items = rows(100)
    items[40]["flag"] = "urgent"
    items[60]["grade"] = "Urgent"
    items[80]["urgent"] = True
    items[81]["urgent"] = False
    plain = ids(kept(items, SmartCrusherConfig(preserve_fields=["urgent"])))
    assert {"r40", "r60", "r80"} <= set(plain)


def test_outliers_stay() -> None:
    items = rows(300)
    items[123]["ms"] = 4_000
    items[200]["ms"] = -3_000.5
    assert {"r123", "r200"} <= set(ids(kept(items)))


def test_a_step_in_a_series_stays_and_a_slope_is_none() -> None:
    items = rows(200)
    for item in items[120:]:
        item["ms"] += 80
    assert {"r119", "r120"} <= set(ids(kept(items)))
    assert not {"r119", "r120"} <= set(ids(kept(items, SmartCrusherConfig(preserve_change_points=False))))
    slope = [{"id": f"r{i}", "n": i} for i in range(200)]
    assert len(kept(slope)) <= 15


def test_a_change_of_state_stays() -> None:
    items = rows(100)
    for item in items[50:60]:
        item["state"] = "draining"
    assert {"r49", "r50", "r59", "r60"} <= set(ids(kept(items)))


def test_what_the_agent_is_after_stays() -> None:
    items = rows(300)
    items[222]["owner"] = "marguerite"
    assert "r222" in ids(kept(items, query="Which of the ready rows belongs to Marguerite?"))
    assert "r150" in ids(kept(items, query="look at r150"))


def test_each_category_gets_an_example() -> None:
    items = rows(400)
    for i, item in enumerate(items):
        item["kind"] = "abcdef"[0 if i % 50 else i // 50 % 6]
    chosen = kept(items)
    assert {item["kind"] for item in chosen} == set("abcdef")


def test_identical_items_are_kept_once() -> None:
    items = [{"word": w} for w in ["tick"] * 50 + ["tock"] + ["tick"] * 49]
    chosen = kept(items)
    assert chosen.count({"word": "tick"}) == 7  # the first five and the last two
    assert {"word": "tock"} in chosen


def test_strings_numbers_and_mixed_items_are_cut_too() -> None:
    lines = [f"step {i} done" for i in range(100)]
    lines[61] = "step 61 failed: disk full"
    assert "step 61 failed: disk full" in kept(lines)
    assert len(kept(lines)) <= 15
    numbers = [10 + i % 2 for i in range(100)]
    numbers[42] = 900
    assert 900 in kept(numbers)
    mixed = [i if i % 3 else {"n": i} for i in range(100)]
    assert len(kept(mixed)) < 30
    assert kept([[i, "x"] for i in range(60)])[-1] == [59, "x"]


def test_objects_and_short_arrays_are_walked() -> None:
    value = {"pages": [{"rows": rows(50)}, {"rows": rows(3)}]}
    cut, left_out = crush(parse(json.dumps(value)), CONFIG, "", bm25)
    long, short = (page["rows"] for page in cut["pages"])
    assert isinstance(long, Crushed)
    assert long.total == 50
    assert left_out == 50 - len(long)
    assert len(short) == 3


def test_the_note_says_what_the_left_out_numbers_are_like() -> None:
    numbers = ["5.00", "4.50", "6.50"] * 20
    cut, _ = crush([{"n": Plain(n)} for n in numbers], SmartCrusherConfig(dedup_identical_items=False), "", bm25)
    left = [float(n) for n in numbers]
    for item in cut:
        left.remove(float(item["n"]))
    assert cut.note == f"left out: n min 4.50 max 6.50 mean {sum(left) / len(left):.6g}"


def test_the_same_items_give_the_same_choice() -> None:
    assert len({json.dumps(kept(rows(500), query="ready r77")) for _ in range(3)}) == 1


def test_huge_numbers_do_no_harm() -> None:
    items = [{"id": f"r{i}", "n": 10**400 if i == 30 else 1e308 if i == 31 else i} for i in range(100)]
    assert len(kept(items)) <= 15


def test_rarer_words_score_higher() -> None:
    texts = ["alpha beta"] * 8 + ["alpha gamma", "delta gamma delta"] + ["other"] * 90
    scores = bm25("alpha gamma delta", texts)
    assert max(range(len(texts)), key=scores.__getitem__) == 9
    assert scores[9] > scores[8] > scores[0] > 0 == scores[50]
    assert bm25("nothing of that", texts) == [0.0] * 100


@pytest.mark.parametrize("count", [5, 15])
def test_arrays_within_the_budget_stay_whole(count: int) -> None:
    assert len(kept(rows(count))) == count
