"""The embedded judge: small, quick, and the same on every machine."""

import hashlib
import re
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.kompress.features import NAMES, Situation, features
from headroom.kompress.judge import UNIT, judge
from headroom.kompress.vocabulary import Vocabulary
from tests.support.proxy import ROOT

LISTING = "\n".join(
    f"-rw-r--r-- 1 root root {100 + 7 * i:6} Nov 24 02:{i % 60:02} {'settings' if i == 33 else 'module_' + str(i)}.py"
    for i in range(60)
)
SITUATION = Situation("Bash", "rows", "ls -l /app", "Let me look for the settings module.", "ls -l /app")


def vocabulary() -> Vocabulary:
    found = Vocabulary()
    found.asked("Where is the time zone in the settings of the application set?")
    found.answered()
    found.speaks("Let me look for the settings module.\nls -l /app")
    return found


def test_the_same_lines_rate_the_same_on_every_machine() -> None:
    model = judge()
    assert model is not None
    rows = features(LISTING, SITUATION, vocabulary())
    assert rows.dtype == np.float32 and (rows == np.floor(rows)).all()  # whole numbers: no machine rounds otherwise
    hazards = np.stack(model.rate(rows))
    assert hashlib.sha256(rows.astype("<f4").tobytes()).hexdigest()[:16] == FEATURES
    assert hashlib.sha256(hazards.astype("<i8").tobytes()).hexdigest()[:16] == HAZARDS
    backwards = np.stack(model.rate(np.ascontiguousarray(rows[::-1])))
    assert (hazards[:, ::-1] == backwards).all()  # a line's rate is its own


def test_what_stood_before_is_less_likely_to_be_needed() -> None:
    model = judge()
    assert model is not None
    hazards = model.hazards(LISTING, SITUATION, vocabulary())
    known = vocabulary()
    known.shown(LISTING)
    assert model.hazards(LISTING, SITUATION, known).names.sum() < hazards.names.sum() / 3
    for found in hazards:
        assert ((found > 0) & (found < 4 * UNIT)).all()


def test_it_is_small_and_loaded_when_it_is_first_asked_for() -> None:
    assert (files("headroom.kompress") / "embedded" / "needed.onnx").read_bytes().__len__() < 1_000_000
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, headroom.engine; print('onnxruntime' in sys.modules, 'numpy' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert said.stdout == "False False\n"


def test_the_time_it_takes_grows_with_the_text_and_no_faster() -> None:
    def seconds(times: int) -> float:
        text = "\n".join(f"{LISTING}\n{i}" for i in range(times))
        began = time.thread_time()
        features(text, SITUATION, vocabulary())
        return time.thread_time() - began

    seconds(1)
    few, many = (min(seconds(times) for _ in range(3)) for times in (10, 80))
    assert many < 24 * max(few, 0.01)  # eight times the text; 64 times the time where each line looked at all others


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400), st.text(max_size=60))
def test_any_text_has_a_row_for_each_line(text: str, said: str) -> None:
    rows = features(text, Situation("x", "log", said, said), vocabulary())
    assert rows.shape == (text.count("\n") + 1, len(NAMES)) and np.isfinite(rows).all()


def test_the_training_names_the_same_columns(tmp_path: Path) -> None:
    model = judge()
    assert model is not None
    said = model.session.get_modelmeta().custom_metadata_map
    assert said["columns"].split() == list(NAMES) and re.fullmatch(r"[\d ]+", said["hazards"])


FEATURES = "14e5f6019e7ea2f1"
HAZARDS = "d7aaeab19af1271d"
