"""What every store keeps beside a vector, so that a collection means the same in each of them.

And how many records go into one request.

The same document with the same recipe always gets the same version and the same chunk ids, so a
second run finds what the first one wrote, and a changed document never overwrites its old chunks
before the new ones are complete. See ``docs/stores.md``.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from ..errors import StoreCorruptError
from ..types import RESERVED_METADATA, Chunk, Record, Scalar, Vectors
from .base import Capabilities

__all__ = [
    "chunk_id",
    "in_requests",
    "metadata_of",
    "record_from",
    "record_id",
    "vector_bytes",
]

_NAMESPACE = uuid.UUID("6f0a3f0e-52a4-5c0b-9d58-2f6a1f5a7c11")
"""A random constant, fixed for good: every stored chunk id depends on it."""


def chunk_id(document_id: str, version: str, index: int) -> str:
    """UUIDv5 of document id, version and chunk index (RFC 9562, section 5.5), as text."""
    return str(uuid.uuid5(_NAMESPACE, f"{version}:{index}:{document_id}"))


def record_id(record: Record) -> str:
    """`chunk_id` of the record's chunk."""
    return chunk_id(record.chunk.document_id, record.version, record.chunk.index)


def metadata_of(record: Record) -> dict[str, Scalar | list[str]]:
    """The document's metadata and, beside it, the keys of `RESERVED_METADATA`.

    Keys without a value are left out: ``headings`` and the pages of chunks that have none, and
    ``document_root`` of documents made by hand. ``headings`` is a list; a store that keeps only
    scalars writes it as JSON, and `record_from` reads both.
    """
    chunk = record.chunk
    metadata: dict[str, Scalar | list[str]] = {
        **chunk.metadata,
        "document_id": chunk.document_id,
        "document_version": record.version,
        "chunk_index": chunk.index,
        "chunk_count": record.chunk_count,
        "start": chunk.start,
        "end": chunk.end,
    }
    if record.root:
        metadata["document_root"] = record.root
    if chunk.headings:
        metadata["headings"] = list(chunk.headings)
    if chunk.page is not None and chunk.page_end is not None:
        metadata["page"] = chunk.page
        metadata["page_end"] = chunk.page_end
    return metadata


def record_from(
    text: object, metadata: object, *, where: str, vectors: Vectors | None = None
) -> Record:
    """The record that `metadata_of` described.

    Args:
        text: The chunk's text.
        metadata: What the store keeps.
        where: The store's name for error messages.
        vectors: The chunk's, where they were asked for.

    Raises:
        StoreCorruptError: the point was not written by this package.
    """
    values = cast("Mapping[str, object]", metadata) if isinstance(metadata, Mapping) else {}
    document_id, version = values.get("document_id"), values.get("document_version")
    numbers = [values.get(name) for name in ("chunk_index", "chunk_count", "start", "end")]
    if not (
        isinstance(text, str)
        and isinstance(document_id, str)
        and isinstance(version, str)
        and all(isinstance(number, int) for number in numbers)
    ):
        raise StoreCorruptError(
            f"{where} holds a point that jina-integrations did not write; give each program its "
            "own collection"
        )
    index, count, start, end = cast("list[int]", numbers)
    return Record(
        chunk=Chunk(
            document_id=document_id,
            index=index,
            start=start,
            end=end,
            text=text,
            metadata={
                key: cast("Scalar", value)
                for key, value in values.items()
                if key not in RESERVED_METADATA
            },
            headings=_headings(values.get("headings"), where),
            page=cast("int | None", values.get("page")),
            page_end=cast("int | None", values.get("page_end")),
        ),
        version=version,
        chunk_count=count,
        vectors=vectors or Vectors(),
        root=str(values.get("document_root", "")),
    )


def _headings(stored: object, where: str) -> tuple[str, ...]:
    if stored is None:
        return ()
    try:
        titles: object = json.loads(stored) if isinstance(stored, str) else stored
    except ValueError:
        titles = None
    if not isinstance(titles, list | tuple):
        raise StoreCorruptError(f"{where}: the headings of a chunk cannot be read: {stored!r:.80}")
    return tuple(map(str, cast("list[object]", titles)))


def in_requests(records: Iterable[Record], limits: Capabilities) -> Iterator[list[Record]]:
    """The records in order, in lists as small as the store asks for."""
    request: list[Record] = []
    filled = 0
    for record in records:
        size = _json_bytes(record)
        if request and (len(request) == limits.max_records or filled + size > limits.max_bytes):
            yield request
            request, filled = [], 0
        request.append(record)
        filled += size
    if request:
        yield request


def vector_bytes(records: Iterable[Record]) -> int:
    """What the records' vectors take as float32."""
    return 4 * sum(map(_numbers, records))


def _json_bytes(record: Record) -> int:
    """About what the record takes in a request: a float32 prints as up to 24 characters."""
    chunk = record.chunk
    strings = [chunk.text, chunk.document_id, *chunk.metadata, *map(str, chunk.metadata.values())]
    return 24 * _numbers(record) + sum(len(text.encode()) for text in strings) + 512


def _numbers(record: Record) -> int:
    """How many numbers its vectors have; a sparse one has two for each weight."""
    vectors = record.vectors
    count = sum(rows.size for rows in (vectors.dense, vectors.multi) if rows is not None)
    return count if vectors.sparse is None else count + 2 * vectors.sparse.values.size
