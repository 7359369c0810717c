"""LlamaIndex's embeddings cache with keys that tell one vector from another.

`BaseEmbedding` keys its cache by the raw text, so that a query gets the vector of the equal
passage, and one model that of another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

from llama_index.core.storage.kvstore.types import DEFAULT_COLLECTION, BaseKVStore

from jina_integrations.adapting import SymmetricTask
from jina_integrations.embedding.embedder import Embedder

__all__ = ["SeparateKeys", "asking"]

_Entry: TypeAlias = dict[str, Any]

_asks: ContextVar[bool] = ContextVar("_asks", default=False)


@contextmanager
def asking() -> Generator[None]:
    """Inside, keys are those of queries."""
    token = _asks.set(True)
    try:
        yield
    finally:
        _asks.reset(token)


class SeparateKeys(BaseKVStore):
    """A view of a key-value store: keys carry the embedder's fingerprint and the task.

    Args:
        store: Holds the entries.
        embedder: Its fingerprint is taken at the first key, which loads a local model.
        task: That of both sides; None keeps queries and passages apart.

    Attributes:
        store: The same.
    """

    def __init__(self, store: BaseKVStore, embedder: Embedder, task: SymmetricTask | None) -> None:
        self.store = store
        self._embedder = embedder
        self._task = task
        self._fingerprint: str | None = None

    def put(self, key: str, val: _Entry, collection: str = DEFAULT_COLLECTION) -> None:
        """Set the entry of a text."""
        self.store.put(self._prefix() + key, val, collection=collection)

    async def aput(self, key: str, val: _Entry, collection: str = DEFAULT_COLLECTION) -> None:
        """`put`, by the store's own asynchronous method."""
        await self.store.aput(await self._aprefix() + key, val, collection=collection)

    def get(self, key: str, collection: str = DEFAULT_COLLECTION) -> _Entry | None:
        """The entry of a text, or None."""
        return self.store.get(self._prefix() + key, collection=collection)

    async def aget(self, key: str, collection: str = DEFAULT_COLLECTION) -> _Entry | None:
        """`get`, by the store's own asynchronous method."""
        return await self.store.aget(await self._aprefix() + key, collection=collection)

    def get_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, _Entry]:
        """The entries of this embedder and task, by text."""
        return _entries(self.store.get_all(collection=collection), self._prefix())

    async def aget_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, _Entry]:
        """`get_all`, by the store's own asynchronous method."""
        entries = await self.store.aget_all(collection=collection)
        return _entries(entries, await self._aprefix())

    def delete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Drop the entry of a text; whether there was one."""
        return self.store.delete(self._prefix() + key, collection=collection)

    async def adelete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """`delete`, by the store's own asynchronous method."""
        return await self.store.adelete(await self._aprefix() + key, collection=collection)

    def _prefix(self) -> str:
        if self._fingerprint is None:
            self._fingerprint = self._embedder.fingerprint
        return f"{self._fingerprint}:{self._task or ('query' if _asks.get() else 'passage')}:"

    async def _aprefix(self) -> str:
        if self._fingerprint is None:
            self._fingerprint = await asyncio.to_thread(lambda: self._embedder.fingerprint)
        return self._prefix()


def _entries(entries: dict[str, _Entry], prefix: str) -> dict[str, _Entry]:
    return {
        key.removeprefix(prefix): value for key, value in entries.items() if key.startswith(prefix)
    }
