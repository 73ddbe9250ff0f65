"""A BERT encoder with mean pooling as an ONNX graph over the weights in a safetensors file.

So a sentence model runs on ONNX Runtime though it was published for PyTorch alone; nothing is converted or copied.
Architecture: https://arxiv.org/abs/1810.04805; file format: https://huggingface.co/docs/safetensors.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headroom.embedding.onnx_file import Graph
from headroom.errors import ConfigurationError

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
FILES = (WEIGHTS, CONFIG, TOKENIZER)
INPUTS = ("input_ids", "attention_mask")
LARGEST_HEADER = 100_000_000


@dataclass(frozen=True, slots=True)
class Tensor:
    """A weight in the file: byte ``offset`` from its start, ``length`` in bytes."""

    shape: tuple[int, ...]
    offset: int
    length: int


def tensors(path: Path) -> dict[str, Tensor]:
    """What a safetensors file has, of 32-bit floats. Raises ConfigurationError for what is no such file."""
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > LARGEST_HEADER:
                raise ValueError("no header")
            header = json.loads(file.read(size))
        start = 8 + size
        return {
            name.removeprefix("bert."): Tensor(
                tuple(said["shape"]), start + said["data_offsets"][0], said["data_offsets"][1] - said["data_offsets"][0]
            )
            for name, said in header.items()
            if name != "__metadata__" and said["dtype"] == "F32"
        }
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise ConfigurationError(f"{path} is no safetensors file: {error}", {"path": str(path)}) from error


def graph(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> bytes:
    """The ONNX file: token ids and their mask in, for each text the mean of its tokens' vectors out.

    Raises ConfigurationError for a model of another architecture, or when a weight is missing.
    """
    if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
        found = f"{config.get('model_type')!r} with {config.get('hidden_act')!r}"
        raise ConfigurationError(f"the model is {found}; expected 'bert' with 'gelu'", {"found": found})
    try:
        return _Bert(config, weights).build()
    except KeyError as error:
        raise ConfigurationError(f"the model's {WEIGHTS} has no {error}", {"missing": str(error)}) from error


class _Bert:
    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        self.hidden, self.heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        self.layers, self.epsilon = int(config["num_hidden_layers"]), float(config["layer_norm_eps"])
        self.weights, self.graph = weights, Graph()

    def build(self) -> bytes:
        add, ints = self.graph.add, self.graph.ints
        ids, mask = INPUTS
        ints("zero", [0])
        ints("one", [1])
        ints("first", [0], scalar=True)
        ints("two_and_three", [1, 2])
        ints("last", [2])
        ints("flat", [-1, self.hidden])
        ints("split", [self.heads, self.hidden // self.heads])
        ints("width", [self.hidden])
        self.graph.number("most", -1e9)
        self.graph.number("unit", 1.0)
        self.graph.number("scale", (self.hidden // self.heads) ** -0.5)
        size = add("Shape", [ids])
        length = add("Shape", [ids], start=1, end=2)
        heads = add("Concat", [size, "split"], axis=0)
        whole = add("Concat", [size, "width"], axis=0)

        words = add("Gather", [self._weight("embeddings.word_embeddings.weight"), ids])
        places = add("Slice", [self._weight("embeddings.position_embeddings.weight"), "zero", length, "zero"])
        kind = add("Gather", [self._weight("embeddings.token_type_embeddings.weight"), "first"])
        state = add("Add", [add("Add", [words, places]), kind])
        state = add("Reshape", [self._normal(state, "embeddings.LayerNorm"), "flat"])

        seen = add("Cast", [mask], to=1)
        hidden = add("Mul", [add("Sub", ["unit", add("Unsqueeze", [seen, "two_and_three"])]), "most"])
        for number in range(self.layers):
            state = self._layer(state, f"encoder.layer.{number}.", heads, hidden)

        state = add("Reshape", [state, whole])
        counted = add("Mul", [state, add("Unsqueeze", [seen, "last"])])
        mean = add(
            "Div",
            [
                add("ReduceSum", [counted, "one"], keepdims=0),
                add("ReduceSum", [seen, "one"], keepdims=1),
            ],
        )
        return self.graph.model(INPUTS, mean)

    def _layer(self, state: str, name: str, heads: str, hidden: str) -> str:
        add = self.graph.add

        def projected(part: str, order: list[int]) -> str:
            found = self._linear(state, f"{name}attention.self.{part}")
            return add("Transpose", [add("Reshape", [found, heads])], perm=order)

        query = projected("query", [0, 2, 1, 3])
        key = projected("key", [0, 2, 3, 1])
        value = projected("value", [0, 2, 1, 3])
        likeness = add("Add", [add("Mul", [add("MatMul", [query, key]), "scale"]), hidden])
        mixed = add("MatMul", [add("Softmax", [likeness], axis=-1), value])
        mixed = add("Reshape", [add("Transpose", [mixed], perm=[0, 2, 1, 3]), "flat"])
        mixed = add("Add", [self._linear(mixed, f"{name}attention.output.dense"), state])
        mixed = self._normal(mixed, f"{name}attention.output.LayerNorm")
        inner = add("Gelu", [self._linear(mixed, f"{name}intermediate.dense")])
        return self._normal(add("Add", [self._linear(inner, f"{name}output.dense"), mixed]), f"{name}output.LayerNorm")

    def _linear(self, state: str, name: str) -> str:
        inputs = [state, self._weight(f"{name}.weight"), self._weight(f"{name}.bias")]
        return self.graph.add("Gemm", inputs, transB=1)

    def _normal(self, state: str, name: str) -> str:
        inputs = [state, self._weight(f"{name}.weight"), self._weight(f"{name}.bias")]
        return self.graph.add("LayerNormalization", inputs, axis=-1, epsilon=self.epsilon)

    def _weight(self, name: str) -> str:
        found = self.weights[name]
        return self.graph.weight(name, found.shape, WEIGHTS, found.offset, found.length)
