"""Opening the published model with the first runtime that can run it."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from headroom.errors import CompressionError, without_message
from headroom.kompress.backends.choice import Backend, Engine, Machine, engines, pytorch_as_well, wanted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)


class Scorer(Protocol):
    """A model that says of each token how sure it is that the token is needed."""

    engine: Engine
    file: Path

    def scores(self, ids: "NDArray[np.int64]", mask: "NDArray[np.int64]") -> "NDArray[np.float32]":
        """Ids and mask of a batch of sequences; for each token a score from 0 to 1, above 0.5 it is kept."""
        ...


def open_scorer(folder: Path, backend: Backend | None = None, machine: Machine | None = None) -> Scorer:
    """The model in ``folder``. ``backend`` is what HEADROOM_KOMPRESS_BACKEND says where it is not given.

    Each runtime that was asked for, and each file that it could read, is tried with two tokens: some builds accept a
    file and fail when it runs. Raises CompressionError when none works.
    """
    asked = wanted() if backend is None else backend
    machine = machine or Machine()
    failed: list[str] = []
    for engine in _in_order(asked, machine):
        for open_file, file in _files(folder, engine):
            try:
                scorer = open_file(file, engine)
                _try(scorer)
            except Exception as error:
                log.warning("%s does not run on %s: %s", file.name, "/".join(engine), without_message(error))
                failed.append(f"{file.name} on {'/'.join(engine)}: {type(error).__name__}")
                continue
            log.info("%s runs on %s", file, "/".join(engine))
            return scorer
    raise CompressionError(
        f"The model in {folder} can't be run by {asked}: {'; '.join(failed) or 'no runtime and file for it'}.",
        {"folder": str(folder), "backend": str(asked), "failed": failed},
    )


def _in_order(backend: Backend, machine: Machine) -> Iterator[Engine]:
    yield from engines(backend, machine)
    yield from pytorch_as_well(backend, machine)


def _files(folder: Path, engine: Engine) -> Iterator[tuple[Callable[[Path, Engine], Scorer], Path]]:
    from headroom.kompress.backends import onnx, pytorch

    opens: Callable[[Path, Engine], Scorer] = onnx.OnnxScorer if engine.runtime == "onnx" else pytorch.TorchScorer
    for name in onnx.FILES if engine.runtime == "onnx" else pytorch.FILES:
        if (folder / name).is_file():
            yield opens, folder / name


def _try(scorer: Scorer) -> None:
    import numpy as np

    two = np.ones((1, 2), dtype=np.int64)
    if scorer.scores(two, two).shape != (1, 2):
        raise CompressionError("the model gives no score for each token")
