"""One run: the stages side by side, so that a kill at any moment loses nothing.

This thread reads documents and asks the store what it has of them. Workers cut and embed, and one
thread writes. Between them a few batches wait, so memory does not grow with the run. Documents are
taken, and `on_progress` is called, in the caller's thread only.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final

from ..errors import InvalidInputError, JinaIntegrationsError, TooManyFailuresError
from ..inputs import check_text
from ..readers.results import FailedFile, ReadResult, SkippedFile, Source
from ..stores.access import StoreAccess, lists_of
from ..stores.filters import AnyOf
from ..types import Document
from . import ledger
from .batching import document_batches
from .prune import Coverage, covers
from .report import Activity, DocumentFailure, IngestProgress, IngestReport
from .stages import Embedded, Job, Plan, Written, plan, retire, write
from .workers import Workers, broken, start_workers

__all__ = ["OnProgress", "Run"]

OnProgress = Callable[[IngestProgress], None]

_POLL_S: Final = 0.1
"""How often progress is looked at while the run waits."""

_WAITING: Final = 2
"""Batches that wait, read or embedded, beside those that the workers have."""

_LOOKED_UP: Final = 8
"""Batches that are looked up at once, at most: 2,048 documents, or two million characters."""


@dataclass(slots=True)
class _Batch:
    """A batch on its way."""

    plans: list[Plan]
    embedded: Future[Embedded]
    stored: Future[tuple[Written, int]] | None = None


class Run:
    """Takes documents, once.

    Args:
        access: The store.
        job: How documents become records.
        exists: Whether the collection is there.
        prepare: Called before the first write: makes the collection, or what it remembers right.
        prune: Whether to remove what has left the sources.
        dry_run: Whether to write nothing.
        workers: Processes that embed; 0 for a thread.
        max_failures: The run ends where more documents fail; None for no limit.
        on_progress: Called in this thread, at every forward pass or ten times a second.
    """

    def __init__(
        self,
        access: StoreAccess,
        job: Job,
        *,
        exists: bool,
        prepare: Callable[[], None],
        prune: bool,
        dry_run: bool,
        workers: int,
        max_failures: int | None,
        on_progress: OnProgress | None,
    ) -> None:
        self._access = access
        self._job = job
        self._exists = exists
        self._prepare = prepare
        self._prune = prune
        self._dry_run = dry_run
        self._processes = workers
        self._max_failures = max_failures
        self._on_progress = on_progress
        self._batch_tokens = job.embedder.settings.batch_tokens
        self._prepared = False
        self._started = time.perf_counter()
        self._coverage = Coverage()
        self._batches: deque[_Batch] = deque()
        self._emptied: list[SkippedFile] = []
        self._document_id = ""
        self._embedded = self._unchanged = self._chunks = self._dropped = 0
        self._shortened = self._tokens = self._tokens_shown = 0
        self._removed: list[str] = []
        self._failures: list[DocumentFailure] = []
        self._skipped: list[SkippedFile] = []

    def execute(self, documents: Iterable[ReadResult]) -> IngestReport:
        """Do it.

        Raises:
            JinaIntegrationsError: what ends a run; everything that was embedded before is stored,
                and the error's `report` tells of it.
        """
        batches = document_batches(
            self._accept(documents),
            characters=lambda document: len(document.text),
            batch_tokens=self._batch_tokens,
        )
        try:
            with nullcontext() if self._dry_run else self._access.writing():
                if self._dry_run:
                    for item in self._plans(batches, in_between=lambda: self._tell("reading")):
                        self._embedded += not item.is_stored
                else:
                    self._embed_and_write(batches)
                self._finish()
            self._tell("finishing")
        except JinaIntegrationsError as exc:
            exc.report = self._report()
            raise
        return self._report()

    def _embed_and_write(self, batches: Iterator[list[Document]]) -> None:
        workers = start_workers(self._job, self._processes)
        writer = ThreadPoolExecutor(1, "jina-write")
        hand_on = partial(self._advance, workers, writer, leave=workers.count + _WAITING)
        try:
            for plans in document_batches(
                self._plans(batches, in_between=hand_on),
                characters=lambda item: 0 if item.is_stored else len(item.document.text),
                batch_tokens=self._batch_tokens,
            ):
                if not self._prepared:
                    self._prepare()
                    self._prepared = self._exists = True
                pending = [(item.document, item.version) for item in plans if not item.is_stored]
                self._batches.append(_Batch(plans, workers.submit(pending)))
                hand_on()
            self._advance(workers, writer, leave=0)
        except BaseException:
            self._access.stop()
            raise
        finally:
            workers.stop()
            writer.shutdown(wait=True, cancel_futures=True)
            self._access.resume()

    def _plans(
        self, batches: Iterator[list[Document]], *, in_between: Callable[[], None]
    ) -> Iterator[Plan]:
        """The plans of the documents that something is to be done with, in order.

        A store may read through all it has for each request, as Chroma does. So where little is to
        be done, more and more batches are looked up at once.

        Args:
            batches: As read.
            in_between: Called after each batch that was read.
        """
        at_once = 1
        while True:
            documents: list[Document] = []
            for batch in islice(batches, at_once):
                documents += batch
                in_between()
            if not documents:
                return
            stored = {}
            if self._exists:
                stored = ledger.look_up(self._access, (document.id for document in documents))
            plans = plan(documents, stored, self._job.recipe)
            self._unchanged += sum(item.is_stored for item in plans)
            undone = [item for item in plans if not item.is_done]
            at_once = min(2 * at_once, _LOOKED_UP) if 2 * len(undone) < len(plans) else 1
            yield from undone

    def _advance(self, workers: Workers, writer: ThreadPoolExecutor, *, leave: int) -> None:
        """Hand on what is done, in order, until no more than `leave` batches are on their way."""
        while True:
            for batch in self._batches:
                if batch.stored is None:
                    if not batch.embedded.done():
                        break
                    embedded = self._result(batch.embedded)
                    batch.stored = writer.submit(_store, self._access, batch.plans, embedded)
            while self._batches and (stored := self._batches[0].stored) and stored.done():
                self._settle(self._batches.popleft(), *stored.result())
            self._tokens_shown += workers.tokens()
            if len(self._batches) <= leave:
                self._tell("reading")
                return
            oldest = self._batches[0]
            self._tell(self._waits_for(oldest))
            if oldest.stored is None:
                wait([oldest.embedded], timeout=_POLL_S)
            else:
                wait([oldest.stored], timeout=_POLL_S)

    def _waits_for(self, batch: _Batch) -> Activity:
        if batch.stored is not None:
            return "writing"
        first = not self._tokens_shown and self._job.embedder.backend == "local"
        return "loading the model" if first else "embedding"

    def _result(self, future: Future[Embedded]) -> Embedded:
        try:
            return future.result()
        except BrokenProcessPool as exc:
            raise broken() from exc

    def _settle(self, batch: _Batch, written: Written, dropped: int) -> None:
        embedded = batch.embedded.result()
        for failure in (*embedded.failures, *written.failures):
            self._fail(failure)
        self._embedded += len(written.chunk_counts)
        self._chunks += written.chunks
        self._dropped += dropped
        self._tokens += embedded.tokens
        self._shortened += embedded.contexts_shortened
        if embedded.fatal is not None:
            raise embedded.fatal

    def _accept(self, documents: Iterable[ReadResult]) -> Iterator[Document]:
        """The documents that can be worked on; the rest is noted."""
        for position, item in enumerate(documents):
            if isinstance(item, Source):
                self._coverage.add_source(item)
            elif isinstance(item, SkippedFile):
                self._skip(item)
            elif isinstance(item, FailedFile):
                self._coverage.add_unread(item)
                self._fail(DocumentFailure(item.path, item.error))
            elif isinstance(item, Document):  # pyright: ignore[reportUnnecessaryIsInstance]
                self._document_id = item.id
                if self._is_usable(item):
                    yield item
            else:
                raise InvalidInputError(
                    f"documents[{position}] must be a Document, not {type(item).__name__}",
                    index=position,
                )

    def _is_usable(self, document: Document) -> bool:
        if not self._coverage.add_document(document):
            self._fail(
                DocumentFailure(
                    document.id,
                    InvalidInputError(
                        "another document of this run has the same id: give each its own, since "
                        "the store keeps one document for each id"
                    ),
                )
            )
            return False
        if not document.text or document.text.isspace():
            self._skip(SkippedFile(document.id, "empty", root=document.root))
            return False
        try:
            check_text(document.text)
        except InvalidInputError as exc:
            self._fail(DocumentFailure(document.id, exc))
            return False
        return True

    def _skip(self, file: SkippedFile) -> None:
        self._skipped.append(file)
        self._coverage.add_skipped(file)
        if file.empty:
            self._emptied.append(file)

    def _fail(self, failure: DocumentFailure) -> None:
        self._failures.append(failure)
        if self._max_failures is not None and len(self._failures) > self._max_failures:
            raise TooManyFailuresError(
                f"{len(self._failures)} documents failed, and max_failures is "
                f"{self._max_failures}; the last: {failure.document_id}: {failure.error}"
            ) from failure.error

    def _finish(self) -> None:
        """Remove what is empty now and what has left."""
        if not self._exists:
            return
        access = self._access
        self._remove(access.patiently(lambda: self._stored_of_emptied(access)))
        if self._prune:
            self._tell("pruning")
            self._remove(access.patiently(lambda: self._coverage.departed(access)))
        self._tell("finishing")

    def _remove(self, names: Iterable[str]) -> None:
        self._removed = sorted({*self._removed, *names})
        if not self._dry_run:
            self._dropped += ledger.remove(self._access, names)

    def _stored_of_emptied(self, access: StoreAccess) -> list[str]:
        """Stored documents of files that are empty now: the file's own, and its records."""
        files: dict[str, list[SkippedFile]] = defaultdict(list)
        for file in self._emptied:
            files[file.path].append(file)
        stored = ledger.look_up(access, files)
        names = [
            name
            for name, document in stored.items()
            if any(covers(file, document.root, name) for file in files[name])
        ]
        of_readers = (path for path, same in files.items() if any(file.root for file in same))
        for paths in lists_of(of_readers, access.capabilities.max_values):
            for record in access.scan((AnyOf("source", tuple(paths)),)):
                path = str(record.chunk.metadata["source"])
                if any(covers(file, record.root, record.chunk.document_id) for file in files[path]):
                    names.append(record.chunk.document_id)
        return names

    def _tell(self, activity: Activity) -> None:
        if self._on_progress is None:
            return
        progress = IngestProgress(
            activity=activity,
            document_id=self._document_id,
            embedded=self._embedded,
            unchanged=self._unchanged,
            failed=len(self._failures),
            skipped=len(self._skipped),
            chunks=self._chunks,
            tokens=max(self._tokens, self._tokens_shown),
            seconds=time.perf_counter() - self._started,
        )
        self._on_progress(progress)

    def _report(self) -> IngestReport:
        return IngestReport(
            documents_embedded=self._embedded,
            documents_unchanged=self._unchanged,
            documents_removed=tuple(self._removed),
            failures=tuple(self._failures),
            skipped=tuple(self._skipped),
            chunks_written=self._chunks,
            chunks_dropped=self._dropped,
            contexts_shortened=self._shortened,
            tokens=self._tokens,
            seconds=time.perf_counter() - self._started,
            dry_run=self._dry_run,
        )


def _store(access: StoreAccess, plans: list[Plan], embedded: Embedded) -> tuple[Written, int]:
    """New before old: the chunks of earlier versions go when the new ones are durable."""
    written = write(access, embedded.documents)
    return written, retire(access, plans, written)
