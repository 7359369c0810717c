"""SQuAD's JSON, versions 1.1 and 2 (Rajpurkar et al. 2016, 2018)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ...types import Document
from ..questions import Evidence, Question, QuestionSet
from .assembling import assemble
from .json_objects import JsonObject, read_json

__all__ = ["read_squad"]

_SEPARATOR = "\n\n"


def read_squad(path: Path) -> QuestionSet:
    """Articles as documents, their questions, and every distinct answer as evidence.

    A document is an article, its paragraphs joined by a blank line; its id is the title, with a
    number behind it where an earlier article has that title. Questions without an answer, and
    answers that are not where `answer_start` says, are left out and noted.

    Raises:
        ReadError: the file is not in this form, or holds no question with an answer.
    """
    root = read_json(path)
    if not root.has("data"):
        raise root.error(
            'has no "data", so it is not in the form of SQuAD; with form="documents" questions '
            "are made out of its text"
        )
    documents: dict[str, Document] = {}
    questions: list[Question] = []
    left_out: Counter[str] = Counter()
    for number, article in enumerate(root.objects("data"), 1):
        title = article.identifier("title") if article.has("title") else f"article {number}"
        document_id = _unique(title, documents)
        text = ""
        for index, paragraph in enumerate(article.objects("paragraphs")):
            text += _SEPARATOR if index else ""
            context = paragraph.string("context")
            for item in paragraph.objects("qas"):
                evidence = _evidence(item, context, document_id, len(text), left_out)
                if evidence:
                    asked = item.string("question")
                    questions.append(Question(item.identifier("id"), asked, evidence))
            text += context
        if text.strip():
            documents[document_id] = Document(document_id, text)
        else:
            left_out["articles without text"] += 1
    return assemble(path, documents.values(), questions, left_out, name=path.stem)


def _evidence(
    item: JsonObject, context: str, document_id: str, offset: int, left_out: Counter[str]
) -> tuple[Evidence, ...]:
    """Where the answers are, each place once; empty for a question that is left out."""
    answers = [] if item.flag("is_impossible") else list(item.objects("answers"))
    if not answers:
        left_out["questions without an answer"] += 1
        return ()
    places: dict[tuple[int, int], None] = {}
    for answer in answers:
        text, start = answer.string("text"), answer.integer("answer_start")
        end = start + len(text)
        if text.strip() and start >= 0 and context[start:end] == text:
            places[start, end] = None
        else:
            left_out["answers that are blank or not where answer_start says"] += 1
    if not places:
        left_out["questions of which that was every answer"] += 1
    return tuple(Evidence(document_id, offset + start, offset + end) for start, end in places)


def _unique(title: str, taken: dict[str, Document]) -> str:
    name, number = title, 1
    while name in taken:
        number += 1
        name = f"{title} ({number})"
    return name
