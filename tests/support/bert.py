"""A tiny BERT of a sentence model's file layout, and the same computed step by step with numpy."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from tests.support.modernbert import Weights, save_safetensors

TEXT = "the shop is open price of a pear and an apple was changed today"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *TEXT.split()]
Vectors = NDArray[Any]
HIDDEN, HEADS, LAYERS, MIDDLE, PLACES = 24, 3, 2, 48, 32


def make(folder: Path, seed: int = 0) -> Weights:
    """Write the model's files; the same seed gives the same weights."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)

    def some(*shape: int) -> NDArray[np.float32]:
        return random.normal(0, 0.3, shape).astype(np.float32)

    weights: Weights = {
        "embeddings.word_embeddings.weight": some(len(WORDS), HIDDEN),
        "embeddings.position_embeddings.weight": some(PLACES, HIDDEN),
        "embeddings.token_type_embeddings.weight": some(2, HIDDEN),
    }
    names = ["embeddings.LayerNorm"]
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}."
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            weights[f"{layer}{part}.weight"], weights[f"{layer}{part}.bias"] = some(HIDDEN, HIDDEN), some(HIDDEN)
        weights[f"{layer}intermediate.dense.weight"] = some(MIDDLE, HIDDEN)
        weights[f"{layer}intermediate.dense.bias"] = some(MIDDLE)
        weights[f"{layer}output.dense.weight"] = some(HIDDEN, MIDDLE)
        weights[f"{layer}output.dense.bias"] = some(HIDDEN)
        names += [f"{layer}attention.output.LayerNorm", f"{layer}output.LayerNorm"]
    for name in names:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = 1 + some(HIDDEN), some(HIDDEN)
    save_safetensors(folder / "model.safetensors", weights)
    config = {
        "model_type": "bert", "hidden_act": "gelu", "hidden_size": HIDDEN, "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS, "layer_norm_eps": 1e-12, "max_position_embeddings": PLACES, "pad_token_id": 0,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return weights


def embedded(weights: Weights, text: str) -> Vectors:
    """What the model makes of a text, https://arxiv.org/abs/1810.04805, averaged over its tokens, of length 1."""
    words = [WORDS.index(word) if word in WORDS else 1 for word in text.split()]
    ids = [2, *words[: PLACES - 2], 3]

    def linear(state: Vectors, name: str) -> Vectors:
        found: Vectors = state @ weights[f"{name}.weight"].T.astype(float) + weights[f"{name}.bias"]
        return found

    def normal(state: Vectors, name: str) -> Vectors:
        state = (state - state.mean(-1, keepdims=True)) / np.sqrt(state.var(-1, keepdims=True) + 1e-12)
        return state * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    state: Vectors = weights["embeddings.word_embeddings.weight"][ids].astype(float)
    state = state + weights["embeddings.position_embeddings.weight"][: len(ids)]
    state = normal(state + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}."
        parts = [linear(state, f"{layer}attention.self.{name}") for name in ("query", "key", "value")]
        query, key, value = (part.reshape(len(ids), HEADS, -1).transpose(1, 0, 2) for part in parts)
        likeness = query @ key.transpose(0, 2, 1) / np.sqrt(HIDDEN // HEADS)
        share = np.exp(likeness - likeness.max(-1, keepdims=True))
        mixed = (share / share.sum(-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(len(ids), HIDDEN)
        mixed = linear(mixed, f"{layer}attention.output.dense") + state
        state = normal(mixed, f"{layer}attention.output.LayerNorm")
        inner = linear(state, f"{layer}intermediate.dense")
        inner = 0.5 * inner * (1 + _erf(inner / np.sqrt(2)))
        state = normal(linear(inner, f"{layer}output.dense") + state, f"{layer}output.LayerNorm")
    mean = state.mean(0)
    return np.asarray(mean / np.linalg.norm(mean))


def _erf(values: Vectors) -> Vectors:
    from math import erf

    found: Vectors = np.vectorize(erf)(values)
    return found
