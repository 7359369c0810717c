"""Whole LangChain documents into chunks with late-chunking vectors."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from langchain_core.documents import Document

from jina_integrations import Embedder
from jina_integrations.chunkers import Chunker
from jina_integrations.chunkers.locating import locate
from jina_integrations.errors import (
    ApiError,
    EmbeddingError,
    InvalidInputError,
    InvalidSettingError,
    InvalidSpanError,
)
from jina_integrations.types import CharSpan, FloatArray

from .embeddings import JinaEmbeddings
from .identity import NamedDocument, chunk_name, name_documents

__all__ = [
    "LateChunks",
    "TextSplitter",
    "alate_chunk",
    "alate_chunk_documents",
    "check_late_chunking",
    "check_splitter",
    "late_chunk",
    "late_chunk_documents",
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
            document's and, beside them, ``document_id``, ``start_index`` (characters),
            ``chunk_index`` (from 0) and ``chunk_count``.
        vectors: float32, shape (len(documents), dimensions).
    """

    documents: list[Document]
    vectors: FloatArray


def late_chunk_documents(
    documents: Iterable[Document], *, splitter: TextSplitter | Chunker, embeddings: JinaEmbeddings
) -> LateChunks:
    """Encode every document as a whole, and give its chunks their vectors of that.

    Args:
        documents: Whole ones. Each is known by its ``id``, else by ``metadata["document_id"]``,
            else by a hash of its text and metadata.
        splitter: Any `TextSplitter` of LangChain that cuts the text and does not change it, or a
            chunker of jina_integrations. Through Jina's API chunks may not overlap.
        embeddings: Whose embedder is used, with its `context_weight` and windows.

    Raises:
        InvalidInputError: a document that cannot be embedded, whose index it carries; also two
            documents of the same id.
        InvalidSpanError: the splitter changes the text, or gives a chunk without a token.
        InvalidSettingError: late chunking is switched off in the embedder.
        LateChunkingUnsupportedError: the model cannot do it.
        JinaIntegrationsError: see `Embedder.embed_chunks`.
    """
    embedder = check_late_chunking(embeddings)
    check_splitter(splitter)
    return late_chunk(list(name_documents(documents)), splitter=splitter, embedder=embedder)


async def alate_chunk_documents(
    documents: Iterable[Document], *, splitter: TextSplitter | Chunker, embeddings: JinaEmbeddings
) -> LateChunks:
    """`late_chunk_documents`, without blocking the event loop."""
    embedder = check_late_chunking(embeddings)
    check_splitter(splitter)
    return await alate_chunk(list(name_documents(documents)), splitter=splitter, embedder=embedder)


def check_late_chunking(embeddings: object) -> Embedder:
    """The embedder of the embeddings.

    Raises:
        InvalidInputError: they are no `JinaEmbeddings`.
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
    return embeddings.embedder


def check_splitter(splitter: object) -> None:
    """Refuse what is neither a chunker nor has a `split_text`.

    Raises:
        InvalidInputError: so it is.
    """
    if not isinstance(splitter, Chunker) and not callable(getattr(splitter, "split_text", None)):
        raise InvalidInputError(
            "splitter must be a TextSplitter of LangChain or a chunker of jina_integrations, not "
            f"{type(splitter).__name__}"
        )


def late_chunk(
    documents: Sequence[NamedDocument], *, splitter: TextSplitter | Chunker, embedder: Embedder
) -> LateChunks:
    """The chunks of these documents; errors carry the index that each was given."""
    spans = _split(documents, splitter, embedder)
    with _original_index(documents):
        vectors = embedder.embed_chunks([named.document.page_content for named in documents], spans)
    return _joined(documents, spans, vectors, embedder)


async def alate_chunk(
    documents: Sequence[NamedDocument], *, splitter: TextSplitter | Chunker, embedder: Embedder
) -> LateChunks:
    """`late_chunk`, without blocking the event loop."""
    spans = await asyncio.to_thread(_split, documents, splitter, embedder)
    with _original_index(documents):
        vectors = await embedder.aembed_chunks(
            [named.document.page_content for named in documents], spans
        )
    return _joined(documents, spans, vectors, embedder)


def _joined(
    documents: Sequence[NamedDocument],
    spans: Sequence[Sequence[CharSpan]],
    vectors: Sequence[FloatArray],
    embedder: Embedder,
) -> LateChunks:
    chunks = [
        chunk for named, own in zip(documents, spans, strict=True) for chunk in _chunks(named, own)
    ]
    rows = np.concatenate(vectors) if vectors else np.empty((0, embedder.dimensions), np.float32)
    if len(rows) != len(chunks):
        raise EmbeddingError(f"the embedder gave {len(rows)} vectors for {len(chunks)} chunks")
    return LateChunks(chunks, rows)


def _chunks(named: NamedDocument, spans: Sequence[CharSpan]) -> Iterator[Document]:
    for index, (start, end) in enumerate(spans):
        yield Document(
            id=chunk_name(named.name, index),
            page_content=named.document.page_content[start:end],
            metadata={
                **copy.deepcopy(cast("dict[str, object]", named.document.metadata)),
                "document_id": named.name,
                "start_index": start,
                "chunk_index": index,
                "chunk_count": len(spans),
            },
        )


def _split(
    documents: Sequence[NamedDocument], splitter: TextSplitter | Chunker, embedder: Embedder
) -> list[list[CharSpan]]:
    return [_spans(named, splitter, embedder) for named in documents]


def _spans(
    named: NamedDocument, splitter: TextSplitter | Chunker, embedder: Embedder
) -> list[CharSpan]:
    text = named.document.page_content
    where = f"documents[{named.index}], split by {type(splitter).__name__}"
    try:
        if isinstance(splitter, Chunker):
            spans = splitter.spans(text, embedder.tokenizer)
        else:
            spans = locate(text, _pieces(splitter, text), overlap_fits=_overlap_fits(splitter))
    except InvalidSpanError as exc:
        raise InvalidSpanError(f"{where}: {exc}", index=named.index) from exc
    if not spans:
        raise InvalidSpanError(f"{where}: there is no chunk in its text", index=named.index)
    return spans


def _pieces(splitter: TextSplitter, text: str) -> list[str]:
    pieces = cast("list[object]", splitter.split_text(text))
    for index, piece in enumerate(pieces):
        if not isinstance(piece, str):
            raise InvalidSpanError(
                f"piece {index} is a {type(piece).__name__} and no str: use a TextSplitter",
                index=index,
            )
    return cast("list[str]", pieces)


def _overlap_fits(splitter: TextSplitter) -> Callable[[str], bool]:
    """Whether neighbours can share a text, as LangChain's `TextSplitter` measures it."""
    length: Callable[[str], int] | None = getattr(splitter, "_length_function", None)
    most: int | None = getattr(splitter, "_chunk_overlap", None)
    if length is None or most is None:
        return lambda overlap: True  # noqa: ARG005
    encode: Callable[[str], list[int]] | None
    encode = getattr(getattr(splitter, "_tokenizer", None), "encode", None)
    if length is len and encode is not None:  # TokenTextSplitter counts its overlap in tokens
        return lambda overlap: len(encode(overlap)) <= most
    return lambda overlap: length(overlap) <= most


@contextmanager
def _original_index(documents: Sequence[NamedDocument]) -> Generator[None]:
    """Make an error's index that of the caller's documents, of which these are some."""
    try:
        yield
    except (InvalidInputError, EmbeddingError, ApiError) as exc:
        if exc.index is not None:
            named = documents[exc.index]
            exc.add_note(
                f"texts[{exc.index}] is documents[{named.index}], whose id is {named.name!r:.80}"
            )
            exc.index = named.index
        raise
