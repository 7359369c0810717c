"""Late-chunking vectors into any LangChain store, through the store's own `add_documents`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

from jina_integrations.adapting import CutDocument, Job, document_batches
from jina_integrations.backends.base import finish
from jina_integrations.chunkers import Chunker
from jina_integrations.errors import InvalidInputError, InvalidSettingError, StoreError

from .chunking import TextSplitter, cut_documents, make_job
from .documents import NamedDocument, chunk_documents, name_documents, version_of
from .embeddings import JinaEmbeddings
from .prepared import PreparedVectors
from .stored import CHUNKS_PER_CALL, Calls, StoredChunks, look_up

__all__ = [
    "aadd_late_chunks",
    "add_late_chunks",
    "jina_embeddings_of",
    "remove_documents",
    "write_documents",
]


def add_late_chunks(
    vector_store: VectorStore,
    documents: Iterable[Document],
    *,
    splitter: TextSplitter | Chunker,
    heading_context: bool = False,
    **kwargs: Any,  # noqa: ANN401  # as VectorStore.add_documents
) -> list[str]:
    """Split whole documents, and store their chunks with late-chunking vectors.

    The store itself writes, as it always does, so whatever it offers works on the chunks as on any
    others. Only the vectors that its embeddings hand out while it does are those of
    `late_chunk_documents`. That every vector was fetched is checked: a store that changes texts,
    or embeds out of sight, is refused and what it wrote is deleted.

    Where the store has the very same document already, nothing is embedded or written. Where it
    has another version of it, that is deleted when the new one is written, and not before. A store
    without `get_by_ids` cannot tell: in it, chunks are overwritten if it overwrites, and those
    beyond a shorter document's end stay.

    Documents are taken lazily, a batch at a time. An error leaves the batches before it stored,
    and of its own batch some chunks beside the earlier versions; the same call again puts that
    right.

    Args:
        vector_store: Built with `JinaEmbeddings`, without a wrapper.
        documents: Whole ones, see `late_chunk_documents`.
        splitter: See `late_chunk_documents`.
        heading_context: See `late_chunk_documents`.
        kwargs: For the store's `add_documents`.

    Returns:
        The ids of the chunks, in order.

    Raises:
        InvalidInputError: the store was built with other embeddings, or does not write the
            vectors that it is given.
        JinaIntegrationsError: see `late_chunk_documents`. Errors of the store come as they are.
    """
    job = make_job(jina_embeddings_of(vector_store), splitter, heading_context=heading_context)
    calls = Calls(vector_store, asynchronous=False)
    written = finish(write_documents(calls, job, documents, kwargs))
    return [name for names in written.values() for name in names]


async def aadd_late_chunks(
    vector_store: VectorStore,
    documents: Iterable[Document],
    *,
    splitter: TextSplitter | Chunker,
    heading_context: bool = False,
    **kwargs: Any,  # noqa: ANN401  # as VectorStore.aadd_documents
) -> list[str]:
    """`add_late_chunks` through the store's own async methods.

    The event loop is only blocked by what taking the next of the documents does.
    """
    job = make_job(jina_embeddings_of(vector_store), splitter, heading_context=heading_context)
    calls = Calls(vector_store, asynchronous=True)
    written = await write_documents(calls, job, documents, kwargs)
    return [name for names in written.values() for name in names]


async def write_documents(
    calls: Calls, job: Job, documents: Iterable[Document], options: Mapping[str, Any]
) -> dict[str, list[str]]:
    """See `add_late_chunks`; the ids of the chunks by the documents' names."""
    if "ids" in options:
        raise InvalidSettingError("ids of chunks follow from their documents': set Document.id")
    written: dict[str, list[str]] = {}
    for batch in document_batches(
        name_documents(documents, with_title=job.heading_context),
        characters=lambda named: len(named.document.text),
        batch_tokens=job.embedder.settings.batch_tokens,
    ):
        written.update(await _write_batch(calls, job, batch, options))
    return written


async def _write_batch(
    calls: Calls, job: Job, batch: Sequence[NamedDocument], options: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Write the new versions, then delete the earlier ones."""
    chunked = await calls.run(lambda: cut_documents(job, batch))
    try:
        counts = {item.document.id: len(item.chunks) for item in chunked}
        stored = await look_up(calls, counts)
    except NotImplementedError:
        stored = {}
    ids: dict[str, list[str]] = {}
    unfinished: list[str] = []
    earlier: list[str] = []
    changed: list[CutDocument] = []
    new: list[Document] = []
    for named, item in zip(batch, chunked, strict=True):
        name = named.document.id
        present = stored.get(name, StoredChunks(name))
        slot = present.slot_of(version_of(named, item))
        is_stored = slot is not None
        if slot is None:
            slot = present.free_slot
            unfinished += present.ids([slot])
        chunks = chunk_documents(named, item, slot=slot)
        if not is_stored:
            changed.append(item)
            new += chunks
        earlier += present.ids([1 - slot])
        ids[name] = [str(chunk.id) for chunk in chunks]
    vectors = await calls.late_chunk(job, changed)
    await _delete(calls, unfinished)
    rows = np.concatenate(vectors) if vectors else np.empty((0, 0), np.float32)
    for start in range(0, len(new), CHUNKS_PER_CALL):
        part = slice(start, start + CHUNKS_PER_CALL)
        prepared = PreparedVectors(jina_embeddings_of(calls.store), new[part], rows[part])
        await _write(calls, new, part, prepared, options)
    await _delete(calls, earlier)
    return ids


async def _delete(calls: Calls, ids: Sequence[str]) -> None:
    if not await calls.delete(ids):
        raise StoreError(f"{type(calls.store).__name__} failed to delete the earlier chunks")


async def _write(
    calls: Calls,
    batch: Sequence[Document],
    part: slice,
    prepared: PreparedVectors,
    options: Mapping[str, Any],
) -> None:
    """Have the store write a part of the batch with its prepared vectors.

    Raises:
        InvalidInputError: the store does not take them; what it wrote of the batch is deleted.
    """
    chunks = list(batch[part])
    ids = [str(chunk.id) for chunk in chunks]
    returned, cause = ids, None
    try:
        with prepared.handed_out():
            returned = list(await calls.call("add_documents", chunks, ids=ids, **options))
    except Exception as exc:
        if prepared.problem is None:
            raise
        cause = exc
    problem = prepared.misuse
    if problem is None and returned != ids:
        problem = f"it gave {len(ids)} chunks {len(returned)} ids other than theirs"
    if problem is not None:
        written = [str(chunk.id) for chunk in batch[: part.start]] + returned
        undone = await _undo(calls, batch, written)
        raise InvalidInputError(
            f"{type(calls.store).__name__} cannot take late-chunking vectors: {problem}. {undone}. "
            "Use late_chunk_documents, and write its vectors with the store's own client"
        ) from cause


async def _undo(calls: Calls, batch: Sequence[Document], written: list[str]) -> str:
    """Delete what a store wrote of a batch; what became of it, for an error message."""
    ids = [str(chunk.id) for chunk in batch]
    try:
        if written == ids[: len(written)]:
            # Some may not have been written, and there are stores that delete none if one lacks.
            with suppress(NotImplementedError):
                metadata = [chunk.metadata for chunk in batch]
                counts = {values["document_id"]: values["chunk_count"] for values in metadata}
                stored = await look_up(calls, counts)
                present = {name for chunks in stored.values() for name in chunks.ids()}
                written = [name for name in ids if name in present]
        if await calls.delete(written):
            return "What it wrote of these documents has been deleted"
    except NotImplementedError:
        pass
    return f"What it wrote could not be deleted: up to {len(ids)} chunks, the first {ids[0]}"


async def remove_documents(calls: Calls, names: Sequence[str], options: Mapping[str, Any]) -> bool:
    """Delete the chunks of documents; False where the store says that it has failed."""
    stored = await look_up(calls, dict.fromkeys(names, 1))
    return await calls.delete(
        [name for chunks in stored.values() for name in chunks.ids()], options
    )


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
