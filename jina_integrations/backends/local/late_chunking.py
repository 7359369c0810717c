"""Late chunking: which tokens a span pools, in which windows, with which weight.

Every vector is a weighted sum of token vectors. A window is a slice of a text's token stream, so
pooling is decided here, before anything is encoded: for each window, which of its tokens go into
which vector with which weight. A token that lies in ``c`` windows and in a vector of ``n`` tokens
has the weight ``1 / (n * c)`` in each: the mean over windows, then the mean over tokens. A text
that is embedded whole is one span of all its tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidSpanError
from ...tokenizers.exact import IntArray, TokenStream
from ...types import CharSpan

__all__ = ["TokenSequence", "pool_plan", "token_rows", "window_ranges"]


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


def token_rows(
    stream: TokenStream, text: str, spans: Sequence[CharSpan], *, index: int
) -> list[IntArray]:
    """For each span the stream positions that it pools, sorted, at least one.

    A span pools the tokens that it touches. The span that touches the text's first token also
    pools the start tokens and the prefix; the one that touches its last also the end tokens.

    Args:
        stream: The tokenised document.
        text: The document.
        spans: Checked character spans of it.
        index: The document's position in the call's list, carried by the error.

    Raises:
        InvalidSpanError: a span touches no token.
    """
    content = len(text) - len(text.lstrip()), len(text.rstrip())
    opening = int(np.searchsorted(stream.ends, content[0], side="right"))
    closing = int(np.searchsorted(stream.starts, content[1], side="left")) - 1
    rows: list[IntArray] = []
    for number, (start, end) in enumerate(spans):
        low = int(np.searchsorted(stream.ends, start, side="right"))
        high = int(np.searchsorted(stream.starts, end, side="left"))
        if low >= high:
            raise InvalidSpanError(
                f"is ({start}, {end}) and holds no token: {text[start:end]!r:.60} is dropped by "
                "the model's tokenizer. Join it to a neighbour",
                argument="texts",
                index=index,
                span=number,
            )
        parts = [np.arange(low, high) + stream.first]
        if low <= opening:
            parts.insert(0, np.arange(stream.first))
        if high - 1 >= closing:
            parts.append(np.arange(stream.first + len(stream.starts), len(stream.ids)))
        rows.append(np.concatenate(parts))
    return rows


def window_ranges(tokens: int, window: int, overlap: int) -> list[tuple[int, int]]:
    """Half-open ranges that cover ``tokens``, each at most ``window`` long.

    Each range begins ``window - overlap`` after the one before, so neighbours share ``overlap``
    tokens; the last one may be shorter.
    """
    step = window - overlap
    last = max(0, -(-(tokens - window) // step))
    return [(step * n, min(step * n + window, tokens)) for n in range(last + 1)]


def pool_plan(
    ids: IntArray,
    pooled: Sequence[IntArray],
    *,
    first_vector: int,
    window: int,
    overlap: int,
) -> list[TokenSequence]:
    """The windows of one token stream, with the weights that make each vector a mean.

    Args:
        ids: The whole stream, start and end tokens included, shape (tokens,).
        pooled: For each vector the stream positions to average, at least one, sorted.
        first_vector: Index of the first of these vectors; the others follow it.
        window: Longest sequence to encode, in tokens.
        overlap: Tokens that neighbouring windows share, less than ``window``.
    """
    ranges = window_ranges(len(ids), window, overlap)
    rows = np.concatenate(pooled)
    counts = np.array([len(positions) for positions in pooled])
    vectors = np.repeat(np.arange(first_vector, first_vector + len(pooled)), counts)
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
        inside = slice(*np.searchsorted(rows, (start, end)))
        sequences.append(
            TokenSequence(ids[start:end], rows[inside] - start, vectors[inside], weights[inside])
        )
    return [sequence for sequence in sequences if len(sequence.rows)]
