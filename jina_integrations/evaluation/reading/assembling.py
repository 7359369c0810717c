"""The end of every reader: what it found, as a `QuestionSet`, with a note of what it left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ...errors import InvalidInputError, ReadError
from ...types import Document
from ..questions import Question, QuestionSet

__all__ = ["assemble"]


def assemble(
    path: Path,
    documents: Iterable[Document],
    questions: Iterable[Question],
    left_out: Counter[str],
    *,
    name: str,
    made: str | None = None,
) -> QuestionSet:
    """The set.

    Args:
        path: For messages.
        documents: All that is searched.
        questions: In the order of the reports.
        left_out: How many of what was left out, e.g. ``{"questions without an answer": 3}``.
        name: Of the set.
        made: For pseudo-questions, what they were made of.

    Raises:
        ReadError: no question is left, or they do not fit the documents.
    """
    notes = tuple(f"left out ({count:,}): {what}" for what, count in left_out.items())
    if made is not None:
        notes = (made, *notes)
    asked = tuple(questions)
    if not asked:
        raise ReadError("; ".join((f"{path}: no question in it can be measured", *notes)))
    try:
        return QuestionSet(name, tuple(documents), asked, made is not None, notes)
    except InvalidInputError as exc:
        raise ReadError(f"{path}: {exc}") from exc
