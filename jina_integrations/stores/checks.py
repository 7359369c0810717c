"""The checks that every store makes before it talks to its library."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..errors import InvalidInputError
from ..identity import chunk_id
from ..types import RESERVED_METADATA, EmbeddedChunk, FloatArray, Scalar
from .base import Filters

__all__ = ["check_chunks", "check_filters", "check_query"]


def check_chunks(chunks: Sequence[EmbeddedChunk], *, dimensions: int) -> dict[str, EmbeddedChunk]:
    """The chunks by `chunk_id`, in order; of two with one id the later stays.

    Raises:
        InvalidInputError: a chunk cannot be stored; carries its index. Nothing is written then.
    """
    checked: dict[str, EmbeddedChunk] = {}
    for index, item in enumerate(chunks):
        chunk = item.chunk
        name = f"chunk {chunk.index} of document {chunk.document_id!r}"
        if not 0 <= chunk.index < item.chunk_count:
            raise InvalidInputError(
                f"{name}: its document has {item.chunk_count} chunks", index=index
            )
        problem = _vector_problem(item.vector, dimensions)
        if problem:
            raise InvalidInputError(f"{name}: vector {problem}", index=index)
        for key, value in {"text": chunk.text, **chunk.metadata}.items():
            if key in RESERVED_METADATA:
                raise InvalidInputError(
                    f"{name}: metadata {key!r} is the stores' own key; rename it", index=index
                )
            if _has_surrogate(key, value):
                raise InvalidInputError(
                    f"{name}: {key!r} has a lone surrogate, which no store keeps; decode the "
                    "source as UTF-8 with errors='replace'",
                    index=index,
                )
        checked[chunk_id(chunk.document_id, item.version, chunk.index)] = item
    return checked


def check_query(vector: FloatArray, k: int, *, dimensions: int) -> FloatArray:
    """The query vector as float32, shape (dimensions,).

    Raises:
        InvalidInputError: `k` is below 1, or the vector is of another shape, not finite or zero.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInputError(f"k must be at least 1, not {k!r}")
    problem = _vector_problem(vector, dimensions)
    if problem:
        raise InvalidInputError(f"query vector {problem}")
    return np.asarray(vector, dtype=np.float32)


def check_filters(filters: Filters | None) -> dict[str, list[Scalar]]:
    """Each key with the values of which it must equal one; empty for no filter.

    Numbers are equal across int and float, as in Python; a bool equals only a bool.

    Raises:
        InvalidInputError: no value is given for a key, or one is not a finite scalar.
    """
    checked: dict[str, list[Scalar]] = {}
    for key, wanted in (filters or {}).items():
        if not isinstance(key, str) or not key:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"filter {key!r}: keys must be non-empty strings")
        scalar = isinstance(wanted, str | int | float)
        if not scalar and not isinstance(wanted, Sequence):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(
                f"filter {key!r}: must be a value or a list of values, not {type(wanted).__name__}"
            )
        values = [wanted] if isinstance(wanted, str | int | float) else list(wanted)
        if not values:
            raise InvalidInputError(f"filter {key!r}: an empty list matches nothing; leave it out")
        for value in values:
            _check_filter_value(key, value)
        checked[key] = values
    return checked


def _check_filter_value(key: str, value: object) -> None:
    if not isinstance(value, str | int | float):
        raise InvalidInputError(
            f"filter {key!r}: {type(value).__name__} is no str, int, float or bool"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInputError(f"filter {key!r}: {value} is not a finite number")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidInputError(f"filter {key!r}: {value} does not fit 64 bits")
    if _has_surrogate(key, value):
        raise InvalidInputError(f"filter {key!r}: a lone surrogate is in no stored text")


def _vector_problem(vector: FloatArray, dimensions: int) -> str:
    if np.shape(vector) != (dimensions,):
        return (
            f"has shape {np.shape(vector)}, the collection's have ({dimensions},): use the "
            "embedder that filled it"
        )
    if not np.isfinite(vector).all():
        return "has NaN or infinite numbers"
    return "" if np.any(vector) else "is all zero, which has no direction"


def _has_surrogate(*texts: object) -> bool:
    try:
        "".join(text for text in texts if isinstance(text, str)).encode()
    except UnicodeEncodeError:
        return True
    return False
