"""A tiny model of the published one's architecture and file layout: ModernBERT, a linear head, its ONNX exports.

The ONNX graphs are built by hand from the same weights that the safetensors file holds, so that what ONNX Runtime and
PyTorch make of them can be compared token by token. Architecture: https://arxiv.org/abs/2412.13663
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Tiny:
    """Sizes of the model; the third layer's attention is global, as each third one's is in the published model."""

    vocabulary: int = 0
    hidden: int = 64
    heads: int = 4
    middle: int = 96
    layers: int = 3
    window: int = 16
    eps: float = 1e-5
    theta_global: float = 160_000.0
    theta_local: float = 10_000.0


TEXT = """The quick brown fox jumps over the lazy dog while it does not look at the road . Nothing was ever said about
the error in the file src/app.py on line 42 , and nobody could tell why . We read the report again and again in the
hope of finding what went wrong with the service in the night , but the writer had left out all that mattered ."""


def make(folder: Path, seed: int = 0, sizes: Tiny | None = None, pytorch: bool = True) -> Weights:
    """Write the model's files; the same seed gives the same weights."""
    (folder / "onnx").mkdir(parents=True)
    vocabulary = _tokenizer(folder / "tokenizer.json")
    sizes = sizes or Tiny(vocabulary)
    weights = _weights(sizes, seed)
    (folder / "config.json").write_text(json.dumps(_config(sizes)))
    if pytorch:
        save_safetensors(folder / "model.safetensors", weights)
    for name, bits in (("kompress-fp32", 0), ("kompress-int8-wo", 8)):
        onnx.save(_graph(sizes, weights, bits), folder / "onnx" / f"{name}.onnx")
    return weights


def save_safetensors(path: Path, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """https://huggingface.co/docs/safetensors: a header of JSON, its length before it, then the numbers."""
    header: dict[str, object] = {}
    at = 0
    for name, value in weights.items():
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [at, at + value.nbytes]}
        at += value.nbytes
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(len(head).to_bytes(8, "little") + head + b"".join(v.tobytes() for v in weights.values()))


def _tokenizer(path: Path) -> int:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(path))
    return int(tokenizer.get_vocab_size())


def _config(sizes: Tiny) -> dict[str, object]:
    return {
        "model_type": "modernbert",
        "architectures": ["ModernBertModel"],
        "vocab_size": sizes.vocabulary,
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.middle,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "hidden_activation": "gelu",
        "max_position_embeddings": 512,
        "norm_eps": sizes.eps,
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "global_attn_every_n_layers": sizes.layers,
        "global_rope_theta": sizes.theta_global,
        "local_rope_theta": sizes.theta_local,
        "local_attention": sizes.window,
        "pad_token_id": 3, "cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1, "eos_token_id": 2,
        "layer_types": [
            "full_attention" if i % sizes.layers == 0 else "sliding_attention" for i in range(sizes.layers)
        ],
    }  # fmt: skip


def _weights(sizes: Tiny, seed: int) -> Weights:
    random = np.random.default_rng(seed)

    def some(*shape: int) -> NDArray[np.float32]:
        return np.asarray(random.standard_normal(shape) / np.sqrt(shape[-1]) * 1.5, dtype=np.float32)

    def ones() -> NDArray[np.float32]:
        return np.asarray(1 + 0.1 * random.standard_normal(sizes.hidden), dtype=np.float32)

    h, m = sizes.hidden, sizes.middle
    weights = {"encoder.embeddings.tok_embeddings.weight": some(sizes.vocabulary, h)}
    weights["encoder.embeddings.norm.weight"] = ones()
    for i in range(sizes.layers):
        layer = f"encoder.layers.{i}"
        if i:
            weights[f"{layer}.attn_norm.weight"] = ones()
        weights[f"{layer}.attn.Wqkv.weight"] = some(3 * h, h)
        weights[f"{layer}.attn.Wo.weight"] = some(h, h)
        weights[f"{layer}.mlp_norm.weight"] = ones()
        weights[f"{layer}.mlp.Wi.weight"] = some(2 * m, h)
        weights[f"{layer}.mlp.Wo.weight"] = some(h, m)
    weights["encoder.final_norm.weight"] = ones()
    weights["token_head.weight"] = some(2, h) * 2
    weights["token_head.bias"] = some(2)
    return weights


class _Builder:
    def __init__(self, bits: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.bits = bits

    def constant(self, value: NDArray[np.generic]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], domain=domain, **attributes))
        return name

    def linear(self, x: str, weight: NDArray[np.float32]) -> str:
        """x @ weight.T, with the weight in 8 bits and a scale for each 32 where that is asked for."""
        if not self.bits:
            return self.add("MatMul", x, self.constant(np.ascontiguousarray(weight.T)))
        rows, columns = weight.shape
        blocks = weight.reshape(rows, columns // 32, 32)
        scale = np.abs(blocks).max(axis=2, keepdims=True) / 127
        packed = (np.round(blocks / scale) + 128).astype(np.uint8)
        inputs = (self.constant(packed), self.constant(scale[..., 0].astype(np.float32)))
        return self.add("MatMulNBits", x, *inputs, domain="com.microsoft", K=columns, N=rows, bits=8, block_size=32)


def _graph(sizes: Tiny, weights: Weights, bits: int) -> onnx.ModelProto:
    b = _Builder(bits)
    head = sizes.hidden // sizes.heads
    norm_bias = b.constant(np.zeros(sizes.hidden, np.float32))

    def norm(x: str, name: str) -> str:
        return b.add("LayerNormalization", x, b.constant(weights[name]), norm_bias, axis=-1, epsilon=sizes.eps)

    def integers(*values: int) -> str:
        return b.constant(np.array(values, np.int64))

    length = b.add("Gather", b.add("Shape", "input_ids"), b.constant(np.array(1, np.int64)), axis=0)
    positions = b.add("Range", b.constant(np.array(0, np.int64)), length, b.constant(np.array(1, np.int64)))
    at = b.add("Unsqueeze", b.add("Cast", positions, to=TensorProto.FLOAT), integers(1))
    lowest = b.constant(np.array(-1e9, np.float32))
    zero = b.constant(np.array(0, np.float32))
    padding = b.add("Where", b.add("Unsqueeze", b.add("Cast", "attention_mask", to=TensorProto.BOOL), integers(1, 2)),
                    zero, lowest)  # fmt: skip
    apart = b.add("Abs", b.add("Sub", at, b.add("Transpose", at, perm=[1, 0])))
    near = b.add("LessOrEqual", apart, b.constant(np.array(sizes.window // 2, np.float32)))
    sliding = b.add("Add", padding, b.add("Where", near, zero, lowest))

    def turned(theta: float) -> tuple[str, str]:
        frequencies = (1.0 / theta ** (np.arange(0, head, 2) / head)).astype(np.float32)[None]
        angles = b.add("MatMul", at, b.constant(frequencies))
        twice = b.add("Concat", angles, angles, axis=-1)
        return b.add("Cos", twice), b.add("Sin", twice)

    def rotate(x: str, turn: tuple[str, str]) -> str:
        half = b.add("Slice", x, integers(0), integers(head // 2), integers(3))
        rest = b.add("Slice", x, integers(head // 2), integers(head), integers(3))
        swapped = b.add("Concat", b.add("Neg", rest), half, axis=-1)
        return b.add("Add", b.add("Mul", x, turn[0]), b.add("Mul", swapped, turn[1]))

    turns = {True: turned(sizes.theta_global), False: turned(sizes.theta_local)}
    x = b.add("Gather", b.constant(weights["encoder.embeddings.tok_embeddings.weight"]), "input_ids", axis=0)
    x = norm(x, "encoder.embeddings.norm.weight")
    for i in range(sizes.layers):
        layer, everywhere = f"encoder.layers.{i}", i % sizes.layers == 0
        y = norm(x, f"{layer}.attn_norm.weight") if i else x
        y = b.linear(y, weights[f"{layer}.attn.Wqkv.weight"])
        y = b.add("Reshape", y, integers(0, 0, 3, sizes.heads, head))
        y = b.add("Transpose", y, perm=[2, 0, 3, 1, 4])  # q, k or v; batch; head; position
        q, k, v = (b.add("Gather", y, b.constant(np.array(n, np.int64)), axis=0) for n in range(3))
        q, k = rotate(q, turns[everywhere]), rotate(k, turns[everywhere])
        scores = b.add("MatMul", q, b.add("Transpose", k, perm=[0, 1, 3, 2]))
        scores = b.add("Mul", scores, b.constant(np.array(head**-0.5, np.float32)))
        shares = b.add("Softmax", b.add("Add", scores, padding if everywhere else sliding), axis=-1)
        y = b.add("Transpose", b.add("MatMul", shares, v), perm=[0, 2, 1, 3])
        y = b.add("Reshape", y, integers(0, 0, sizes.hidden))
        x = b.add("Add", x, b.linear(y, weights[f"{layer}.attn.Wo.weight"]))
        y = b.linear(norm(x, f"{layer}.mlp_norm.weight"), weights[f"{layer}.mlp.Wi.weight"])
        value = b.add("Slice", y, integers(0), integers(sizes.middle), integers(2))
        gate = b.add("Slice", y, integers(sizes.middle), integers(2 * sizes.middle), integers(2))
        x = b.add("Add", x, b.linear(b.add("Mul", b.add("Gelu", value), gate), weights[f"{layer}.mlp.Wo.weight"]))
    x = norm(x, "encoder.final_norm.weight")
    x = b.add("Add", b.linear(x, weights["token_head.weight"]), b.constant(weights["token_head.bias"]))
    b.nodes.append(helper.make_node("Identity", [x], ["logits"]))
    shape: list[str] = ["batch", "length"]
    graph = helper.make_graph(
        b.nodes,
        "kompress",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [*shape, 2])],
        b.constants,
    )
    opsets = [helper.make_opsetid("", 20), *([helper.make_opsetid("com.microsoft", 1)] if bits else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)
