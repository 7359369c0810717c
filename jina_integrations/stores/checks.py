"""What may be written to a store, whatever the store: checked before the first byte is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..inputs import find_surrogate
from ..metadata import check_metadata
from ..types import FloatArray, Record, SparseVector, VectorKind, Vectors

__all__ = ["checked_records", "checked_vectors"]

Dimensions: TypeAlias = Mapping[VectorKind, int]
"""Length of the vectors of each kind, see `CollectionInfo`."""


def checked_records(records: Iterable[Record], dimensions: Dimensions) -> list[Record]:
    """The records with float32 vectors, each chunk once; of several the last.

    Raises:
        InvalidInputError: one cannot be stored; carries its index.
    """
    checked: dict[tuple[str, str, int], Record] = {}
    metadata: object = None
    for index, record in enumerate(records):
        try:
            _check_fields(record)
            chunk = record.chunk
            if chunk.metadata is not metadata:  # the chunks of a document share it
                check_metadata(chunk.metadata, where="has metadata")
                metadata = chunk.metadata
            name = f"(chunk {chunk.index} of document {chunk.document_id!r:.80})"
            vectors = checked_vectors(record.vectors, dimensions, name)
        except InvalidInputError as exc:
            exc.argument, exc.index = "records", index
            raise
        key = chunk.document_id, record.version, chunk.index
        checked[key] = Record(chunk, record.version, record.chunk_count, vectors, record.root)
    return list(checked.values())


def _check_fields(record: Record) -> None:
    if not isinstance(record, Record):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInputError(f"must be a Record, not {type(record).__name__}")
    chunk = record.chunk
    strings = {
        "document_id": chunk.document_id,
        "text": chunk.text,
        "version": record.version,
        "root": record.root,
    }
    for name, value in strings.items():
        if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"has a {name} that is no str but {type(value).__name__}")
        if find_surrogate(value) is not None:
            raise InvalidInputError(f"has a {name} with a lone surrogate, which is not text")
    numbers = {
        "index": chunk.index,
        "start": chunk.start,
        "end": chunk.end,
        "chunk_count": record.chunk_count,
    }
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"has a {name} that is no int but {type(number).__name__}")
    if not 0 <= chunk.index < record.chunk_count:
        raise InvalidInputError(f"has index {chunk.index} of {record.chunk_count} chunks")


def checked_vectors(vectors: Vectors, dimensions: Dimensions, name: str) -> Vectors:
    """The vectors as float32.

    Args:
        vectors: At least one.
        dimensions: Those of the collection.
        name: What they belong to, for error messages.

    Raises:
        InvalidInputError: one is of a kind or length that the collection has not, or holds NaN,
            infinity (also only as float32), or nothing but zeros.
    """
    checked: dict[str, Any] = {}
    for kind in sorted(vectors.kinds):
        where, value = f"{name}: {kind} vector", getattr(vectors, kind)
        if kind not in dimensions:
            raise InvalidInputError(f"{where}: the collection has none of that kind")
        if kind == "sparse":
            checked[kind] = _checked_weights(value, where)
        else:
            checked[kind] = _checked_rows(value, dimensions[kind], where, tokens=kind == "multi")
    if not checked:
        raise InvalidInputError(f"{name}: there is no vector")
    return Vectors(**checked)


def _checked_rows(value: object, dimensions: int, where: str, *, tokens: bool) -> FloatArray:
    rows = _numbers(value, where)
    fits = rows.ndim == 1 + tokens and rows.shape[-1] == dimensions and len(rows) > 0
    if not fits:
        shape = f"(tokens, {dimensions})" if tokens else f"({dimensions},)"
        raise InvalidInputError(
            f"{where} has shape {rows.shape}, the collection's have {shape}: use the embedder that "
            "filled it"
        )
    return _float32(rows, where)


def _checked_weights(value: object, where: str) -> SparseVector:
    if not isinstance(value, SparseVector):
        raise InvalidInputError(f"{where} must be a SparseVector, not {type(value).__name__}")
    indices, values = np.asarray(value.indices), _numbers(value.values, where)
    if indices.dtype.kind not in "iu" or indices.ndim != 1 or indices.shape != values.shape:
        raise InvalidInputError(f"{where} must have one whole number as index of each weight")
    if len(indices) and (indices[0] < 0 or indices[-1] >= 2**32 or np.any(np.diff(indices) <= 0)):
        raise InvalidInputError(f"{where} has indices that do not ascend from 0 to 2**32")
    return SparseVector(indices.astype(np.uint32), _float32(values, where))


def _numbers(value: object, where: str) -> NDArray[np.number[Any]]:
    try:
        numbers: NDArray[Any] = np.asarray(value)
    except ValueError as exc:
        raise InvalidInputError(f"{where} has rows of different lengths") from exc
    if numbers.dtype.kind not in "fiu":
        raise InvalidInputError(f"{where} holds {numbers.dtype}, not real numbers")
    return cast("NDArray[np.number[Any]]", numbers)


def _float32(numbers: NDArray[np.number[Any]], where: str) -> FloatArray:
    with np.errstate(over="ignore"):
        stored = numbers.astype(np.float32, copy=False)
    if 0 < np.vdot(stored, stored) < np.inf and stored.ndim == 1:
        return stored  # the usual case, in one pass: NaN and infinity fail the comparison
    if not np.isfinite(stored).all():
        raise InvalidInputError(f"{where} has NaN, or numbers that float32 does not hold")
    if not np.any(stored, axis=-1).all():
        raise InvalidInputError(f"{where} is all zero, which has no direction")
    return stored
