"""The vectors of a configuration, and what is left of them when they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..embedding.vectors import mix, unit
from ..types import Chunk, FloatArray
from .encoding import Encoded
from .grid import Configuration, Quantization

__all__ = ["chunk_vectors", "signs", "stored", "vector_bytes"]


def chunk_vectors(encoded: Encoded, configuration: Configuration) -> FloatArray:
    """A configuration's vectors before quantization, as `ingest` would store them.

    Returns:
        float32, shape (chunks, dimensions), L2 norm 1.
    """
    parts = [
        encoded.vectors[encoding][:, : configuration.dimensions]
        for encoding in encoded.encodings[configuration]
    ]
    if len(parts) == 2:
        isolated, late = parts
        return unit(mix(late, isolated, configuration.context_weight))
    if not configuration.neighbour_weight:
        return unit(parts[0])
    return unit(
        _with_neighbours(
            unit(parts[0]), encoded.chunks[configuration.chunker], configuration.neighbour_weight
        )
    )


def stored(vectors: FloatArray, quantization: Quantization) -> FloatArray:
    """The vectors as the first search sees them: float32, same shape.

    ``int8`` cuts the range that each dimension has over all rows into 255 equal steps, as
    ``sentence_transformers.quantization`` does; ``binary`` keeps signs.
    """
    if quantization == "none":
        return vectors
    if quantization != "int8":
        return signs(vectors)
    low = vectors.min(axis=0)
    step = (vectors.max(axis=0) - low) / np.float32(255)
    step[step == 0.0] = 1.0
    levels: FloatArray = np.round((vectors - low) / step) * step + low
    return levels


def signs(vectors: FloatArray) -> FloatArray:
    """1 where a value is above 0, else -1: their product falls as the Hamming distance grows."""
    return np.where(vectors > 0, np.float32(1), np.float32(-1))


def vector_bytes(configuration: Configuration, *, chunks: int, dimensions: int) -> int:
    """Bytes of all stored vectors; 0 for BM25, which has none."""
    if configuration.retrieval == "bm25":
        return 0
    length = configuration.dimensions or dimensions
    bits = (length + 7) // 8
    sizes = {
        "none": 4 * length,
        "int8": length,
        "binary": bits,
        "binary-rescored": bits + 4 * length,
    }
    return chunks * sizes[configuration.quantization]


def _with_neighbours(isolated: FloatArray, chunks: Sequence[Chunk], weight: float) -> FloatArray:
    """Each row plus the weighted rows of the chunk before and after it in its document."""
    same = [left.document_id == right.document_id for left, right in pairwise(chunks)]
    share = (weight * np.array(same, np.float32))[:, None]
    summed = isolated.copy()
    summed[1:] += share * isolated[:-1]
    summed[:-1] += share * isolated[1:]
    return summed
