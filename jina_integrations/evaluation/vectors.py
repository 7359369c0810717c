"""The vectors of a configuration, and what is left of them when they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..types import Chunk, FloatArray
from ..vectors import mix, unit
from .encoding import Encoded, encodings_of
from .grid import Configuration, Quantization

__all__ = ["chunk_vectors", "signs", "stored", "vector_bytes"]


def chunk_vectors(encoded: Encoded, own: Configuration) -> FloatArray:
    """A configuration's vectors before quantization, as `ingest` would store them.

    Returns:
        float32, shape (chunks, dimensions), L2 norm 1.
    """
    parts = [encoded.vectors[one][:, : own.dimensions] for one in encodings_of(own)]
    if len(parts) == 2:
        isolated, late = parts
        return unit(mix(late, isolated, own.context_weight))
    if not own.neighbour_weight:
        return unit(parts[0])
    return unit(_with_neighbours(unit(parts[0]), encoded.chunks[own.chunker], own.neighbour_weight))


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


def vector_bytes(own: Configuration, *, chunks: int, dimensions: int) -> int:
    """Bytes of all stored vectors; 0 for BM25, which has none."""
    if own.retrieval == "bm25":
        return 0
    length = own.dimensions or dimensions
    bits = (length + 7) // 8
    sizes = {
        "none": 4 * length,
        "int8": length,
        "binary": bits,
        "binary-rescored": bits + 4 * length,
    }
    return chunks * sizes[own.quantization]


def _with_neighbours(isolated: FloatArray, chunks: Sequence[Chunk], weight: float) -> FloatArray:
    """Each row plus the weighted rows of the chunk before and after it in its document."""
    same = [one.document_id == two.document_id for one, two in pairwise(chunks)]
    share = (weight * np.array(same, np.float32))[:, None]
    summed = isolated.copy()
    summed[1:] += share * isolated[:-1]
    summed[:-1] += share * isolated[1:]
    return summed
