"""A shard of Qdrant's embedded engine: durable updates, flat memory, no full disk."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import qdrant_edge as engine

from jina_integrations.stores.folders import require_space, used_bytes

__all__ = ["FOLDER", "RESERVE_BYTES", "SEGMENT_BYTES", "Shard", "create_shard"]

FOLDER: Final = "shard"
"""Of the engine's files, in the collection's folder."""

SEGMENT_BYTES: Final = 200_000 * 1024
"""Vectors of one segment, about; the engine's own default for one core."""

EXACT_BYTES: Final = 80_000 * 1024
"""Vectors that are scanned rather than given a graph: 50,000 of 384 values take 4 ms."""

RESERVE_BYTES: Final = 128 * 2**20
"""Free space without which nothing is written.

The engine writes through mapped files of 32 MiB (log, vectors, payload; qdrant-edge-py 0.9.0).
Where the disk has no room for a page of theirs, the system ends the process with SIGBUS. One write
of the core's, of 3 MB of vectors, needs less than what three such files leave of it.
"""

_INDEXES: Final[dict[str, engine.KeywordIndexParams | engine.IntegerIndexParams]] = {
    "tags": engine.KeywordIndexParams(),
    # Selected by the ledger alone; the graph need not know them.
    "metadata.document_id": engine.KeywordIndexParams(enable_hnsw=False),
    "metadata.chunk_index": engine.IntegerIndexParams(lookup=True, range=False, enable_hnsw=False),
}


def create_shard(folder: Path, dimensions: int) -> None:
    """Make an empty one in the collection's folder.

    Raises:
        OSError: ENOSPC.
    """
    require_space(folder, RESERVE_BYTES)
    shard = engine.EdgeShard.create(
        str(folder / FOLDER),
        engine.EdgeConfig(
            vectors=engine.EdgeVectorParams(dimensions, engine.Distance.Cosine),
            optimizers=engine.EdgeOptimizersConfig(
                max_segment_size=SEGMENT_BYTES // 1024, indexing_threshold=EXACT_BYTES // 1024
            ),
        ),
    )
    for field, index in _INDEXES.items():
        shard.update(engine.UpdateOperation.create_field_index(field, index))
    shard.close()  # which also writes all of it to the disk


class Shard:
    """A shard in use. Thread-safe, as the engine is.

    Args:
        folder: The collection's.

    Attributes:
        engine: The engine's object.
    """

    def __init__(self, folder: Path) -> None:
        self._files = folder / FOLDER
        self._writing = threading.RLock()
        self.engine = engine.EdgeShard.load(str(self._files))
        self._fields = set(self.engine.info().payload_schema)

    def update(self, operation: engine.UpdateOperation) -> None:
        """Apply it; on the disk when this returns, also if the power fails then.

        An update alone is in the engine's log, from which it survives the process; the flush syncs
        log and segments (seen with strace: msync and fsync of each).

        Raises:
            OSError: ENOSPC.
        """
        with self._writing:
            require_space(self._files, RESERVE_BYTES)
            self.engine.update(operation)
            self.engine.flush()

    def settle(self) -> None:
        """Build the graph of what was written; from then on it is searched, not scanned.

        What was written last is kept in a segment that grows in memory, 1 kB a chunk, so this is
        also what keeps memory flat in a long run.
        """
        with self._writing:
            copied = min(used_bytes(self._files), 4 * SEGMENT_BYTES)
            require_space(self._files, RESERVE_BYTES + copied)
            self.engine.optimize()

    def index(self, paths: Iterable[str]) -> None:
        """Index these payload fields for ranges: 20 s of CPU each for a million chunks, once."""
        with self._writing:
            for path in set(paths) - self._fields:
                kind: type[engine.DatetimeIndexParams] | type[engine.FloatIndexParams] = (
                    engine.DatetimeIndexParams
                    if path.startswith("dates.")
                    else engine.FloatIndexParams
                )
                index = kind(enable_hnsw=False)
                self.update(engine.UpdateOperation.create_field_index(path, index))
                self._fields.add(path)

    def close(self) -> None:
        """Close it under all stores that use it."""
        self.engine.close()
