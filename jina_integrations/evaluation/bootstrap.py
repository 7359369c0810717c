"""How sure a mean over questions is: the bootstrap (Efron 1979), paired by question."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .result import Difference

__all__ = ["RESAMPLES", "difference", "resampled_means"]

RESAMPLES: Final = 10_000
_SEED: Final = 0
_DRAWS_AT_ONCE: Final = 1 << 22


def resampled_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of each column over 10,000 draws of as many questions, with replacement.

    Every column sees the same draws, so differences of columns are paired by question. The draws
    are the same for every call with as many questions.

    Args:
        values: One row for each question, shape (questions, columns).

    Returns:
        float64, shape (10000, columns).
    """
    questions = len(values)
    random = np.random.default_rng(_SEED)
    rows = max(1, _DRAWS_AT_ONCE // questions)
    means: list[NDArray[np.float64]] = []
    for first in range(0, RESAMPLES, rows):
        count = min(rows, RESAMPLES - first)
        drawn = random.integers(questions, size=(count, questions))
        drawn += np.arange(count)[:, None] * questions
        times = np.bincount(drawn.ravel(), minlength=count * questions)
        means.append(times.reshape(count, questions) @ values / questions)
    return np.concatenate(means)


def difference(values: NDArray[np.float64], means: NDArray[np.float64]) -> Difference:
    """The mean of differences with its 95 % percentile interval.

    One question says nothing of others, so the interval is then all that measures from 0 to 1 can
    differ by.

    Args:
        values: The difference on each question, shape (questions,).
        means: Its column of `resampled_means`, shape (10000,).
    """
    low, high = np.quantile(means, (0.025, 0.975)) if len(values) > 1 else (-1.0, 1.0)
    return Difference(
        mean=float(values.mean()),
        low=float(low),
        high=float(high),
        share_above=float((means > 0.0).mean()),
    )
