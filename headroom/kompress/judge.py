"""The embedded model: how likely each line of an output is needed later, or a name in it, as whole numbers."""

import logging
import threading
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from headroom.kompress.features import NAMES, Situation, features
from headroom.kompress.vocabulary import Vocabulary

log = logging.getLogger(__name__)

UNIT = 1 << 20
"""What stands for 1 in a hazard."""
STEP, STEPS, LOWEST = 256, 289, -12 * 4096
"""Scores are log odds times 4,096; the table of hazards has an entry for each 256 of them, from -12 to 6."""


class Hazards(NamedTuple):
    """For each line -ln(1 - probability), times UNIT: hazards of lines add up."""

    lines: npt.NDArray[np.int64]
    """That the agent takes over more of the line than its names: quotes it, edits it."""
    names: npt.NDArray[np.int64]
    """That it takes over a name, path or number which stands there for the first time."""


class Judge:
    """Rates lines. Any thread may use it; the same lines in the same conversation rate the same on every machine:
    features, thresholds, leaves and the table of hazards are whole numbers."""

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # the pool's threads are busy with requests
        options.log_severity_level = 3
        self.session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        said = self.session.get_modelmeta().custom_metadata_map
        if said.get("columns", "").split() != list(NAMES):
            raise ValueError("the embedded model was trained on other features")
        self._hazards = np.array([int(x) for x in said["hazards"].split()], np.int64)
        if len(self._hazards) != STEPS:
            raise ValueError("the embedded model has another table of hazards")

    def hazards(self, text: str, situation: Situation, vocabulary: Vocabulary) -> Hazards:
        """Those of the lines of ``text``."""
        return self.rate(features(text, situation, vocabulary))

    def rate(self, rows: npt.NDArray[np.float32]) -> Hazards:
        """The same from the lines' features."""
        scores = self.session.run(None, {"rows": rows})[0].astype(np.int64)
        found = self._hazards[np.clip((scores - LOWEST) // STEP, 0, STEPS - 1)]
        return Hazards(found[:, 0], found[:, 1])


_lock = threading.Lock()
_judge: Judge | None = None
_failed = False


def judge() -> Judge | None:
    """The judge, loaded when it is first asked for; None where it can't be, which the log says once."""
    global _judge, _failed
    if _judge is None and not _failed:
        with _lock:
            if _judge is None:
                try:
                    _judge = Judge((files("headroom.kompress") / "embedded" / "needed.onnx").read_bytes())
                except Exception as error:
                    _failed = True
                    log.warning("nothing is left out by judgement: the embedded model can't be loaded: %s", error)
    return _judge
