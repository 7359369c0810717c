"""Chunks in Chroma, on a server or in a local folder: ``pip install "jina-integrations[chroma]"``.

::

    chroma:./index#handbook                   a folder
    chroma+http://localhost:8000/handbook     a server (``chroma run``); a key in CHROMA_API_KEY

Records are laid out as langchain-chroma reads them; see ``docs/stores.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self, cast

import numpy as np

from jina_integrations.errors import (
    CollectionNotFoundError,
    InvalidInputError,
    MissingExtraError,
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
    metadata_of,
    require_equal,
)
from jina_integrations.types import EmbeddedChunk, FloatArray, Hit

try:
    import chromadb
except ImportError as exc:
    raise MissingExtraError("The Chroma store", "chroma") from exc

from chromadb.api import ClientAPI
from chromadb.api.client import Client
from chromadb.errors import NotFoundError

from .connection import connect, open_folder
from .embedding_function import JinaIntegrationsEmbeddingFunction
from .failures import translated
from .filters import check_key, stale_where, to_where

__all__ = ["ChromaStore", "JinaIntegrationsEmbeddingFunction"]

_BYTES_PER_REQUEST = 16 * 2**20
"""Below half of the server's default limit of 40 MiB (``max_payload_size_bytes``)."""

_RECORDS_PER_PAGE = 10_000


class ChromaStore(Store):
    """One Chroma collection. Use it from one thread at a time, and a folder from one process.

    Args:
        client: A ready synchronous client, which stays the caller's to close.
        collection: The collection's name: 3 to 512 letters, digits, ``.``, ``_`` or ``-``.

    Raises:
        InvalidInputError: the client is of another type, such as the asynchronous one.
    """

    def __init__(self, client: ClientAPI, collection: str) -> None:
        if not isinstance(client, ClientAPI):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(
                f"client must be a chromadb client, not {type(client).__name__}"
            )
        self._start(client, None, collection, f"Chroma collection {collection!r}")

    @classmethod
    def from_location(cls, location: StoreLocation) -> Self:
        """A store that opens the folder, or connects to the server, at first use."""
        store = cls.__new__(cls)
        place = location.url or location.path
        name = location.collection
        store._start(None, location, name, f"Chroma collection {name!r} at {place}")
        return store

    def _start(
        self,
        client: ClientAPI | None,
        location: StoreLocation | None,
        collection: str,
        where: str,
    ) -> None:
        self._client = client
        self._location = location
        self._name = collection
        self._where = where
        self._folder: Path | None = None
        if location is not None and location.path is not None:
            self._folder = Path(location.path).expanduser()
        self._collection: chromadb.Collection | None = None
        self._info: CollectionInfo | None = None

    def read_info(self) -> CollectionInfo | None:
        """Read from the collection's metadata. A folder that is not there is not made."""
        if (
            self._client is None
            and self._folder is not None
            and not (self._folder / "chroma.sqlite3").exists()
            and not self._folder.is_file()
        ):
            return None
        client = self._connected()
        with translated(self._where, self._folder):
            try:
                collection = client.get_collection(self._name, embedding_function=None)
            except NotFoundError:
                return None
        self._info = self._info_of(collection)
        self._collection = collection
        return self._info

    def _info_of(self, collection: chromadb.Collection) -> CollectionInfo:
        stored: object = (collection.metadata or {}).get(INFO_KEY)
        try:
            stored = json.loads(stored) if isinstance(stored, str) else stored
        except ValueError:
            stored = "unreadable"  # info_from says so
        return info_from(stored, where=self._where)

    def create(self, info: CollectionInfo) -> None:
        """Make it with cosine distance, or get the one that another process just made."""
        client = self._connected()
        with translated(self._where, self._folder):
            collection = client.get_or_create_collection(
                self._name,
                configuration={"hnsw": {"space": "cosine"}},
                metadata={INFO_KEY: json.dumps(info_to_dict(info))},
                embedding_function=None,
            )
        found = self._info_of(collection)
        require_equal(found, info, where=self._where)
        self._collection, self._info = collection, found

    def find_complete(self, versions: Mapping[str, str]) -> set[str]:
        """By ids alone: the cost does not grow with the collection."""
        collection, _ = self._ready()

        def first_chunk_counts(ids: list[str]) -> dict[str, object]:
            found = collection.get(ids=ids, include=["metadatas"])
            metadatas = found["metadatas"] or []
            return {
                name: metadata.get("chunk_count")
                for name, metadata in zip(found["ids"], metadatas, strict=True)
                if metadata
            }

        def stored_ids(ids: list[str]) -> set[str]:
            return set(collection.get(ids=ids, include=[])["ids"])

        with translated(self._where, self._folder):
            return complete_documents(
                versions, first_chunk_counts=first_chunk_counts, stored_ids=stored_ids
            )

    def write(self, chunks: Sequence[EmbeddedChunk]) -> None:
        """Upsert in transactions of the client's largest batch, or 16 MB, at most.

        Raises:
            InvalidInputError: a metadata key is one that Chroma does not take.
        """
        collection, info = self._ready()
        for index, item in enumerate(chunks):
            for key in item.chunk.metadata:
                check_key(f"document {item.chunk.document_id!r}: metadata", key, index=index)
        checked = check_chunks(chunks, dimensions=info.dimensions)
        with translated(self._where, self._folder):
            largest = self._connected().get_max_batch_size()
            for batch in request_batches(checked, count=largest, size=_BYTES_PER_REQUEST):
                items = list(batch.values())
                collection.upsert(
                    ids=list(batch),
                    embeddings=np.stack([item.vector for item in items]),
                    documents=[item.chunk.text for item in items],
                    metadatas=[cast("chromadb.Metadata", metadata_of(item)) for item in items],
                )

    def drop_stale(self, versions: Mapping[str, str]) -> int:
        """One filtered delete for 256 documents, through Chroma's metadata index."""
        collection, _ = self._ready()
        dropped = 0
        with translated(self._where, self._folder):
            for batch in batches(list(versions.items()), DOCUMENTS_PER_REQUEST):
                dropped += collection.delete(where=stale_where(dict(batch)))["deleted"]
        return dropped

    def search(self, vector: FloatArray, *, k: int, filters: Filters | None = None) -> list[Hit]:
        """The nearest by Chroma's HNSW index, which is approximate on large collections."""
        collection, info = self._ready()
        query = check_query(vector, k, dimensions=info.dimensions)
        where = to_where(check_filters(filters))
        with translated(self._where, self._folder):
            found = collection.query(
                query_embeddings=query[np.newaxis],
                n_results=k,
                where=where,
                include=["documents", "metadatas", "distances"],
            )
        documents = (found["documents"] or [[]])[0]
        metadatas = (found["metadatas"] or [[]])[0]
        distances = (found["distances"] or [[]])[0]
        return [
            Hit(chunk=chunk_from(text, metadata or {}, where=self._where), score=1.0 - distance)
            for text, metadata, distance in zip(documents, metadatas, distances, strict=True)
        ]

    def counts(self) -> StoreCounts:
        """Exact, so it reads the first chunk of every document: for people, not for loops."""
        collection, _ = self._ready()
        documents: set[object] = set()
        offset = 0
        with translated(self._where, self._folder):
            chunks = collection.count()
            while page := collection.get(
                where={"chunk_index": 0},
                include=["metadatas"],
                limit=_RECORDS_PER_PAGE,
                offset=offset,
            )["metadatas"]:
                documents.update(metadata.get("document_id") for metadata in page)
                offset += len(page)
        return StoreCounts(documents=len(documents), chunks=chunks)

    def close(self) -> None:
        """Close what this store opened; a caller's own client stays open."""
        if self._location is not None and isinstance(self._client, Client):
            self._client.close()
            self._client = self._collection = self._info = None

    def _connected(self) -> ClientAPI:
        if self._client is None:
            if self._folder is not None:
                self._client = open_folder(self._folder, self._where)
            elif self._location is not None and self._location.url is not None:
                self._client = connect(self._location.url, self._where)
        assert self._client is not None  # noqa: S101 - one of the three is always given
        return self._client

    def _ready(self) -> tuple[chromadb.Collection, CollectionInfo]:
        if self._collection is None or self._info is None:
            self.read_info()
        if self._collection is None or self._info is None:
            raise CollectionNotFoundError(f"{self._where} does not exist; ingest into it first")
        return self._collection, self._info
