"""Documents into a store, in batches, so that a kill at any moment loses nothing."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from ..chunkers.base import Chunker
from ..embedder import Embedder
from ..errors import InvalidInputError, JinaIntegrationsError
from ..identity import document_version
from ..readers.results import FailedFile, ReadResult, SkippedFile
from ..stores.base import Store
from ..texts import check_text
from ..types import Document, EmbeddedChunk
from .batching import document_batches
from .collection import open_collection
from .embedding import ChunkedDocument, chunk_document, embed_documents
from .isolation import is_of_input, isolate
from .report import DocumentFailure, IngestProgress, IngestReport

__all__ = ["ingest"]


def ingest(
    documents: Iterable[ReadResult],
    *,
    embedder: Embedder,
    chunker: Chunker,
    store: Store,
    batch_documents: int = 256,
    on_progress: Callable[[IngestProgress], None] | None = None,
) -> IngestReport:
    """Chunk, embed and store documents, but for those that the store has complete already.

    Documents are taken lazily, a batch at a time. Of each batch the store is asked what is
    complete at the present version of text, metadata, chunker and embedder; the others are
    embedded and written, and only then their older versions dropped. A run that is killed at any
    moment is completed by the next. A bad document is reported, keeps its old version in the
    store, and does not stop the others. Documents that no longer come are not deleted.

    Args:
        documents: With unique ids; also takes all that `read_documents` gives, where failed files
            become failures and skipped ones are listed.
        embedder: With `late_chunking` whole documents are encoded, else each chunk by itself.
        chunker: Cuts the documents.
        store: The collection; made where it does not exist.
        batch_documents: Documents in a batch at most; it also ends at about
            128 * `batch_tokens` characters.
        on_progress: Called after each batch, in this thread.

    Raises:
        FingerprintMismatchError: the collection was filled with other settings.
        InvalidInputError: an item is no document, or a setting does not fit the model.
        ModelError: the model cannot be loaded or used as asked.
        ApiError: the service failed for good, or refused the key. What was embedded is stored.
        StoreError: the store failed. What was written stays valid.
    """
    run = _Run(embedder, chunker, store)
    batches = document_batches(
        run.accept(documents),
        characters=lambda document: len(document.text),
        embedder=embedder,
        batch_documents=batch_documents,
    )
    open_collection(store, embedder)
    for batch in batches:
        run.finish(batch)
        if on_progress is not None:
            on_progress(run.progress())
    if on_progress is not None:
        on_progress(run.progress())
    return run.report()


class _Run:
    """One call of `ingest`: what it works with and what it has counted."""

    def __init__(self, embedder: Embedder, chunker: Chunker, store: Store) -> None:
        self._embedder = embedder
        self._chunker = chunker
        self._chunker_settings = chunker.to_dict()
        self._store = store
        self._started = time.perf_counter()
        self._tokens_before = embedder.usage.tokens
        self._seen: set[bytes] = set()
        self._embedded = self._unchanged = self._written = self._dropped = 0
        self._failures: list[DocumentFailure] = []
        self._skipped: list[SkippedFile] = []

    def accept(self, documents: Iterable[ReadResult]) -> Iterator[Document]:
        """The documents that can be worked on; the rest is noted."""
        for position, item in enumerate(documents):
            if isinstance(item, SkippedFile):
                self._skipped.append(item)
            elif isinstance(item, FailedFile):
                self._fail(item.path, item.error)
            elif isinstance(item, Document):  # pyright: ignore[reportUnnecessaryIsInstance]
                try:
                    self._check(item)
                except InvalidInputError as exc:
                    self._fail(item.id, exc)
                else:
                    yield item
            else:
                raise InvalidInputError(
                    f"documents[{position}] must be a Document, not {type(item).__name__}",
                    index=position,
                )

    def finish(self, batch: Sequence[Document]) -> None:
        """Everything for one batch; on return all of it is durable."""
        versions = {
            document.id: document_version(
                document,
                chunker=self._chunker_settings,
                embedder_fingerprint=self._embedder.fingerprint,
            )
            for document in batch
        }
        complete = self._store.find_complete(versions)
        self._unchanged += len(complete)
        chunked = [
            own
            for document in batch
            if document.id not in complete
            for own in self._chunk(document, versions[document.id])
        ]
        fatal: list[JinaIntegrationsError] = []

        def fail(own: ChunkedDocument, error: JinaIntegrationsError) -> None:
            if is_of_input(error):
                self._fail(own.document.id, error)
            else:
                fatal.append(error)

        embedded = embed_documents(chunked, embedder=self._embedder, on_failure=fail)
        written = isolate(
            embedded,
            self._write,
            on_failure=lambda chunks, exc: self._fail(chunks[0].chunk.document_id, exc),
        )
        self._embedded += len(written)
        # Also those that were complete before: a run may have been killed just before this line.
        self._dropped += self._store.drop_stale(
            {name: versions[name] for name in [*complete, *written]}
        )
        if fatal:  # only now, so that what was embedded before is kept
            raise fatal[0]

    def _chunk(self, document: Document, version: str) -> list[ChunkedDocument]:
        """The document with its chunks; nothing where it has failed."""
        return isolate(
            [document],
            lambda _: [
                chunk_document(document, version, chunker=self._chunker, embedder=self._embedder)
            ],
            on_failure=lambda _, exc: self._fail(document.id, exc),
        )

    def _write(self, documents: Sequence[list[EmbeddedChunk]]) -> list[str]:
        """Store all chunks of the documents; the documents' ids."""
        chunks = [chunk for own in documents for chunk in own]
        self._store.write(chunks)
        self._written += len(chunks)
        return [own[0].chunk.document_id for own in documents]

    def _check(self, document: Document) -> None:
        digest = hashlib.blake2b(document.id.encode(), digest_size=16).digest()
        if digest in self._seen:
            raise InvalidInputError(
                "another document of this run has the same id: give each its own, since the store "
                "keeps one document for each id"
            )
        self._seen.add(digest)
        check_text(document.text)

    def _fail(self, document_id: str, error: JinaIntegrationsError) -> None:
        self._failures.append(DocumentFailure(document_id, error))

    def progress(self) -> IngestProgress:
        """How far the run is."""
        return IngestProgress(
            embedded=self._embedded,
            unchanged=self._unchanged,
            failed=len(self._failures),
            skipped=len(self._skipped),
            chunks=self._written,
            tokens=self._embedder.usage.tokens - self._tokens_before,
            seconds=time.perf_counter() - self._started,
        )

    def report(self) -> IngestReport:
        """What the run did."""
        progress = self.progress()
        return IngestReport(
            documents_embedded=progress.embedded,
            documents_unchanged=progress.unchanged,
            failures=tuple(self._failures),
            skipped=tuple(self._skipped),
            chunks_written=progress.chunks,
            chunks_dropped=self._dropped,
            tokens=progress.tokens,
            seconds=progress.seconds,
        )
