"""What every store keeps beside a vector, so that a collection means the same in each of them.

See ``docs/stores.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ..errors import CollectionNotFoundError, FingerprintMismatchError, StoreCorruptError
from ..types import RESERVED_METADATA, Chunk, EmbeddedChunk, Scalar
from .base import CollectionInfo

__all__ = ["INFO_KEY", "chunk_from", "info_from", "info_to_dict", "metadata_of", "require_equal"]

INFO_KEY = "jina_integrations"
"""Key of `CollectionInfo` in the collection's own metadata."""


def metadata_of(item: EmbeddedChunk) -> dict[str, Scalar]:
    """The document's metadata and, beside it, the keys of `RESERVED_METADATA`."""
    chunk = item.chunk
    return {
        **chunk.metadata,
        "document_id": chunk.document_id,
        "document_version": item.version,
        "chunk_index": chunk.index,
        "chunk_count": item.chunk_count,
        "start": chunk.start,
        "end": chunk.end,
    }


def chunk_from(text: object, metadata: Mapping[str, object], *, where: str) -> Chunk:
    """The chunk that `metadata_of` described.

    Raises:
        StoreCorruptError: the point was not written by this package.
    """
    document_id, index = metadata.get("document_id"), metadata.get("chunk_index")
    start, end = metadata.get("start"), metadata.get("end")
    if not (
        isinstance(text, str)
        and isinstance(document_id, str)
        and isinstance(index, int)
        and isinstance(start, int)
        and isinstance(end, int)
    ):
        raise StoreCorruptError(
            f"{where} holds a point that jina-integrations did not write; give each program its "
            "own collection"
        )
    own = {key: value for key, value in metadata.items() if key not in RESERVED_METADATA}
    return Chunk(
        document_id=document_id,
        index=index,
        start=start,
        end=end,
        text=text,
        metadata=cast("dict[str, Scalar]", own),
    )


def info_to_dict(info: CollectionInfo) -> dict[str, object]:
    """The info as JSON values."""
    return {
        "fingerprint": info.fingerprint,
        "dimensions": info.dimensions,
        "embedder": dict(info.embedder),
    }


def info_from(stored: object, *, where: str) -> CollectionInfo:
    """The info that `info_to_dict` gave.

    Args:
        stored: What the collection's metadata has under `INFO_KEY`; None where it has nothing.
        where: The store's name for error messages.

    Raises:
        CollectionNotFoundError: there is nothing: another program made the collection.
        StoreCorruptError: there is something else.
    """
    if stored is None:
        raise CollectionNotFoundError(
            f"{where} exists and was not made by jina-integrations; choose another collection name"
        )
    fields = cast("Mapping[str, object]", stored) if isinstance(stored, Mapping) else {}
    fingerprint, dimensions = fields.get("fingerprint"), fields.get("dimensions")
    embedder = fields.get("embedder")
    if not (
        isinstance(fingerprint, str)
        and isinstance(dimensions, int)
        and isinstance(embedder, Mapping)
    ):
        raise StoreCorruptError(
            f"{where}: the settings stored with it cannot be read; ingest into a new collection"
        )
    return CollectionInfo(fingerprint, dimensions, cast("Mapping[str, object]", embedder))


def require_equal(found: CollectionInfo, wanted: CollectionInfo, *, where: str) -> None:
    """Refuse a collection that another process made meanwhile with other settings.

    Raises:
        FingerprintMismatchError: the fingerprints differ.
    """
    if found.fingerprint != wanted.fingerprint:
        raise FingerprintMismatchError(
            f"{where} was made meanwhile with other settings (fingerprint {found.fingerprint}, "
            f"not {wanted.fingerprint}); choose another collection name"
        )
