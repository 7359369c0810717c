"""Chunks in Chroma, on a server or in a folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, Self, cast

import chromadb
import numpy as np
from chromadb.api import ClientAPI, ServerAPI
from chromadb.api.client import Client
from chromadb.config import Settings, System
from chromadb.errors import ChromaError, InternalError, NotFoundError

from jina_integrations.errors import InvalidSettingError, StoreError, StoreUnavailableError
from jina_integrations.stores import Capabilities, CollectionInfo, Conditions, Store
from jina_integrations.stores.access import lists_of
from jina_integrations.stores.addresses import FolderAddress, ServerAddress, read_key
from jina_integrations.stores.base import INFO_KEY, collection_name
from jina_integrations.stores.connection import Connection, WatchedFolder
from jina_integrations.stores.failures import corrupt, explain_error, explain_status, full
from jina_integrations.stores.records import metadata_of, record_from, record_id
from jina_integrations.types import FloatArray, Hit, Record, SparseVector, VectorKind, Vectors

from .filters import to_where

__all__ = ["ChromaStore"]

_INDEX_SIGNS: Final = ("hnsw", "finding id")
"""The engine has no code for an index of vectors that cannot be read, or that lacks one."""

_VARIABLES: Final = 32_766
"""Of one statement of SQLite's (https://www.sqlite.org/limits.html, item 9)."""

_PAGE: Final = 512
"""Records of one request of a scan; `StoreAccess.scan` takes as many at a time."""

_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,510}[a-zA-Z0-9]")
"""What Chroma takes as a collection's name."""

_DEFAULT_PORTS: Final = {"http": 8000, "https": 443}
"""What chromadb's ``HttpClient`` and ``CloudClient`` use."""

_EVERYTHING: Final = cast("chromadb.Where", {"chunk_index": {"$ne": -1}})
"""A deletion needs a selection; this one also takes what others have added."""


class ChromaStore(Store):
    """One Chroma collection.

    Args:
        client: A ready synchronous client, which stays the caller's to close; the folder of a
            persistent one is not locked: let no other process write to it. Or a connection that
            opens one when it is needed.
        collection: The collection's name: 3 to 512 letters, digits, ``.``, ``_`` or ``-``, with a
            letter or a digit at both ends.

    Raises:
        InvalidInputError: the client is of another type, such as the asynchronous one.
        InvalidSettingError: Chroma takes no such name.
    """

    capabilities = Capabilities(
        operators=frozenset({"any", "none", "range"}),  # it compares no texts, and asks for no key
        many_writers=True,
        max_records=_VARIABLES // 6,  # what its `get_max_batch_size` says
        max_bytes=16 * 2**20,  # below half of the server's `max_payload_size_bytes`
        max_values=8_000,  # four variables each: as two types, and its twin, see `filters`
        max_k=2**32 - 1,
        reserved_prefixes=("$", "#", "chroma:"),  # its operators, fields and metadata
        time_limit_s=60.0,  # its client waits for a server without end
    )

    key_variable = "CHROMA_API_KEY"

    def __init__(self, client: ClientAPI | Connection[ClientAPI], collection: str) -> None:
        if not _NAME.fullmatch(collection):
            raise InvalidSettingError(
                f"Chroma collection {collection!r:.80}: a name has 3 to 512 of a-z, A-Z, 0-9, '.', "
                "'_' and '-', and a letter or a digit at both ends"
            )
        name = collection_name("Chroma", collection)
        self._connection = Connection.of(client, ClientAPI, name=name)  # type: ignore[type-abstract]
        self.name = self._connection.name
        self._collection_name = collection
        self._opened: tuple[ClientAPI, chromadb.Collection] | None = None
        if _is_in_process(client):
            self.capabilities = _IN_PROCESS

    @classmethod
    def from_address(cls, address: str) -> Self:
        """The forms are in the package's docstring."""
        if address.startswith("chroma+"):
            server = ServerAddress.parse(address)
            name = collection_name("Chroma", server.collection, server.url)
            return cls(Connection(name, partial(_connect, server), close=_close), server.collection)
        parts = FolderAddress.parse(address)
        folder = WatchedFolder(
            collection_name("Chroma", parts.collection, parts.path),
            parts.folder,
            connect=_start_engine,
            close=_close,
            first="chroma.sqlite3",
            files="*/index_metadata.pickle",
        )
        return cls(folder, parts.collection)

    def describe(self) -> CollectionInfo | None:
        """From the collection's metadata."""
        self._opened = None
        if not self._connection.exists():
            return None
        try:
            metadata = self._collection().metadata
        except NotFoundError:
            return None
        return CollectionInfo.from_json((metadata or {}).get(INFO_KEY), where=self.name)

    def create(self, info: CollectionInfo) -> None:
        """With the cosine as distance."""
        self._connection.opened(to_write=True).get_or_create_collection(
            self._collection_name,
            configuration={"hnsw": {"space": "cosine"}},
            metadata={INFO_KEY: info.to_json()},
            embedding_function=None,
        )

    def remember(self, info: CollectionInfo) -> None:
        """Beside what others keep in the collection's metadata."""
        collection = self._collection(to_write=True)
        collection.modify(metadata={**(collection.metadata or {}), INFO_KEY: info.to_json()})

    def drop(self) -> None:
        """With the files of its index."""
        self._opened = None
        if self._connection.exists():
            with suppress(NotFoundError):
                self._connection.opened(to_write=True).delete_collection(self._collection_name)

    def write(self, records: Sequence[Record]) -> None:
        """One upsert."""
        self._collection(to_write=True).upsert(
            ids=[record_id(record) for record in records],
            embeddings=np.stack([np.asarray(record.vectors.dense) for record in records]),
            documents=[record.chunk.text for record in records],
            metadatas=[cast("chromadb.Metadata", metadata_of(record)) for record in records],
        )

    def delete(self, where: Conditions) -> None:
        """By the conditions."""
        self._collection(to_write=True).delete(where=to_where(where) or _EVERYTHING)

    def count(self, where: Conditions) -> int:
        """Of the ids, since Chroma counts no selection."""
        selection = to_where(where)
        collection = self._collection()
        return collection.count() if selection is None else len(self._ids(collection, selection))

    def scan(self, where: Conditions, *, content: bool, vectors: bool) -> Iterator[Record]:
        """After the first page by ids, which stay in memory: offsets would cost as the square."""
        collection, selection = self._collection(), to_where(where)
        fields = ["metadatas"] + ["documents"] * content + ["embeddings"] * vectors
        get = partial(collection.get, include=cast("chromadb.Include", fields))
        page = get(where=selection, limit=_PAGE)
        yield from self._records(page)
        if len(page["ids"]) == _PAGE:
            seen = set(page["ids"])
            ids = (name for name in self._ids(collection, selection) if name not in seen)
            for part in lists_of(ids, _PAGE):
                yield from self._records(get(ids=part))

    def search(
        self, vector: FloatArray | SparseVector, *, kind: VectorKind, k: int, where: Conditions
    ) -> list[Hit]:
        """By Chroma's HNSW index, which is approximate in large collections."""
        response = self._collection().query(
            query_embeddings=np.asarray(vector)[np.newaxis],
            n_results=k,
            where=to_where(where),
            include=["documents", "metadatas", "distances"],
        )
        texts, metadatas, distances = (
            cast("list[list[object]]", response[name])[0]  # of the only query
            for name in ("documents", "metadatas", "distances")
        )
        return [
            Hit(self._record(text, metadata).chunk, 1.0 - cast("float", distance))
            for text, metadata, distance in zip(texts, metadatas, distances, strict=True)
        ]

    def release(self) -> None:
        """Let others write to the folder."""
        self._connection.release()

    def close(self) -> None:
        """Close what this store opened; a caller's own client stays open."""
        self._opened = None
        self._connection.close()

    def explain(self, error: Exception) -> StoreError:
        """By chromadb's types, its words, and what the folder shows."""
        is_internal = isinstance(error, InternalError)
        if isinstance(error, ChromaError) and not is_internal:
            return explain_status(error.code(), str(error), self)
        meaning = explain_error(error, self)
        if not is_internal or type(meaning) is not StoreError:
            return meaning
        if any(sign in str(error).lower() for sign in _INDEX_SIGNS):
            if self._connection.renewed():
                return StoreUnavailableError(f"{self.name}: another process has written to it")
            return corrupt(self.name, error)
        return full(self.name) if self._connection.is_nearly_full() else meaning

    def _collection(self, *, to_write: bool = False) -> chromadb.Collection:
        client = self._connection.opened(to_write=to_write)
        if self._opened is None or self._opened[0] is not client:
            collection = client.get_collection(self._collection_name, embedding_function=None)
            self._opened = (client, collection)
        return self._opened[1]

    def _ids(self, collection: chromadb.Collection, where: chromadb.Where | None) -> list[str]:
        return collection.get(where=where, include=[])["ids"]

    def _records(self, page: chromadb.GetResult) -> Iterator[Record]:
        metadatas = page["metadatas"] or []
        texts = page["documents"] or [""] * len(metadatas)
        rows = page["embeddings"]
        vectors = cast("Sequence[object]", [None] * len(metadatas) if rows is None else rows)
        for text, metadata, vector in zip(texts, metadatas, vectors, strict=True):
            yield self._record(text, metadata, vector)

    def _record(self, text: object, metadata: object, row: object = None) -> Record:
        dense = None if row is None else np.asarray(row, np.float32)
        return record_from(text, metadata, where=self.name, vectors=Vectors(dense=dense))


_IN_PROCESS: Final = replace(ChromaStore.capabilities, many_writers=False, time_limit_s=None)


def _is_in_process(client: ClientAPI | Connection[ClientAPI]) -> bool:
    if isinstance(client, Connection):
        return isinstance(client, WatchedFolder)
    return client.get_settings().chroma_server_host is None


def _connect(server: ServerAddress) -> ClientAPI:
    key = read_key(ChromaStore.key_variable)
    return chromadb.HttpClient(
        host=server.url_host,
        port=server.port or _DEFAULT_PORTS[server.scheme],
        ssl=server.scheme == "https",
        headers={"x-chroma-token": key} if key else {},
    )


def _close(client: ClientAPI) -> None:
    cast("Client", client).close()  # the interface, as which it is annotated, has no such method


def _start_engine(folder: Path) -> ClientAPI:
    """A persistent client that shares no engine with others of the process."""
    system = System(Settings(is_persistent=True, persist_directory=str(folder)))
    system.instance(ServerAPI)  # type: ignore[type-abstract]  # as chromadb itself asks for it
    system.start()
    return Client.from_system(system)
