"""Many documents and chunks as requests of bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from ..identity import chunk_id
from ..types import EmbeddedChunk

__all__ = [
    "DOCUMENTS_PER_REQUEST",
    "IDS_PER_REQUEST",
    "batches",
    "complete_documents",
    "request_batches",
]

IDS_PER_REQUEST = 1000
"""Ids in one retrieval: about 40 kB of JSON, and far below every store's limit."""

DOCUMENTS_PER_REQUEST = 256
"""Documents in one filtered delete; each adds an id and a version to the filter."""

_Item = TypeVar("_Item")


def batches(items: Sequence[_Item], size: int) -> Iterator[list[_Item]]:
    """The items in lists of at most `size`, in order."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def request_batches(
    chunks: Mapping[str, EmbeddedChunk], *, count: int, size: int
) -> Iterator[dict[str, EmbeddedChunk]]:
    """The chunks in order, in batches of at most `count` chunks and about `size` bytes of JSON.

    A chunk that is larger than `size` makes a batch of its own.
    """
    batch: dict[str, EmbeddedChunk] = {}
    filled = 0
    for name, item in chunks.items():
        weight = _json_bytes(item)
        if batch and (len(batch) == count or filled + weight > size):
            yield batch
            batch, filled = {}, 0
        batch[name] = item
        filled += weight
    if batch:
        yield batch


def complete_documents(
    versions: Mapping[str, str],
    *,
    first_chunk_counts: Callable[[list[str]], Mapping[str, object]],
    stored_ids: Callable[[list[str]], set[str]],
) -> set[str]:
    """`Store.find_complete` by ids alone, so that its cost does not grow with the collection.

    The first chunk of a document says how many there are; then the ids of the others are known.

    Args:
        versions: Document id to version.
        first_chunk_counts: Of at most `IDS_PER_REQUEST` chunk ids those that are stored, with
            their ``chunk_count``.
        stored_ids: Of at most `IDS_PER_REQUEST` chunk ids those that are stored.
    """
    complete: set[str] = set()
    for batch in batches(list(versions.items()), IDS_PER_REQUEST):
        first = {chunk_id(document, version, 0): document for document, version in batch}
        counts = {
            first[name]: count
            for name, count in first_chunk_counts(list(first)).items()
            if isinstance(count, int)
        }
        owners = {
            chunk_id(document, versions[document], index): document
            for document, count in counts.items()
            for index in range(1, count)
        }
        missing = {
            owners[name]
            for names in batches(list(owners), IDS_PER_REQUEST)
            for name in set(names) - stored_ids(names)
        }
        complete |= counts.keys() - missing
    return complete


def _json_bytes(item: EmbeddedChunk) -> int:
    """About what the chunk takes in a request: a float32 prints as up to 24 characters."""
    chunk = item.chunk
    strings = [chunk.text, chunk.document_id, *chunk.metadata, *map(str, chunk.metadata.values())]
    return 24 * item.vector.size + sum(len(text.encode()) for text in strings) + 512
