"""The published model on ONNX Runtime."""

from pathlib import Path
from typing import TYPE_CHECKING

from headroom.kompress.backends.choice import Engine

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILES = ("onnx/kompress-int8-wo.onnx", "onnx/kompress-fp32.onnx", "onnx/kompress-int8.onnx")
"""In the order in which they are tried. The first holds weights of 8 bits and needs the operator MatMulNBits, which
not each build of ONNX Runtime can run for 8 bits."""
_PROVIDERS = {"cpu": ["CPUExecutionProvider"], "coreml": ["CoreMLExecutionProvider", "CPUExecutionProvider"]}


class OnnxScorer:
    """``input_ids`` and ``attention_mask`` in; out come two logits for each token, of which the second says "keep", or
    one score for each token."""

    def __init__(self, file: Path, engine: Engine) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # a fallback of single operators is no news
        self.engine, self.file = engine, file
        self._session = onnxruntime.InferenceSession(str(file), options, providers=_PROVIDERS[engine.device])
        self._inputs = {value.name for value in self._session.get_inputs()}
        self._output = self._session.get_outputs()[0].name

    def scores(self, ids: "NDArray[np.int64]", mask: "NDArray[np.int64]") -> "NDArray[np.float32]":
        import numpy as np

        given = {"input_ids": ids, "attention_mask": mask}
        (out,) = self._session.run([self._output], {k: v for k, v in given.items() if k in self._inputs})
        found = np.asarray(out, dtype=np.float32)
        if found.ndim == 2:
            return found
        return np.asarray(1 / (1 + np.exp(found[..., 0] - found[..., 1])), dtype=np.float32)  # softmax of two
