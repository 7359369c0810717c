"""JSON Lines: questions, the passages that answer them, and documents or the files they are in."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from ...errors import InvalidInputError
from ...readers import FailedFile, SkippedFile, Source, read_documents
from ...types import Document, Metadata
from ..questions import Evidence, Question, QuestionSet
from .assembling import assemble
from .json_objects import JsonObject, read_json_lines

__all__ = ["read_json_lines_form"]

_QUESTION_KEYS = frozenset({"document", "question", "start", "end", "id"})
_DOCUMENT_KEYS = frozenset({"document", "text", "metadata"})
_RECORD_FILES = (".csv", ".jsonl")


@dataclass(slots=True)
class _Asked:
    """A question while its lines are read, with the first of them."""

    first: JsonObject
    id: str | None = None
    evidence: dict[Evidence, None] = field(default_factory=dict[Evidence, None])


def read_json_lines_form(path: Path) -> QuestionSet:
    """Questions and documents, a line for each, in any order.

    ::

        {"document": "notes/a.md", "question": "Who wrote it?", "start": 120, "end": 131}
        {"document": "b", "text": "The whole text.", "metadata": {"year": 2024}}

    The first asks a question. `start` and `end` count characters (Unicode code points) of the
    document's text, half-open; without them the document as a whole is the answer. Lines with the
    same question text are one question with several pieces of evidence. `id` names the question;
    else the number of its first line does.

    The second defines a document; `metadata` may be left out. A document that no line defines is a
    file, its path relative to the JSON Lines file. Offsets then count in the text as
    `read_documents` gives it: line ends are one character, and of HTML and PDF it is the text.

    Raises:
        ReadError: a line is not in this form, a file cannot be read, or no question is there.
        MissingExtraError: a file needs a library which is not installed.
    """
    documents: dict[str, Document] = {}
    asked: dict[str, _Asked] = {}
    left_out: Counter[str] = Counter()
    for line in read_json_lines(path):
        if line.has("question") == line.has("text"):
            raise line.error(
                'needs "question" (a question) or "text" (a document), and not both; with '
                'form="documents" questions are made out of documents'
            )
        if line.has("question"):
            _add_question(line, asked, left_out)
        else:
            document = _document(line)
            if document.id in documents:
                raise line.error(f"document {document.id!r:.80} is defined on a line before")
            documents[document.id] = document
    _add_files(path, documents, asked)
    questions = [
        Question(
            question.id or question.first.place.removeprefix("line "),
            text,
            tuple(question.evidence),
        )
        for text, question in asked.items()
    ]
    return assemble(path, documents.values(), questions, left_out, name=path.stem)


def _add_question(line: JsonObject, asked: dict[str, _Asked], left_out: Counter[str]) -> None:
    _refuse_unknown(line, _QUESTION_KEYS)
    question = asked.setdefault(line.string("question"), _Asked(line))
    if line.has("id"):
        question_id = line.identifier("id")
        if question.id not in (None, question_id):
            raise line.error(
                f"has the id {question_id!r:.80}, and a line before {question.id!r:.80}"
            )
        question.id = question_id
    if line.has("start") != line.has("end"):
        raise line.error('needs both "start" and "end", or neither for the whole document')
    span = (line.integer("start"), line.integer("end")) if line.has("start") else (None, None)
    evidence = Evidence(line.identifier("document"), *span)
    if evidence in question.evidence:
        left_out["lines that repeat one before"] += 1
    question.evidence[evidence] = None


def _document(line: JsonObject) -> Document:
    _refuse_unknown(line, _DOCUMENT_KEYS)
    text = line.string("text")
    if not text.strip():
        raise line.error("the document's text is blank: leave the line out")
    metadata = line.fields.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise line.error('"metadata" must be an object')
    try:
        # Document checks the values, and names the key of one that is no scalar.
        return Document(line.identifier("document"), text, cast("Metadata", metadata))
    except InvalidInputError as exc:
        raise line.error(str(exc)) from exc


def _refuse_unknown(line: JsonObject, known: frozenset[str]) -> None:
    if unknown := sorted(line.fields.keys() - known):
        raise line.error(
            f"{', '.join(map(repr, unknown))} is none of {', '.join(map(repr, sorted(known)))}"
        )


def _add_files(path: Path, documents: dict[str, Document], asked: dict[str, _Asked]) -> None:
    """The documents that are files, each once."""
    files: dict[Path, str] = {}
    for question in asked.values():
        for document_id in (piece.document_id for piece in question.evidence):
            if document_id not in documents:
                file = path.parent / document_id
                other = files.setdefault(file.resolve(), document_id)
                if other != document_id:
                    raise question.first.error(f"{document_id!r} and {other!r} are the same file")
                documents[document_id] = _read_file(question.first, file, document_id)


def _read_file(line: JsonObject, file: Path, document_id: str) -> Document:
    where = f"document {document_id!r:.80}"
    if not os.path.isfile(file):  # noqa: PTH113 - any name is fine
        raise line.error(f'{where}: no line gives its "text", and there is no file {file}')
    if file.suffix.lower() in _RECORD_FILES:
        raise line.error(f'{where} is a file of records: give each a line with its "text"')
    result = next(item for item in read_documents([file]) if not isinstance(item, Source))
    if isinstance(result, FailedFile):
        raise line.error(f"{where}: {result.error}") from result.error
    if isinstance(result, SkippedFile):
        raise line.error(f"{where}: the file is {result.reason}")
    return replace(result, id=document_id, root="")
