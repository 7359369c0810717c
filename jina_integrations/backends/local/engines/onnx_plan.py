"""What decides a graph: an architecture, its parameters' types and shapes, and its adapters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .onnx_architectures import Architecture

__all__ = ["GraphPlan", "Parameter", "ParameterType"]

ParameterType = Literal["FLOAT", "FLOAT16", "BFLOAT16", "UINT8"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """An array that a graph takes from outside.

    Attributes:
        type: Of its numbers, by ONNX's name.
    """

    name: str
    type: ParameterType
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GraphPlan:
    """All that a graph is made from; equal plans have equal graphs.

    Attributes:
        parameters: Those of the architecture, where a quantized weight is its ``blocks`` and
            ``scales``, and: ``frequencies`` of rotary positions,
            ``slopes`` of ALiBi, and for each adapted module ``lora_A`` and ``lora_B``, stacked over
            the adapters, the scaling in ``lora_B``.
        adapters: How many.
    """

    architecture: Architecture
    parameters: tuple[Parameter, ...]
    adapters: int
