"""A folder of qdrant-client's local mode: opened with care, and its documents known by name.

Local mode keeps all points in memory and parses every one of them for each selection: 54 µs a point
for 256 documents (qdrant-client 1.20), so that asking for all documents in turn would take time by
the square. One process holds the folder, so the metadata of all points can be remembered, by
document.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from qdrant_client import QdrantClient, models

from jina_integrations.errors import InvalidSettingError
from jina_integrations.stores import CollectionInfo, Conditions, FolderAddress
from jina_integrations.stores.access import lists_of
from jina_integrations.stores.base import collection_name
from jina_integrations.stores.connection import FolderConnection
from jina_integrations.stores.failures import corrupt, locked, reading
from jina_integrations.stores.metadata_index import MetadataIndex
from jina_integrations.stores.records import metadata_of, record_id
from jina_integrations.types import Record

from .points import LEDGER_FIELDS, TEXT_FIELDS, record_of
from .store import LOCAL_CAPABILITIES, PAGE, QdrantStore

__all__ = ["QdrantFolderStore"]


class QdrantFolderStore(QdrantStore):
    """One collection in a folder, ``qdrant:PATH#COLLECTION``.

    Args:
        address: The folder, where qdrant-client keeps its ``meta.json``, and the collection.
    """

    capabilities = LOCAL_CAPABILITIES

    def __init__(self, address: FolderAddress) -> None:
        name = collection_name("Qdrant", address.collection, address.path)
        connection = FolderConnection(
            name,
            address.folder,
            connect=partial(_connect, name=name),
            close=QdrantClient.close,
            first="meta.json",
        )
        super().__init__(connection, address.collection)
        self._folder = address.folder
        self._known: MetadataIndex | None = None

    @classmethod
    def from_address(cls, address: str) -> QdrantFolderStore:
        """See `QdrantStore.from_address`."""
        parts = FolderAddress.parse(address)
        if parts.path == ":memory:":
            raise InvalidSettingError(
                "qdrant address: ':memory:' is lost when the process ends; pass a client: "
                'QdrantStore(QdrantClient(":memory:"), "name")'
            )
        return cls(parts)

    def describe(self) -> CollectionInfo | None:
        """None where qdrant-client has never been, which it would make."""
        return super().describe() if self._exists() else None

    def drop(self) -> None:
        """See `Store.drop`."""
        self._known = None
        if self._exists():
            super().drop()

    def write(self, records: Sequence[Record]) -> None:
        """One commit of SQLite for each record."""
        with self._changing() as index:
            super().write(records)
            index.add((record_id(record), metadata_of(record)) for record in records)

    def delete(self, where: Conditions) -> None:
        """By ids."""
        with self._changing() as index:
            self._delete(models.PointIdsList(points=[*index.pop(where)]))

    def count(self, where: Conditions) -> int:
        """By ids."""
        return len(self._index().select(where))

    def scan(self, where: Conditions, *, content: bool, vectors: bool) -> Iterator[Record]:
        """By ids."""
        fields = TEXT_FIELDS if content else LEDGER_FIELDS
        for ids in lists_of(self._index().select(where), PAGE):
            for point in self._connection.opened().retrieve(
                self._collection, ids, with_payload=fields, with_vectors=vectors
            ):
                yield record_of(point.payload, point.vector, name=self.name)

    def close(self) -> None:
        """Close the folder."""
        super().close()
        self._known = None

    def _exists(self) -> bool:
        """Whether qdrant-client has been here.

        Raises:
            StoreCorruptError: files are missing, which qdrant-client would take for no points.
        """
        try:
            names = {path.name for path in self._folder.iterdir()}
        except FileNotFoundError:
            return False
        if "meta.json" not in names:
            if "collection" in names:
                raise corrupt(self.name, "meta.json is missing")
            return False
        with reading(self.name):
            meta = json.loads((self._folder / "meta.json").read_text(encoding="utf-8"))
            is_known = self._collection in meta["collections"]
        database = self._folder / "collection" / self._collection / "storage.sqlite"
        if is_known and not (database.exists() and database.stat().st_size):
            raise corrupt(self.name, "storage.sqlite is missing or empty")
        return True

    def _index(self) -> MetadataIndex:
        if self._known is None:
            points, _ = self._connection.opened().scroll(
                self._collection, limit=2**31, with_payload=["metadata"]
            )
            self._known = MetadataIndex(
                (str(point.id), (point.payload or {}).get("metadata")) for point in points
            )
        return self._known

    @contextmanager
    def _changing(self) -> Generator[MetadataIndex]:
        """The index, to be kept in step with a change; forgotten where the change fails."""
        index, self._known = self._index(), None
        yield index
        self._known = index


def _connect(folder: Path, *, name: str) -> QdrantClient:
    # Said by the core, once, with the way out.
    warnings.filterwarnings("ignore", "Local mode is not recommended", UserWarning)
    with reading(name):
        try:
            # One call at a time is the core's rule; the check would forbid a second thread, too.
            return QdrantClient(path=str(folder), force_disable_check_same_thread=True)
        except RuntimeError as exc:  # what it raises for a folder in use
            raise locked(name, "another process, or another client of this one,") from exc
