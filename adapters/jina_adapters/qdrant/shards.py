"""A shard of Qdrant's embedded engine: durable updates, flat memory, no full disk."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

import qdrant_edge as engine

from jina_integrations.stores.failures import corrupt
from jina_integrations.stores.folders import require_space

__all__ = ["FOLDER", "RESERVE_BYTES", "IndexParameters", "Shard", "create_shard"]

IndexParameters: TypeAlias = (
    engine.KeywordIndexParams
    | engine.IntegerIndexParams
    | engine.FloatIndexParams
    | engine.DatetimeIndexParams
)

FOLDER: Final = "shard"
"""Of the engine's files, in the collection's folder."""

SEGMENT_BYTES: Final = 200_000 * 1024
"""Vectors of one segment, about; the engine's own default for one core."""

EXACT_BYTES: Final = 80_000 * 1024
"""Vectors that are scanned rather than given a graph: 50,000 of 384 values take 4 ms."""

RESERVE_BYTES: Final = 128 * 2**20
"""Free space without which nothing is written.

The engine writes through mapped files of 32 MiB (log, vectors, payload; qdrant-edge-py 0.9.0).
Where the disk has no room for a page of theirs, the system ends the process with SIGBUS.
"""

_INDEXES: Final[dict[str, IndexParameters]] = {
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
        name: The store's name for messages.

    Attributes:
        engine: The engine's object.

    Raises:
        StoreCorruptError: its files cannot be read.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._files = folder / FOLDER
        self._writing = threading.RLock()
        self._unsettled_bytes = 0
        try:
            self.engine = engine.EdgeShard.load(str(self._files))
        except Exception as exc:  # the engine has no other type; the folder is ours and locked
            raise corrupt(name, exc) from exc
        except BaseException as exc:
            if type(exc).__name__ != "PanicException":  # pyo3's, which is no Exception
                raise
            raise corrupt(name, exc) from exc
        self._fields = set(self.engine.info().payload_schema)

    def update(self, operation: engine.UpdateOperation, *, vector_bytes: int = 0) -> None:
        """Apply it; on the disk when this returns, also if the power fails then.

        An update alone is in the engine's log, from which it survives the process; the flush syncs
        log and segments (seen with strace: msync and fsync of each).

        Args:
            operation: What to do.
            vector_bytes: Size of the vectors that it writes.

        Raises:
            OSError: ENOSPC.
        """
        with self._writing:
            require_space(self._files, RESERVE_BYTES + 2 * vector_bytes)
            self.engine.update(operation)
            self.engine.flush()
            self._unsettled_bytes += vector_bytes
            if self._unsettled_bytes >= SEGMENT_BYTES:
                self.settle()

    def settle(self) -> None:
        """Build the graph of what was written; from then on it is searched, not scanned.

        What was written last is kept in a segment that grows in memory, 1 kB a chunk, so this is
        also what keeps memory flat in a long run.
        """
        with self._writing:
            blocks = sum(path.lstat().st_blocks for path in self._files.rglob("*"))
            require_space(self._files, RESERVE_BYTES + min(512 * blocks, 4 * SEGMENT_BYTES))
            self.engine.optimize()
            self._unsettled_bytes = 0

    def index(self, fields: Mapping[str, IndexParameters]) -> None:
        """Make the payload indexes that are missing: 20 s of CPU each for a million chunks."""
        with self._writing:
            for field in fields.keys() - self._fields:
                self.update(engine.UpdateOperation.create_field_index(field, fields[field]))
                self._fields.add(field)

    def close(self) -> None:
        """Close it under all stores that use it."""
        self.engine.close()
