"""A LangChain store's chunks of whole documents: looked up, written and deleted by documents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeVar

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

from jina_integrations.adapting import CutDocument, Job, alate_chunk, late_chunk
from jina_integrations.errors import StoreCorruptError
from jina_integrations.types import FloatArray

from .documents import chunk_name

__all__ = ["CHUNKS_PER_CALL", "Calls", "StoredChunks", "look_up"]

CHUNKS_PER_CALL: Final = 1000
"""What a store is asked or given at once; Chroma takes 5,461."""

_SLOTS: Final = (0, 1)

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of a store and an embedder, blocking or async, so that what follows is written once.

    The blocking ones never wait, so `finish` runs a coroutine that makes them.
    """

    store: VectorStore
    asynchronous: bool

    async def call(self, method: str, *args: object, **options: object) -> Any:  # noqa: ANN401
        """The store's method of that name, or its async twin."""
        if self.asynchronous:
            return await getattr(self.store, f"a{method}")(*args, **options)
        return getattr(self.store, method)(*args, **options)

    async def run(self, act: Callable[[], _Result]) -> _Result:
        """What takes the processor for a while."""
        return await asyncio.to_thread(act) if self.asynchronous else act()

    async def late_chunk(self, job: Job, chunked: Sequence[CutDocument]) -> list[FloatArray]:
        """See `adapting.late_chunk`."""
        return (
            await alate_chunk(chunked, embedder=job.embedder, heading_context=job.heading_context)
            if self.asynchronous
            else late_chunk(chunked, embedder=job.embedder, heading_context=job.heading_context)
        )

    async def delete(self, ids: Sequence[str], options: Mapping[str, Any] | None = None) -> bool:
        """Delete these ids, in order; False where the store says that it has failed."""
        for start in range(0, len(ids), CHUNKS_PER_CALL):
            part = [*ids[start : start + CHUNKS_PER_CALL]]
            if await self.call("delete", part, **(options or {})) is False:
                return False
        return True


@dataclass(slots=True)
class StoredChunks:
    """What a store has of one document, by slot: each chunk's index and version.

    A document has one version in one slot. While it is replaced it has the new one in the other.
    """

    name: str
    slots: tuple[dict[int, str], dict[int, str]] = field(default_factory=lambda: ({}, {}))
    counts: list[int] = field(default_factory=lambda: [0, 0])

    def slot_of(self, version: str) -> int | None:
        """The slot that holds the whole of this version; None where none does."""
        for slot in _SLOTS:
            if self.is_whole(slot) and set(self.slots[slot].values()) == {version}:
                return slot
        return None

    def is_whole(self, slot: int) -> bool:
        """Whether all chunks of a version are there, and no others."""
        chunks, count = self.slots[slot], self.counts[slot]
        return len(chunks) == count > 0 and len(set(chunks.values())) == 1

    @property
    def free_slot(self) -> int:
        """The slot to write to: an empty one, else one that was not finished."""
        return min(_SLOTS, key=lambda slot: (self.is_whole(slot), len(self.slots[slot])))

    def ids(self, slots: Iterable[int] = _SLOTS) -> list[str]:
        """The ids of the chunks in these slots, the first chunk last.

        So if a deletion is broken off, the first chunk is there to tell how many to look for.
        """
        return [
            chunk_name(self.name, slot, index)
            for slot in slots
            for index in sorted(self.slots[slot], reverse=True)
        ]


async def look_up(calls: Calls, counts: Mapping[str, int]) -> dict[str, StoredChunks]:
    """What the store has of some documents, by their names.

    Args:
        calls: The store.
        counts: By document name, for how many chunks to look; more where one that is there says
            so.

    Raises:
        NotImplementedError: the store has no `get_by_ids`.
        StoreCorruptError: a chunk has not the metadata that it was written with.
    """
    stored = {name: StoredChunks(name) for name in counts}

    async def look(slot: int, positions: Iterator[tuple[str, int]]) -> None:
        while part := [
            chunk_name(name, slot, index) for name, index in islice(positions, CHUNKS_PER_CALL)
        ]:
            for chunk in await calls.call("get_by_ids", part):
                name, version, index, count = _fields(chunk)
                if name not in stored:
                    raise _changed(chunk)
                stored[name].slots[slot][index] = version
                stored[name].counts[slot] = max(stored[name].counts[slot], count)

    for slot in _SLOTS:  # each by itself, since not every store says which id a chunk has
        await look(slot, ((name, index) for name in counts for index in range(counts[name])))
        further = {name: range(counts[name], stored[name].counts[slot]) for name in counts}
        await look(slot, ((name, index) for name in counts for index in further[name]))
    return stored


def _fields(chunk: Document) -> tuple[str, str, int, int]:
    """The chunk's document, its version, its index, and how many there are."""
    metadata = chunk.metadata
    try:
        return (
            str(metadata["document_id"]),
            str(metadata["document_version"]),
            int(metadata["chunk_index"]),
            int(metadata["chunk_count"]),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise _changed(chunk) from exc


def _changed(chunk: Document) -> StoreCorruptError:
    return StoreCorruptError(
        f"the chunk {chunk.id!r} lacks its document_id, document_version, chunk_index or "
        "chunk_count in its metadata: the store does not keep them, or another program has "
        "changed them"
    )
