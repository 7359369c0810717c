"""The chunks of documents that a store has already, found and deleted by the documents' ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from langchain_core.documents import Document

from jina_integrations.errors import StoreCorruptError

from .calls import Calls
from .identity import chunk_name

__all__ = ["CHUNKS_PER_CALL", "chunk_counts", "delete_chunks", "stored_chunks"]

CHUNKS_PER_CALL: Final = 1000
"""What a store is asked or given at once; Chroma takes 5,461."""


def chunk_counts(chunks: Iterable[Document]) -> dict[str, int]:
    """How many chunks the document of each of these chunks has, by the document's id.

    Raises:
        StoreCorruptError: one of them has not the metadata that it was written with.
    """
    return {name: count for name, _, count in map(_place, chunks)}


async def stored_chunks(calls: Calls, counts: Mapping[str, int]) -> list[str]:
    """Ids of all the documents' chunks that are in the store, each document's first chunk last.

    So if a deletion is broken off, the first chunk is there to tell how many to look for.

    Args:
        calls: The store.
        counts: By document id, for how many chunks to look; more where one that is found says so.

    Raises:
        NotImplementedError: the store has no `get_by_ids`.
        StoreCorruptError: see `chunk_counts`.
    """
    most = dict(counts)
    places: set[tuple[str, int]] = set()

    async def look(ids: Iterator[str]) -> None:
        while part := list(islice(ids, CHUNKS_PER_CALL)):
            for chunk in await calls.get(part):
                name, index, count = _place(chunk)
                if name not in most:
                    raise _changed(chunk)
                places.add((name, index))
                most[name] = max(most[name], count)

    await look(chunk_name(name, at) for name, count in counts.items() for at in range(count))
    further = {name: range(count, most[name]) for name, count in counts.items()}
    await look(chunk_name(name, at) for name, rest in further.items() for at in rest)
    ordered = sorted(places, key=lambda place: (place[1] == 0, place))
    return [chunk_name(name, index) for name, index in ordered]


async def delete_chunks(calls: Calls, ids: Sequence[str], **options: object) -> bool:
    """Delete these ids, in order; False where the store says that it has failed."""
    for start in range(0, len(ids), CHUNKS_PER_CALL):
        if await calls.delete([*ids[start : start + CHUNKS_PER_CALL]], options) is False:
            return False
    return True


def _place(chunk: Document) -> tuple[str, int, int]:
    """The chunk's document, its index, and how many there are."""
    metadata = chunk.metadata
    try:
        return (
            str(metadata["document_id"]),
            int(metadata["chunk_index"]),
            int(metadata["chunk_count"]),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise _changed(chunk) from exc


def _changed(chunk: Document) -> StoreCorruptError:
    return StoreCorruptError(
        f"the chunk {chunk.id!r} lacks its document_id, chunk_index or chunk_count in its "
        "metadata: the store does not keep them, or another program has changed them"
    )
