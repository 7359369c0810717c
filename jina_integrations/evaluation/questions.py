"""Questions with known answers: what an evaluation is measured on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, cast

import numpy as np

from ..arguments import check_count, check_type
from ..errors import InvalidInputError
from ..inputs import check_text
from ..types import CharSpan, Document

__all__ = ["Evidence", "Question", "QuestionSet"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What answers a question: a passage of a document, or a document as a whole.

    Attributes:
        document_id: The document.
        start: First character of the passage; None for the whole document.
        end: One past its last character; None for the whole document.
        grade: How relevant it is, 1 or more; only nDCG tells grades apart.

    Raises:
        InvalidInputError: a field has the wrong type.
    """

    document_id: str
    start: int | None = None
    end: int | None = None
    grade: int = 1

    def __post_init__(self) -> None:
        check_type("evidence: document_id", self.document_id, str, "a str")
        for name in ("start", "end", "grade"):
            value = getattr(self, name)
            if value is not None or name == "grade":
                _check_int(f"evidence: {name}", value)

    @property
    def span(self) -> CharSpan | None:
        """``(start, end)``; None for the whole document."""
        return None if self.start is None or self.end is None else (self.start, self.end)


@dataclass(frozen=True, slots=True)
class Question:
    """A question and all that answers it.

    Attributes:
        id: Unique within its set.
        text: What is asked.
        evidence: At least one piece.

    Raises:
        InvalidInputError: a field has the wrong type.
    """

    id: str
    text: str
    evidence: tuple[Evidence, ...]

    def __post_init__(self) -> None:
        check_type("question: id", self.id, str, "a str")
        check_type("question: text", self.text, str, "a str")
        _check_tuple("question: evidence", self.evidence, Evidence)


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Documents, and questions that they answer.

    Attributes:
        name: What the reports call it.
        documents: All that is searched.
        questions: In the order of the reports.
        pseudo: Whether the questions were made out of the documents themselves; figures then rank
            configurations, and say nothing of the quality that real questions would see.
        notes: What a reader of the figures should know, e.g. what was left out and why.

    Raises:
        InvalidInputError: a field has the wrong type, there is no question, an id is there twice,
            evidence lies outside the documents or is only whitespace, or passages and whole
            documents are mixed.
    """

    name: str
    documents: tuple[Document, ...]
    questions: tuple[Question, ...]
    pseudo: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_type("name", self.name, str, "a str")
        _check_tuple("documents", self.documents, Document)
        _check_tuple("questions", self.questions, Question)
        check_type("pseudo", self.pseudo, bool, "True or False")
        _check_tuple("notes", self.notes, str)
        if not self.questions:
            raise InvalidInputError(f"{self.name}: there is no question in it")
        _check_unique("document", (document.id for document in self.documents))
        _check_unique("question", (question.id for question in self.questions))
        texts = {document.id: document.text for document in self.documents}
        for question in self.questions:
            _check_question(question, texts)
        if (
            len({piece.start is None for question in self.questions for piece in question.evidence})
            > 1
        ):
            raise InvalidInputError(
                f"{self.name}: some questions are answered by a passage and some by a whole "
                "document, whose figures cannot be averaged: evaluate the two kinds apart"
            )

    @property
    def unit(self) -> Literal["chunk", "document"]:
        """What is found or not: the chunks that touch a passage, or whole documents."""
        return "document" if self.questions[0].evidence[0].start is None else "chunk"

    def sample(self, count: int, *, seed: int = 0) -> Self:
        """The set with `count` of its questions, drawn at random, and all its documents.

        The same seed draws the same questions. The set itself where it has no more than `count`.

        Raises:
            InvalidInputError: `count` is no int of at least 1, or `seed` none of at least 0.
        """
        _check_int("count", count)
        check_count("seed", seed)
        if count < 1:
            raise InvalidInputError(f"count: a sample needs at least 1 question, not {count}")
        if count >= len(self.questions):
            return self
        drawn = np.random.default_rng(seed).choice(len(self.questions), count, replace=False)
        chosen = tuple(self.questions[index] for index in sorted(drawn.tolist()))
        note = f"{count:,} of {len(self.questions):,} questions, drawn at random (seed {seed})"
        return replace(self, questions=chosen, notes=(*self.notes, note))

    def without_documents(self, left_out: Sequence[str]) -> Self:
        """The set without some documents, and without the questions that only they answer.

        Raises:
            InvalidInputError: `left_out` is no list of ids, or no question is left.
        """
        if isinstance(left_out, str) or not isinstance(left_out, Sequence):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"left_out must be a list of ids, not {left_out!r:.80}")
        for index, document_id in enumerate(left_out):
            check_type(f"left_out[{index}]", document_id, str, "a str")
        gone = set(left_out)
        if not gone:
            return self
        questions = [
            replace(question, evidence=kept)
            for question in self.questions
            if (
                kept := tuple(piece for piece in question.evidence if piece.document_id not in gone)
            )
        ]
        note = (
            f"left out ({len(gone):,}): documents that could not be embedded, and questions that "
            f"only they answer ({len(self.questions) - len(questions):,})"
        )
        return replace(
            self,
            documents=tuple(document for document in self.documents if document.id not in gone),
            questions=tuple(questions),
            notes=(*self.notes, note),
        )


def _check_int(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInputError(f"{name} must be an int, not {value!r:.80}")


def _check_tuple(name: str, values: object, kind: type) -> None:
    check_type(name, values, tuple, f"a tuple of {kind.__name__}")
    for index, value in enumerate(cast("tuple[object, ...]", values)):
        check_type(f"{name}[{index}]", value, kind, f"a {kind.__name__}")


def _check_unique(kind: str, ids: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            raise InvalidInputError(f"two {kind}s have the id {name!r:.80}: give each its own")
        seen.add(name)


def _check_question(question: Question, texts: dict[str, str]) -> None:
    where = f"question {question.id!r:.80}"
    try:
        check_text(question.text)
    except InvalidInputError as exc:
        raise InvalidInputError(f"{where}: {exc}") from exc
    if not question.evidence:
        raise InvalidInputError(f"{where}: no evidence; leave out questions without an answer")
    for piece in question.evidence:
        text = texts.get(piece.document_id)
        if text is None:
            raise InvalidInputError(f"{where}: there is no document {piece.document_id!r:.80}")
        if piece.grade < 1:
            raise InvalidInputError(f"{where}: grade {piece.grade} is below 1; leave it out")
        if piece.start is None and piece.end is None:
            continue
        span = (piece.start, piece.end)
        if piece.start is None or piece.end is None:
            raise InvalidInputError(f"{where}: {span} needs both ends, or neither")
        if not 0 <= piece.start < piece.end <= len(text):
            raise InvalidInputError(
                f"{where}: {span} is empty, reversed or outside document "
                f"{piece.document_id!r:.80}, which has {len(text):,} characters"
            )
        if text[piece.start : piece.end].isspace():
            raise InvalidInputError(f"{where}: {span} is only whitespace")
