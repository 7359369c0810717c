"""The tensors of safetensors files, looked at where they lie: a page is read when it is used.

The format is a little-endian uint64 ``n``, ``n`` bytes of JSON that say where each tensor is, and
the tensors (https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

import numpy as np
from numpy.typing import NDArray

from ....errors import ModelLoadError
from ....types import FloatArray

__all__ = ["StoredTensor", "StoredType", "read_tensors", "read_weights"]

StoredType = Literal["F32", "F16", "BF16"]

_NUMPY_TYPES: Final[Mapping[StoredType, str]] = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True, slots=True, eq=False)
class StoredTensor:
    """A tensor of a file.

    Attributes:
        type: How its numbers are stored.
        values: The numbers, read-only, in the file's memory; those of BF16 as their bits, uint16.
    """

    type: StoredType
    values: NDArray[np.generic]

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self.values.shape

    def rows(self, start: int, end: int) -> StoredTensor:
        """Some of its rows, in the same memory."""
        return StoredTensor(self.type, self.values[start:end])

    def float32(self) -> FloatArray:
        """The numbers as float32: the file's memory where they are stored so, else a copy."""
        if self.type == "BF16":  # the upper half of a float32
            return (self.values.astype(np.uint32) << 16).view(np.float32)
        return self.values.astype(np.float32, copy=False)


def read_weights(folder: Path) -> dict[str, StoredTensor]:
    """The tensors of a model's folder, which may be in several files.

    Tensors of other types than `StoredType`, such as the position ids in old files, are left out.

    Raises:
        ModelLoadError: there are none, or a file cannot be read.
    """
    if (folder / "model.safetensors").is_file():
        return read_tensors(folder / "model.safetensors")
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        raise ModelLoadError(
            f"{folder} has no model.safetensors: weights of other formats are not loaded"
        )
    try:
        files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as exc:
        raise ModelLoadError(f"{index} cannot be read: {exc}") from exc
    tensors: dict[str, StoredTensor] = {}
    for name in files:
        if Path(name).name != name:
            raise ModelLoadError(f"{index} names the file {name!r}, which is in another folder")
        tensors |= read_tensors(folder / name)
    return tensors


def read_tensors(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one file, by name.

    Raises:
        ModelLoadError: it cannot be read, or is not what the format says.
    """
    try:
        with path.open("rb") as file:
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start = 8 + int.from_bytes(memory[:8], "little")
        header = cast("dict[str, dict[str, object]]", json.loads(memory[8:start]))
        return {
            name: _tensor(memory, start, entry)
            for name, entry in header.items()
            if name != "__metadata__" and entry["dtype"] in _NUMPY_TYPES
        }
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as exc:
        raise ModelLoadError(f"{path} cannot be read as safetensors: {exc}") from exc


def _tensor(memory: mmap.mmap, start: int, entry: Mapping[str, object]) -> StoredTensor:
    kind = cast("StoredType", entry["dtype"])
    shape = cast("list[int]", entry["shape"])
    first, last = cast("list[int]", entry["data_offsets"])
    values = np.frombuffer(memory, np.dtype(_NUMPY_TYPES[kind]), math.prod(shape), start + first)
    if values.nbytes != last - first:
        raise ValueError(f"a tensor of shape {shape} has {last - first} bytes")
    return StoredTensor(kind, values.reshape(shape))
