"""ALiBi, positions as a penalty on attention scores. Imports no library of an engine."""

from __future__ import annotations

import math

import numpy as np

from ....types import FloatArray

__all__ = ["alibi_slopes"]


def alibi_slopes(heads: int) -> FloatArray:
    """How fast the scores of each head fall with the distance: float32, shape (heads,).

    ``2 ** (-8k / heads)`` for a power of two; for another number the slopes of the power below it,
    then every other one of the power above (arXiv 2108.12409 and its reference code).
    """
    below = 2 ** math.floor(math.log2(heads))
    slopes = [2.0 ** (-8 * k / below) for k in range(1, below + 1)]
    between = [2.0 ** (-4 * k / below) for k in range(1, 2 * below + 1, 2)]
    return np.array([*slopes, *between[: heads - below]], np.float32)
