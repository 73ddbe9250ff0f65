"""Which embedder is used."""

import logging
import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from headroom.embedding import minilm, mps
from headroom.errors import ConfigurationError, without_message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)
VARIABLE = "HEADROOM_EMBEDDER_RUNTIME"
MPS = "pytorch_mps"
_found: dict[str, "Embedder | None"] = {}
_opening = threading.Lock()


class Embedder(Protocol):
    """Makes vectors of texts: similar texts, similar directions. ``name`` tells its vectors from another's."""

    name: str
    dimensions: int

    def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """A vector of length 1 for each text, in rows."""
        ...


def runtime() -> str:
    """What HEADROOM_EMBEDDER_RUNTIME says: pytorch_mps, or "". Raises ConfigurationError for anything else."""
    value = os.environ.get(VARIABLE, "").strip()
    if value.lower() not in ("", MPS):
        raise ConfigurationError(
            f"{VARIABLE} is {value!r}; allowed: {MPS}, or nothing",
            {"setting": VARIABLE, "value": value, "allowed": MPS},
        )
    return value.lower()


def embedder() -> Embedder | None:
    """The embedder of this process: the one that HEADROOM_EMBEDDER_RUNTIME names where the machine has what it needs,
    else MiniLM on ONNX Runtime where it is installed; None where it is not, and words are compared instead.

    It is opened when it is asked for first, some 0.3 s. Raises ConfigurationError for a wrong variable.
    """
    asked = runtime()
    with _opening:
        if asked not in _found:
            _found[asked] = _open(asked)
        return _found[asked]


def _open(asked: str) -> Embedder | None:
    if asked == MPS:
        why = mps.why_not()
        if not why:
            try:
                return mps.MpsEmbedder()
            except Exception as error:
                why = without_message(error)
        log.warning("%s is %s, but %s; the default embedder is used", VARIABLE, MPS, why)
    folder = minilm.find()
    if folder is None:
        return None
    try:
        found = minilm.MiniLm(folder)
        found.embed(["two words"])  # some builds open a model and fail when it runs
        return found
    except Exception as error:
        log.warning("the embedder in %s can't be used, words are compared: %s", folder, without_message(error))
        return None
