"""Which engine runs a model here, and why. Imports none of them, unless there may be a GPU."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, NoReturn

from ....errors import InvalidSettingError, MissingExtraError
from ....settings import EmbedderSettings, Precision
from ..folder import is_jina_bert
from .onnx_support import cpu_threads, unsupported_reason

__all__ = ["EngineChoice", "choose_engine"]

_ONNX: Final = ("onnxruntime", "onnx")
_TORCH: Final = ("torch", "transformers")


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What runs a model.

    Attributes:
        engine: ``"onnx"`` or ``"torch"``.
        device: By its full name, such as ``"cpu"`` or ``"cuda:0"``.
        precision: Of the weights; never ``"auto"``.
        reason: Why, in one sentence.
    """

    engine: Literal["onnx", "torch"]
    device: str
    precision: Precision
    reason: str

    @property
    def threads(self) -> int | None:
        """Of the CPU that run a forward pass; None on another device."""
        if self.device != "cpu":
            return None
        if self.engine == "onnx":
            return cpu_threads()
        import torch

        return torch.get_num_threads()


def choose_engine(
    settings: EmbedderSettings, config: Mapping[str, object], *, adapters: Sequence[str]
) -> EngineChoice:
    """The engine that the settings ask for; for ``"auto"`` the lightest that runs the model.

    That is ONNX Runtime, on a CPU, for the architectures whose graph we build; else torch. Both
    give the same vectors.

    Args:
        settings: What the embedder was asked for.
        config: The model's ``config.json``.
        adapters: LoRA adapters of the model's tasks.

    Raises:
        InvalidSettingError: `engine`, `device` and `precision` do not go together, or not with
            this model.
        MissingExtraError: what has to run the model is not installed.
    """
    precision: Precision = "float32" if settings.precision == "auto" else settings.precision
    if settings.engine == "torch":
        if precision == "int8":
            raise InvalidSettingError(
                "precision='int8' runs on ONNX Runtime alone, and engine='torch' is set: leave "
                "engine out, or take another precision"
            )
        return _torch(settings.device, precision, "engine='torch' was chosen")
    obstacle = _obstacle(settings, config, adapters)
    if settings.engine == "onnx" or precision == "int8":
        setting = "engine='onnx'" if settings.engine == "onnx" else "precision='int8'"
        if obstacle is not None:
            _refuse(setting, settings, obstacle)
        if not _installed(_ONNX):
            raise MissingExtraError(setting, "onnx")
        return EngineChoice("onnx", "cpu", precision, f"{setting} was chosen")
    if obstacle is not None:
        return _torch(settings.device, precision, obstacle)
    if settings.device == "auto" and (device := _accelerator()):
        return EngineChoice("torch", device, precision, f"torch runs models on {device}")
    if _installed(_ONNX):
        reason = "on a CPU, ONNX Runtime starts faster than torch and gives the same vectors"
        return EngineChoice("onnx", "cpu", precision, reason)
    if _installed(_TORCH):
        return _torch(settings.device, precision, "ONNX Runtime is not installed")
    raise MissingExtraError(
        "running a model on this machine", "onnx", instead='"jina-integrations[local]" for torch'
    )


def _obstacle(
    settings: EmbedderSettings, config: Mapping[str, object], adapters: Sequence[str]
) -> str | None:
    """Why ONNX Runtime cannot run the model as asked; None where it can."""
    if settings.device not in ("auto", "cpu"):
        return f"ONNX Runtime runs models on the CPU here, not on device {settings.device!r}"
    if settings.precision in ("bfloat16", "float16"):
        return f"ONNX Runtime has no {settings.precision} on a CPU"
    if settings.trust_remote_code and "auto_map" in config and not is_jina_bert(config):
        return "the model runs code of its repository, which is written for torch"
    reason = unsupported_reason(config, adapters)
    return reason and f"ONNX Runtime has no graph for this model: {reason}"


def _refuse(setting: str, settings: EmbedderSettings, obstacle: str) -> NoReturn:
    way_out = "leave engine out" if settings.engine == "onnx" else "leave precision out"
    raise InvalidSettingError(
        f"{setting} cannot run {settings.model!r:.200}: {obstacle}; {way_out}"
    )


def _torch(device: str, precision: Precision, reason: str) -> EngineChoice:
    if not _installed(_TORCH):
        raise MissingExtraError(f"torch ({reason})", "local")
    from .torch_device import choose_device

    return EngineChoice("torch", choose_device(device), precision, reason)


def _accelerator() -> str | None:
    """The device that torch would take here, where that is not the CPU."""
    if not _installed(_TORCH) or not _may_have_accelerator() or version("torch").endswith("+cpu"):
        return None
    from .torch_device import choose_device

    device = choose_device("auto")
    return None if device == "cpu" else device


def _may_have_accelerator() -> bool:
    """Whether torch, whose import takes seconds, has to be asked for a GPU."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"  # MPS
    if Path("/dev/kfd").exists():  # ROCm, which torch calls cuda
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _installed(modules: Sequence[str]) -> bool:
    return all(find_spec(name) is not None for name in modules)
