"""A whole store in the memory of the process: the smallest that passes the contract."""
# ruff: noqa: D102, ARG002 - the methods are described in `Store`

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Self, cast

import numpy as np

from ..errors import InvalidSettingError
from ..stores import Capabilities, CollectionInfo, Conditions, Store
from ..stores.filters import matches
from ..stores.records import metadata_of, record_id
from ..types import FloatArray, Hit, Record, SparseVector, VectorKind, Vectors

__all__ = ["MemoryStore"]

Kept = tuple[list[CollectionInfo], dict[str, Record]]
"""The info, in a list of one so that it can be replaced, and the records by id."""


class MemoryStore(Store):
    """One collection in the memory of this process, known by its name.

    Stores of one name share the collection, until it is dropped. Made for tests: a search looks at
    every record.
    """

    capabilities = Capabilities(kinds=frozenset({"dense", "sparse", "multi"}), many_writers=True)
    _collections: ClassVar[dict[str, Kept]] = {}

    def __init__(self, collection: str) -> None:
        self._collection = collection
        self.name = f"collection {collection!r} in memory"

    @classmethod
    def from_address(cls, address: str) -> Self:
        """The collection of ``memory:COLLECTION``."""
        collection = address.removeprefix("memory:")
        if not collection:
            raise InvalidSettingError("memory address: write memory:COLLECTION")
        return cls(collection)

    def describe(self) -> CollectionInfo | None:
        kept = self._collections.get(self._collection)
        return kept[0][0] if kept else None

    def create(self, info: CollectionInfo) -> None:
        self._collections.setdefault(self._collection, ([info], {}))

    def remember(self, info: CollectionInfo) -> None:
        self._collections[self._collection][0][:] = [info]

    def drop(self) -> None:
        self._collections.pop(self._collection, None)

    def write(self, records: Sequence[Record]) -> None:
        self._records().update({record_id(record): record for record in records})

    def delete(self, where: Conditions) -> None:
        for record in self._select(where):
            self._records().pop(record_id(record), None)

    def count(self, where: Conditions) -> int:
        return len(self._select(where))

    def scan(self, where: Conditions, *, content: bool, vectors: bool) -> Iterator[Record]:
        for record in self._select(where):
            yield record if vectors else replace(record, vectors=Vectors())

    def search(
        self, vector: FloatArray | SparseVector, *, kind: VectorKind, k: int, where: Conditions
    ) -> list[Hit]:
        hits = [
            Hit(record.chunk, _score(getattr(record.vectors, kind), vector))
            for record in self._select(where)
            if kind in record.vectors.kinds
        ]
        return sorted(hits, key=lambda hit: -hit.score)[:k]

    def close(self) -> None:
        """There is nothing to release."""

    def _records(self) -> dict[str, Record]:
        return self._collections[self._collection][1]

    def _select(self, where: Conditions) -> list[Record]:
        records = list(self._records().values())
        return [record for record in records if matches(metadata_of(record), where)]


def _score(stored: object, query: FloatArray | SparseVector) -> float:
    """Dense: cosine; sparse: dot product; multi: sum of each query token's highest cosine."""
    if isinstance(query, SparseVector):
        terms = cast("SparseVector", stored)
        _, left, right = np.intersect1d(terms.indices, query.indices, return_indices=True)
        return float(terms.values[left] @ query.values[right])
    cosines = _units(query) @ _units(cast("FloatArray", stored)).T
    return float(cosines.reshape(-1, cosines.shape[-1] if cosines.ndim else 1).max(axis=1).sum())


def _units(rows: FloatArray) -> FloatArray:
    unit: FloatArray = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit
