"""A small question set, and an evaluation of it on the model of words."""

from __future__ import annotations

import pytest

from jina_integrations import Document
from jina_integrations.evaluation import Evidence, Question, QuestionSet

TEXTS = {
    "bakery": "The bakery opens at six. It sells rye bread until nine. Nobody bakes on Mondays.",
    "keeper": "The keeper lights the lamp at dusk. He writes the weather down. Then he sleeps.",
    "ferry": "The ferry leaves at noon. It carries goats and letters. Storms stop it for days.",
}
ANSWERS = [
    ("When does the bakery open?", "bakery", "opens at six"),
    ("What bread is sold?", "bakery", "rye bread"),
    ("When does nobody bake?", "bakery", "Mondays"),
    ("When is the lamp lit?", "keeper", "at dusk"),
    ("Who writes the weather down?", "keeper", "He writes the weather down."),
    ("When does the ferry leave?", "ferry", "at noon"),
    ("What does the ferry carry?", "ferry", "goats and letters"),
    ("What stops it?", "ferry", "Storms"),
]


def evidence(document_id: str, answer: str) -> Evidence:
    start = TEXTS[document_id].index(answer)
    return Evidence(document_id, start, start + len(answer))


@pytest.fixture
def question_set() -> QuestionSet:
    """Three documents of three sentences, and eight questions."""
    return QuestionSet(
        name="village",
        documents=tuple(Document(name, text) for name, text in TEXTS.items()),
        questions=tuple(
            Question(f"q{number}", text, (evidence(name, answer),))
            for number, (text, name, answer) in enumerate(ANSWERS)
        ),
    )
