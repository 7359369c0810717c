"""From token ids to what one encoder pass needs: windows, pooling weights, batches.

Every vector is a weighted sum of token vectors. A window is a slice of a text's token stream, so
pooling is decided here, before anything is encoded: for each window, which of its tokens go into
which vector with which weight. A token that lies in ``c`` windows and in a vector of ``n`` tokens
has the weight ``1 / (n * c)`` in each: the mean over windows, then the mean over tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["IntArray", "TokenSequence", "plan_batches", "pool_plan", "window_ranges"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TokenSequence:
    """One sequence for the encoder, and what becomes of its token vectors.

    Attributes:
        ids: Token ids, shape (tokens,).
        rows: Positions in the sequence that are pooled, shape (pooled,); one may occur twice.
        vectors: For each row the index of the vector it goes into, shape (pooled,).
        weights: For each row its weight in that vector, float32, shape (pooled,).
    """

    ids: IntArray
    rows: IntArray
    vectors: IntArray
    weights: NDArray[np.float32]


def window_ranges(tokens: int, window: int, overlap: int) -> list[tuple[int, int]]:
    """Half-open ranges that cover ``tokens``, each at most ``window`` long.

    Each range begins ``window - overlap`` after the one before, so neighbours share ``overlap``
    tokens; the last one may be shorter.
    """
    step = window - overlap
    last = max(0, -(-(tokens - window) // step))
    return [(at * step, min(at * step + window, tokens)) for at in range(last + 1)]


def pool_plan(
    ids: IntArray,
    token_rows: Sequence[IntArray],
    *,
    first_vector: int,
    window: int,
    overlap: int,
) -> list[TokenSequence]:
    """The windows of one token stream, with the weights that make each vector a mean.

    Args:
        ids: The whole stream, start and end tokens included, shape (tokens,).
        token_rows: For each vector the stream positions to average, at least one, sorted.
        first_vector: Index of the first of these vectors; the others follow it.
        window: Longest sequence to encode, in tokens.
        overlap: Tokens that neighbouring windows share, less than ``window``.
    """
    ranges = window_ranges(len(ids), window, overlap)
    rows = np.concatenate(token_rows)
    counts = np.array([len(own) for own in token_rows])
    vectors = np.repeat(np.arange(first_vector, first_vector + len(token_rows)), counts)
    shares = np.repeat(1.0 / counts, counts)
    if len(ranges) == 1:
        return [TokenSequence(ids, rows, vectors, shares.astype(np.float32))]
    covering = np.zeros(len(ids) + 1, np.int64)
    for start, end in ranges:
        covering[start] += 1
        covering[end] -= 1
    weights = (shares / np.cumsum(covering)[rows]).astype(np.float32)
    order = np.argsort(rows, kind="stable")
    rows, vectors, weights = rows[order], vectors[order], weights[order]
    sequences: list[TokenSequence] = []
    for start, end in ranges:
        own = slice(*np.searchsorted(rows, (start, end)))
        sequences.append(
            TokenSequence(ids[start:end], rows[own] - start, vectors[own], weights[own])
        )
    return [sequence for sequence in sequences if len(sequence.rows)]


def plan_batches(
    lengths: Sequence[int], *, max_tokens: int, max_padding: float | None = None
) -> list[list[int]]:
    """Indices of sequences grouped into batches of at most ``max_tokens`` tokens, longest first.

    Args:
        lengths: Tokens of each sequence.
        max_tokens: Tokens of one batch, padding included; a longer sequence gets its own.
        max_padding: Share of a batch that may be padding when its sequences are padded to the
            longest; None where they are packed without any.
    """
    batches: list[list[int]] = []
    batch: list[int] = []
    tokens = longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        length = lengths[index]
        size = tokens + length if max_padding is None else longest * (len(batch) + 1)
        padded = 0.0 if max_padding is None or not size else 1.0 - (tokens + length) / size
        if batch and (size > max_tokens or padded > (max_padding or 0.0)):
            batches.append(batch)
            batch, tokens = [], 0
        if not batch:
            longest = length
        batch.append(index)
        tokens += length
    if batch:
        batches.append(batch)
    return batches
