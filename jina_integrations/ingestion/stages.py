"""What happens to a batch of documents: plan, chunk, embed, write, retire.

`plan`, `chunk` and `embed` depend on nothing but their arguments, and take and give plain values
that can be pickled; so they run in this thread, in others, in processes or on a cluster alike.
`write` and `retire` change the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import PurePath

from ..chunkers.base import Chunker
from ..embedding.call import Collected
from ..embedding.embedder import Embedder
from ..errors import InvalidInputError, JinaIntegrationsError, RootConflictError
from ..inputs import check_spans
from ..recipe import Recipe
from ..stores.access import StoreAccess
from ..types import Chunk, Document, FloatArray, Record, Vectors
from . import ledger
from .isolation import is_of_input, isolate
from .ledger import StoredDocument
from .report import DocumentFailure
from .request import ChunkedDocument, Request, make_request, vectors_by_document

__all__ = [
    "ChunkedDocument",
    "Embedded",
    "Job",
    "Plan",
    "Written",
    "chunk",
    "chunk_document",
    "embed",
    "plan",
    "retire",
    "write",
]

OnTokens = Callable[[int], None]


@dataclass(frozen=True)
class Job:
    """How documents become records. Picklable, without the embedder's key.

    Attributes:
        embedder: Makes the vectors.
        chunker: Cuts the documents.
        heading_context: Whether title and headings are embedded in front of each chunk.
        late_chunking: Whether whole documents are encoded, or each chunk by itself; None as the
            embedder says.
    """

    embedder: Embedder
    chunker: Chunker
    heading_context: bool = False
    late_chunking: bool | None = None

    @cached_property
    def recipe(self) -> Recipe:
        """Everything that decides chunks and vectors."""
        return Recipe.of(
            self.embedder,
            self.chunker,
            heading_context=self.heading_context,
            late_chunking=self.late_chunking,
        )

    def __getstate__(self) -> dict[str, object]:
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with a document.

    Attributes:
        document: The document.
        version: Its version by the recipe.
        is_stored: Whether the store has all of that version, so that nothing is to be embedded.
        is_mended: Whether the store has a part of it.
        stale: Its other versions that the store has.
        partial: Those of them of which chunks are missing, as a killed run leaves them.
    """

    document: Document
    version: str
    is_stored: bool = False
    is_mended: bool = False
    stale: frozenset[str] = frozenset()
    partial: frozenset[str] = frozenset()

    @property
    def is_done(self) -> bool:
        """Whether nothing is to be embedded, and nothing deleted."""
        return self.is_stored and not self.stale


@dataclass(slots=True)
class Embedded:
    """What became of a batch.

    Attributes:
        documents: Of each document that succeeded all records, in order.
        failures: The documents that failed.
        fatal: What ends the run, since no document is to blame. What is in `documents` can be
            written all the same.
        tokens: Tokens encoded.
        contexts_shortened: See `IngestReport`.
    """

    documents: list[list[Record]] = field(default_factory=list[list[Record]])
    failures: list[DocumentFailure] = field(default_factory=list[DocumentFailure])
    fatal: JinaIntegrationsError | None = None
    tokens: int = 0
    contexts_shortened: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """What a store was given.

    Attributes:
        chunk_counts: How many chunks each document has, by id.
        failures: Documents that it refused.
        chunks: Chunks written.
    """

    chunk_counts: dict[str, int]
    failures: list[DocumentFailure]

    @property
    def chunks(self) -> int:
        """Chunks written."""
        return sum(self.chunk_counts.values())


def plan(
    documents: Sequence[Document], stored: Mapping[str, StoredDocument], recipe: Recipe
) -> list[Plan]:
    """What is to be done with each of the documents, of which the store has this.

    Raises:
        RootConflictError: a document would replace one from another folder.
    """
    return [_plan(document, stored.get(document.id), recipe) for document in documents]


def _plan(document: Document, present: StoredDocument | None, recipe: Recipe) -> Plan:
    version = recipe.version(document)
    if present is None:
        return Plan(document, version)
    _check_root(document, present.root)
    is_stored = version in present.complete and document.root == present.root
    stale = present.versions - {version}
    return Plan(
        document,
        version,
        is_stored=is_stored,
        is_mended=version in present.versions and not is_stored,
        stale=stale,
        partial=stale - present.complete,
    )


def _check_root(document: Document, stored_root: str) -> None:
    root = document.root
    named = bool(root) and not PurePath(root).is_absolute()
    if root == stored_root or (named and PurePath(stored_root).name == root):
        return
    here = f"this one comes from {root}" if root else "this one comes from no folder"
    there = f"from {stored_root}" if stored_root else "as a document from no folder"
    raise RootConflictError(
        f"document {document.id!r:.200} is stored {there}, and {here}: it would replace the other "
        "one. Give this folder a name of its own with read_documents(…, root='NAME') or --root "
        f"NAME; if it is the same folder in another place, name it {PurePath(root).name!r}"
    )


def chunk(
    job: Job, pending: Sequence[tuple[Document, str]]
) -> tuple[list[ChunkedDocument], list[DocumentFailure]]:
    """The documents cut into chunks, and those that cannot be."""
    failures: list[DocumentFailure] = []
    chunked = isolate(
        pending,
        lambda items: [
            ChunkedDocument(document, version, chunk_document(job, document))
            for document, version in items
        ],
        on_failure=lambda item, exc: failures.append(DocumentFailure(item[0].id, exc)),
    )
    return chunked, failures


def chunk_document(job: Job, document: Document) -> Sequence[Chunk]:
    """The document's chunks, checked against its text; at least one.

    Raises:
        InvalidInputError: the chunker gave none, or one that is not where it says.
    """
    chunks = job.chunker.chunk(document, job.embedder.tokenizer)
    name = type(job.chunker).__name__
    if not chunks:
        raise InvalidInputError(f"{name} gave no chunk of its text")
    check_spans(document.text, [(item.start, item.end) for item in chunks])
    for index, item in enumerate(chunks):
        if item.index != index or item.text != document.text[item.start : item.end]:
            raise InvalidInputError(
                f"{name}: chunk {index} is not text[{item.start}:{item.end}] with the index {index}"
            )
        if item.document_id != document.id:
            raise InvalidInputError(
                f"{name}: chunk {index} names another document, {item.document_id!r:.80}"
            )
    return chunks


def embed(
    job: Job, chunked: Sequence[ChunkedDocument], *, on_tokens: OnTokens | None = None
) -> Embedded:
    """The records of documents that were cut into chunks, all of them embedded together.

    A document with a chunk that cannot be embedded is left out, and costs the others nothing.

    Args:
        job: How.
        chunked: May be empty.
        on_tokens: Called with the tokens of each forward pass.
    """
    embedded = Embedded()
    if not chunked:
        return embedded
    before = job.embedder.usage.tokens
    try:
        request = make_request(
            chunked,
            embedder=job.embedder,
            heading_context=job.heading_context,
            late_chunking=job.late_chunking,
        )
        embedded.contexts_shortened = request.contexts_shortened
        collected = _ask(job.embedder, request, on_tokens)
        vectors, errors = vectors_by_document(
            request, chunked, collected.vectors, collected.failures
        )
    except JinaIntegrationsError as exc:
        embedded.fatal = exc
        return embedded
    finally:
        embedded.tokens = job.embedder.usage.tokens - before
    for number, error in errors.items():
        if is_of_input(error):
            embedded.failures.append(DocumentFailure(chunked[number].document.id, error))
        else:
            embedded.fatal = embedded.fatal or error
    alive = (item for number, item in enumerate(chunked) if number not in errors)
    embedded.documents = [_records(item, rows) for item, rows in zip(alive, vectors, strict=True)]
    return embedded


def _records(item: ChunkedDocument, vectors: FloatArray) -> list[Record]:
    return [
        Record(
            chunk=piece,
            version=item.version,
            chunk_count=len(item.chunks),
            vectors=Vectors(dense=vector),
            root=item.document.root,
        )
        for piece, vector in zip(item.chunks, vectors, strict=True)
    ]


def _ask(
    embedder: Embedder, request: Request, on_tokens: OnTokens | None
) -> Collected[FloatArray] | Collected[list[FloatArray]]:
    if request.spans is None:
        return embedder.embed(
            request.texts, task="passage", on_error="collect", on_progress=on_tokens
        )
    return embedder.embed_chunks(
        request.texts, request.spans, on_error="collect", on_progress=on_tokens
    )


def write(access: StoreAccess, documents: Sequence[list[Record]]) -> Written:
    """Store all records of some documents; durable when this returns.

    A document that the store refuses is left out, and costs the others nothing.

    Raises:
        StoreError: the store failed.
    """
    failures: list[DocumentFailure] = []

    def store(items: Sequence[list[Record]]) -> list[tuple[str, int]]:
        access.write([record for records in items for record in records])
        return [(records[0].chunk.document_id, len(records)) for records in items]

    written = isolate(
        documents,
        store,
        on_failure=lambda records, exc: failures.append(
            DocumentFailure(records[0].chunk.document_id, exc)
        ),
    )
    return Written(dict(written), failures)


def retire(access: StoreAccess, plans: Sequence[Plan], written: Written) -> int:
    """Delete what the store has of a batch beside its present versions; how many chunks.

    A document that failed keeps its old version, if that is whole. Versions that were not there
    when the batch was planned are left alone: another run may be writing them.
    """
    counts = written.chunk_counts
    doomed = [
        (item.document.id, version)
        for item in plans
        for version in (
            item.stale if item.is_stored or item.document.id in counts else item.partial
        )
    ]
    beyond = {
        item.document.id: (item.version, counts[item.document.id])
        for item in plans
        if item.is_mended and item.document.id in counts
    }
    return ledger.retire(access, doomed, beyond=beyond)
