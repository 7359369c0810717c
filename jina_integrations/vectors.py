"""The last step of every vector: cut, check, normalise."""

from __future__ import annotations

import numpy as np

from .errors import EmbeddingError
from .types import FloatArray

__all__ = ["finish", "mix", "unit"]


def unit(rows: FloatArray) -> FloatArray:
    """The rows scaled to L2 norm 1: float32, same shape."""
    scaled: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def mix(late: FloatArray, isolated: FloatArray, weight: float) -> FloatArray:
    """``weight * late + (1 - weight) * isolated``, both normalised first: float32, same shape."""
    share = np.float32(weight)
    mixed = share * unit(late) + (np.float32(1.0) - share) * unit(isolated)
    return mixed.astype(np.float32, copy=False)


def finish(rows: FloatArray, *, dimensions: int, normalize: bool, model: str) -> FloatArray:
    """The rows cut to their first `dimensions` values, then normalised.

    Returns:
        float32, shape (len(rows), dimensions); L2 norm 1 if `normalize`.

    Raises:
        EmbeddingError: a row holds NaN or infinity, or is zero; carries the row's index.
    """
    rows = rows[:, :dimensions]
    norms = np.linalg.norm(rows, axis=1)
    wrong = np.flatnonzero(~np.isfinite(norms) | (norms == 0.0))
    if wrong.size:
        index = int(wrong[0])
        raise EmbeddingError(
            f"{model} gave {norms[index]} as the norm of vector {index} ({wrong.size} of "
            f"{len(rows)} are unusable): try dtype='float32'",
            index=index,
        )
    return unit(rows) if normalize else np.ascontiguousarray(rows)
