"""Whole documents into chunks with vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ..chunkers.base import Chunker
from ..embedder import Embedder
from ..errors import EmbeddingError, InvalidInputError, JinaIntegrationsError
from ..spans import check_spans
from ..types import Chunk, Document, EmbeddedChunk, FloatArray

__all__ = ["ChunkedDocument", "chunk_document", "embed_documents"]

_Vectors: TypeAlias = tuple[Sequence[FloatArray], dict[int, JinaIntegrationsError]]
"""Of the documents that succeeded, in order; and the errors of the others, by position."""


@dataclass(frozen=True, slots=True)
class ChunkedDocument:
    """A document on its way: its version and at least one chunk."""

    document: Document
    version: str
    chunks: Sequence[Chunk]


def chunk_document(
    document: Document, version: str, *, chunker: Chunker, embedder: Embedder
) -> ChunkedDocument:
    """The document's chunks, checked against its text.

    Raises:
        InvalidInputError: the chunker gave none, or one that is not where it says.
    """
    chunks = chunker.chunk(document, embedder.tokenizer)
    if not chunks:
        raise InvalidInputError(f"{type(chunker).__name__} found no chunk in its text")
    check_spans(document.text, [(chunk.start, chunk.end) for chunk in chunks])
    for index, chunk in enumerate(chunks):
        if chunk.index != index or chunk.text != document.text[chunk.start : chunk.end]:
            raise InvalidInputError(
                f"{type(chunker).__name__}: chunk {index} is not text[{chunk.start}:{chunk.end}] "
                f"with the index {index}"
            )
    return ChunkedDocument(document, version, chunks)


def embed_documents(
    documents: Sequence[ChunkedDocument],
    *,
    embedder: Embedder,
    on_failure: Callable[[ChunkedDocument, JinaIntegrationsError], None],
) -> list[list[EmbeddedChunk]]:
    """For each document its chunks with their vectors, all of them embedded together.

    A document with a chunk that cannot be embedded is left out, and costs the others nothing.

    Args:
        documents: May be empty.
        embedder: Embeds the chunks, or the whole documents with late chunking.
        on_failure: Called with each document that was left out, and its error.

    Raises:
        EmbeddingError: not one vector for each chunk.
    """
    if not documents:
        return []
    if embedder.late_chunking:
        vectors, failures = _late(documents, embedder)
    else:
        vectors, failures = _isolated(documents, embedder)
    for position, error in failures.items():
        on_failure(documents[position], error)
    alive = [own for position, own in enumerate(documents) if position not in failures]
    if len(vectors) != len(alive):
        raise EmbeddingError(
            f"the embedder gave vectors for {len(vectors)} of {len(alive)} documents"
        )
    return [_with_vectors(own, rows) for own, rows in zip(alive, vectors, strict=True)]


def _late(documents: Sequence[ChunkedDocument], embedder: Embedder) -> _Vectors:
    collected = embedder.embed_chunks(
        [own.document.text for own in documents],
        [[(chunk.start, chunk.end) for chunk in own.chunks] for own in documents],
        on_error="collect",
    )
    return collected.vectors, collected.failures


def _isolated(documents: Sequence[ChunkedDocument], embedder: Embedder) -> _Vectors:
    collected = embedder.embed(
        [chunk.text for own in documents for chunk in own.chunks],
        task="passage",
        on_error="collect",
    )
    if len(collected.vectors) != len(collected.indices):
        raise EmbeddingError(
            f"the embedder gave {len(collected.vectors)} vectors for "
            f"{len(collected.indices)} chunks"
        )
    owners = [position for position, own in enumerate(documents) for _ in own.chunks]
    failures: dict[int, JinaIntegrationsError] = {}
    for at, error in collected.failures.items():
        failures.setdefault(owners[at], error)
    owners_of_rows = np.array([owners[at] for at in collected.indices], np.int64)
    alive = (position for position in range(len(documents)) if position not in failures)
    bounds = [np.searchsorted(owners_of_rows, (position, position + 1)) for position in alive]
    return [collected.vectors[first:last] for first, last in bounds], failures


def _with_vectors(own: ChunkedDocument, vectors: FloatArray) -> list[EmbeddedChunk]:
    count = len(own.chunks)
    if len(vectors) != count:
        raise EmbeddingError(f"the embedder gave {len(vectors)} vectors for {count} chunks")
    return [
        EmbeddedChunk(chunk=chunk, version=own.version, chunk_count=count, vector=vector)
        for chunk, vector in zip(own.chunks, vectors, strict=True)
    ]
