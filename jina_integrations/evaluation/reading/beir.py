"""BEIR's folders (Thakur et al. 2021): a corpus, queries, and judgements of whole documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ...errors import InvalidSettingError, ReadError
from ...types import Document
from ..questions import Evidence, Question, QuestionSet
from .assembling import assemble
from .json_objects import read_json_lines, read_lines

__all__ = ["read_beir"]

_HEADER = ["query-id", "corpus-id", "score"]


def read_beir(folder: Path, split: str | None) -> QuestionSet:
    """The documents, and those queries that have a relevant one in ``qrels/<split>.tsv``.

    A document's text is its title, a blank line, and its text. A score of 0 or below means "not
    relevant"; a higher one is the grade. What names an unknown document or query, documents without
    text, and queries without a relevant document are left out and noted.

    Args:
        folder: With ``corpus.jsonl``, ``queries.jsonl`` and ``qrels``.
        split: None takes "test" where it exists, else the only one.

    Raises:
        InvalidSettingError: there is no such split, or none is given and there are several.
        ReadError: a file is not in this form, or no query is left.
    """
    qrels = _qrels(folder, split)
    left_out: Counter[str] = Counter()
    documents = _documents(folder / "corpus.jsonl", left_out)
    queries = _queries(folder / "queries.jsonl")
    evidence: dict[str, dict[str, Evidence]] = {query_id: {} for query_id in queries}
    for query_id, document_id, grade in _judgements(qrels, left_out):
        if query_id not in queries:
            left_out["judgements of an unknown query"] += 1
        elif document_id not in documents:
            left_out["judgements of a document that is unknown or without text"] += 1
        elif grade > 0:
            evidence[query_id][document_id] = Evidence(document_id, grade=grade)
    questions = [
        Question(query_id, queries[query_id], tuple(pieces.values()))
        for query_id, pieces in evidence.items()
        if pieces
    ]
    if unanswered := len(queries) - len(questions):
        left_out[f"queries without a relevant document in the split {qrels.stem}"] = unanswered
    name = f"{folder.resolve().name}/{qrels.stem}"
    return assemble(folder, documents.values(), questions, left_out, name=name)


def _qrels(folder: Path, split: str | None) -> Path:
    splits = {file.stem: file for file in sorted((folder / "qrels").glob("*.tsv"))}
    if not splits:
        raise ReadError(f"{folder}: no judgements: needs a file such as qrels/test.tsv")
    chosen = split
    if chosen is None:
        chosen = next(iter(splits)) if len(splits) == 1 else "test"
    if chosen not in splits:
        asked = "give a split" if split is None else f"there is no split {split!r}"
        raise InvalidSettingError(f"{folder}: {asked}: it has {', '.join(map(repr, splits))}")
    return splits[chosen]


def _documents(file: Path, left_out: Counter[str]) -> dict[str, Document]:
    documents: dict[str, Document] = {}
    seen: set[str] = set()
    for line in read_json_lines(file):
        document_id = line.identifier("_id")
        if document_id in seen:
            raise line.error(f"a line before has the _id {document_id!r:.80}: keep one of them")
        seen.add(document_id)
        title = line.string("title").strip() if line.has("title") else ""
        parts = [part for part in (title, line.string("text")) if part.strip()]
        if parts:
            documents[document_id] = Document(document_id, "\n\n".join(parts))
        else:
            left_out["documents without text"] += 1
    return documents


def _queries(file: Path) -> dict[str, str]:
    queries: dict[str, str] = {}
    for line in read_json_lines(file):
        query_id = line.identifier("_id")
        if query_id in queries:
            raise line.error(f"a line before has the _id {query_id!r:.80}: keep one of them")
        queries[query_id] = line.string("text")
    return queries


def _judgements(file: Path, left_out: Counter[str]) -> Iterator[tuple[str, str, int]]:
    """Query, document and score of each line, each pair once."""
    scores: dict[tuple[str, str], int] = {}
    for number, line in read_lines(file):
        cells = line.strip("\r\n").split("\t")
        if number == 1:
            if cells != _HEADER:
                raise ReadError(f"{file}, line 1: must be {' '.join(_HEADER)}, parted by tabs")
            continue
        if line.isspace():
            continue
        try:
            query_id, document_id, cell = cells
            score = int(cell)
        except ValueError as exc:
            raise ReadError(
                f"{file}, line {number}: must be a query's id, a document's id and an integer, "
                f"parted by tabs, not {line.strip()!r:.80}"
            ) from exc
        before = scores.get((query_id, document_id))
        if before is None:
            scores[query_id, document_id] = score
            yield query_id, document_id, score
        elif before == score:
            left_out["judgements that repeat one before"] += 1
        else:
            raise ReadError(
                f"{file}, line {number}: score {score}, and a line before says {before} for the "
                "same query and document: keep one of them"
            )
