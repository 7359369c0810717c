"""What an embedder is asked for documents that were cut into chunks, and its answer by document.

So that an ingestion and the adapters of frameworks, blocking and async, ask for the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..embedding.embedder import Embedder
from ..errors import EmbeddingError, JinaIntegrationsError
from ..types import CharSpan, Chunk, Document, FloatArray
from .context import context_parts, fitting_context, room_for, with_contexts

__all__ = ["ChunkedDocument", "Request", "make_request", "vectors_by_document"]


@dataclass(frozen=True, slots=True)
class ChunkedDocument:
    """A document on its way: its version and at least one chunk."""

    document: Document
    version: str
    chunks: Sequence[Chunk]


@dataclass(frozen=True, slots=True)
class Request:
    """What an embedder is asked for a batch of documents.

    Attributes:
        texts: Whole documents, or chunks, one document's after the other's.
        spans: For each whole document those of its chunks; None where the texts are chunks.
        document_of: For each text the position of its document in the batch.
        contexts_shortened: See `IngestReport`.
    """

    texts: list[str]
    spans: list[list[CharSpan]] | None
    document_of: list[int]
    contexts_shortened: int


def make_request(
    chunked: Sequence[ChunkedDocument],
    *,
    embedder: Embedder,
    heading_context: bool = False,
    late_chunking: bool | None = None,
) -> Request:
    """What the embedder has to be asked for the chunks of some documents.

    Args:
        chunked: The documents.
        embedder: Who will be asked.
        heading_context: See `Job`.
        late_chunking: See `Job`.
    """
    late = embedder.late_chunking if late_chunking is None else late_chunking
    contexts = [[""] * len(item.chunks) for item in chunked]
    shortened = 0
    if heading_context:
        # Whole documents are encoded in windows, so only chunks that are embedded alone have a
        # limit: with a context weight below 1 under late chunking, too.
        limited = not late or embedder.context_weight < 1.0
        for number, item in enumerate(chunked):
            contexts[number], count = _contexts(embedder, item, limited=limited)
            shortened += count
    if not late:
        texts = [
            context + piece.text
            for item, added in zip(chunked, contexts, strict=True)
            for piece, context in zip(item.chunks, added, strict=True)
        ]
        document_of = [number for number, item in enumerate(chunked) for _ in item.chunks]
        return Request(texts, None, document_of, shortened)
    texts = [item.document.text for item in chunked]
    spans = [[(piece.start, piece.end) for piece in item.chunks] for item in chunked]
    if heading_context:
        for number, added in enumerate(contexts):
            texts[number], spans[number] = with_contexts(texts[number], spans[number], added)
    return Request(texts, spans, list(range(len(chunked))), shortened)


def vectors_by_document(
    request: Request,
    chunked: Sequence[ChunkedDocument],
    vectors: FloatArray | list[FloatArray],
    failures: Mapping[int, JinaIntegrationsError],
) -> tuple[list[FloatArray], dict[int, JinaIntegrationsError]]:
    """What the embedder gave, sorted by documents.

    Args:
        request: What it was asked.
        chunked: For which documents.
        vectors: Of the texts that succeeded, in order.
        failures: The errors of the others, by position.

    Returns:
        For each document that succeeded, in order, float32 of shape (chunks, dimensions); and the
        errors of the others, by position.

    Raises:
        EmbeddingError: there are more or fewer vectors than chunks.
    """
    errors: dict[int, JinaIntegrationsError] = {}
    for position, error in failures.items():
        errors.setdefault(request.document_of[position], error)
    alive = [number for number in range(len(chunked)) if number not in errors]
    if not isinstance(vectors, list):
        owners = np.array(
            [
                owner
                for position, owner in enumerate(request.document_of)
                if position not in failures
            ],
            np.int64,
        )
        if len(vectors) != len(owners):
            raise EmbeddingError(
                f"the embedder gave {len(vectors)} vectors for {len(owners)} chunks"
            )
        bounds = [np.searchsorted(owners, (number, number + 1)) for number in alive]
        vectors = [vectors[first:last] for first, last in bounds]
    if len(vectors) != len(alive):
        raise EmbeddingError(
            f"the embedder gave vectors for {len(vectors)} of {len(alive)} documents"
        )
    for number, rows in zip(alive, vectors, strict=True):
        item = chunked[number]
        if len(rows) != len(item.chunks):
            raise EmbeddingError(
                f"the embedder gave {len(rows)} vectors for the {len(item.chunks)} chunks of "
                f"document {item.document.id!r:.80}"
            )
    return vectors, errors


def _contexts(embedder: Embedder, item: ChunkedDocument, *, limited: bool) -> tuple[list[str], int]:
    """What goes in front of each chunk, and how many of these had to be shortened."""
    limit = embedder.card.max_tokens if limited else None
    contexts: list[str] = []
    shortened = 0
    for piece in item.chunks:
        parts = context_parts(item.document, piece)
        whole = fitting_context(parts, lambda _: True)
        context = fitting_context(parts, room_for(embedder.tokenizer, piece.text, limit))
        shortened += context != whole
        contexts.append(context)
    return contexts, shortened
