"""From a model's folder to the plan of its graph and the arrays that the graph takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from ....errors import ModelLoadError
from ....settings import Precision
from ..folder import read_config
from .alibi import alibi_slopes
from .onnx_adapters import read_adapters
from .onnx_architectures import Architecture, ParameterNames, architecture_of, parameter_names
from .onnx_int8 import quantize
from .onnx_plan import GraphPlan, Parameter, ParameterType
from .onnx_weights import StoredTensor, StoredType, read_weights

__all__ = ["Values", "read_parameters"]

Values = np.ndarray[tuple[int, ...], np.dtype[np.generic]]

_TYPES: Final[Mapping[StoredType, ParameterType]] = {
    "F32": "FLOAT",
    "F16": "FLOAT16",
    "BF16": "BFLOAT16",
}
_TABLES: Final = {
    "words.weight": "vocab_size",
    "positions.weight": "max_position_embeddings",
    "types.weight": "type_vocab_size",
}
"""Tables of vectors, which are never quantized, and what ``config.json`` calls their rows."""


def read_parameters(
    folder: Path, adapters: Sequence[str], *, precision: Precision
) -> tuple[GraphPlan, dict[str, Values]]:
    """The plan, and the values of its parameters by name.

    Args:
        folder: Holds ``config.json``, the weights, and one folder for each adapter.
        adapters: LoRA adapters, in the order of the graph's.
        precision: ``"float32"``, or ``"int8"`` of the linear layers' weights.

    Raises:
        ModelLoadError: the weights cannot be read, or are not those of the architecture.
    """
    config = read_config(folder)
    names = parameter_names(config)
    tensors = _named(read_weights(folder), names)
    architecture = architecture_of(config, tensors)
    wanted = architecture.shapes() | {
        name: (rows, architecture.width)
        for name, key in _TABLES.items()
        if name in architecture.shapes() and isinstance(rows := config.get(key), int)
    }
    _check(folder, wanted, tensors, names)
    values: dict[str, Values] = {}
    types: dict[str, ParameterType] = {}
    for name, tensor in tensors.items():
        module, _, kind = name.rpartition(".")
        matrix = kind == "weight" and len(tensor.shape) == 2 and name not in _TABLES
        if precision == "int8" and matrix:
            blocks, scales = f"{module}.blocks", f"{module}.scales"
            values[blocks], values[scales] = quantize(tensor.float32())
            types[blocks] = "UINT8"
        else:
            values[name], types[name] = tensor.values, _TYPES[tensor.type]
    values |= _made(architecture) | read_adapters(folder, adapters, names, architecture)
    return GraphPlan(
        architecture,
        tuple(
            Parameter(name, types.get(name, "FLOAT"), values[name].shape) for name in sorted(values)
        ),
        len(adapters),
    ), values


def _named(stored: Mapping[str, StoredTensor], names: ParameterNames) -> dict[str, StoredTensor]:
    """The encoder's tensors by our names, the three products of one matrix apart."""
    tensors: dict[str, StoredTensor] = {}
    for stored_name, tensor in stored.items():
        name = names.parameter(stored_name)
        if name is None:
            continue  # a pooler or a head, which no embedding uses
        parts = {name: tensor}
        if ".query_key_value." in name:
            third = len(tensor.values) // 3
            parts = {
                name.replace("query_key_value", part): tensor.rows(n * third, (n + 1) * third)
                for n, part in enumerate(("query", "key", "value"))
            }
        twice = sorted(parts.keys() & tensors)
        if twice:
            raise ModelLoadError(f"the weights have {names.stored(twice[0])} twice")
        tensors |= parts
    return tensors


def _check(
    folder: Path,
    wanted: Mapping[str, tuple[int | None, ...]],
    tensors: Mapping[str, StoredTensor],
    names: ParameterNames,
) -> None:
    missing = [names.stored(name) for name in sorted(wanted.keys() - tensors.keys())]
    unexpected = [names.stored(name) for name in sorted(tensors.keys() - wanted.keys())]
    shapes = {
        names.stored(name): tensor.shape
        for name, tensor in tensors.items()
        if name in wanted and not _fits(tensor.shape, wanted[name])
    }
    if missing or unexpected or shapes:
        raise ModelLoadError(
            f"the weights in {folder} do not fit its config.json: missing {missing[:5]}, "
            f"unexpected {unexpected[:5]}, of another shape {dict(list(shapes.items())[:5])}"
        )


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        size == want or want is None for size, want in zip(shape, wanted, strict=True)
    )


def _made(architecture: Architecture) -> dict[str, Values]:
    """Arrays that follow from the architecture."""
    if architecture.positions == "rotary":
        size = architecture.head_size
        steps = np.arange(0, size, 2, dtype=np.float32) / np.float32(size)
        # As exact as torch's power of float32: an error in the last bit grows with the position.
        periods = architecture.rotary_base ** steps.astype(np.float64)
        return {"frequencies": np.float32(1.0) / periods.astype(np.float32)}
    if architecture.positions == "alibi":
        return {"slopes": -alibi_slopes(architecture.heads)[None, :, None, None]}
    return {}
