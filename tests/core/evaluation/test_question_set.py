from __future__ import annotations

import pytest

from jina_integrations import Document
from jina_integrations.errors import InvalidInputError
from jina_integrations.evaluation import Evidence, Question, QuestionSet

TEXT = "One two.   Three four."
DOCUMENT = Document("a", TEXT)
RIGHT = Question("q", "Which?", (Evidence("a", 0, 3),))


def made_of(*questions: Question, documents: tuple[Document, ...] = (DOCUMENT,)) -> QuestionSet:
    return QuestionSet(name="set", documents=documents, questions=questions)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (Question("q", " ", (Evidence("a"),)), "only whitespace"),
        (Question("q", "Which?", ()), "no evidence"),
        (Question("q", "Which?", (Evidence("b"),)), "no document 'b'"),
        (Question("q", "Which?", (Evidence("a", 3, 3),)), "empty, reversed or outside"),
        (Question("q", "Which?", (Evidence("a", 5, 3),)), "empty, reversed or outside"),
        (Question("q", "Which?", (Evidence("a", -1, 3),)), "empty, reversed or outside"),
        (Question("q", "Which?", (Evidence("a", 0, 99),)), "has 22 characters"),
        (Question("q", "Which?", (Evidence("a", 0),)), "both ends"),
        (Question("q", "Which?", (Evidence("a", 8, 11),)), "only whitespace"),
        (Question("q", "Which?", (Evidence("a", grade=0),)), "grade 0"),
        (Question("q", "Which?", (Evidence("a"), Evidence("a", 0, 3))), "cannot be averaged"),
    ],
)
def test_a_bad_question_is_refused_and_named(question: Question, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        made_of(question)


def test_ids_are_unique_and_there_is_a_question() -> None:
    with pytest.raises(InvalidInputError, match="two questions have the id 'q'"):
        made_of(RIGHT, RIGHT)
    with pytest.raises(InvalidInputError, match="two documents have the id 'a'"):
        made_of(RIGHT, documents=(DOCUMENT, DOCUMENT))
    with pytest.raises(InvalidInputError, match="no question"):
        made_of()


def test_a_sample_is_drawn_by_its_seed_and_keeps_all_documents(question_set: QuestionSet) -> None:
    sample = question_set.sample(3, seed=4)

    assert sample == question_set.sample(3, seed=4)
    assert sample.questions != question_set.sample(3, seed=5).questions
    assert len(sample.questions) == 3
    assert set(sample.questions) < set(question_set.questions)
    assert sample.documents == question_set.documents
    assert sample.notes == ("3 of 8 questions, drawn at random (seed 4)",)
    assert question_set.sample(8) is question_set
    with pytest.raises(InvalidInputError):
        question_set.sample(0)


def test_documents_go_with_the_questions_that_only_they_answer(question_set: QuestionSet) -> None:
    left = question_set.without_documents(["bakery"])

    assert [document.id for document in left.documents] == ["keeper", "ferry"]
    assert len(left.questions) == 5
    assert "left out (1)" in left.notes[-1]
    assert "only they answer (3)" in left.notes[-1]
    with pytest.raises(InvalidInputError, match="no question"):
        left.without_documents(["keeper", "ferry"])
