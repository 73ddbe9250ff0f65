"""HEADROOM_KOMPRESS_BACKEND: values, spellings and fallbacks."""

import logging
from pathlib import Path

import pytest

from headroom.errors import CompressionError
from headroom.kompress.backends import Backend, Engine, Machine, engines, open_scorer, wanted
from headroom.kompress.backends.onnx import OnnxScorer
from tests.support import modernbert

CPU, COREML = Engine("onnx", "cpu"), Engine("onnx", "coreml")


def machine(**there: bool) -> Machine:
    """A machine of which only ``there`` can be used."""
    made = Machine()
    made.__dict__.update(dict.fromkeys(("onnx", "coreml", "pytorch", "cuda", "mps"), False) | there)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny"
    modernbert.make(path)
    return path


@pytest.mark.parametrize("value", list(Backend))
def test_each_value_is_understood(value: Backend, caplog: pytest.LogCaptureFixture) -> None:
    assert wanted(str(value)) is value
    assert not caplog.records


@pytest.mark.parametrize(
    ("alias", "meant"),
    [
        ("cpu", "onnx_cpu"),
        ("coreml", "onnx_coreml"),
        ("mps", "pytorch_mps"),
        ("torch_mps", "pytorch_mps"),
        ("torch", "pytorch"),
    ],
)
def test_each_alias_is_understood(alias: str, meant: str) -> None:
    assert wanted(alias) == meant


@pytest.mark.parametrize("value", ["ONNX-CPU", "Onnx_Cpu", " onnx-cpu ", "CPU"])
def test_case_does_not_count_and_hyphens_are_accepted(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_KOMPRESS_BACKEND", value)
    assert wanted() is Backend.ONNX_CPU


def test_nothing_set_is_auto() -> None:
    assert wanted() is Backend.AUTO


def test_an_unknown_value_is_warned_of_and_is_auto(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HEADROOM_KOMPRESS_BACKEND", "tensorflow")
    assert wanted() is Backend.AUTO
    (said,) = caplog.records
    assert said.levelno == logging.WARNING
    assert "HEADROOM_KOMPRESS_BACKEND" in said.getMessage() and "'tensorflow'" in said.getMessage()
    assert "onnx_coreml" in said.getMessage()


def test_auto_takes_onnx_on_the_cpu_first_even_beside_a_gpu() -> None:
    assert engines(Backend.AUTO, machine(onnx=True, coreml=True, pytorch=True, cuda=True)) == [CPU]


def test_auto_takes_pytorch_where_there_is_no_onnx() -> None:
    assert engines(Backend.AUTO, machine(pytorch=True)) == [Engine("pytorch", "cpu")]


@pytest.mark.parametrize("asked", [Backend.ONNX, Backend.ONNX_CPU])
def test_onnx_is_never_anything_but_the_cpu(asked: Backend) -> None:
    assert engines(asked, machine(onnx=True, coreml=True, pytorch=True, mps=True)) == [CPU]
    assert engines(asked, machine(pytorch=True)) == []


def test_coreml_falls_back_to_the_cpu() -> None:
    assert engines(Backend.ONNX_COREML, machine(onnx=True, coreml=True)) == [COREML, CPU]
    assert engines(Backend.ONNX_COREML, machine(onnx=True, pytorch=True)) == [CPU]


@pytest.mark.parametrize(
    ("there", "device"),
    [({"cuda": True, "mps": True}, "cuda"), ({"mps": True}, "mps"), ({}, "cpu")],
)
def test_pytorch_takes_cuda_then_mps_then_the_cpu(there: dict[str, bool], device: str) -> None:
    (engine,) = engines(Backend.PYTORCH, machine(onnx=True, pytorch=True, **there))
    assert engine == ("pytorch", device)


def test_pytorch_that_is_not_installed_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert engines(Backend.PYTORCH, machine(onnx=True)) == []
    assert "headroom-ai[ml]" in caplog.text


def test_mps_falls_back_to_onnx_on_the_cpu(caplog: pytest.LogCaptureFixture) -> None:
    assert engines(Backend.PYTORCH_MPS, machine(onnx=True, pytorch=True, mps=True)) == [Engine("pytorch", "mps"), CPU]
    assert not caplog.records
    assert engines(Backend.PYTORCH_MPS, machine(onnx=True, pytorch=True)) == [CPU]
    assert "no Apple GPU" in caplog.text


def test_mps_that_fails_when_the_model_is_opened_ends_on_onnx(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    scorer = open_scorer(folder, Backend.PYTORCH_MPS, machine(onnx=True, pytorch=True, mps=True))
    assert scorer.engine == CPU
    assert "does not run on pytorch/mps" in caplog.text


def test_coreml_that_this_build_does_not_have_ends_on_the_cpu(folder: Path) -> None:
    scorer = open_scorer(folder, Backend.ONNX_COREML, machine(onnx=True, coreml=True))
    assert scorer.file.name == "kompress-int8-wo.onnx"
    assert open_scorer(folder, Backend.ONNX_COREML).engine == CPU  # by what is really here


def test_the_weights_of_8_bits_come_first_then_the_others(folder: Path, tmp_path: Path) -> None:
    assert open_scorer(folder, Backend.ONNX).file.name == "kompress-int8-wo.onnx"
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "kompress-fp32.onnx").write_bytes((folder / "onnx" / "kompress-fp32.onnx").read_bytes())
    assert open_scorer(tmp_path, Backend.ONNX).file.name == "kompress-fp32.onnx"


def test_a_file_that_can_not_be_run_is_passed_over(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "kompress-int8-wo.onnx").write_bytes(b"\x08\x0a no model")
    (tmp_path / "onnx" / "kompress-fp32.onnx").write_bytes((folder / "onnx" / "kompress-fp32.onnx").read_bytes())
    assert open_scorer(tmp_path, Backend.ONNX).file.name == "kompress-fp32.onnx"


def test_a_file_that_opens_and_fails_when_it_runs_is_passed_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = OnnxScorer.scores

    def scores(self: OnnxScorer, *given: object) -> object:
        if "int8" in self.file.name:
            raise RuntimeError("nbits_ == 4 was false")
        return run(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(OnnxScorer, "scores", scores)
    assert open_scorer(folder, Backend.ONNX).file.name == "kompress-fp32.onnx"


def test_where_nothing_works_the_error_says_what_was_tried(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "kompress-fp32.onnx").write_bytes(b"nothing")
    with pytest.raises(CompressionError, match=r"kompress-fp32\.onnx on onnx/cpu"):
        open_scorer(tmp_path, Backend.AUTO)
    with pytest.raises(CompressionError, match="no runtime and file"):
        open_scorer(tmp_path, Backend.PYTORCH, machine(onnx=True))
