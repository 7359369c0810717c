"""The layout of chunking_evaluation (Smith and Troynikov 2024): a CSV of questions, and corpora."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from ...errors import ReadError
from ...types import Document
from ..questions import Evidence, Question, QuestionSet
from .assembling import assemble
from .json_objects import JsonObject, parse, read_utf8

__all__ = ["read_chunking_evaluation"]

_COLUMNS = ("question", "references", "corpus_id")

_MAX_CELL_CHARS = 2**31 - 1
"""The largest limit that `csv` takes on every platform (a C long)."""


def read_chunking_evaluation(folder: Path) -> QuestionSet:
    """The corpora that ``questions.csv`` names, and its questions with their references.

    A corpus is ``<corpus_id>.md`` or ``.txt``, in the folder or in its ``corpora``. References that
    are not at their `start_index` to `end_index` are left out and noted. Further columns, and files
    that no question names, are not read. A question's id is the number of its row.

    Raises:
        ReadError: a file is missing or not in this form, or no question is left.
    """
    documents: dict[str, Document] = {}
    questions: list[Question] = []
    left_out: Counter[str] = Counter()
    for number, row in enumerate(_rows(folder / "questions.csv"), 1):
        corpus_id = row.identifier("corpus_id")
        if corpus_id not in documents:
            documents[corpus_id] = _corpus(folder, corpus_id, row)
        evidence = _evidence(row, documents[corpus_id], left_out)
        if evidence:
            questions.append(Question(str(number), row.string("question"), evidence))
    name = folder.resolve().name
    return assemble(folder, documents.values(), questions, left_out, name=name)


def _evidence(row: JsonObject, document: Document, left_out: Counter[str]) -> tuple[Evidence, ...]:
    """Where the references are, each place once; empty for a question that is left out."""
    references = list(row.objects("references"))
    if not references:
        left_out["questions without a reference"] += 1
        return ()
    places: dict[tuple[int, int], None] = {}
    for reference in references:
        content = reference.string("content")
        start, end = reference.integer("start_index"), reference.integer("end_index")
        if content.strip() and start >= 0 and document.text[start:end] == content:
            places[start, end] = None
        else:
            left_out[
                "references that are blank or not at start_index to end_index "
                "(were the corpora's line ends changed?)"
            ] += 1
    if not places:
        left_out["questions of which that was every reference"] += 1
    return tuple(Evidence(document.id, start, end) for start, end in places)


def _rows(file: Path) -> Iterator[JsonObject]:
    """The rows, with their references parsed, and the line that each begins on."""
    csv.field_size_limit(_MAX_CELL_CHARS)
    rows = csv.reader(StringIO(read_utf8(file), newline=""), strict=True)
    header: list[str] = []
    line = 1
    try:
        header = next(rows, [])
        missing = [column for column in _COLUMNS if header.count(column) != 1]
        if missing:
            raise ReadError(f"{file}: must have a column {' and a column '.join(missing)}, once")
        line = rows.line_num + 1
        for cells in rows:
            place = f"line {line}"
            line = rows.line_num + 1
            if not cells:
                continue
            if len(cells) != len(header):
                raise ReadError(f"{file}, {place}: {len(cells)} cells under {len(header)} columns")
            fields: dict[str, object] = dict(zip(header, cells, strict=True))
            fields["references"] = parse(file, place, str(fields["references"]))
            yield JsonObject(file, place, fields)
    except csv.Error as exc:
        raise ReadError(f"{file}, line {line}: not valid CSV: {exc}") from exc


def _corpus(folder: Path, corpus_id: str, row: JsonObject) -> Document:
    if Path(corpus_id).name != corpus_id:
        raise row.error(f"corpus_id {corpus_id!r:.80} must be the name of a file, without a folder")
    candidates = [
        place / f"{corpus_id}{suffix}"
        for place in (folder, folder / "corpora")
        for suffix in (".md", ".txt")
    ]
    files = [file for file in candidates if os.path.isfile(file)]  # noqa: PTH113 - any name is fine
    if len(files) != 1:
        kind = "several files are" if files else "no file is"
        tried = ", ".join(file.relative_to(folder).as_posix() for file in files or candidates)
        raise row.error(f"{kind} the corpus {corpus_id!r:.80}: {tried}")
    text = JsonObject(files[0], "", {"the text": read_utf8(files[0])}).string("the text")
    if not text.strip():
        raise ReadError(f"{files[0]}: is blank, and {row.place} of questions.csv asks about it")
    return Document(corpus_id, text)
