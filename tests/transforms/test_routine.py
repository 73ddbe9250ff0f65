"""Where lines may be left out: what went well is counted, what went wrong stays whole."""

import pytest

from headroom.transforms import log_templates, routine
from headroom.transforms.base import Context
from tests.support.short import short

NORMAL = Context(lossless=False)

RUNS = {
    "pytest": (
        "".join(f"tests/test_orders.py::test_counts[{n}] PASSED    [ {n}%]\n" for n in range(9)),
        "tests/test_orders.py::test_total FAILED [ 99%]\nE       AssertionError: assert 23 == 24\n"
        "tests/test_orders.py:13: AssertionError\n"
        "FAILED tests/test_orders.py::test_total - AssertionError: assert 23 == 24\n"
        "=== 1 failed, 9 passed in 0.12s ===\n",
    ),
    "jest": (
        "".join(f"    ✓ sums {n} lines ({n} ms)\n" for n in range(9)),
        "    ✕ counts one by default (29 ms)\n    Expected: 1\n    Received: undefined\n"
        "Tests:       1 failed, 9 passed, 10 total\n",
    ),
    "cargo": (
        "".join(f"test tests::case_{n} ... ok\n" for n in range(9)),
        "test tests::wrong ... FAILED\n  left: 4\n right: 5\ntest result: FAILED. 9 passed; 1 failed; 0 ignored\n",
    ),
    "go": (
        "".join(f"=== RUN   TestCount/n{n}\n" for n in range(9)) + "--- PASS: TestCount (0.00s)\n",
        "--- FAIL: TestUnicode (0.00s)\n    count_test.go:10: Count(é) = 2, want 1\n"
        "FAIL\texample.com/gocount\t0.002s\n",
    ),
    "pip": (
        "".join(f"Collecting package{n}>=1.{n}\n  Downloading package{n}-1.{n}.whl (96 kB)\n" for n in range(5)),
        "ERROR: Could not find a version that satisfies the requirement shop==9\nSuccessfully installed package1-1.1\n",
    ),
    "docker": (
        "".join(f"#3 sha256:{n}a2b 1.75kB / 1.75kB done\n" for n in range(9)),
        '#5 [3/4] RUN make\n#5 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 2\n',
    ),
    "make": (
        "".join(f"gcc -Wall -O2 -c -o f{n}.o f{n}.c\n" for n in range(9)),
        "f1.c:1:21: warning: unused variable 'unused'\nmake: *** [Makefile:7: main.o] Error 1\n",
    ),
}


@pytest.mark.parametrize("tool", RUNS)
def test_lines_that_went_well_are_counted_and_the_others_stay(tool: str) -> None:
    well, badly = RUNS[tool]
    found = short(routine.compress, well + badly, NORMAL)
    assert found.left_out == well.count("\n") and not found.lossless
    assert found.text == f"[{well.count(chr(10))} {found.text.split(' ', 1)[1].split(']')[0]}]\n{badly}"
    assert routine.compress(well + badly, Context()) is None


def test_a_step_that_speaks_of_trouble_stays() -> None:
    text = "".join(f"Collecting package{n}\n" for n in range(4)) + "Collecting broken (error: no metadata)\n"
    found = short(routine.compress, text, NORMAL)
    assert (
        found.text == "[4 lines of downloads and installed packages left out]\nCollecting broken (error: no metadata)\n"
    )


def test_a_passed_test_may_have_any_name() -> None:
    text = "".join(f"test errors::fails_{n} ... ok\n" for n in range(5))
    assert short(routine.compress, text, NORMAL).text == "[5 lines of passed tests left out]\n"


LOG = [f"2026-11-24T01:02:{n % 60:02d}.{n:03d}Z INFO [main] stored order {1000 + n} in {n % 7} ms" for n in range(200)]
LOG[50] = "2026-11-24T01:02:50.050Z ERROR [main] order 1050 failed at prices.py:10: KeyError: 'ES'"
LOG[120] = "2026-11-24T01:02:00.120Z INFO [gc] heap grew to 512 MB"


def test_a_log_is_cut_to_what_is_special() -> None:
    found = short(log_templates.compress, "\n".join(LOG), NORMAL)
    lines = found.text.split("\n")
    assert lines[:2] == [LOG[0], "[49 lines left out]"]
    assert LOG[50] in lines and LOG[120] in lines and LOG[199] in lines
    assert lines[-2:] == [log_templates.COUNTS, "196 x # INFO [main] stored order # in # ms"]
    assert found.left_out == 196 and len(lines) < 12
    assert log_templates.compress("\n".join(LOG), Context()) is None


def test_what_is_no_log_stays() -> None:
    assert log_templates.compress("\n".join(f"row {n}" for n in range(200)), NORMAL) is None
