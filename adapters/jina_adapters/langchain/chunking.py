"""Whole LangChain documents into chunks with late-chunking vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from langchain_core.documents import Document

from jina_integrations.adapting import CutDocument, Job, PieceChunker, alate_chunk, cut, late_chunk
from jina_integrations.chunkers import Chunker
from jina_integrations.errors import InvalidInputError, InvalidSettingError
from jina_integrations.types import FloatArray

from .documents import NamedDocument, chunk_documents, name_documents
from .embeddings import JinaEmbeddings

__all__ = [
    "LateChunks",
    "TextSplitter",
    "alate_chunk_documents",
    "cut_documents",
    "late_chunk_documents",
    "make_job",
]


class TextSplitter(Protocol):
    """What is used of LangChain's `TextSplitter`, which langchain-core does not have."""

    def split_text(self, text: str) -> list[str]:
        """Pieces of the text, in order; each begins after the one before it."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LateChunks:
    """Chunks and their vectors.

    Attributes:
        documents: In the order of the documents given, then of their text. A chunk's ``id`` is a
            UUID that follows from its document's id and its index. Its metadata are a copy of the
            document's and, beside them, ``document_id``, ``document_version`` (a hash),
            ``start_index`` (characters), ``chunk_index`` (from 0), ``chunk_count`` and, where the
            chunker knows headings, ``headings``, outermost first.
        vectors: float32, shape (len(documents), dimensions).
    """

    documents: list[Document]
    vectors: FloatArray


def late_chunk_documents(
    documents: Iterable[Document],
    *,
    splitter: TextSplitter | Chunker,
    embeddings: JinaEmbeddings,
    heading_context: bool = False,
) -> LateChunks:
    """Encode every document as a whole, and give its chunks their vectors of that.

    Args:
        documents: Whole ones; those without text are skipped with a warning. Each is known by its
            ``id``, else by ``metadata["document_id"]``, else by a hash of its text and metadata.
        splitter: Any `TextSplitter` of LangChain that cuts the text and does not change it, or a
            chunker of jina_integrations. Through Jina's API chunks may not overlap.
        embeddings: Whose embedder is used, with its `context_weight` and windows.
        heading_context: Also encode ``metadata["title"]`` and the headings above each chunk, in
            front of it. Only chunkers such as `MarkdownChunker` know headings.

    Raises:
        InvalidInputError: a document that cannot be embedded, whose index it carries; also two
            documents of the same id.
        InvalidSpanError: the splitter changes the text, or gives a chunk without a token.
        InvalidSettingError: late chunking is switched off in the embedder.
        LateChunkingUnsupportedError: the model cannot do it.
        JinaIntegrationsError: see `Embedder.embed_chunks`.
    """
    job = make_job(embeddings, splitter, heading_context=heading_context)
    named = list(name_documents(documents, with_title=heading_context))
    chunked = cut_documents(job, named)
    return _joined(
        job,
        named,
        chunked,
        late_chunk(chunked, embedder=job.embedder, heading_context=job.heading_context),
    )


async def alate_chunk_documents(
    documents: Iterable[Document],
    *,
    splitter: TextSplitter | Chunker,
    embeddings: JinaEmbeddings,
    heading_context: bool = False,
) -> LateChunks:
    """`late_chunk_documents`, without blocking the event loop."""
    job = make_job(embeddings, splitter, heading_context=heading_context)
    named = list(name_documents(documents, with_title=heading_context))
    chunked = await asyncio.to_thread(cut_documents, job, named)
    return _joined(
        job,
        named,
        chunked,
        await alate_chunk(chunked, embedder=job.embedder, heading_context=job.heading_context),
    )


def make_job(
    embeddings: object, splitter: TextSplitter | Chunker, *, heading_context: bool = False
) -> Job:
    """How documents become chunks with vectors.

    Raises:
        InvalidInputError: no `JinaEmbeddings`, or no splitter.
        InvalidSettingError: their embedder has late chunking switched off.
    """
    if not isinstance(embeddings, JinaEmbeddings):
        raise InvalidInputError(
            f"embeddings must be JinaEmbeddings, not {type(embeddings).__name__}"
        )
    if embeddings.late_chunking is False:
        raise InvalidSettingError(
            f"late_chunking=False is set on the embedder of {embeddings.model}: leave it out to "
            "use late chunking, or split the documents and use the store's add_documents"
        )
    return Job(embeddings.embedder, _chunker(splitter), heading_context, late_chunking=True)


def cut_documents(job: Job, named: Sequence[NamedDocument]) -> list[CutDocument]:
    """The documents cut into chunks, see `cut`."""
    return cut(job, [(item.index, item.document) for item in named])


def _joined(
    job: Job,
    named: Sequence[NamedDocument],
    chunked: Sequence[CutDocument],
    vectors: Sequence[FloatArray],
) -> LateChunks:
    return LateChunks(
        [
            chunk
            for item, pieces in zip(named, chunked, strict=True)
            for chunk in chunk_documents(item, pieces)
        ],
        np.concatenate(vectors) if vectors else np.empty((0, job.embedder.dimensions), np.float32),
    )


def _chunker(splitter: TextSplitter | Chunker) -> Chunker:
    if isinstance(splitter, Chunker):
        return splitter
    if not callable(getattr(splitter, "split_text", None)):
        raise InvalidInputError(
            "splitter must be a TextSplitter of LangChain or a chunker of jina_integrations, not "
            f"{type(splitter).__name__}"
        )
    return PieceChunker(splitter.split_text, type(splitter).__name__, _overlap_fits(splitter))


def _overlap_fits(splitter: TextSplitter) -> Callable[[str], bool]:
    """Whether neighbours can share a text, as LangChain's `TextSplitter` measures it."""
    length: Callable[[str], int] | None = getattr(splitter, "_length_function", None)
    limit: int | None = getattr(splitter, "_chunk_overlap", None)
    if length is None or limit is None:
        return lambda overlap: True  # noqa: ARG005
    encode: Callable[[str], list[int]] | None
    encode = getattr(getattr(splitter, "_tokenizer", None), "encode", None)
    if length is len and encode is not None:  # TokenTextSplitter counts its overlap in tokens
        return lambda overlap: len(encode(overlap)) <= limit
    return lambda overlap: length(overlap) <= limit
