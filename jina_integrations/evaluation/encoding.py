"""Every vector that a grid needs, each text encoded once for all configurations that share it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..embedder import Embedder
from ..errors import (
    InvalidInputError,
    InvalidSettingError,
    JinaIntegrationsError,
    LateChunkingUnsupportedError,
)
from ..ingestion import DocumentFailure
from ..ingestion.batching import document_batches
from ..ingestion.embedding import ChunkedDocument, chunk_document, embed_documents
from ..ingestion.isolation import is_of_input
from ..settings import DType
from ..texts import check_text
from ..types import Chunk, FloatArray
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
    """One pass over all documents: the chunks of one chunker, or late chunking with one window."""

    chunker: str
    dtype: DType | None
    window: Window | None = None
    """None for isolated chunks."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What the configurations of a grid are made of.

    Attributes:
        question_set: Without the documents that failed.
        chunks: For each chunker its chunks, all documents in order.
        questions: For each dtype the vectors of the questions, in order.
        vectors: For each encoding one vector for each of its chunker's chunks.
        tokens: What each encoding costs when a store is filled with it alone.
        failures: The documents that failed.
        tokens_encoded: By all encodings and questions together.
    """

    question_set: QuestionSet
    chunks: Mapping[str, tuple[Chunk, ...]]
    questions: Mapping[DType | None, FloatArray]
    vectors: Mapping[Encoding, FloatArray]
    tokens: Mapping[Encoding, int]
    failures: tuple[DocumentFailure, ...]
    tokens_encoded: int


def encodings_of(own: Configuration) -> tuple[Encoding, ...]:
    """What a configuration is made of: isolated chunks, late chunking, or both."""
    if own.retrieval == "bm25":
        return ()
    late = Encoding(own.chunker, own.dtype, own.window)
    isolated = Encoding(own.chunker, own.dtype)
    if own.context_weight == 0.0:
        return (isolated,)
    return (late,) if own.context_weight == 1.0 else (isolated, late)


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
        needed = list(dict.fromkeys(one for own in configurations for one in encodings_of(own)))
        dtypes: dict[DType | None, None] = {one.dtype: None for one in needed}
        questions: dict[DType | None, FloatArray] = {one: self._questions(one) for one in dtypes}
        names = dict.fromkeys(own.chunker for own in configurations)
        chunked = {name: self._chunk(name) for name in names}
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
                name: tuple(chunk for one in alive for chunk in own[one].chunks)
                for name, own in chunked.items()
            },
            questions={dtype: rows[kept] for dtype, rows in questions.items()},
            vectors={
                encoding: np.concatenate([found[one] for one in alive])
                for encoding, found in vectors.items()
            },
            tokens=tokens,
            failures=tuple(DocumentFailure(name, error) for name, error in self._failures.items()),
            tokens_encoded=self._tokens,
        )

    def _questions(self, dtype: DType | None) -> FloatArray:
        """One row for each question of the whole set."""
        texts = [question.text for question in self._set.questions]
        self._report("questions", 0, len(texts))
        embedder = self._variant(dtype)
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
        chunker = self._grid.chunker(name)
        found: dict[str, ChunkedDocument] = {}
        for done, document in enumerate(self._set.documents):
            self._report(f"chunks of {name}", done, len(self._set.documents))
            try:
                check_text(document.text)
                found[document.id] = chunk_document(
                    document, "", chunker=chunker, embedder=self._embedder
                )
            except InvalidSettingError:
                raise  # of the chunker: no document is to blame
            except InvalidInputError as exc:
                self._failures[document.id] = exc
        return found

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

        Jina's API takes no spans that overlap, so there each chunker is a pass of its own.
        """
        groups: dict[object, list[Encoding]] = {}
        for one in needed:
            apart = one.window is None or self._embedder.backend == "api"
            groups.setdefault(one if apart else (one.window, one.dtype), []).append(one)
        return list(groups.values())

    def _documents(
        self, group: Sequence[Encoding], chunked: Mapping[str, dict[str, ChunkedDocument]]
    ) -> dict[Encoding, dict[str, FloatArray]]:
        """Vectors of all chunks of the group's chunkers, by document id."""
        first = group[0]
        embedder = self._variant(first.dtype, first.window)
        names = [one.chunker for one in group]
        alive = [own for own in self._set.documents if own.id not in self._failures]
        step = f"isolated chunks of {names[0]}"
        if first.window is not None:
            step = f"late chunking of {', '.join(names)}"
        found: dict[Encoding, dict[str, FloatArray]] = {one: {} for one in group}
        before, done = self._tokens, 0
        self._report(step, 0, len(alive))
        for batch in document_batches(
            alive, characters=lambda document: len(document.text), embedder=embedder
        ):
            for rows in embed_documents(
                [_together([chunked[name][own.id] for name in names]) for own in batch],
                embedder=embedder,
                on_failure=self._fail,
            ):
                document_id = rows[0].chunk.document_id
                every = np.stack([row.vector for row in rows])
                ends = np.cumsum([len(chunked[name][document_id].chunks) for name in names])
                for one, own in zip(group, np.split(every, ends[:-1]), strict=True):
                    found[one][document_id] = own
            done += len(batch)
            self._tokens = before + embedder.usage.tokens
            self._report(step, done, len(alive))
        return found

    def _variant(self, dtype: DType | None, window: Window | None = None) -> Embedder:
        """The embedder as one pass needs it: whole vectors, and all of late chunking or none."""
        own = self._embedder.settings
        window_tokens, overlap_tokens = window or (None, None)
        return self._embedder.replace(
            dtype=own.dtype if dtype is None else dtype,
            window_tokens=own.window_tokens if window_tokens is None else window_tokens,
            overlap_tokens=own.overlap_tokens if overlap_tokens is None else overlap_tokens,
            late_chunking=window is not None,
            context_weight=1.0,
        )

    def _fail(self, document: ChunkedDocument, error: JinaIntegrationsError) -> None:
        if not is_of_input(error):
            raise error
        self._failures[document.document.id] = error

    def _report(self, step: str, done: int, total: int) -> None:
        if self._on_progress is not None:
            seconds = time.perf_counter() - self._started
            self._on_progress(EvaluationProgress(step, done, total, self._tokens, seconds))


def _together(documents: Sequence[ChunkedDocument]) -> ChunkedDocument:
    """One document with the chunks of several chunkers, one after the other."""
    chunks = [chunk for own in documents for chunk in own.chunks]
    return ChunkedDocument(documents[0].document, "", chunks)
