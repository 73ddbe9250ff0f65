"""Kompress backend selection."""

import logging
import re
from importlib.metadata import requires
from pathlib import Path

import pytest

from headroom.kompress.backends import Backend, Engine, Machine, engines, open_scorer, wanted
from tests.support import modernbert

CPU, COREML = Engine("onnx", "cpu"), Engine("onnx", "coreml")
VARIABLE = "HEADROOM_KOMPRESS_BACKEND"


def machine(**there: bool) -> Machine:
    """A machine of which only ``there`` can be used."""
    made = Machine()
    made.__dict__.update(dict.fromkeys(("onnx", "coreml", "pytorch", "cuda", "mps"), False) | there)
    return made


def installed_with(extra: str) -> set[str]:
    """What is installed with the package and this extra."""
    found = set()
    for line in requires("headroom-ai") or ():
        name = re.match(r"[\w-]+", line)
        if name and (";" not in line or re.search(rf"extra\s*==\s*['\"]{extra}['\"]", line)):
            found.add(name[0])
    return found


def test_onnx_runtime_is_installed_with_headroom_ai_proxy() -> None:
    assert "onnxruntime" in installed_with("proxy") and "torch" not in installed_with("proxy")


def test_pytorch_is_installed_with_headroom_ai_ml() -> None:
    assert {"torch", "transformers"} <= installed_with("ml")


def test_onnx_runtime_runs_the_model_on_the_cpu(tmp_path: Path) -> None:
    modernbert.make(tmp_path / "tiny")
    assert open_scorer(tmp_path / "tiny", Backend.AUTO).engine == CPU


def test_pytorch_with_automatic_device_selects_cuda_then_mps_then_cpu() -> None:
    for there, device in (({"cuda": True, "mps": True}, "cuda"), ({"mps": True}, "mps"), ({}, "cpu")):
        assert engines(Backend.PYTORCH, machine(onnx=True, pytorch=True, **there)) == [("pytorch", device)]


def test_the_backend_is_selected_by_headroom_kompress_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "onnx_coreml")
    assert wanted() is Backend.ONNX_COREML


def test_auto_is_the_default_onnx_cpu_first_and_pytorch_as_fallback() -> None:
    assert wanted() is Backend.AUTO
    assert engines(Backend.AUTO, machine(onnx=True, coreml=True, pytorch=True, cuda=True, mps=True)) == [CPU]
    assert engines(Backend.AUTO, machine(pytorch=True, cuda=True)) == [Engine("pytorch", "cuda")]


@pytest.mark.parametrize("value", ["onnx", "onnx_cpu"])
def test_onnx_or_onnx_cpu_forces_onnx_runtime_on_the_cpu(value: str) -> None:
    assert engines(wanted(value), machine(onnx=True, coreml=True, pytorch=True, cuda=True)) == [CPU]
    assert engines(wanted(value), machine(pytorch=True)) == []


def test_onnx_coreml_forces_onnx_runtime_with_coreml_and_falls_back_to_the_cpu() -> None:
    assert engines(wanted("onnx_coreml"), machine(onnx=True, coreml=True, pytorch=True)) == [COREML, CPU]
    assert engines(wanted("onnx_coreml"), machine(onnx=True, pytorch=True)) == [CPU]


def test_pytorch_forces_pytorch() -> None:
    assert engines(wanted("pytorch"), machine(onnx=True, pytorch=True)) == [Engine("pytorch", "cpu")]
    assert engines(wanted("pytorch"), machine(onnx=True)) == []


def test_pytorch_mps_forces_pytorch_on_apple_silicon_and_falls_back_to_onnx_cpu_on_failure(tmp_path: Path) -> None:
    assert engines(wanted("pytorch_mps"), machine(onnx=True, pytorch=True, mps=True)) == [Engine("pytorch", "mps"), CPU]
    assert engines(wanted("pytorch_mps"), machine(onnx=True, pytorch=True)) == [CPU]
    modernbert.make(tmp_path / "tiny")
    there = machine(onnx=True, pytorch=True, mps=True)
    assert open_scorer(tmp_path / "tiny", Backend.PYTORCH_MPS, there).engine == CPU, "it fails here"


@pytest.mark.parametrize("value", ["ONNX_CPU", "Onnx_Cpu"])
def test_values_are_case_insensitive(value: str) -> None:
    assert wanted(value) is Backend.ONNX_CPU


@pytest.mark.parametrize("value", ["onnx-cpu", "ONNX-CPU"])
def test_hyphens_are_accepted(value: str) -> None:
    assert wanted(value) is Backend.ONNX_CPU


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
def test_shorthand_aliases_are_understood(alias: str, meant: str) -> None:
    assert wanted(alias) == meant


def test_unrecognized_values_log_a_warning_and_fall_back_to_auto(caplog: pytest.LogCaptureFixture) -> None:
    assert wanted("tensorflow") is Backend.AUTO
    (said,) = caplog.records
    assert said.levelno == logging.WARNING and VARIABLE in said.getMessage() and "'tensorflow'" in said.getMessage()


def test_a_user_opts_in_to_mps_on_an_apple_silicon_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "pytorch_mps")
    assert engines(wanted(), machine(onnx=True, coreml=True, pytorch=True, mps=True))[0] == Engine("pytorch", "mps")


def test_accelerators_are_opt_in_the_default_deliberately_stays_on_onnx_cpu() -> None:
    for there in ("coreml", "cuda", "mps"):
        assert engines(wanted(), machine(onnx=True, pytorch=True, **{there: True})) == [CPU]
