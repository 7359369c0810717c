"""A collection in a store, with the recipe that fills it: what people ingest into and search."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import islice
from types import NoneType, TracebackType
from typing import TYPE_CHECKING, Final, Self

from .arguments import check_ids, check_ingest, check_question, check_type
from .chunkers import Chunker
from .contents import CollectionSummary, DocumentEntry
from .embedding.embedder import Embedder
from .ingestion import ledger
from .recipe import Recipe
from .reopening import access_to, choose_cuts, embedder_of, refuse, tell
from .stores import CollectionInfo, Filters, Store
from .stores.filters import AnyOf, parse_filters
from .types import Hit

if TYPE_CHECKING:
    from .ingestion.driver import OnProgress
    from .ingestion.report import IngestReport
    from .ingestion.verify import VerifyReport
    from .readers.results import ReadResult

__all__ = ["Collection"]

_FIRST: Final = AnyOf("chunk_index", (0,))
_ENTRIES_PER_TURN: Final = 256


class Collection:
    """A collection in a store, with the embedder and the chunker that fill it.

    ::

        handbook = Collection("qdrant-edge:./index#handbook", embedder=Embedder("minilm"))
        handbook.ingest(read_documents(["docs"]))
        hits = handbook.search("How do I resume a run?")

    Nothing is connected or loaded before the first call; then model and connection stay. It is
    thread-safe. Every method that waits has an async twin, with an ``a`` in front. Use it as a
    context manager, or call `close`.

    Args:
        store: An address such as ``"qdrant-edge:./index#handbook"``, or a `Store`, which stays
            yours to close.
        embedder: Makes the vectors.
        chunker: Cuts documents; None takes the collection's, and `SentenceChunker` for a new one.
        heading_context: Whether a document's title and the headings above a chunk are embedded in
            front of it; the stored chunk stays as it is. None takes the collection's, else False.
        total_timeout_s: Seconds that a call to the store may take with all repetitions, while its
            server is away.

    Raises:
        InvalidInputError: an argument has the wrong type.
        InvalidSettingError: the address is malformed, or there is no such store.
        MissingExtraError: the store's library is not installed.
    """

    def __init__(
        self,
        store: str | Store,
        *,
        embedder: Embedder,
        chunker: Chunker | None = None,
        heading_context: bool | None = None,
        total_timeout_s: float = 300.0,
    ) -> None:
        check_type("embedder", embedder, Embedder, "an Embedder")
        check_type("chunker", chunker, (Chunker, NoneType), "a Chunker like SentenceChunker(256)")
        check_type("heading_context", heading_context, (bool, NoneType), "True or False")
        self._access = access_to(store, total_timeout_s)
        self._closes_store = isinstance(store, str)
        self._embedder: Embedder | None = embedder
        self._base_url: str | None = None
        self._chunker = chunker
        self._heading_context = heading_context
        self._compared: CollectionInfo | None = None

    @classmethod
    def open(
        cls,
        store: str | Store,
        *,
        embedder: Embedder | None = None,
        base_url: str | None = None,
        total_timeout_s: float = 300.0,
    ) -> Self:
        """The collection as it was filled. Its embedder is made at need, so any can be dropped.

        Args:
            store: See the class.
            embedder: One that is at hand; must have the collection's fingerprint. None makes one
                by the recipe, on whatever device is here.
            base_url: The server to embed with, for a collection that was filled through one. A
                collection never chooses where texts and keys are sent, nor which key.
            total_timeout_s: See the class.

        Raises:
            StoreError: there is no such collection, or it failed.
        """
        check_type("embedder", embedder, (Embedder, NoneType), "an Embedder")
        check_type(
            "base_url", base_url, (str, NoneType), "a URL such as 'http://127.0.0.1:8000/v1'"
        )
        collection = cls.__new__(cls)
        collection._access = access_to(store, total_timeout_s)
        collection._closes_store = isinstance(store, str)
        collection._embedder = embedder
        collection._base_url = base_url
        collection._chunker = collection._heading_context = None
        collection._compared = None
        try:
            _ = collection._access.info
        except BaseException:
            collection.close()
            raise
        return collection

    @property
    def name(self) -> str:
        """Store, collection and place, as messages name them."""
        return self._access.name

    @property
    def embedder(self) -> Embedder:
        """Makes the vectors; after `open`, by the recipe.

        Raises:
            RecipeMismatchError: another version of this package wrote the recipe.
            ModelLoadError: the recipe runs code of the model's repository, or names a server, and
                the caller of `open` does not.
        """
        if self._embedder is None:
            self._embedder = embedder_of(self._stored_recipe(), self._base_url)
        return self._embedder

    def ingest(
        self,
        documents: Iterable[ReadResult],
        *,
        prune: bool = False,
        dry_run: bool = False,
        workers: int = 0,
        max_failures: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> IngestReport:
        """Chunk, embed and store documents, but for those that are stored complete already.

        Stop it at any time and run it again: it does what is left. Documents are taken lazily. A
        new version of a document is complete in the store before the old one is deleted. A bad
        document is reported, keeps its old version, and does not stop the others.

        Args:
            documents: With unique ids; also takes all that `read_documents` gives, where failed
                files become failures, skipped ones are listed, and emptied ones lose their chunks.
            prune: Whether to remove stored documents that have left the sources of this run: the
                folders and files that were read, or, of documents made by hand, all of those.
            dry_run: Whether to write nothing, and only report what would be done.
            workers: Processes that cut and embed, each with a model of its own, and a GPU of its
                own as far as they go; 0 does it in a thread of this process.
            max_failures: The run ends where more documents fail; None for no limit.
            on_progress: Called in this thread, some times a second.

        Raises:
            RecipeMismatchError: the collection was filled with other settings; nothing is written.
            RootConflictError: a document would replace one from another folder.
            InvalidInputError: an item is no document, or an argument has the wrong type.
            TooManyFailuresError: see `max_failures`.
            ModelError: the model cannot be loaded or used as asked.
            ApiError: the service failed for good, or refused the key. What was embedded is stored.
            StoreError: the store failed. What was written stays valid.
        """
        from .ingestion.driver import Run
        from .ingestion.stages import Job
        from .ingestion.verify import probe

        check_ingest(
            documents,
            flags={"prune": prune, "dry_run": dry_run},
            workers=workers,
            max_failures=max_failures,
            on_progress=on_progress,
        )
        stored = self._access.describe()
        before = None if stored is None else Recipe.from_dict(stored.recipe, where=self.name)
        cuts = choose_cuts(self._chunker, self._heading_context, before, self.name)
        job = Job(self.embedder, *cuts)
        recipe = job.recipe
        if stored is not None:
            self._compare_documents(recipe, stored)
            if not dry_run:
                probe(self._access)

        def prepare() -> None:
            info = CollectionInfo(recipe.to_dict(), {"dense": job.embedder.dimensions})
            if stored is None or before is None:
                self._compare_documents(recipe, self._access.create(info))
            else:
                tell(recipe.new_cuts(before), self.name)
                merged = recipe.merged(before)
                if merged != before:
                    self._access.remember(CollectionInfo(merged.to_dict(), stored.dimensions))

        run = Run(
            self._access,
            job,
            exists=stored is not None,
            prepare=prepare,
            prune=prune,
            dry_run=dry_run,
            workers=workers,
            max_failures=max_failures,
            on_progress=on_progress,
        )
        report = run.execute(documents)
        if report.chunks_written:
            self._access.advise()
        return report

    def search(self, question: str, *, k: int = 5, filters: Filters | None = None) -> list[Hit]:
        """The chunks nearest to a question, best first.

        Args:
            question: Embedded as a query.
            k: How many at most, from 1.
            filters: Metadata that hits must have, e.g. ``{"language": "de"}``, see `Filters`.

        Raises:
            InvalidInputError: the question is no text, `k` is below 1, or a filter means nothing.
            UnsupportedByStoreError: the store has no such filter.
            CollectionNotFoundError: there is no such collection.
            RecipeMismatchError: the collection was filled with other settings.
            StoreError: the store failed.
        """
        check_question(question)
        conditions = parse_filters(filters)
        self._compare_questions()
        (vector,) = self.embedder.embed_queries([question])
        return self._access.search(vector, k=k, where=conditions)

    def delete(self, document_ids: Sequence[str]) -> int:
        """Delete documents with all their chunks; how many chunks. Unknown ids delete nothing.

        Raises:
            InvalidInputError: `document_ids` is no list of text.
            StoreError: there is no such collection, or it failed; deleting again does the rest.
        """
        ids = check_ids(document_ids)
        _ = self._access.info
        with self._access.writing():
            return ledger.remove(self._access, ids)

    def documents(self, *, filters: Filters | None = None) -> Iterator[DocumentEntry]:
        """The stored documents, in any order, a few at a time in memory.

        Args:
            filters: Metadata that they must have.

        Raises:
            InvalidInputError: a filter means nothing.
            StoreError: there is no such collection, or it failed.
        """
        conditions = parse_filters(filters)
        _ = self._access.info
        return (
            DocumentEntry(
                record.chunk.document_id,
                record.chunk_count,
                record.root,
                record.version,
                record.chunk.metadata,
            )
            for record in self._access.scan((*conditions, _FIRST))
        )

    def verify(self, *, repair: bool = False) -> VerifyReport:
        """Read the whole collection and report what is wrong with it.

        Args:
            repair: Delete chunks that belong to no whole version, and documents that are not whole
                or not found; the report lists those to ingest again.

        Raises:
            StoreError: there is no such collection, or it failed.
        """
        from .ingestion.verify import verify

        check_type("repair", repair, bool, "True or False")
        _ = self._access.info
        with self._access.writing() if repair else nullcontext():
            return verify(self._access, repair=repair)

    def info(self) -> CollectionSummary:
        """What the collection holds, and the recipe that filled it; errors as of `documents`."""
        return CollectionSummary(
            self.name, self._access.count((_FIRST,)), self._access.count(), self._stored_recipe()
        )

    def drop(self) -> None:
        """Remove the collection from the store, with all it holds. There is no way back."""
        self._access.drop()

    def close(self) -> None:
        """Release the store's files and connections, if an address opened them. Safe to repeat."""
        if self._closes_store:
            self._access.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}, embedder={self._embedder!r})"

    async def aingest(
        self,
        documents: Iterable[ReadResult],
        *,
        prune: bool = False,
        dry_run: bool = False,
        workers: int = 0,
        max_failures: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> IngestReport:
        """`ingest` in a thread, in which the documents are taken and `on_progress` is called.

        A task that is cancelled ends the run, and has ended it when it gets away.
        """
        from .ingestion.background import ingest_in_thread

        work = partial(self.ingest, documents, prune=prune, dry_run=dry_run, workers=workers)
        work = partial(work, max_failures=max_failures)
        return await ingest_in_thread(work, on_progress)

    async def asearch(
        self, question: str, *, k: int = 5, filters: Filters | None = None
    ) -> list[Hit]:
        """`search`, without blocking the event loop."""
        check_question(question)
        conditions = parse_filters(filters)
        await asyncio.to_thread(self._compare_questions)
        (vector,) = await self.embedder.aembed_queries([question])
        return await asyncio.to_thread(self._access.search, vector, k=k, where=conditions)

    async def adelete(self, document_ids: Sequence[str]) -> int:
        """`delete`, without blocking the event loop."""
        return await asyncio.to_thread(self.delete, document_ids)

    async def adocuments(self, *, filters: Filters | None = None) -> AsyncIterator[DocumentEntry]:
        """`documents`, without blocking the event loop."""
        entries = await asyncio.to_thread(lambda: self.documents(filters=filters))
        while part := await asyncio.to_thread(lambda: list(islice(entries, _ENTRIES_PER_TURN))):
            for entry in part:
                yield entry

    async def averify(self, *, repair: bool = False) -> VerifyReport:
        """`verify`, without blocking the event loop."""
        return await asyncio.to_thread(self.verify, repair=repair)

    async def ainfo(self) -> CollectionSummary:
        """`info`, without blocking the event loop."""
        return await asyncio.to_thread(self.info)

    async def adrop(self) -> None:
        """`drop`, without blocking the event loop."""
        await asyncio.to_thread(self.drop)

    def _stored_recipe(self) -> Recipe:
        return Recipe.from_dict(self._access.info.recipe, where=self.name)

    def _compare_documents(self, recipe: Recipe, info: CollectionInfo) -> None:
        """Refuse documents of another recipe."""
        stored = Recipe.from_dict(info.recipe, where=self.name)
        refuse(recipe.drift(stored), self.name, "ingest with these")
        self._compared = info

    def _compare_questions(self) -> None:
        """Refuse questions of another recipe, also where another process has refilled it since."""
        info = self._access.info
        if info != self._compared:
            stored = Recipe.from_dict(info.recipe, where=self.name)
            drift = Recipe.of_questions(self.embedder).vector_drift(stored)
            refuse(drift, self.name, "use Collection.open, which takes these")
            self._compared = info
