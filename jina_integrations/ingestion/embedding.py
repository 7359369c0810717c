"""Whole documents into chunks with vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..chunkers.base import Chunker
from ..embedder import Embedder
from ..errors import EmbeddingError, InvalidInputError
from ..spans import check_spans
from ..types import Chunk, Document, EmbeddedChunk, FloatArray

__all__ = ["ChunkedDocument", "chunk_document", "embed_documents"]


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
    check_spans([document.text], [[(chunk.start, chunk.end) for chunk in chunks]])
    for index, chunk in enumerate(chunks):
        if chunk.index != index or chunk.text != document.text[chunk.start : chunk.end]:
            raise InvalidInputError(
                f"{type(chunker).__name__}: chunk {index} is not text[{chunk.start}:{chunk.end}] "
                f"with the index {index}"
            )
    return ChunkedDocument(document, version, chunks)


def embed_documents(
    documents: Sequence[ChunkedDocument], *, embedder: Embedder
) -> list[list[EmbeddedChunk]]:
    """For each document its chunks with their vectors, all of them packed together.

    Raises:
        InvalidInputError: a text or span cannot be embedded.
        EmbeddingError: an unusable vector, or not one for each chunk.
    """
    if embedder.late_chunking:
        vectors: Sequence[FloatArray] = embedder.embed_chunks(
            [own.document.text for own in documents],
            [[(chunk.start, chunk.end) for chunk in own.chunks] for own in documents],
        )
    else:
        rows = embedder.embed_documents([chunk.text for own in documents for chunk in own.chunks])
        vectors, start = [], 0
        for own in documents:
            vectors.append(rows[start : start + len(own.chunks)])
            start += len(own.chunks)
        if start != len(rows):
            raise EmbeddingError(f"the embedder gave {len(rows)} vectors for {start} chunks")
    if len(vectors) != len(documents):
        raise EmbeddingError(
            f"the embedder gave vectors for {len(vectors)} of {len(documents)} documents"
        )
    return [_with_vectors(own, rows) for own, rows in zip(documents, vectors, strict=True)]


def _with_vectors(own: ChunkedDocument, vectors: FloatArray) -> list[EmbeddedChunk]:
    count = len(own.chunks)
    if len(vectors) != count:
        raise EmbeddingError(f"the embedder gave {len(vectors)} vectors for {count} chunks")
    return [
        EmbeddedChunk(chunk=chunk, version=own.version, chunk_count=count, vector=vector)
        for chunk, vector in zip(own.chunks, vectors, strict=True)
    ]
