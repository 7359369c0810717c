"""Chunks in Qdrant, on a server or in a local folder: ``pip install "jina-integrations[qdrant]"``.

::

    qdrant:./index#handbook                   a folder, for up to about 20,000 chunks
    qdrant+http://localhost:6333/handbook     a server, 1.16 or newer; its key in QDRANT_API_KEY

Points are laid out as langchain-qdrant reads them; see ``docs/stores.md``. `QdrantVectors` is for
programs that use qdrant-client themselves; see ``docs/qdrant.md``.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from jina_integrations.errors import (
    CollectionNotFoundError,
    InvalidInputError,
    InvalidSettingError,
    MissingExtraError,
    StoreError,
    StoreUnavailableError,
)
from jina_integrations.stores import CollectionInfo, Filters, Store, StoreCounts, StoreLocation
from jina_integrations.stores.batching import (
    DOCUMENTS_PER_REQUEST,
    batches,
    complete_documents,
    request_batches,
)
from jina_integrations.stores.checks import check_chunks, check_filters, check_query
from jina_integrations.stores.layout import (
    INFO_KEY,
    chunk_from,
    info_from,
    info_to_dict,
    require_equal,
)
from jina_integrations.stores.location import read_key
from jina_integrations.types import EmbeddedChunk, FloatArray, Hit

try:
    from qdrant_client import QdrantClient, models
except ImportError as exc:
    raise MissingExtraError("The Qdrant store", "qdrant") from exc

from .failures import API_KEY_VARIABLE, opening, translated
from .filters import stale_filter, to_filter
from .local import document_ids, durable, local_collection, stale_ids
from .vectors import QdrantVectors, payload_of

__all__ = ["QdrantStore", "QdrantVectors"]

_TIMEOUT_S = 60
"""Per request. The client's own 5 s is too short for a large upsert that waits for the disk."""

_POINTS_PER_REQUEST = 256
_BYTES_PER_REQUEST = 16 * 2**20
"""Half of the server's default limit of 32 MB (``service.max_request_size_mb``)."""

_INDEXED = ("metadata.document_id", "metadata.document_version")


class QdrantStore(Store):
    """One Qdrant collection. Use it from one thread at a time.

    Args:
        client: A ready synchronous client, which stays the caller's to close.
        collection: The collection's name.

    Raises:
        InvalidInputError: the client is of another type, such as the asynchronous one.
    """

    def __init__(self, client: QdrantClient, collection: str) -> None:
        if not isinstance(client, QdrantClient):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"client must be a QdrantClient, not {type(client).__name__}")
        self._start(client, None, collection, f"Qdrant collection {collection!r}")

    @classmethod
    def from_location(cls, location: StoreLocation) -> Self:
        """A store that opens the folder, or connects to the server, at first use.

        Raises:
            InvalidSettingError: the path is ``:memory:``, which would be lost with the process.
        """
        if location.path == ":memory:":
            raise InvalidSettingError(
                "qdrant location: ':memory:' is lost when the process ends; pass a client: "
                'QdrantStore(QdrantClient(":memory:"), "name")'
            )
        store = cls.__new__(cls)
        place = location.url or location.path
        name = location.collection
        store._start(None, location, name, f"Qdrant collection {name!r} at {place}")
        return store

    def _start(
        self,
        client: QdrantClient | None,
        location: StoreLocation | None,
        collection: str,
        where: str,
    ) -> None:
        self._client = client
        self._location = location
        self._collection = collection
        self._where = where
        self._info: CollectionInfo | None = None
        self._release: Callable[[], object] | None = None
        self._indexed = False

    def read_info(self) -> CollectionInfo | None:
        """Read from the collection's metadata. A folder that is not there is not made."""
        if self._client is None and self._location is not None and self._location.path is not None:
            folder = Path(self._location.path).expanduser()
            if not (folder / "meta.json").exists() and not folder.is_file():
                return None
        client = self._connected()
        with translated(self._where):
            if not client.collection_exists(self._collection):
                return None
            metadata = client.get_collection(self._collection).config.metadata
        self._info = info_from((metadata or {}).get(INFO_KEY), where=self._where)
        return self._info

    def create(self, info: CollectionInfo) -> None:
        """Make it with one unnamed cosine vector; folder or server decide who is first."""
        client = self._connected()
        try:
            with translated(self._where):
                client.create_collection(
                    self._collection,
                    vectors_config=models.VectorParams(
                        size=info.dimensions, distance=models.Distance.COSINE
                    ),
                    metadata={INFO_KEY: info_to_dict(info)},
                )
        except StoreError:
            if self._found_after_creation() is None:
                raise
        found = self._found_after_creation()
        if found is None:
            raise StoreError(f"{self._where} was dropped while it was being made; run it again")
        require_equal(found, info, where=self._where)

    def _found_after_creation(self) -> CollectionInfo | None:
        try:
            return self.read_info()
        except CollectionNotFoundError as exc:
            raise CollectionNotFoundError(
                f"{exc}; or this Qdrant server is older than 1.16 and keeps no collection metadata"
            ) from exc

    def find_complete(self, versions: Mapping[str, str]) -> set[str]:
        """By ids alone: the cost does not grow with the collection."""
        client, _ = self._ready()

        def first_chunk_counts(ids: list[str]) -> dict[str, object]:
            found = client.retrieve(self._collection, ids, with_payload=["metadata.chunk_count"])
            return {
                str(point.id): ((point.payload or {}).get("metadata") or {}).get("chunk_count")
                for point in found
            }

        def stored_ids(ids: list[str]) -> set[str]:
            found = client.retrieve(self._collection, ids, with_payload=False)
            return {str(point.id) for point in found}

        with translated(self._where):
            return complete_documents(
                versions, first_chunk_counts=first_chunk_counts, stored_ids=stored_ids
            )

    def write(self, chunks: Sequence[EmbeddedChunk]) -> None:
        """Upsert and wait for the disk, in requests of 256 points or 16 MB at most."""
        client, info = self._ready()
        checked = check_chunks(chunks, dimensions=info.dimensions)
        if not checked:
            return
        local = local_collection(client, self._collection)
        with translated(self._where):
            if local is None:
                self._make_indexes(client)
            with durable(local):
                for batch in request_batches(
                    checked, count=_POINTS_PER_REQUEST, size=_BYTES_PER_REQUEST
                ):
                    result = client.upsert(self._collection, points=_points(batch), wait=True)
                    self._require_done(result)

    def drop_stale(self, versions: Mapping[str, str]) -> int:
        """One filtered delete for 256 documents; one look at the payloads in local mode."""
        client, _ = self._ready()
        local = local_collection(client, self._collection)
        dropped = 0
        with translated(self._where):
            if local is not None:
                stale = stale_ids(local, versions)
                if stale:
                    with durable(local):
                        client.delete(
                            self._collection, points_selector=models.PointIdsList(points=stale)
                        )
                return len(stale)
            for batch in batches(list(versions.items()), DOCUMENTS_PER_REQUEST):
                outdated = stale_filter(dict(batch))
                count = client.count(self._collection, count_filter=outdated, exact=True).count
                if count:
                    selector = models.FilterSelector(filter=outdated)
                    result = client.delete(self._collection, points_selector=selector, wait=True)
                    self._require_done(result)
                    dropped += count
        return dropped

    def search(self, vector: FloatArray, *, k: int, filters: Filters | None = None) -> list[Hit]:
        """The nearest by the server's index; exact in local mode."""
        client, info = self._ready()
        query = check_query(vector, k, dimensions=info.dimensions)
        conditions = to_filter(check_filters(filters))
        with translated(self._where):
            points = client.query_points(
                self._collection, query=query.tolist(), limit=k, query_filter=conditions
            ).points
        hits: list[Hit] = []
        for point in points:
            payload = point.payload or {}
            chunk = chunk_from(
                payload.get("page_content"), payload.get("metadata") or {}, where=self._where
            )
            hits.append(Hit(chunk=chunk, score=point.score))
        return hits

    def counts(self) -> StoreCounts:
        """Exact, so it reads every document id: for people, not for loops."""
        client, _ = self._ready()
        local = local_collection(client, self._collection)
        with translated(self._where):
            chunks = client.count(self._collection, exact=True).count
            if local is not None:
                return StoreCounts(documents=len(document_ids(local)), chunks=chunks)
            self._make_indexes(client)
            distinct = client.facet(
                self._collection, key="metadata.document_id", limit=max(chunks, 1), exact=True
            )
        return StoreCounts(documents=len(distinct.hits), chunks=chunks)

    def close(self) -> None:
        """Close what this store opened; a caller's own client stays open."""
        if self._release is not None:
            self._release()
            self._client = self._info = self._release = None

    def _connected(self) -> QdrantClient:
        if self._client is None:
            assert self._location is not None  # noqa: S101 - a ready client is never dropped
            self._client = _open(self._location, self._where)
            self._release = weakref.finalize(self, self._client.close)  # at exit at the latest
        return self._client

    def _ready(self) -> tuple[QdrantClient, CollectionInfo]:
        info = self._info or self.read_info()
        if info is None:
            raise CollectionNotFoundError(f"{self._where} does not exist; ingest into it first")
        return self._connected(), info

    def _make_indexes(self, client: QdrantClient) -> None:
        """Payload indexes, without which a server scans every point for a stale one."""
        if self._indexed:
            return
        present = client.get_collection(self._collection).payload_schema
        for field in _INDEXED:
            if field not in present:
                client.create_payload_index(
                    self._collection, field, models.PayloadSchemaType.KEYWORD, wait=True
                )
        self._indexed = True

    def _require_done(self, result: models.UpdateResult) -> None:
        if result.status != models.UpdateStatus.COMPLETED:
            raise StoreUnavailableError(
                f"{self._where}: the server took the request and did not confirm that it is on "
                f"disk (status {result.status.value}); run it again"
            )


def _open(location: StoreLocation, where: str) -> QdrantClient:
    if location.url is None:
        with opening(where):
            # One thread at a time is our own rule; the check would also forbid a second one later.
            return QdrantClient(
                path=str(Path(location.path or "").expanduser()),
                force_disable_check_same_thread=True,
            )
    key = read_key(API_KEY_VARIABLE)
    with translated(where):
        return QdrantClient(url=location.url, api_key=key, timeout=_TIMEOUT_S)


def _points(batch: Mapping[str, EmbeddedChunk]) -> models.Batch:
    return models.Batch(
        ids=list(batch),
        vectors=[item.vector.tolist() for item in batch.values()],
        payloads=[payload_of(item) for item in batch.values()],
    )
