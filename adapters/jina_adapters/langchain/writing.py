"""Late-chunking vectors into any LangChain store, through the store's own `add_documents`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

from jina_integrations.calls import finish
from jina_integrations.chunkers import Chunker
from jina_integrations.errors import InvalidInputError, InvalidSettingError, StoreError
from jina_integrations.ingestion.batching import document_batches
from jina_integrations.types import FloatArray

from .calls import Async, Blocking, Calls
from .chunking import LateChunks, TextSplitter, check_late_chunking, check_splitter
from .embeddings import JinaEmbeddings
from .identity import name_documents
from .prepared import PreparedVectors
from .stored import CHUNKS_PER_CALL, chunk_counts, delete_chunks, stored_chunks

__all__ = [
    "aadd_late_chunks",
    "add_late_chunks",
    "adelete_documents",
    "delete_documents",
    "jina_embeddings_of",
]


def add_late_chunks(
    vector_store: VectorStore,
    documents: Iterable[Document],
    *,
    splitter: TextSplitter | Chunker,
    **kwargs: Any,  # noqa: ANN401  # as VectorStore.add_documents
) -> list[str]:
    """Split whole documents, and store their chunks with late-chunking vectors.

    The store itself writes, as it always does, so whatever it offers works on the chunks as on any
    others. Only the vectors that its embeddings hand out while it does are those of
    `late_chunk_documents`. That every vector was fetched is checked: a store that changes texts,
    or embeds out of sight, is refused and what it wrote is deleted.

    Where the store has a document of the same id, its chunks are deleted when the new vectors
    are there and just before they are written. A store without `get_by_ids` cannot tell: in it,
    chunks are overwritten if it overwrites, and those beyond a shorter document's end stay.

    Documents are taken lazily, a batch at a time. An error leaves the batches before it stored,
    and of its own batch some chunks; the same call again replaces them.

    Args:
        vector_store: Built with `JinaEmbeddings`, without a wrapper.
        documents: Whole ones, see `late_chunk_documents`.
        splitter: See `late_chunk_documents`.
        kwargs: For the store's `add_documents`.

    Returns:
        The ids of the chunks, in order.

    Raises:
        InvalidInputError: the store was built with other embeddings, or does not write the
            vectors that it is given.
        JinaIntegrationsError: see `late_chunk_documents`. Errors of the store come as they are.
    """
    return finish(_add(Blocking(vector_store), documents, splitter, kwargs))


async def aadd_late_chunks(
    vector_store: VectorStore,
    documents: Iterable[Document],
    *,
    splitter: TextSplitter | Chunker,
    **kwargs: Any,  # noqa: ANN401  # as VectorStore.aadd_documents
) -> list[str]:
    """`add_late_chunks` through the store's own async methods.

    The event loop is only blocked by what taking the next of the documents does.
    """
    return await _add(Async(vector_store), documents, splitter, kwargs)


def delete_documents(vector_store: VectorStore, names: Sequence[str], **kwargs: object) -> bool:
    """Delete the chunks of documents that `add_late_chunks` wrote; False where the store fails."""
    return finish(_delete(Blocking(vector_store), names, kwargs))


async def adelete_documents(
    vector_store: VectorStore, names: Sequence[str], **kwargs: object
) -> bool:
    """`delete_documents` through the store's own async methods."""
    return await _delete(Async(vector_store), names, kwargs)


async def _delete(calls: Calls, names: Sequence[str], options: Mapping[str, object]) -> bool:
    stored = await stored_chunks(calls, dict.fromkeys(names, 1))
    return await delete_chunks(calls, stored, **options)


async def _add(
    calls: Calls,
    documents: Iterable[Document],
    splitter: TextSplitter | Chunker,
    options: Mapping[str, Any],
) -> list[str]:
    embeddings = jina_embeddings_of(calls.store)
    embedder = check_late_chunking(embeddings)
    check_splitter(splitter)
    if "ids" in options:
        raise InvalidSettingError("ids of chunks follow from their documents': set Document.id")
    written: list[str] = []
    for batch in document_batches(
        name_documents(documents),
        characters=lambda named: len(named.document.page_content),
        embedder=embedder,
    ):
        late = await calls.late_chunk(batch, splitter, embedder)
        await _drop_earlier(calls, late)
        written += await _write(calls, late, embeddings, options)
    return written


async def _drop_earlier(calls: Calls, late: LateChunks) -> None:
    """Delete what the store has of these documents; not every store overwrites."""
    try:
        earlier = await stored_chunks(calls, chunk_counts(late.documents))
    except NotImplementedError:
        return
    if not await delete_chunks(calls, earlier):
        raise StoreError(f"{type(calls.store).__name__} failed to delete the earlier chunks")


def jina_embeddings_of(store: object) -> JinaEmbeddings:
    """The embeddings that a store was built with.

    Raises:
        InvalidInputError: it is no store, or they are others.
    """
    if not isinstance(store, VectorStore):
        raise InvalidInputError(f"vector_store must be a VectorStore, not {type(store).__name__}")
    embeddings = store.embeddings
    if not isinstance(embeddings, JinaEmbeddings):
        raise InvalidInputError(
            f"{type(store).__name__} has the embeddings {type(embeddings).__name__}, which cannot "
            "hand out late-chunking vectors: build it with JinaEmbeddings itself, not in a "
            "wrapper such as CacheBackedEmbeddings, which would keep them under the bare texts"
        )
    return embeddings


def _rounds(late: LateChunks) -> Iterator[tuple[list[Document], dict[str, FloatArray]]]:
    """The chunks in order, in lists in which no text comes twice, with vectors by text.

    Equal texts of different documents have different vectors.
    """
    chunks: list[Document] = []
    vectors: dict[str, FloatArray] = {}
    for chunk, vector in zip(late.documents, late.vectors, strict=True):
        if chunk.page_content in vectors or len(chunks) == CHUNKS_PER_CALL:
            yield chunks, vectors
            chunks, vectors = [], {}
        chunks.append(chunk)
        vectors[chunk.page_content] = vector
    if chunks:
        yield chunks, vectors


async def _write(
    calls: Calls, late: LateChunks, embeddings: JinaEmbeddings, options: Mapping[str, Any]
) -> list[str]:
    """Have the store write a batch; the chunks' ids."""
    written: list[str] = []
    for chunks, vectors in _rounds(late):
        ids = [str(chunk.id) for chunk in chunks]
        prepared = PreparedVectors(embeddings, vectors)
        returned = ids
        cause: Exception | None = None
        try:
            with prepared.handed_out():
                returned = list(await calls.add(chunks, ids, options))
        except Exception as exc:
            if not prepared.unknown:
                raise
            cause = exc
        written += returned
        problem = prepared.misuse
        if problem is None and returned != ids:
            problem = f"it gave {len(ids)} chunks {len(returned)} ids other than theirs"
        if problem is not None:
            undone = await _undo(calls, late, written)
            raise InvalidInputError(
                f"{type(calls.store).__name__} cannot take late-chunking vectors: {problem}. "
                f"{undone}. Use late_chunk_documents, and write its vectors with the store's own "
                "client"
            ) from cause
    return written


async def _undo(calls: Calls, late: LateChunks, written: list[str]) -> str:
    """Delete what a store wrote of a batch; what became of it, for an error message."""
    ids = [str(chunk.id) for chunk in late.documents]
    try:
        if written == ids[: len(written)]:
            # Some may not have been written, and there are stores that delete none if one lacks.
            with suppress(NotImplementedError):
                written = await stored_chunks(calls, chunk_counts(late.documents))
        if await delete_chunks(calls, written):
            return "What it wrote of these documents has been deleted"
    except NotImplementedError:
        pass
    return f"What it wrote could not be deleted: up to {len(ids)} chunks, the first {ids[0]}"
