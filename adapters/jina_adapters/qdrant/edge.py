"""Qdrant's engine in this process: ``pip install "jina-integrations[qdrant-edge]"``.

No server and no limit to mind: an HNSW graph, a write-ahead log, vectors and texts in mapped files.
One process at a time has a collection open; its stores share it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import qdrant_edge as engine

from jina_integrations.stores import Capabilities, CollectionInfo, Conditions
from jina_integrations.stores.collection_folder import FolderStore
from jina_integrations.types import FloatArray, Hit, Record, SparseVector, VectorKind

from . import points as layout
from .shards import FOLDER, SEGMENT_BYTES, Shard, create_shard

__all__ = ["QdrantEdgeStore"]

_PAGE: Final = 512

_FILTERS: Final = layout.FilterClasses(
    engine.Filter,
    engine.FieldCondition,
    engine.MatchAny,
    engine.RangeFloat,
    engine.RangeDateTime,
)


class QdrantEdgeStore(FolderStore[Shard]):
    """One collection in a folder, ``qdrant-edge:PATH#COLLECTION``; see `FolderStore`."""

    kind = "qdrant-edge"
    library = "Qdrant Edge"
    points = f"{FOLDER}/segments"
    capabilities = Capabilities(max_values=1024, settle_bytes=SEGMENT_BYTES)

    @staticmethod
    def make(folder: Path, info: CollectionInfo) -> None:
        """See `FolderStore.make`."""
        create_shard(folder, info.dimensions["dense"])

    @staticmethod
    def load(folder: Path) -> Shard:
        """See `FolderStore.load`."""
        return Shard(folder)

    def write(self, records: Sequence[Record]) -> None:
        """One entry of the engine's log, synced to the disk."""
        points = [engine.Point(*layout.point_of(record)) for record in records]
        self.opened(to_write=True).update(engine.UpdateOperation.upsert_points(points))

    def delete(self, where: Conditions) -> None:
        """One entry of the log, too."""
        operation = engine.UpdateOperation.delete_points_by_filter(_FILTERS.select(where))
        self.opened(to_write=True).update(operation)

    def count(self, where: Conditions) -> int:
        """Exactly."""
        request = engine.CountRequest(filter=_FILTERS.select(where))
        return self._selecting(where).count(request)

    def scan(self, where: Conditions, *, content: bool, vectors: bool) -> Iterator[Record]:
        """In the order of ids."""
        shard, offset = self._selecting(where), None
        while True:
            points, offset = shard.scroll(
                engine.ScrollRequest(
                    offset=offset,
                    limit=_PAGE,
                    filter=_FILTERS.select(where),
                    with_payload=layout.TEXT_FIELDS if content else layout.LEDGER_FIELDS,
                    with_vector=vectors,
                )
            )
            for point in points:
                yield layout.record_of(point.payload, point.vector, name=self.name)
            if offset is None:
                return

    def search(
        self, vector: FloatArray | SparseVector, *, kind: VectorKind, k: int, where: Conditions
    ) -> list[Hit]:
        """By the graph where there is one, else exact."""
        points = self._selecting(where).query(
            engine.QueryRequest(
                limit=k,
                query=engine.Query.Nearest(np.asarray(vector).tolist()),
                filter=_FILTERS.select(where),
                with_payload=layout.TEXT_FIELDS,
            )
        )
        return [
            Hit(layout.record_of(point.payload, name=self.name).chunk, point.score)
            for point in points
        ]

    def settle(self) -> None:
        """Build what searches need; some minutes for a million new chunks."""
        self.opened(to_write=True).settle()

    def _selecting(self, where: Conditions) -> engine.EdgeShard:
        """The engine's shard, with the indexes that the ranges of this selection need."""
        shard = self.opened()
        shard.index(layout.range_paths(where))
        return shard.engine
