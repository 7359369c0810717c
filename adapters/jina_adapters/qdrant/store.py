"""Qdrant through qdrant-client: a server over REST or gRPC, or a folder in its local mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import UnexpectedResponse

from jina_integrations.errors import StoreError, StoreUnavailableError
from jina_integrations.stores import Capabilities, CollectionInfo, Conditions, ServerAddress, Store
from jina_integrations.stores.addresses import read_key
from jina_integrations.stores.base import INFO_KEY, collection_name
from jina_integrations.stores.connection import Connection
from jina_integrations.stores.failures import explain_status
from jina_integrations.types import FloatArray, Hit, Record, SparseVector, VectorKind

from . import points as layout

__all__ = ["LOCAL_CAPABILITIES", "PAGE", "QdrantStore"]

_TIMEOUT_S: Final = 60
"""Per request. The default of 5 s is too short for a large upsert that waits for the disk."""

PAGE: Final = 256
_ALL: Final = 2**31

_FILTERS: Final = layout.FilterClasses(
    models.Filter,
    models.FieldCondition,
    models.MatchAny,
    models.Range,
    models.DatetimeRange,
)

LOCAL_CAPABILITIES: Final = Capabilities(
    max_records=256,
    max_values=1024,
    advised_chunks=20_000,
    advice="local mode keeps everything in memory, 24 kB a chunk, and compares all of it: use "
    "qdrant-edge:PATH#COLLECTION, or a server",
)

_INDEXES: Final = {
    "tags": models.PayloadSchemaType.KEYWORD,
    "metadata.document_id": models.PayloadSchemaType.KEYWORD,
    "metadata.chunk_index": models.PayloadSchemaType.INTEGER,
}
"""Payload indexes, without which a server scans every point for each selection."""


class QdrantStore(Store):
    """One Qdrant collection.

    Args:
        client: A ready synchronous client, which stays the caller's to close; or a connection that
            opens one when it is needed.
        collection: The collection's name.

    Raises:
        InvalidInputError: the client is of another type, such as `AsyncQdrantClient`.
    """

    # Half of the server's default limit of 32 MB (`service.max_request_size_mb`) for one request.
    capabilities = Capabilities(
        many_writers=True, max_records=256, max_bytes=16 * 2**20, max_values=1024
    )
    key_variable = "QDRANT_API_KEY"

    def __init__(self, client: QdrantClient | Connection[QdrantClient], collection: str) -> None:
        name = collection_name("Qdrant", collection)
        self._connection = Connection.of(client, QdrantClient, name=name)
        self._collection = collection
        self.name = self._connection.name
        if isinstance(client, QdrantClient) and _is_local(client):
            self.capabilities = LOCAL_CAPABILITIES
        self._is_local = not self.capabilities.many_writers
        self._has_indexes = self._is_local

    @classmethod
    def from_address(cls, address: str) -> QdrantStore:
        """The forms are in the package's docstring; a folder has its store class.

        Raises:
            InvalidSettingError: also where the path is ``:memory:``, lost with the process.
        """
        if not address.startswith("qdrant+"):
            from .folder import QdrantFolderStore

            return QdrantFolderStore.from_address(address)
        server = ServerAddress.parse(address, schemes=("http", "https", "grpc", "grpcs"))
        name = collection_name("Qdrant", server.collection, server.url)
        connection = Connection(name, partial(_connect, server), close=QdrantClient.close)
        return cls(connection, server.collection)

    def describe(self) -> CollectionInfo | None:
        """From the collection's metadata."""
        client = self._connection.opened()
        if not client.collection_exists(self._collection):
            return None
        metadata = client.get_collection(self._collection).config.metadata
        return CollectionInfo.from_json((metadata or {}).get(INFO_KEY), where=self.name)

    def create(self, info: CollectionInfo) -> None:
        """One unnamed vector with the cosine, as langchain-qdrant has it."""
        client = self._connection.opened(to_write=True)
        client.create_collection(
            self._collection,
            vectors_config=models.VectorParams(
                size=info.dimensions["dense"], distance=models.Distance.COSINE
            ),
            metadata={INFO_KEY: info.to_json()},
        )
        if not client.get_collection(self._collection).config.metadata:
            client.delete_collection(self._collection)
            raise StoreError(
                f"{self.name}: the server keeps no metadata of collections, so it is older than "
                "Qdrant 1.16; update it"
            )

    def remember(self, info: CollectionInfo) -> None:
        """Into the collection's metadata."""
        self._connection.opened(to_write=True).update_collection(
            self._collection, metadata={INFO_KEY: info.to_json()}
        )

    def drop(self) -> None:
        """See `Store.drop`."""
        self._connection.opened(to_write=True).delete_collection(self._collection)
        self._has_indexes = self._is_local

    def write(self, records: Sequence[Record]) -> None:
        """One upsert that waits for the disk."""
        client = self._connection.opened(to_write=True)
        if not self._has_indexes:
            for field, kind in _INDEXES.items():
                client.create_payload_index(self._collection, field, kind, wait=True)
            self._has_indexes = True
        ids, vectors, payloads = zip(*map(layout.point_of, records), strict=True)
        batch = models.Batch(ids=[*ids], vectors=[*vectors], payloads=[*payloads])
        self._require_done(client.upsert(self._collection, batch, wait=True))

    def delete(self, where: Conditions) -> None:
        """One request that waits for the disk."""
        self._delete(models.FilterSelector(filter=_FILTERS.select(where)))

    def count(self, where: Conditions) -> int:
        """Exact on a server, too."""
        client, selection = self._connection.opened(), _FILTERS.select(where)
        return client.count(self._collection, count_filter=selection, exact=True).count

    def scan(self, where: Conditions, *, content: bool, vectors: bool) -> Iterator[Record]:
        """In the order of ids."""
        client, offset = self._connection.opened(), None
        while True:
            points, offset = client.scroll(
                self._collection,
                scroll_filter=_FILTERS.select(where),
                limit=_ALL if self._is_local else PAGE,  # local mode sorts all for each page
                offset=offset,
                with_payload=layout.TEXT_FIELDS if content else layout.LEDGER_FIELDS,
                with_vectors=vectors,
            )
            for point in points:
                yield layout.record_of(point.payload, point.vector, name=self.name)
            if offset is None:
                return

    def search(
        self, vector: FloatArray | SparseVector, *, kind: VectorKind, k: int, where: Conditions
    ) -> list[Hit]:
        """By the server's index; local mode compares all points."""
        response = self._connection.opened().query_points(
            self._collection,
            query=np.asarray(vector).tolist(),
            limit=k,
            query_filter=_FILTERS.select(where),
            with_payload=layout.TEXT_FIELDS,
        )
        return [
            Hit(layout.record_of(point.payload, name=self.name).chunk, point.score)
            for point in response.points
        ]

    def close(self) -> None:
        """Close what this store opened; a caller's own client stays open."""
        self._connection.close()

    def explain(self, error: Exception) -> StoreError | None:
        """By qdrant-client's own types; what is below them the core knows."""
        if isinstance(error, UnexpectedResponse):
            words = error.content.decode(errors="replace") or error.reason_phrase
            return explain_status(error.status_code or 0, words, self)
        if isinstance(error, ResourceExhaustedResponse):
            return StoreUnavailableError(
                f"{self.name}: the server asks to wait {error.retry_after_s} s"
            )
        return None

    def _delete(self, selector: models.PointsSelector) -> None:
        client = self._connection.opened(to_write=True)
        self._require_done(client.delete(self._collection, points_selector=selector, wait=True))

    def _require_done(self, result: models.UpdateResult) -> None:
        if result.status != models.UpdateStatus.COMPLETED:
            raise StoreUnavailableError(
                f"{self.name}: the server took the request and did not confirm that it is on "
                f"disk (status {result.status.value})"
            )


def _is_local(client: QdrantClient) -> bool:
    options = client.init_options
    return bool(options["path"]) or options["location"] == ":memory:"


def _connect(server: ServerAddress) -> QdrantClient:
    return QdrantClient(
        host=server.url_host,
        port=server.port or 6333,
        grpc_port=server.port or 6334,
        prefer_grpc=server.scheme.startswith("grpc"),
        https=server.scheme in ("https", "grpcs"),
        api_key=read_key(QdrantStore.key_variable),
        timeout=_TIMEOUT_S,
        # It asks over HTTP whatever the address, and prints rather than raises.
        check_compatibility=False,
    )
