"""The last step of every vector: cut, check, normalise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..types import FloatArray

__all__ = ["mix", "pack_bits", "to_signed", "unit", "unusable"]


def unit(rows: FloatArray) -> FloatArray:
    """The rows scaled to L2 norm 1: float32, same shape; NaN for a row that is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def mix(late: FloatArray, isolated: FloatArray, weight: float) -> FloatArray:
    """``weight * late + (1 - weight) * isolated``, both normalised first: float32, same shape."""
    share = np.float32(weight)
    mixed = share * unit(late) + (np.float32(1.0) - share) * unit(isolated)
    return mixed.astype(np.float32, copy=False)


def unusable(rows: FloatArray) -> list[int]:
    """Positions of the rows that hold NaN or infinity, or are zero."""
    norms = np.linalg.norm(rows, axis=1)
    positions: list[int] = np.flatnonzero(~np.isfinite(norms) | (norms == 0.0)).tolist()
    return positions


def pack_bits(rows: FloatArray) -> NDArray[np.uint8]:
    """One bit for each value, set where it is above 0, eight to a byte, most significant first.

    Returns:
        shape (…, ceil(dimensions / 8)), Jina's ``ubinary``; `numpy.unpackbits` turns it back.
    """
    return np.packbits(rows > 0, axis=-1)


def to_signed(packed: NDArray[np.uint8]) -> NDArray[np.int8]:
    """``ubinary`` to ``binary``: each byte minus 128, so that 128 becomes 0."""
    return (packed.astype(np.int16) - 128).astype(np.int8)
