"""The same model in PyTorch on an Apple GPU, by sentence-transformers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headroom.embedding import minilm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def why_not() -> str:
    """Why it can't be used here; "" when it can."""
    try:
        import torch
    except ImportError:
        return "torch is not installed: pip install headroom-ai[pytorch-mps]"
    if not torch.backends.mps.is_available():
        return "this machine has no Apple GPU that torch can use (MPS)"
    try:
        import sentence_transformers  # noqa: F401
    except ImportError:
        return "sentence-transformers is not installed: pip install headroom-ai[pytorch-mps]"
    return ""


class MpsEmbedder:
    """Texts on the GPU. Nothing is fetched: raises OSError where the model is not on this machine."""

    name = "minilm on pytorch_mps"

    def __init__(self) -> None:
        from sentence_transformers import SentenceTransformer

        folder = minilm.find()
        self._model: Any = SentenceTransformer(
            str(folder) if folder else minilm.REPOSITORY, device="mps", local_files_only=True
        )
        self.dimensions = int(self._model.get_sentence_embedding_dimension())

    def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """A vector of length 1 for each text, in rows."""
        import numpy as np

        found = self._model.encode(
            list(texts), normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(found, dtype=np.float32).reshape(len(texts), self.dimensions)
