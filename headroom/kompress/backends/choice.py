"""HEADROOM_KOMPRESS_BACKEND: what was asked for, what there is, and what is tried in which order."""

import logging
import os
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from importlib.util import find_spec
from typing import Literal, NamedTuple

log = logging.getLogger(__name__)
VARIABLE = "HEADROOM_KOMPRESS_BACKEND"
Device = Literal["cpu", "coreml", "cuda", "mps"]


class Backend(StrEnum):
    """The values of HEADROOM_KOMPRESS_BACKEND."""

    AUTO = "auto"
    ONNX = "onnx"
    ONNX_CPU = "onnx_cpu"
    ONNX_COREML = "onnx_coreml"
    PYTORCH = "pytorch"
    PYTORCH_MPS = "pytorch_mps"


ALIASES = {
    "cpu": Backend.ONNX_CPU,
    "coreml": Backend.ONNX_COREML,
    "mps": Backend.PYTORCH_MPS,
    "torch_mps": Backend.PYTORCH_MPS,
    "torch": Backend.PYTORCH,
}


class Engine(NamedTuple):
    """A runtime and the device it computes on."""

    runtime: Literal["onnx", "pytorch"]
    device: Device


@dataclass(frozen=True)
class Machine:
    """What can be used here. Looked up when asked for, and PyTorch is imported only then."""

    @cached_property
    def onnx(self) -> bool:
        """Whether ONNX Runtime is installed."""
        return find_spec("onnxruntime") is not None

    @cached_property
    def coreml(self) -> bool:
        """Whether this build of ONNX Runtime has the CoreML provider (macOS)."""
        if not self.onnx:
            return False
        import onnxruntime

        return "CoreMLExecutionProvider" in onnxruntime.get_available_providers()

    @cached_property
    def pytorch(self) -> bool:
        """Whether PyTorch and transformers are installed (the extra ``ml``)."""
        return find_spec("torch") is not None and find_spec("transformers") is not None

    @cached_property
    def cuda(self) -> bool:
        """Whether PyTorch sees an NVIDIA GPU."""
        if not self.pytorch:
            return False
        import torch

        return bool(torch.cuda.is_available())

    @cached_property
    def mps(self) -> bool:
        """Whether PyTorch sees an Apple GPU."""
        if not self.pytorch:
            return False
        import torch

        return bool(torch.backends.mps.is_available())


def wanted(value: str | None = None) -> Backend:
    """The backend that ``value``, else HEADROOM_KOMPRESS_BACKEND, names.

    Case does not count, and hyphens are underscores. A value that is none is warned of, and is ``auto``.
    """
    given = os.environ.get(VARIABLE, "") if value is None else value
    name = given.strip().lower().replace("-", "_")
    if not name:
        return Backend.AUTO
    if name in ALIASES:
        return ALIASES[name]
    try:
        return Backend(name)
    except ValueError:
        allowed = ", ".join([*Backend, *ALIASES])
        log.warning("%s is %r, which is none of %s; auto is used", VARIABLE, given, allowed)
        return Backend.AUTO


def engines(backend: Backend, machine: Machine) -> list[Engine]:
    """What is tried, in order. Empty where what was asked for is not installed."""
    onnx = [Engine("onnx", "cpu")] if machine.onnx else []
    if backend is Backend.AUTO:
        # PyTorch is not imported to find its device while ONNX Runtime will do
        return onnx or ([_torch(machine)] if machine.pytorch else [])
    if backend in (Backend.ONNX, Backend.ONNX_CPU):
        return onnx
    if backend is Backend.ONNX_COREML:
        if machine.coreml:
            return [Engine("onnx", "coreml"), *onnx]
        log.warning("%s=%s: this ONNX Runtime has no CoreML; its CPU is used", VARIABLE, backend)
        return onnx
    if backend is Backend.PYTORCH_MPS:
        if machine.mps:
            return [Engine("pytorch", "mps"), *onnx]
        log.warning("%s=%s: no Apple GPU that PyTorch can use; ONNX Runtime is used", VARIABLE, backend)
        return onnx
    if not machine.pytorch:
        log.warning("%s=%s: torch and transformers are not installed (pip install headroom-ai[ml])", VARIABLE, backend)
        return []
    return [_torch(machine)]


def pytorch_as_well(backend: Backend, machine: Machine) -> list[Engine]:
    """What ``auto`` goes on to when ONNX Runtime is there but can't run the model."""
    return [_torch(machine)] if backend is Backend.AUTO and machine.onnx and machine.pytorch else []


def _torch(machine: Machine) -> Engine:
    """PyTorch on the best device: CUDA, then MPS, then the CPU."""
    if machine.cuda:
        return Engine("pytorch", "cuda")
    return Engine("pytorch", "mps" if machine.mps else "cpu")
