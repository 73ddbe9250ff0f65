"""Texts as vectors: what the embedded runtime computes, and which embedder a machine gets."""

import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest

from headroom.config import IntelligentContextConfig
from headroom.context.managers import IntelligentContextManager
from headroom.embedding import choice, cosine, embedder, minilm
from headroom.embedding.bert import graph, tensors
from headroom.embedding.choice import Embedder, runtime
from headroom.embedding.minilm import MiniLm
from headroom.errors import ConfigurationError
from tests.context.conversations import task
from tests.support.bert import HIDDEN, embedded, make
from tests.support.originals import RamOriginals

TEXTS = ["the shop is open", "a pear and an apple", "", "the price of a pear was changed today " * 9, "né\ud83d the"]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_found", {})
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny model in the hub's cache."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    root = tmp_path / "models--sentence-transformers--all-MiniLM-L6-v2"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text("c0ffee")
    make(root / "snapshots" / "c0ffee")
    return root / "snapshots" / "c0ffee"


def test_the_vectors_are_those_that_the_architecture_gives(tmp_path: Path) -> None:
    weights = make(tmp_path / "model")
    found = MiniLm(tmp_path / "model").embed(TEXTS[:4])
    expected = np.array([embedded(weights, text) for text in TEXTS[:4]])
    assert found.shape == (4, HIDDEN)
    assert np.abs(found - expected).max() < 1e-5


def test_a_text_has_the_same_vector_whatever_stands_beside_it(tmp_path: Path) -> None:
    make(tmp_path / "model")
    model = MiniLm(tmp_path / "model")
    together, alone = model.embed(TEXTS * 9), [model.embed([text])[0] for text in TEXTS]
    for number, vector in enumerate(together):
        assert np.abs(vector - alone[number % len(TEXTS)]).max() < 1e-5
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert model.embed([]).shape == (0, HIDDEN)


def test_the_graph_is_a_sound_onnx_file_that_points_at_the_weights(tmp_path: Path) -> None:
    import json

    make(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    raw = graph(config, tensors(tmp_path / "model" / "model.safetensors"))
    assert len(raw) < 20_000
    (tmp_path / "model" / "model.onnx").write_bytes(raw)
    onnx.checker.check_model(str(tmp_path / "model" / "model.onnx"), full_check=True)
    loaded = onnx.load_model_from_string(raw)
    assert [each.name for each in loaded.graph.input] == ["input_ids", "attention_mask"]
    assert loaded.opset_import[0].version == 20


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("model.safetensors", b"no weights", "is no safetensors file"),
        ("config.json", b'{"model_type": "gpt2", "hidden_act": "gelu"}', "the model is 'gpt2'"),
        ("config.json", b"{", "can't be read"),
        ("tokenizer.json", b"{}", "can't be read"),
    ],
)
def test_a_model_that_is_none_is_told_and_words_are_compared(
    folder: Path, name: str, content: bytes, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / name).unlink()
    (folder / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=says):
        MiniLm(folder)
    assert embedder() is None
    assert "can't be used, words are compared" in caplog.text


def test_a_weight_that_is_missing_is_named(tmp_path: Path) -> None:
    make(tmp_path / "model")
    found = tensors(tmp_path / "model" / "model.safetensors")
    del found["encoder.layer.1.output.dense.bias"]
    config = {"model_type": "bert", "hidden_act": "gelu", "hidden_size": 24, "num_attention_heads": 3}
    with pytest.raises(ConfigurationError, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        graph({**config, "num_hidden_layers": 2, "layer_norm_eps": 1e-12}, found)


def test_the_model_of_the_package_is_found_first_and_then_that_of_the_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert minilm.find() == folder
    make(tmp_path / "site" / "gt_tiny" / "model")
    (tmp_path / "site" / "gt_tiny" / "__init__.py").write_text("raise RuntimeError('it is not imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(minilm, "PACKAGE", "gt_tiny")
    assert minilm.find() == tmp_path / "site" / "gt_tiny" / "model"


def test_it_is_opened_once(folder: Path) -> None:
    first = embedder()
    assert first is not None and first is embedder()
    assert (first.name, first.dimensions) == ("minilm", HIDDEN)


def test_without_a_model_there_is_no_embedder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert embedder() is None


def test_similar_texts_have_a_cosine_near_one(folder: Path) -> None:
    found = embedder()
    assert found is not None
    same, other = cosine(found, ["the shop is open", "an apple"], "the shop is open")
    assert same == pytest.approx(1, abs=1e-5) and 0 <= other < 0.99
    assert cosine(found, [], "the shop") == []


def test_the_context_manager_uses_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def embed(self: MiniLm, texts: list[str]) -> Any:
        asked.append(len(texts))
        return np.ones((len(texts), 1))

    monkeypatch.setattr(MiniLm, "embed", embed)
    manager = IntelligentContextManager(IntelligentContextConfig(), originals=RamOriginals())
    scores = manager.scores(task(5))
    assert asked[-1] == 7  # six units and the recent context
    assert all(score.factors["semantic_similarity"] == 1 for _, score in scores)


# --- pytorch_mps ----------------------------------------------------------------------------------------------------


class Model:
    """Stands for sentence_transformers.SentenceTransformer."""

    made: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    def __init__(self, name: str, **options: Any) -> None:
        self.made.append((name, options))

    def get_sentence_embedding_dimension(self) -> int:
        return 2

    def encode(self, texts: list[str], **options: Any) -> Any:
        assert options["normalize_embeddings"]
        return np.array([[1.0, 0.0]] * len(texts))


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine with torch on an Apple GPU."""
    mps = SimpleNamespace(is_available=lambda: True)
    torch, transformers = ModuleType("torch"), ModuleType("sentence_transformers")
    torch.backends = SimpleNamespace(mps=mps)  # type: ignore[attr-defined]
    transformers.SentenceTransformer = Model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "sentence_transformers", transformers)
    monkeypatch.setattr(Model, "made", [])
    return mps


def asked_for_mps(monkeypatch: pytest.MonkeyPatch, value: str = "pytorch_mps") -> Embedder | None:
    monkeypatch.setenv("HEADROOM_EMBEDDER_RUNTIME", value)
    return embedder()


def test_pytorch_mps_engages_where_apple_mps_is_available(
    apple: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = asked_for_mps(monkeypatch)
    assert found is not None and found.name == "minilm on pytorch_mps"
    assert found.embed(["a", "b"]).shape == (2, 2)
    assert Model.made == [(str(folder), {"device": "mps", "local_files_only": True})]


def test_pytorch_mps_warns_and_the_default_is_used_where_mps_is_not_available(
    apple: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    apple.is_available = lambda: False
    with caplog.at_level(logging.WARNING):
        found = asked_for_mps(monkeypatch)
    assert found is not None and found.name == "minilm"
    assert "HEADROOM_EMBEDDER_RUNTIME is pytorch_mps, but this machine has no Apple GPU" in caplog.text


@pytest.mark.parametrize("missing", ["torch", "sentence_transformers"])
def test_pytorch_mps_names_the_extra_that_it_needs(
    apple: Any, folder: Path, missing: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    found = asked_for_mps(monkeypatch)
    assert found is not None and found.name == "minilm"
    assert "pip install headroom-ai[pytorch-mps]" in caplog.text


def test_pytorch_mps_without_a_model_warns(
    apple: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuses(self: Model, *_: Any, **__: Any) -> None:
        raise OSError("not in the cache")

    monkeypatch.setattr(Model, "__init__", refuses)
    found = asked_for_mps(monkeypatch)
    assert found is not None and found.name == "minilm"
    assert "OSError" in caplog.text


@pytest.mark.parametrize("value", ["cuda", "mps", "onnx"])
def test_pytorch_mps_is_the_only_accepted_value(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_EMBEDDER_RUNTIME", value)
    with pytest.raises(ConfigurationError, match="allowed: pytorch_mps, or nothing"):
        runtime()
