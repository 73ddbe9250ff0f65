"""The published model: where it is found, what it keeps, and both runtimes' agreement."""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from headroom.errors import ConfigurationError
from headroom.kompress import published, words
from headroom.kompress.backends import Engine
from headroom.kompress.backends.onnx import OnnxScorer
from headroom.kompress.words import CHUNK_WORDS, MOST_TOKENS, Words, open_words
from headroom.transforms import kompress, outline
from headroom.transforms.base import Context
from headroom.transforms.router import kind, route
from tests.support import modernbert

CPU = Engine("onnx", "cpu")
LOSSY = Context("WebFetch", lossless=False)
PROSE = " ".join(modernbert.TEXT.replace(" .", ".").replace(" ,", ",").split()) + "\n\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny"
    modernbert.make(path)
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> Words:
    return open_words(folder)


@pytest.fixture(autouse=True)
def _look_again() -> Iterator[None]:
    words.forget()
    yield
    words.forget()


class Drops:
    """A model that keeps no token, or those of one id."""

    engine, file = CPU, Path("none")

    def __init__(self, keep: int = -1) -> None:
        self.keep = keep
        self.lengths: list[int] = []

    def scores(self, ids: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]", _: object) -> object:
        self.lengths.append(ids.shape[1])
        return (ids == self.keep).astype(np.float32)


def dropping(folder: Path, keep: int = -1) -> Words:
    return Words(folder, Drops(keep))  # type: ignore[arg-type]


def test_a_folder_of_the_users_own_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert published.find() is None
    monkeypatch.setenv("HEADROOM_KOMPRESS_MODEL", str(folder))
    assert published.find() == folder


def test_a_folder_without_the_model_is_a_wrong_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_KOMPRESS_MODEL", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"HEADROOM_KOMPRESS_MODEL is .*tokenizer\.json and one of"):
        published.find()


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", ""])
def test_the_local_cache_of_the_hub_is_found(
    variable: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    root = {"HF_HUB_CACHE": tmp_path, "HF_HOME": tmp_path / "hub", "XDG_CACHE_HOME": tmp_path / "huggingface/hub"}.get(
        variable, Path.home() / ".cache/huggingface/hub"
    )
    if variable:
        monkeypatch.setenv(variable, str(tmp_path))
    repository = root / "models--chopratejas--kompress-v2-base"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123abc")
    assert published.find() is None  # known of, and not here
    shutil.copytree(folder, repository / "snapshots" / "0123abc")
    assert published.find() == repository / "snapshots" / "0123abc"


def test_the_files_of_8_bits_decide_as_those_of_32(folder: Path) -> None:
    encoding = open_words(folder)._tokenizer.encode(modernbert.TEXT.split() * 3, is_pretokenized=True)
    ids = np.array([encoding.ids])
    mask = np.ones_like(ids)
    full = OnnxScorer(folder / "onnx/kompress-fp32.onnx", CPU).scores(ids, mask)
    small = OnnxScorer(folder / "onnx/kompress-int8-wo.onnx", CPU).scores(ids, mask)
    sure = abs(full - 0.5) > 0.2
    assert sure.mean() > 0.8
    assert ((full > 0.5) == (small > 0.5))[sure].all()


@pytest.mark.skipif(
    find_spec("torch") is None or find_spec("transformers") is None,
    reason="torch and transformers (the extra ml) are not installed: PyTorch's side can't be compared here",
)
@pytest.mark.parametrize("seed", [1, 2])
def test_onnx_and_pytorch_agree_token_by_token(seed: int, tmp_path: Path) -> None:
    from headroom.kompress.backends.pytorch import TorchScorer

    modernbert.make(tmp_path / "m", seed)
    encoding = open_words(tmp_path / "m")._tokenizer.encode(modernbert.TEXT.split() * 3, is_pretokenized=True)
    ids = np.array([encoding.ids, encoding.ids[::-1]])
    mask = np.ones_like(ids)
    mask[1, 200:] = 0
    one = OnnxScorer(tmp_path / "m/onnx/kompress-fp32.onnx", CPU).scores(ids, mask)
    other = TorchScorer(tmp_path / "m/model.safetensors", Engine("pytorch", "cpu")).scores(ids, mask)
    seen = mask.astype(bool)
    assert abs(one - other)[seen].max() < 1e-4
    assert ((one > 0.5) == (other > 0.5))[seen].all()


def test_a_model_that_gives_scores_and_no_logits_is_understood(folder: Path, tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    graph = onnx.load(folder / "onnx/kompress-fp32.onnx")
    graph.graph.node.append(helper.make_node("Softmax", ["logits"], ["both"], axis=-1))
    graph.graph.initializer.append(helper.make_tensor("one", TensorProto.INT64, [], [1]))
    graph.graph.node.append(helper.make_node("Gather", ["both", "one"], ["final_scores"], axis=2))
    del graph.graph.output[:]
    graph.graph.output.append(helper.make_tensor_value_info("final_scores", TensorProto.FLOAT, ["batch", "length"]))
    onnx.save(graph, tmp_path / "scores.onnx")
    ids = np.arange(40, dtype=np.int64)[None]
    found = OnnxScorer(tmp_path / "scores.onnx", CPU).scores(ids, np.ones_like(ids))
    expected = OnnxScorer(folder / "onnx/kompress-fp32.onnx", CPU).scores(ids, np.ones_like(ids))
    assert abs(found - expected).max() < 1e-6


ALWAYS = """42 3.5 v2 0x7fff src/app.py /etc/hosts ./run.sh --verbose -v https://example.com/a?b=1 user_id getName
HTTP os.path error: TypeError failed NOT never don't won't cannot without unless except `code` std::string
Warning: max_tokens=5 C:\\Windows refused timed-out missing a->b"""


@pytest.mark.parametrize("word", ALWAYS.split())
def test_what_can_not_be_put_in_other_words_is_always_kept(word: str, folder: Path) -> None:
    assert dropping(folder).kept(["plain", word, "words"]) == [False, True, False]


def test_a_word_is_kept_when_one_of_its_tokens_is(folder: Path) -> None:
    tokenizer = dropping(folder)._tokenizer
    tokens = tokenizer.encode(["whatever"], is_pretokenized=True)
    assert len(tokens.ids) > 3  # several tokens between the special ones
    assert dropping(folder, tokens.ids[-2]).kept(["whatever"]) == [True]
    assert dropping(folder).kept(["whatever"]) == [False]


def test_words_go_in_chunks_of_350_and_sequences_of_512(folder: Path) -> None:
    model = dropping(folder)
    scorer = model.scorer
    assert isinstance(scorer, Drops)
    assert not any(model.kept(["the"] * 800))
    assert [length - 2 for length in scorer.lengths] == [CHUNK_WORDS, CHUNK_WORDS, 100]
    scorer.lengths.clear()
    many = ["extraordinarily"] * 700
    assert len(model.kept(many)) == 700
    assert max(scorer.lengths) <= MOST_TOKENS and len(scorer.lengths) > 4


def test_a_word_cut_by_the_end_of_a_sequence_is_judged_whole(folder: Path) -> None:
    last = dropping(folder)._tokenizer.encode(["extraordinarilZ"], is_pretokenized=True).ids[-2]
    model = dropping(folder, last)
    for before in range(60, 80):  # wherever the sequence ends
        found = model.kept(["extraordinarily"] * before + ["extraordinarilZ"])
        assert found == [False] * before + [True]


def test_a_word_longer_than_a_sequence_is_kept(folder: Path) -> None:
    assert dropping(folder).kept(["the", "qz" * 2000, "the"]) == [False, True, False]


def test_lines_and_paragraphs_stay_apart(folder: Path) -> None:
    text = "never the\n  of 1\n\nthe of\nthe 2 of   3"
    assert dropping(folder).shorter(text) == ("never\n1\n\n2 3", 6)


def test_the_same_text_gives_the_same_words(model: Words) -> None:
    assert model.shorter(PROSE * 4) == model.shorter(PROSE * 4)


def test_prose_is_shortened_where_the_model_is_here_and_words_may_be_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PROSE * 4
    assert kompress.compress(text, LOSSY) is None  # no model
    words.forget()
    monkeypatch.setenv("HEADROOM_KOMPRESS_MODEL", str(folder))
    assert kompress.compress(text, Context("WebFetch")) is None
    found = kompress.compress(text, LOSSY)
    assert found is not None
    assert (found.strategy, found.lossless) == ("kompress", False)
    assert found.left_out == len(text.split()) - len(found.text.split()) > 0
    assert "src/app.py" in found.text and "error" in found.text and "42" in found.text


def test_only_prose_and_only_with_loss_is_routed_to_kompress() -> None:
    assert kind(PROSE * 4, Context("WebFetch")) is None
    assert route(PROSE * 4, LOSSY) == [outline.compress, kompress.compress]
    assert outline.compress(PROSE * 4, LOSSY) is None  # only for tools whose profile asks for it
    code = "def f(x):\n    return x + 1\n\n" * 60
    assert kompress.compress not in route(code, Context("WebFetch", lossless=False))
    rows = "\n".join(f"web-{i} 1/1 Running 0 {i}d" for i in range(200))
    assert not kompress.is_prose(rows)
    assert not kompress.is_prose("one two three. " * 10)
    assert not kompress.is_prose("just words without an end " * 60)


def test_a_model_that_can_not_be_run_is_said_once_and_the_text_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx/kompress-fp32.onnx").write_bytes(b"nothing")
    (tmp_path / "tokenizer.json").write_text("{}")
    monkeypatch.setenv("HEADROOM_KOMPRESS_MODEL", str(tmp_path))
    for _ in range(2):
        assert kompress.compress(PROSE * 4, LOSSY) is None
    assert caplog.text.count("kompress is not used") == 1
