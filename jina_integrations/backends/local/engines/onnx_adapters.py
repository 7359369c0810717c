"""LoRA adapters as PEFT saves them: ``W x`` becomes ``W x + scaling * B A x``.

All adapters of a model are in its graph, stacked, and a pass says which one it takes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

import numpy as np

from ....errors import ModelLoadError
from ....types import FloatArray
from .onnx_architectures import Architecture, ParameterNames
from .onnx_weights import read_tensors

__all__ = ["read_adapters"]

_PLAIN: Final[Mapping[str, tuple[object, ...]]] = {
    "peft_type": ("LORA",),
    "bias": ("none", None),
    "alpha_pattern": ({}, None),
    "fan_in_fan_out": (False, None),
    "lora_bias": (False, None),
    "modules_to_save": ([], None),
    "trainable_token_indices": ([], {}, None),
    "use_dora": (False, None),
}
"""Values of ``adapter_config.json`` under which an adapter is what this module's docstring says."""

_KINDS: Final = {
    "lora_A.weight": "A",
    "lora_B.weight": "B",
    "lora_embedding_A": "A",
    "lora_embedding_B": "B",
}


def read_adapters(
    folder: Path, adapters: Sequence[str], names: ParameterNames, architecture: Architecture
) -> dict[str, FloatArray]:
    """For each adapted module its ``lora_A`` and ``lora_B`` of all adapters.

    Shapes (adapters, rank, inputs) and (adapters, outputs, rank), the scaling in B. An adapter that
    leaves a module as it is has zeros there, and so has one of a lower rank beyond it.

    Raises:
        ModelLoadError: one is not there, does not fit, or is no plain LoRA.
    """
    read = [_read(folder, adapter, names, architecture) for adapter in adapters]
    stacked: dict[str, FloatArray] = {}
    for name in sorted({name for parts in read for name in parts}):
        shapes = [parts[name].shape for parts in read if name in parts]
        arrays = np.zeros((len(read), *np.max(shapes, axis=0)), np.float32)
        for number, parts in enumerate(read):
            if name in parts:
                array = parts[name]
                arrays[number, : array.shape[0], : array.shape[1]] = array
        stacked[name] = arrays
    return stacked


def _read(
    folder: Path, adapter: str, names: ParameterNames, architecture: Architecture
) -> dict[str, FloatArray]:
    weights = folder / adapter / "adapter_model.safetensors"
    if not weights.is_file():
        raise ModelLoadError(
            f"{folder} has no task adapter {adapter!r}: {weights} is not there. Download the whole "
            "repository, adapters included"
        )
    alpha, rank_root = _scaling(folder / adapter / "adapter_config.json", adapter)
    parts: dict[str, FloatArray] = {}
    for stored, tensor in read_tensors(weights).items():
        kind = next((kind for kind in _KINDS if stored.endswith(f".{kind}")), "")
        module = names.module(stored.removesuffix(f".{kind}"))
        if not kind or module is None or len(tensor.shape) != 2:
            raise ModelLoadError(
                f"adapter {adapter!r} in {folder} does not fit: {stored} is not known"
            )
        parts[f"{module}.lora_{_KINDS[kind]}"] = tensor.float32()
    shapes = architecture.shapes()
    for module in sorted({name.rpartition(".")[0] for name in parts}):
        down, up = parts.get(f"{module}.lora_A"), parts.get(f"{module}.lora_B")
        weight = shapes.get(f"{module}.weight")
        if weight is not None and weight[0] is None:  # a table, whose A has a column for each row
            weight = (weight[1], None)
        if (
            down is None
            or up is None
            or weight is None
            or len(weight) != 2
            or len(down) != up.shape[1]
            or len(up) != weight[0]
            or down.shape[1] != (weight[1] or down.shape[1])
        ):
            raise ModelLoadError(
                f"adapter {adapter!r} in {folder} does not fit at "
                f"{names.stored(module + '.weight')}"
            )
        rank = len(down)
        scaling = alpha / (math.sqrt(rank) if rank_root else rank)
        parts[f"{module}.lora_B"] = up * np.float32(scaling)
    return parts


def _scaling(path: Path, adapter: str) -> tuple[float, bool]:
    """Alpha, and whether it is divided by the rank's root instead of the rank."""
    try:
        config = cast("dict[str, object]", json.loads(path.read_text(encoding="utf-8")))
        odd = [name for name, plain in _PLAIN.items() if config.get(name) not in plain]
        alpha = config["lora_alpha"]
    except (OSError, ValueError, KeyError, AttributeError) as exc:
        raise ModelLoadError(f"{path} of adapter {adapter!r} cannot be read: {exc}") from exc
    if odd or not isinstance(alpha, int | float):
        odds = {name: config.get(name) for name in odd or ["lora_alpha"]}
        raise ModelLoadError(f"adapter {adapter!r} is no plain LoRA ({odds}): use engine='torch'")
    return float(alpha), bool(config.get("use_rslora"))
