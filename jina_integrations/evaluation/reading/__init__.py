"""Readers of questions with known answers, in the forms that they are published in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from ...arguments import check_count, check_type
from ...errors import InvalidSettingError, ReadError
from ..questions import QuestionSet
from .beir import read_beir
from .chunking_evaluation import read_chunking_evaluation
from .json_lines import read_json_lines_form
from .pseudo import make_questions
from .squad import read_squad

__all__ = ["Form", "read_questions"]

Form: TypeAlias = Literal["squad", "beir", "json-lines", "chunking-evaluation", "documents"]
"""SQuAD's JSON; a BEIR folder; our JSON Lines; a folder as in `chunking_evaluation`; or any
documents, out of which pseudo-questions are made."""


def read_questions(
    path: str | Path,
    *,
    form: Form | None = None,
    split: str | None = None,
    pseudo_questions: int = 300,
    seed: int = 0,
) -> QuestionSet:
    """The questions and documents of a file or folder; `QuestionSet.notes` says what is left out.

    The forms, and how each is known where `form` is None:

    - ``squad``: a ``.json`` file. An article is a document; answers are passages.
    - ``json-lines``: a ``.jsonl`` file, a question or a document on each line::

        {"document": "notes/a.md", "question": "Who wrote it?", "start": 120, "end": 131}
        {"document": "b", "text": "The whole text.", "metadata": {"year": 2024}}

      `start` and `end` count characters, half-open; without them the document as a whole is the
      answer. Lines with the same question are one question with several answers. A document that
      no line defines is a file, relative to the JSON Lines file, as `read_documents` reads it.
    - ``beir``: a folder with ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/<split>.tsv``. Whole
      documents are judged.
    - ``chunking-evaluation``: a folder with ``questions.csv`` (question, references, corpus_id)
      and the corpora, as ``<corpus_id>.md`` or ``.txt``.
    - ``documents``: any other file or folder that `read_documents` reads. Headings and held-out
      sentences become the questions and are removed from the text, so its documents are not the
      files as they stand. `QuestionSet.pseudo` is true.

    Files of the first four forms must be UTF-8. A byte order mark is passed over.

    Args:
        path: The file or folder.
        form: Its form; None finds it as above.
        split: Of ``beir``; None takes "test" where it exists, else the only one.
        pseudo_questions: Of ``documents``, how many at most; the other forms give all they have.
        seed: Of ``documents``, which of the possible questions are drawn.

    Raises:
        InvalidInputError: an argument has the wrong type, or a number is out of range.
        InvalidSettingError: an unknown form or split, or a split for another form.
        ReadError: there is no such file, it is not in its form, or no question is left.
        MissingExtraError: a document needs a library which is not installed.
    """
    check_type("path", path, (str, Path), "a str or a Path")
    check_count("pseudo_questions", pseudo_questions, maximum=1_000_000)
    check_count("seed", seed)
    if split is not None:
        check_type("split", split, str, "a str")
    if form is not None:
        check_type("form", form, str, "a str")
    if form is not None and form not in get_args(Form):
        raise InvalidSettingError(
            f"form {form!r:.80} is none of {', '.join(map(repr, get_args(Form)))}"
        )
    if pseudo_questions < 1:
        raise InvalidSettingError(f"pseudo_questions must be 1 or more, not {pseudo_questions}")
    location = Path(path)
    if not os.path.exists(location):  # noqa: PTH110 - any name is fine
        raise ReadError(f"no such file or folder: {str(path)!r:.200}")
    detected = form or _detect(location)
    if split is not None and detected != "beir":
        raise InvalidSettingError(
            f"split {split!r}: only the form 'beir' has one, not {detected!r}"
        )
    match detected:
        case "squad":
            return read_squad(location)
        case "beir":
            return read_beir(location, split)
        case "json-lines":
            return read_json_lines_form(location)
        case "chunking-evaluation":
            return read_chunking_evaluation(location)
        case "documents":
            return make_questions(location, count=pseudo_questions, seed=seed)


def _detect(path: Path) -> Form:
    if path.is_dir():
        if (path / "corpus.jsonl").exists() and (path / "queries.jsonl").exists():
            return "beir"
        return "chunking-evaluation" if (path / "questions.csv").exists() else "documents"
    suffixes: dict[str, Form] = {".json": "squad", ".jsonl": "json-lines"}
    return suffixes.get(path.suffix.lower(), "documents")
