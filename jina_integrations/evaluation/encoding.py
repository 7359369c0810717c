"""Every vector that a grid needs, each text encoded once for all configurations that share it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from ..backends.windows import window_and_overlap
from ..embedding.embedder import Embedder
from ..errors import (
    InvalidInputError,
    InvalidSettingError,
    JinaIntegrationsError,
    LateChunkingUnsupportedError,
)
from ..ingestion.batching import document_batches
from ..ingestion.report import DocumentFailure
from ..ingestion.request import make_request
from ..ingestion.stages import ChunkedDocument, Job, chunk_document, embed
from ..inputs import check_text
from ..settings import Precision
from ..types import Chunk, FloatArray, Record
from .grid import Configuration, Grid, Window
from .questions import QuestionSet

__all__ = ["Encoded", "Encoding", "EvaluationProgress", "encode"]


@dataclass(frozen=True, slots=True)
class EvaluationProgress:
    """How far an evaluation is.

    Attributes:
        step: What is being done, e.g. ``"isolated chunks of sentence:256"``.
        done: Documents, questions or configurations of this step that are done.
        total: All of this step.
        tokens: Tokens encoded since the start.
        seconds: Wall time since the start.
    """

    step: str
    done: int
    total: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Encoding:
    """One pass over all documents, cut by one chunker.

    Attributes:
        chunker: Its name.
        precision: See `Configuration`.
        context_weight: 0 embeds each chunk alone, 1 is late chunking; what is in between mixes
            both.
        window: Of late chunking, its tokens and its overlap; both None where there is none.
        heading_context: See `Configuration`.
    """

    chunker: str
    precision: Precision | None
    context_weight: float
    window: Window
    heading_context: bool


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What the configurations of a grid are made of.

    Attributes:
        question_set: Without the documents that failed.
        chunks: For each chunker its chunks, all documents in order.
        questions: For each precision the vectors of the questions, in order.
        encodings: For each configuration what its vectors are made of: nothing for BM25, one
            encoding, or isolated chunks and late chunking, to be mixed.
        vectors: For each encoding one vector for each of its chunker's chunks.
        tokens: What each encoding costs when a store is filled with it alone.
        failures: The documents that failed.
        tokens_encoded: By all encodings and questions together.
    """

    question_set: QuestionSet
    chunks: Mapping[str, tuple[Chunk, ...]]
    questions: Mapping[Precision | None, FloatArray]
    encodings: Mapping[Configuration, tuple[Encoding, ...]]
    vectors: Mapping[Encoding, FloatArray]
    tokens: Mapping[Encoding, int]
    failures: tuple[DocumentFailure, ...]
    tokens_encoded: int


def encode(
    question_set: QuestionSet,
    *,
    embedder: Embedder,
    grid: Grid,
    on_progress: Callable[[EvaluationProgress], None] | None,
) -> Encoded:
    """Encode the questions, the chunks of each chunker, and each document once for each window.

    A document that fails anywhere is left out everywhere, so that all configurations are measured
    on the same documents.

    Raises:
        InvalidSettingError: the model or the embedder has no such dimensions.
        LateChunkingUnsupportedError: the grid has late chunking, and the model does not.
        InvalidInputError: a question cannot be embedded, or none is left.
        JinaIntegrationsError: the model or service failed.
    """
    _check(embedder, grid)
    return _Run(question_set, embedder, grid, on_progress).encoded()


def _check(embedder: Embedder, grid: Grid) -> None:
    for dimensions in grid.dimensions:
        if dimensions is None:
            continue
        embedder.card.check_dimensions(dimensions)
        if dimensions > embedder.dimensions:
            raise InvalidSettingError(
                f"dimensions: the embedder's vectors have {embedder.dimensions} values, so they "
                f"cannot be cut to {dimensions}: give it no dimensions of its own"
            )
    if embedder.card.late_chunking is None and any(grid.context_weights):
        raise LateChunkingUnsupportedError(
            f"{embedder.card.id} has no late chunking (it pools the {embedder.card.pooling} "
            "token, or is served without): evaluate it with context_weights=[0.0], on the command "
            "line --context-weights 0"
        )


class _Run:
    """One call of `encode`: what it works with, and what it has counted."""

    def __init__(
        self,
        question_set: QuestionSet,
        embedder: Embedder,
        grid: Grid,
        on_progress: Callable[[EvaluationProgress], None] | None,
    ) -> None:
        self._set = question_set
        self._embedder = embedder
        self._grid = grid
        self._on_progress = on_progress
        self._failures: dict[str, JinaIntegrationsError] = {}
        self._tokens = 0
        self._started = time.perf_counter()

    def encoded(self) -> Encoded:
        configurations = self._grid.configurations
        dense = [item for item in configurations if item.retrieval != "bm25"]
        precisions: dict[Precision | None, None] = {
            configuration.precision: None for configuration in dense
        }
        questions: dict[Precision | None, FloatArray] = {
            precision: self._questions(precision) for precision in precisions
        }
        names = dict.fromkeys(configuration.chunker for configuration in configurations)
        chunked = {name: self._chunk(name) for name in names}
        encodings = self._encodings(configurations, chunked)
        needed = list(dict.fromkeys(chain.from_iterable(encodings.values())))
        left = self._left()
        vectors: dict[Encoding, dict[str, FloatArray]] = {}
        tokens: dict[Encoding, int] = {}
        for group in self._groups(needed):
            before = self._tokens
            vectors |= self._documents(group, chunked)
            tokens |= dict.fromkeys(group, self._tokens - before)
            left = self._left()
        asked = {question.id for question in left.questions}
        kept = [question.id in asked for question in self._set.questions]
        alive = [document.id for document in left.documents]
        return Encoded(
            question_set=left,
            chunks={
                name: tuple(chunk for key in alive for chunk in documents[key].chunks)
                for name, documents in chunked.items()
            },
            questions={precision: rows[kept] for precision, rows in questions.items()},
            encodings=encodings,
            vectors={
                encoding: np.concatenate([rows[key] for key in alive])
                for encoding, rows in vectors.items()
            },
            tokens=tokens,
            failures=tuple(DocumentFailure(name, error) for name, error in self._failures.items()),
            tokens_encoded=self._tokens,
        )

    def _questions(self, precision: Precision | None) -> FloatArray:
        """One row for each question of the whole set."""
        texts = [question.text for question in self._set.questions]
        self._report("questions", 0, len(texts))
        embedder = self._variant(precision)
        try:
            rows = embedder.embed_queries(texts)
        except InvalidInputError as exc:
            if exc.index is None:
                raise
            question = self._set.questions[exc.index]
            raise InvalidInputError(
                f"question {question.id!r:.80} cannot be embedded: {exc}", index=exc.index
            ) from exc
        self._tokens += embedder.usage.tokens
        return rows

    def _chunk(self, name: str) -> dict[str, ChunkedDocument]:
        """Documents by id, without those that have failed."""
        job = Job(self._embedder, self._grid.chunker(name))
        chunked: dict[str, ChunkedDocument] = {}
        for done, document in enumerate(self._set.documents):
            self._report(f"chunks of {name}", done, len(self._set.documents))
            try:
                check_text(document.text)
                chunks = chunk_document(job, document)
            except InvalidSettingError:
                raise  # of the chunker: no document is to blame
            except InvalidInputError as exc:
                self._failures[document.id] = exc
            else:
                chunked[document.id] = ChunkedDocument(document, "", chunks)
        return chunked

    def _encodings(
        self,
        configurations: Sequence[Configuration],
        chunked: Mapping[str, dict[str, ChunkedDocument]],
    ) -> dict[Configuration, tuple[Encoding, ...]]:
        """What the vectors of each configuration are made of.

        Isolated chunks and late chunking are encoded once for all their mixes. Only where headings
        have to be shortened to fit in front of a chunk that is embedded alone, each mix is encoded
        by itself: it shortens them in front of the late chunk, too.
        """
        with_headings = {item.chunker for item in configurations if item.heading_context}
        shortened = {name for name in with_headings if self._shortens(chunked[name])}
        encodings: dict[Configuration, tuple[Encoding, ...]] = {}
        for configuration in configurations:
            weight = configuration.context_weight
            whole = Encoding(
                chunker=configuration.chunker,
                precision=configuration.precision,
                context_weight=weight,
                window=self._window(configuration) if weight else (None, None),
                heading_context=configuration.heading_context,
            )
            if configuration.retrieval == "bm25":
                encodings[configuration] = ()
            elif weight in (0.0, 1.0) or (
                configuration.heading_context and configuration.chunker in shortened
            ):
                encodings[configuration] = (whole,)
            else:
                isolated = replace(whole, context_weight=0.0, window=(None, None))
                encodings[configuration] = (isolated, replace(whole, context_weight=1.0))
        return encodings

    def _window(self, configuration: Configuration) -> Window:
        """In numbers: by default a mix has other windows than late chunking alone."""
        variant = self._variant(
            configuration.precision, configuration.window, configuration.context_weight
        )
        return window_and_overlap(self._embedder.card, variant.settings)

    def _shortens(self, chunked: Mapping[str, ChunkedDocument]) -> bool:
        """Whether headings have to be shortened to be embedded in front of each chunk alone."""
        request = make_request(
            list(chunked.values()),
            embedder=self._embedder,
            heading_context=True,
            late_chunking=False,
        )
        return request.contexts_shortened > 0

    def _left(self) -> QuestionSet:
        """The questions about documents that have not failed."""
        try:
            return self._set.without_documents(list(self._failures))
        except InvalidInputError as exc:
            document_id, error = next(iter(self._failures.items()))
            raise InvalidInputError(
                f"no question is left, since {len(self._failures):,} of "
                f"{len(self._set.documents):,} documents cannot be embedded in every "
                f"configuration; the first is {document_id!r:.80}: {error}"
            ) from exc

    def _groups(self, needed: Sequence[Encoding]) -> list[list[Encoding]]:
        """Encodings that one pass over the documents gives: all chunkers of one window.

        Jina's API takes no spans that overlap, and headings in front of one chunker's chunks would
        lie inside those of another; so there each chunker is a pass of its own.
        """
        groups: dict[object, list[Encoding]] = {}
        for encoding in needed:
            apart = (
                encoding.context_weight < 1.0
                or encoding.heading_context
                or self._embedder.backend == "api"
            )
            key = encoding if apart else (encoding.window, encoding.precision)
            groups.setdefault(key, []).append(encoding)
        return list(groups.values())

    def _documents(
        self, group: Sequence[Encoding], chunked: Mapping[str, dict[str, ChunkedDocument]]
    ) -> dict[Encoding, dict[str, FloatArray]]:
        """Vectors of all chunks of the group's chunkers, by document id."""
        first = group[0]
        embedder = self._variant(first.precision, first.window, first.context_weight)
        job = Job(embedder, self._grid.chunker(first.chunker), first.heading_context)
        names = [encoding.chunker for encoding in group]
        alive = [document for document in self._set.documents if document.id not in self._failures]
        kinds = {0.0: "isolated chunks", 1.0: "late chunking"}
        kind = kinds.get(first.context_weight, "late and isolated chunks")
        step = f"{kind} of {', '.join(names)}"
        if first.heading_context:
            step += " with headings"
        rows_of: dict[Encoding, dict[str, FloatArray]] = {encoding: {} for encoding in group}
        before, done = self._tokens, 0
        self._report(step, 0, len(alive))
        for batch in document_batches(
            alive,
            characters=lambda document: len(document.text),
            batch_tokens=embedder.settings.batch_tokens,
        ):
            embedded = embed(
                job,
                [_together([chunked[name][document.id] for name in names]) for document in batch],
            )
            if embedded.fatal is not None:
                raise embedded.fatal
            for failure in embedded.failures:
                self._failures[failure.document_id] = failure.error
            for records in embedded.documents:
                document_id = records[0].chunk.document_id
                rows = np.stack([_dense(record) for record in records])
                ends = np.cumsum([len(chunked[name][document_id].chunks) for name in names])
                for encoding, part in zip(group, np.split(rows, ends[:-1]), strict=True):
                    rows_of[encoding][document_id] = part
            done += len(batch)
            self._tokens = before + embedder.usage.tokens
            self._report(step, done, len(alive))
        return rows_of

    def _variant(
        self,
        precision: Precision | None,
        window: Window = (None, None),
        context_weight: float = 0.0,
    ) -> Embedder:
        """The embedder as one pass needs it: whole vectors, and as much of late chunking."""
        settings = self._embedder.settings
        window_tokens, overlap_tokens = window
        return self._embedder.replace(
            precision=settings.precision if precision is None else precision,
            window_tokens=settings.window_tokens if window_tokens is None else window_tokens,
            overlap_tokens=settings.overlap_tokens if overlap_tokens is None else overlap_tokens,
            late_chunking=context_weight > 0.0,
            context_weight=context_weight,
        )

    def _report(self, step: str, done: int, total: int) -> None:
        if self._on_progress is not None:
            seconds = time.perf_counter() - self._started
            self._on_progress(EvaluationProgress(step, done, total, self._tokens, seconds))


def _together(documents: Sequence[ChunkedDocument]) -> ChunkedDocument:
    """One document with the chunks of several chunkers, one after the other."""
    chunks = [chunk for document in documents for chunk in document.chunks]
    return ChunkedDocument(documents[0].document, "", chunks)


def _dense(record: Record) -> FloatArray:
    vector = record.vectors.dense
    if vector is None:
        raise RuntimeError("the embed stage gives every record a dense vector")
    return vector
