"""The published model on PyTorch: a ModernBERT encoder of transformers and one linear layer."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from headroom.errors import CompressionError
from headroom.kompress.backends.choice import Engine

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILES = ("merged.pt", "model.safetensors")
"""In the order in which they are tried. ``merged.pt`` holds the state of each part; where a repository has it, its
``model.safetensors`` may hold what was trained beside the encoder's weights, and is not the whole model."""
_PARTS = ("encoder", "token_head", "span_conv")


class TorchScorer:
    """The encoder's hidden states, a keep and a drop logit for each token; where the weights have it, a second head
    that says how much the words around matter, which can halve a score."""

    def __init__(self, file: Path, engine: Engine) -> None:
        import torch
        from transformers import AutoConfig, AutoModel, ModernBertConfig

        folder = file.parent
        weights = _weights(file)
        config = AutoConfig.from_pretrained(folder) if (folder / "config.json").is_file() else ModernBertConfig()
        encoder = AutoModel.from_config(config, attn_implementation="eager")
        size = config.hidden_size
        parts: dict[str, Any] = {"encoder": encoder, "token_head": torch.nn.Linear(size, 2)}
        if weights["span_conv"]:
            parts["span_conv"] = torch.nn.Sequential(
                torch.nn.Conv1d(size, 256, kernel_size=5, padding=2),
                torch.nn.GELU(),
                torch.nn.Conv1d(256, 1, kernel_size=3, padding=1),
                torch.nn.Sigmoid(),
            )
        for name, part in parts.items():
            part.load_state_dict(weights[name])  # raises when a weight is missing or too many
            part.eval().to(engine.device)
        self.engine, self.file = engine, file
        self._parts = parts

    def scores(self, ids: "NDArray[np.int64]", mask: "NDArray[np.int64]") -> "NDArray[np.float32]":
        import torch

        device = self.engine.device
        with torch.inference_mode():
            hidden = self._parts["encoder"](
                torch.from_numpy(ids).to(device), attention_mask=torch.from_numpy(mask).to(device)
            ).last_hidden_state
            keep = torch.softmax(self._parts["token_head"](hidden).float(), dim=-1)[..., 1]
            if "span_conv" in self._parts:
                around = self._parts["span_conv"](hidden.transpose(1, 2)).squeeze(1)
                keep = keep * (0.5 + 0.5 * around)
            found: NDArray[np.float32] = keep.cpu().numpy()
            return found


def _weights(file: Path) -> dict[str, dict[str, Any]]:
    """The weights of each part. Nothing in the file is executed."""
    if file.suffix == ".pt":
        import torch

        whole = torch.load(file, map_location="cpu", weights_only=True)
        return {part: whole.get(f"{part}_state_dict", {}) for part in _PARTS}
    from safetensors.torch import load_file

    parts: dict[str, dict[str, Any]] = {part: {} for part in _PARTS}
    for name, value in load_file(file).items():
        part, _, rest = name.partition(".")
        if part not in parts:
            raise CompressionError(f"{file.name} has a weight {name!r} of a part that is not known")
        parts[part][rest] = value
    return parts
