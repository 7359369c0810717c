"""Qdrant's engine in this process: ``pip install "jina-integrations[qdrant-edge]"``.

No server and no limit to mind: an HNSW graph, a write-ahead log, vectors and texts in mapped files.
One process at a time has a collection open; its stores share it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final, Self

import numpy as np
import qdrant_edge as engine

from jina_integrations.errors import InvalidInputError
from jina_integrations.stores import Capabilities, CollectionInfo, Conditions, FolderAddress, Store
from jina_integrations.stores.collection_folder import CollectionFolder
from jina_integrations.stores.records import record_id
from jina_integrations.types import FloatArray, Hit, Record, SparseVector, VectorKind

from . import points as layout
from .shards import FOLDER, IndexParameters, Shard, create_shard

__all__ = ["QdrantEdgeStore"]

_PAGE: Final = 512

_CLASSES: Final = layout.FilterClasses(
    filter=engine.Filter,
    field=engine.FieldCondition,
    match_any=engine.MatchAny,
    number_range=engine.RangeFloat,
    date_range=engine.RangeDateTime,
)

_RANGE_INDEXES: Final[dict[str, IndexParameters]] = {
    "number": engine.FloatIndexParams(enable_hnsw=False),
    "date": engine.DatetimeIndexParams(enable_hnsw=False),
}


class QdrantEdgeStore(Store):
    """One collection in a folder.

    Args:
        folder: The folder of all collections; need not exist.
        collection: The collection's name, which is that of its folder below it.
    """

    capabilities = Capabilities(max_values=1024)

    def __init__(self, folder: str | os.PathLike[str], collection: str) -> None:
        if not isinstance(folder, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"folder must be a path, not {type(folder).__name__}")
        address = FolderAddress.parse(f"qdrant-edge:{os.fspath(folder)}#{collection}")
        self.name = f"Qdrant collection {address.collection!r} at {address.path}"
        self._folder = CollectionFolder(
            address.folder / address.collection,
            self.name,
            load=partial(Shard, name=self.name),
            close=Shard.close,
            points=f"{FOLDER}/segments",
        )

    @classmethod
    def from_address(cls, address: str) -> Self:
        """``qdrant-edge:PATH#COLLECTION``."""
        parts = FolderAddress.parse(address)
        return cls(parts.path, parts.collection)

    def describe(self) -> CollectionInfo | None:
        """From a file beside the shard; opens nothing."""
        return self._folder.describe()

    def create(self, info: CollectionInfo) -> None:
        """Whole or not at all."""
        self._folder.create(info, partial(create_shard, dimensions=info.dimensions["dense"]))

    def remember(self, info: CollectionInfo) -> None:
        """Into a new file that takes the old one's place."""
        self._folder.remember(info)

    def drop(self) -> None:
        """See `Store.drop`. A shard that cannot be read goes, too."""
        self._folder.drop()

    def write(self, records: Sequence[Record]) -> None:
        """One entry of the engine's log, synced to the disk."""
        points = [
            engine.Point(
                record_id(record),
                np.asarray(record.vectors.dense).tolist(),
                layout.payload_of(record),
            )
            for record in records
        ]
        written = sum(np.asarray(record.vectors.dense).nbytes for record in records)
        self._folder.opened(to_write=True).update(
            engine.UpdateOperation.upsert_points(points), vector_bytes=written
        )

    def delete(self, where: Conditions) -> int:
        """Counted just before."""
        shard = self._folder.opened(to_write=True)
        count = self.count(where)
        if count:
            selection = layout.to_filter(where, _CLASSES)
            shard.update(engine.UpdateOperation.delete_points_by_filter(selection))
        return count

    def count(self, where: Conditions) -> int:
        """See `Store.count`."""
        shard = self._selecting(where)
        return shard.engine.count(engine.CountRequest(filter=layout.to_filter(where, _CLASSES)))

    def scan(self, where: Conditions, *, content: bool, vectors: bool) -> Iterator[Record]:
        """In the order of ids."""
        shard, offset = self._selecting(where), None
        while True:
            points, offset = shard.engine.scroll(
                engine.ScrollRequest(
                    offset=offset,
                    limit=_PAGE,
                    filter=layout.to_filter(where, _CLASSES),
                    with_payload=layout.TEXT_FIELDS if content else layout.LEDGER_FIELDS,
                    with_vector=vectors,
                )
            )
            for point in points:
                yield layout.record_of(point.payload, point.vector, name=self.name)
            if offset is None:
                return

    def search(
        self,
        vector: FloatArray | SparseVector,
        *,
        kind: VectorKind,  # noqa: ARG002 - dense is the only kind
        k: int,
        where: Conditions,
    ) -> list[Hit]:
        """By the graph where there is one, else exact."""
        points = self._selecting(where).engine.query(
            engine.QueryRequest(
                limit=k,
                query=engine.Query.Nearest(np.asarray(vector).tolist()),
                filter=layout.to_filter(where, _CLASSES),
                with_payload=layout.TEXT_FIELDS,
            )
        )
        return [
            Hit(layout.record_of(point.payload, name=self.name).chunk, point.score)
            for point in points
        ]

    def settle(self) -> None:
        """Build what searches need; some minutes for a million new chunks."""
        shard = self._folder.opened()
        if not self._folder.is_read_only:
            shard.settle()

    def close(self) -> None:
        """The last store of this process that has the shard open closes it."""
        self._folder.close()

    def _selecting(self, where: Conditions) -> Shard:
        """The shard, with the indexes that the ranges of this selection need."""
        shard, fields = self._folder.opened(), layout.range_fields(where)
        shard.index({field: _RANGE_INDEXES[kind] for field, kind in fields.items()})
        return shard
