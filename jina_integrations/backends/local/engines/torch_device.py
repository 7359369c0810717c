"""What a torch device can do, and how values get there."""

from __future__ import annotations

import logging
import time
from functools import cache

import numpy as np
import torch

from ....errors import InvalidSettingError

__all__ = [
    "choose_device",
    "copy_to",
    "cuda_device",
    "has_flash_attention",
    "warn_of_slow_precision",
]

_log = logging.getLogger("jina_integrations")

_TORCH_WITH_VARLEN = "2.12"
"""Since when `torch.nn.attention.varlen` takes a scale and fewer heads of keys than of queries."""


def choose_device(name: str) -> str:
    """The torch device that a setting means, by its full name, such as ``"cuda:0"``.

    Args:
        name: ``"auto"`` (CUDA, else MPS, else CPU) or a torch device.

    Raises:
        InvalidSettingError: no such device.
    """
    if name == "auto":
        available = torch.backends.mps.is_available()
        name = "cuda" if torch.cuda.is_available() else "mps" if available else "cpu"
    try:
        return str(torch.empty(0, device=name).device)
    except (RuntimeError, AssertionError) as exc:
        raise InvalidSettingError(
            f"device {name!r} cannot be used here ({str(exc).splitlines()[0]}): "
            "take 'auto' or 'cpu'"
        ) from exc


def cuda_device(number: int) -> str:
    """The CUDA device for so many-th of several processes, from 0, which share them evenly."""
    return f"cuda:{number % torch.cuda.device_count()}"


def copy_to(device: torch.device, values: np.ndarray) -> torch.Tensor:
    """The values on the device.

    To CUDA the copy is only queued: this thread goes on preparing while the device computes. That
    takes pinned memory, which torch keeps until the copy is done.
    """
    tensor = torch.from_numpy(values)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@cache
def has_flash_attention(device: torch.device) -> bool:
    """Whether FlashAttention's variable-length kernel runs here: NVIDIA's Ampere or later."""
    return (
        device.type == "cuda"
        and torch.__version__ >= _TORCH_WITH_VARLEN
        and torch.cuda.get_device_capability(device) >= (8, 0)
    )


def warn_of_slow_precision(precision: torch.dtype) -> None:
    """Log a warning where this CPU multiplies matrices slower in that type than in float32.

    One without instructions for it (AVX512-BF16, AMX, Arm's BF16; AVX512-FP16 for float16) takes
    several times as long. That is measured: it also depends on torch's build and the environment.
    """
    ratio = _seconds(precision) / _seconds(torch.float32)
    if ratio > 1:
        _log.warning(
            "%s is slower than float32 on this CPU: a matrix product took %.1f times as long. "
            "Leave precision out here, unless its vectors are what you want",
            str(precision).removeprefix("torch."),
            ratio,
        )


def _seconds(dtype: torch.dtype) -> float:
    """Of a product in the sizes of a small encoder's layer, the fastest of four."""
    states, weights = torch.ones(256, 384, dtype=dtype), torch.ones(1536, 384, dtype=dtype)
    times: list[float] = []
    for _ in range(4):
        start = time.perf_counter()
        torch.nn.functional.linear(states, weights)
        times.append(time.perf_counter() - start)
    return min(times)
