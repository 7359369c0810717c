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
from jina_integrations.stores.base import INFO_KEY
from jina_integrations.stores.connection import Connection, WatchedFolder
from jina_integrations.stores.failures import corrupt, explain_error, explain_status, full
from jina_integrations.stores.records import metadata_of, record_from, record_id
from jina_integrations.types import FloatArray, Hit, Record, SparseVector, VectorKind, Vectors

from .filters import to_where

__all__ = ["ChromaStore"]

_KEY_VARIABLE: Final = "CHROMA_API_KEY"

_INDEX_SIGNS: Final = ("hnsw", "finding id")
"""The engine has no code for an index of vectors that cannot be read, or that lacks one."""

_VARIABLES: Final = 32_766
"""Of one statement of SQLite's (https://www.sqlite.org/limits.html, item 9)."""

_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,510}[a-zA-Z0-9]")
"""What Chroma takes as a collection's name."""

_DEFAULT_PORTS: Final = {"http": 8000, "https": 443}
"""What chromadb's ``HttpClient`` and ``CloudClient`` use."""

_EVERYTHING: Final = cast("chromadb.Where", {"chunk_index": {"$ne": -1}})
"""A deletion needs a selection; this one also takes what others have added."""


class ChromaStore(Store):
    """One Chroma collection.

    Args:
        client: A ready synchronous client, which stays the caller's to close. The folder of a
            persistent one is not locked: let no other process write to it.
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

    def __init__(self, client: ClientAPI, collection: str) -> None:
        self._connection = Connection.of_caller(client, ClientAPI)  # type: ignore[type-abstract]
        self._start(collection)
        if client.get_settings().chroma_server_host is None:
            self.capabilities = _IN_PROCESS

    _connection: Connection[ClientAPI] | Connection[Client]

    @classmethod
    def from_address(cls, address: str) -> Self:
        """The forms are in the package's docstring."""
        store = cls.__new__(cls)
        if address.startswith("chroma+"):
            server = ServerAddress.parse(address)
            store._start(server.collection, server.url)
            store._connection = Connection(partial(_connect, server), close=Client.close)
            return store
        parts = FolderAddress.parse(address)
        store._start(parts.collection, parts.path)
        store._connection = WatchedFolder(
            parts.folder,
            store.name,
            connect=_start_engine,
            close=Client.close,
            first="chroma.sqlite3",
            files="*/index_metadata.pickle",
        )
        store.capabilities = _IN_PROCESS
        return store

    def _start(self, collection: str, address: str = "") -> None:
        if not _NAME.fullmatch(collection):
            raise InvalidSettingError(
                f"Chroma collection {collection!r:.80}: a name has 3 to 512 of a-z, A-Z, 0-9, '.', "
                "'_' and '-', and a letter or a digit at both ends"
            )
        self.name = f"Chroma collection {collection!r}" + (address and f" at {address}")
        self._collection_name = collection
        self._opened: tuple[ClientAPI, chromadb.Collection] | None = None

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
            self.settle()  # nothing else follows

    def write(self, records: Sequence[Record]) -> None:
        """One upsert."""
        self._collection(to_write=True).upsert(
            ids=[record_id(record) for record in records],
            embeddings=np.stack([np.asarray(record.vectors.dense) for record in records]),
            documents=[record.chunk.text for record in records],
            metadatas=[cast("chromadb.Metadata", metadata_of(record)) for record in records],
        )

    def delete(self, where: Conditions) -> int:
        """By Chroma's own count."""
        selection = to_where(where) or _EVERYTHING
        return self._collection(to_write=True).delete(where=selection)["deleted"]

    def count(self, where: Conditions) -> int:
        """Of the ids, since Chroma counts no selection."""
        selection = to_where(where)
        collection = self._collection()
        return collection.count() if selection is None else len(self._ids(collection, selection))

    def scan(self, where: Conditions, *, content: bool, vectors: bool) -> Iterator[Record]:
        """By ids, which stay in memory: a page by offset would cost as much as all before it."""
        collection = self._collection()
        fields = ["metadatas"] + ["documents"] * content + ["embeddings"] * vectors
        for ids in lists_of(self._ids(collection, to_where(where)), 256):
            page = collection.get(ids=ids, include=cast("chromadb.Include", fields))
            metadatas = page["metadatas"] or []
            texts = (page["documents"] or []) if content else [""] * len(metadatas)
            rows = cast("Sequence[object]", page["embeddings"] if vectors else [None] * len(texts))
            for text, metadata, row in zip(texts, metadatas, rows, strict=True):
                yield self._record(text, metadata, row)

    def search(
        self,
        vector: FloatArray | SparseVector,
        *,
        kind: VectorKind,  # noqa: ARG002 - dense is the only kind
        k: int,
        where: Conditions,
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

    def settle(self) -> None:
        """Let others write to the folder."""
        self._connection.settle()

    def close(self) -> None:
        """Close what this store opened; a caller's own client stays open."""
        self._opened = None
        self._connection.close()

    def explain(self, error: Exception) -> StoreError:
        """By chromadb's types, its words, and what the folder shows."""
        is_internal = isinstance(error, InternalError)
        if isinstance(error, ChromaError) and not is_internal:
            status, words = error.code(), str(error)
            return explain_status(status, where=self.name, words=words, key_variable=_KEY_VARIABLE)
        meaning = explain_error(error, where=self.name, key_variable=_KEY_VARIABLE)
        if not is_internal or type(meaning) is not StoreError:
            return meaning
        if any(sign in str(error).lower() for sign in _INDEX_SIGNS):
            if self._connection.is_outdated():
                return StoreUnavailableError(f"{self.name}: another process is writing its index")
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

    def _record(self, text: object, metadata: object, row: object = None) -> Record:
        dense = None if row is None else np.asarray(row, np.float32)
        return record_from(text, metadata, where=self.name, vectors=Vectors(dense=dense))


_IN_PROCESS: Final = replace(ChromaStore.capabilities, many_writers=False, time_limit_s=None)


def _connect(server: ServerAddress) -> Client:
    key = read_key(_KEY_VARIABLE)
    client = chromadb.HttpClient(
        host=server.url_host,
        port=server.port or _DEFAULT_PORTS[server.scheme],
        ssl=server.scheme == "https",
        headers={"x-chroma-token": key} if key else {},
    )
    return cast("Client", client)  # it is annotated as the interface, which cannot be closed


def _start_engine(folder: Path) -> Client:
    """A persistent client that shares no engine with others of the process."""
    system = System(Settings(is_persistent=True, persist_directory=str(folder)))
    system.instance(ServerAPI)  # type: ignore[type-abstract]  # as chromadb itself asks for it
    system.start()
    return Client.from_system(system)
