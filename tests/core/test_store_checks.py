"""What may be written to a store, and what no store gets to see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jina_integrations.errors import InvalidInputError
from jina_integrations.stores.checks import checked_records, checked_vectors
from jina_integrations.testing import DIMENSIONS, INFO, records
from jina_integrations.types import Record, SparseVector, VectorKind, Vectors


def dense(value: object) -> Vectors:
    return Vectors(dense=value)  # type: ignore[arg-type]


BAD_VECTORS = [
    (dense(np.ones(DIMENSIONS + 1, np.float32)), "shape"),
    (dense(np.ones((1, DIMENSIONS), np.float32)), "shape"),
    (dense(np.float32(1)), "shape"),
    (dense(np.full(DIMENSIONS, np.nan, np.float32)), "NaN"),
    (dense(np.full(DIMENSIONS, -np.inf, np.float32)), "NaN"),
    (dense(np.full(DIMENSIONS, 1e300)), "float32 does not hold"),
    (dense(np.full(DIMENSIONS, 1e-60)), "all zero"),
    (dense(np.zeros(DIMENSIONS, np.float32)), "all zero"),
    (dense(np.ones(DIMENSIONS, np.complex64)), "complex64, not real numbers"),
    (dense(np.ones(DIMENSIONS, bool)), "bool, not real numbers"),
    (dense(np.full(DIMENSIONS, "1")), "not real numbers"),
    (dense(np.full(DIMENSIONS, None)), "object, not real numbers"),
    (dense("a text"), "not real numbers"),
    (dense([[1.0], [1.0, 2.0]]), "different lengths"),
    (dense(SparseVector(np.array([1], np.uint32), np.ones(1, np.float32))), "not real numbers"),
    (Vectors(), "no vector"),
    (Vectors(multi=np.ones((2, DIMENSIONS), np.float32)), "none of that kind"),
]


@pytest.mark.parametrize(("vectors", "message"), BAD_VECTORS)
def test_vectors_that_mean_nothing(vectors: Vectors, message: str) -> None:
    good, bad = records("a", "v1", 2)
    with pytest.raises(InvalidInputError, match=rf"^records\[1\].*{message}") as caught:
        checked_records([good, replace(bad, vectors=vectors)], INFO.dimensions)
    assert caught.value.index == 1
    with pytest.raises(InvalidInputError, match=f"^query: .*{message}"):
        checked_vectors(vectors, INFO.dimensions, "query")


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.int32, np.uint8])
def test_real_numbers_become_float32(kind: type) -> None:
    given = np.arange(DIMENSIONS).astype(kind)
    vector = checked_vectors(dense(given), INFO.dimensions, "query").dense
    assert vector is not None
    assert vector.dtype == np.float32
    np.testing.assert_array_equal(vector, np.arange(DIMENSIONS))


def test_vectors_that_nearly_overflow_are_kept() -> None:
    """Their squares do not fit float32, which no check may mind."""
    for size in (1e30, 1e-30):
        given = np.full(DIMENSIONS, size, np.float32)
        vector = checked_vectors(dense(given), INFO.dimensions, "query").dense
        np.testing.assert_array_equal(vector, given)


def weights(indices: object, values: object) -> SparseVector:
    return SparseVector(np.asarray(indices), np.asarray(values))


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (Vectors(sparse=weights([1, 2], [1.0])), "index of each weight"),
        (Vectors(sparse=weights([1.5], [1.0])), "index of each weight"),
        (Vectors(sparse=weights([[1]], [[1.0]])), "index of each weight"),
        (Vectors(sparse=weights([2, 1], [1.0, 1.0])), "do not ascend"),
        (Vectors(sparse=weights([1, 1], [1.0, 1.0])), "do not ascend"),
        (Vectors(sparse=weights([-1], [1.0])), "do not ascend"),
        (Vectors(sparse=weights([2**32], [1.0])), "do not ascend"),
        (Vectors(sparse=weights([1], [np.nan])), "NaN"),
        (Vectors(sparse=weights([1], ["1"])), "not real numbers"),
        (Vectors(sparse=weights([1], [0.0])), "all zero"),
        (Vectors(sparse=np.ones(3)), "SparseVector, not ndarray"),  # type: ignore[arg-type]
        (Vectors(multi=np.ones(DIMENSIONS, np.float32)), "shape"),
        (Vectors(multi=np.ones((2, 3), np.float32)), "shape"),
        (Vectors(multi=np.ones((0, DIMENSIONS), np.float32)), "shape"),
        (Vectors(multi=np.eye(2, DIMENSIONS, 1, np.float32) * [[1], [0]]), "all zero"),
        (Vectors(multi=np.eye(2, DIMENSIONS, 1, np.float32) * [[1], [np.nan]]), "NaN"),
    ],
)
def test_other_kinds_are_checked_too(vectors: Vectors, message: str) -> None:
    (kind,) = vectors.kinds
    dimensions: dict[VectorKind, int] = {"dense": DIMENSIONS, "sparse": 0, "multi": DIMENSIONS}
    with pytest.raises(InvalidInputError, match=f"^query: {kind} vector.*{message}"):
        checked_vectors(vectors, dimensions, "query")


def with_chunk(**changes: Any) -> Record:
    record = records("a", "v1", 1)[0]
    return replace(record, chunk=replace(record.chunk, **changes))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (None, "must be a Record, not NoneType"),
        ("text", "must be a Record, not str"),
        (with_chunk(index="0"), "index that is no int but str"),
        (with_chunk(index=True), "index that is no int but bool"),
        (with_chunk(index=1), "index 1 of 1 chunks"),
        (with_chunk(index=-1), "index -1 of 1 chunks"),
        (with_chunk(start=None), "start that is no int"),
        (with_chunk(end=1.5), "end that is no int"),
        (with_chunk(text=None), "text that is no str but NoneType"),
        (with_chunk(text="\ud800"), "text with a lone surrogate"),
        (with_chunk(document_id=5), "document_id that is no str but int"),
        (with_chunk(document_id="\udfff"), "document_id with a lone surrogate"),
        (with_chunk(metadata={"k": "\ud800"}), "metadata 'k': holds a lone surrogate"),
        (with_chunk(metadata={"\ud800": "x"}), "lone surrogate"),
        (with_chunk(metadata={"k": float("nan")}), "not a finite number"),
        (with_chunk(metadata={"k": 10**30}), "64 bits"),
        (with_chunk(metadata={"k": None}), "not NoneType"),
        (with_chunk(metadata={"start": 1}), "stores write this key themselves"),
        (replace(records("a", "v1", 1)[0], version=None), "version that is no str"),  # type: ignore[arg-type]
        (replace(records("a", "v1", 1)[0], version="\ud800"), "version with a lone"),
        (replace(records("a", "v1", 1)[0], chunk_count="1"), "chunk_count that is"),  # type: ignore[arg-type]
        (replace(records("a", "v1", 1)[0], root=5), "root that is no str"),  # type: ignore[arg-type]
    ],
)
def test_records_of_wrong_types(record: Record, message: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"^records\[2\] .*{message}") as caught:
        checked_records([*records("b", "v1", 2), record], INFO.dimensions)
    assert caught.value.index == 2


def test_each_chunk_once() -> None:
    """Of several at the same place the last stays, where the first was."""
    first, second = records("a", "v1", 2, seed=1), records("a", "v1", 2, seed=2)
    checked = checked_records([*first, second[0]], INFO.dimensions)
    assert checked == [second[0], first[1]]
    versions = checked_records([*first, *records("a", "v2", 2)], INFO.dimensions)
    assert len(versions) == 4
