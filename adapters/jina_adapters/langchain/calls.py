"""A store's and an embedder's calls, blocking or async, behind one face."""

# ruff: noqa: D102  # `Calls` says what its two implementations do

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

from jina_integrations import Embedder
from jina_integrations.chunkers import Chunker

from .chunking import LateChunks, TextSplitter, alate_chunk, late_chunk
from .identity import NamedDocument

__all__ = ["Async", "Blocking", "Calls"]


class Calls(Protocol):
    """What is asked of a store and of an embedder, by their blocking or by their async methods.

    So that what follows is written once. The blocking ones never wait, so `finish` runs them.
    """

    store: VectorStore

    async def late_chunk(
        self, batch: Sequence[NamedDocument], splitter: TextSplitter | Chunker, embedder: Embedder
    ) -> LateChunks:
        """See `chunking.late_chunk`."""
        ...

    async def add(
        self, chunks: list[Document], ids: list[str], options: Mapping[str, Any]
    ) -> list[str]:
        """Have the store embed and write the chunks under these ids; what it says the ids are."""
        ...

    async def get(self, ids: list[str]) -> list[Document]:
        """Those of the chunks that the store has."""
        ...

    async def delete(self, ids: list[str], options: Mapping[str, Any]) -> bool | None:
        """Delete them; False where the store says that it has failed."""
        ...


class Blocking:
    """In the caller's thread."""

    def __init__(self, store: VectorStore) -> None:
        self.store = store

    async def late_chunk(
        self, batch: Sequence[NamedDocument], splitter: TextSplitter | Chunker, embedder: Embedder
    ) -> LateChunks:
        return late_chunk(batch, splitter=splitter, embedder=embedder)

    async def add(
        self, chunks: list[Document], ids: list[str], options: Mapping[str, Any]
    ) -> list[str]:
        return self.store.add_documents(chunks, ids=ids, **options)

    async def get(self, ids: list[str]) -> list[Document]:
        return self.store.get_by_ids(ids)

    async def delete(self, ids: list[str], options: Mapping[str, Any]) -> bool | None:
        return self.store.delete(ids, **options)


class Async:
    """Without blocking the event loop, as far as the store does not."""

    def __init__(self, store: VectorStore) -> None:
        self.store = store

    async def late_chunk(
        self, batch: Sequence[NamedDocument], splitter: TextSplitter | Chunker, embedder: Embedder
    ) -> LateChunks:
        return await alate_chunk(batch, splitter=splitter, embedder=embedder)

    async def add(
        self, chunks: list[Document], ids: list[str], options: Mapping[str, Any]
    ) -> list[str]:
        return await self.store.aadd_documents(chunks, ids=ids, **options)

    async def get(self, ids: list[str]) -> list[Document]:
        return await self.store.aget_by_ids(ids)

    async def delete(self, ids: list[str], options: Mapping[str, Any]) -> bool | None:
        return await self.store.adelete(ids, **options)
