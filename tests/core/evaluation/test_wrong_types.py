"""Every wrong type at a public entry is an error of ours that names the argument."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jina_integrations import Document, Embedder, SentenceChunker
from jina_integrations.errors import JinaIntegrationsError
from jina_integrations.evaluation import (
    Configuration,
    Evidence,
    Grid,
    Question,
    QuestionSet,
    chunker_name,
    describe_measure,
    evaluate,
    measure_names,
    read_questions,
    recommend,
    render_html,
)

WRONG: list[Any] = [
    *(None, True, 5, -1, 1.5, float("nan"), 10**30, 1j, "", "x", "a\0b", "\ud800", "x" * 5000),
    *(b"x", [], [None], [5], ["x"], [["x"]], (), (5,), {}, {"x": None}, {"x"}, object(), object),
    *(len, iter([5]), np.array([1.0, 2.0]), np.float32(1), Path("x")),
]
DOCUMENT = Document("d", "The bakery opens at six. It closes at noon.")
QUESTIONS = QuestionSet(
    "set", (DOCUMENT,), (Question("q", "When does it close?", (Evidence("d", 25, 43),)),)
)
PAGE = Path(__file__).parents[3] / "docs" / "evaluation.md"
EMBEDDER = Embedder("echo")
EVALUATION = evaluate(QUESTIONS, embedder=EMBEDDER, grid=Grid(context_weights=[0.0]))


@dataclass(frozen=True)
class Entry:
    """A callable and arguments that it takes, each of which is made wrong in turn."""

    name: str
    call: Callable[..., object]
    arguments: dict[str, Any]


ENTRIES = [
    Entry(
        "evaluate",
        evaluate,
        {
            "question_set": QUESTIONS,
            "embedder": EMBEDDER,
            "grid": Grid(context_weights=[0.0], neighbour_weights=[]),
            "k": 10,
            "measure": None,
            "on_progress": None,
        },
    ),
    Entry(
        "read_questions",
        read_questions,
        {"path": PAGE, "form": None, "split": None, "pseudo_questions": 3, "seed": 0},
    ),
    Entry("recommend", recommend, {"evaluation": EVALUATION}),
    Entry("render_html", render_html, {"evaluation": EVALUATION, "recommendation": None}),
    Entry("describe_measure", describe_measure, {"name": "R@10"}),
    Entry("measure_names", measure_names, {"unit": "chunk", "k": 10}),
    Entry("chunker_name", chunker_name, {"chunker": SentenceChunker()}),
    Entry("Evidence", Evidence, {"document_id": "d", "start": 0, "end": 3, "grade": 1}),
    Entry("Question", Question, {"id": "q", "text": "When?", "evidence": (Evidence("d"),)}),
    Entry(
        "QuestionSet",
        QuestionSet,
        {
            "name": "set",
            "documents": (DOCUMENT,),
            "questions": QUESTIONS.questions,
            "pseudo": False,
            "notes": (),
        },
    ),
    Entry("sample", QUESTIONS.sample, {"count": 1, "seed": 0}),
    Entry("without_documents", QUESTIONS.without_documents, {"left_out": []}),
    Entry("result", EVALUATION.result, {"configuration": EVALUATION.results[0].configuration}),
    Entry(
        "Configuration",
        Configuration,
        {
            "chunker": "sentence:8",
            "context_weight": 0.5,
            "neighbour_weight": 0.0,
            "window_tokens": 64,
            "overlap_tokens": 8,
            "dimensions": 64,
            "precision": "float32",
            "heading_context": True,
            "quantization": "none",
            "retrieval": "dense",
        },
    ),
    Entry(
        "Grid",
        Grid,
        {
            "chunkers": [SentenceChunker(8)],
            "context_weights": [0.5],
            "neighbour_weights": [],
            "windows": [(64, 8)],
            "dimensions": [64],
            "precisions": [None],
            "heading_contexts": [False],
            "quantizations": ["none"],
            "retrievals": ["dense"],
        },
    ),
]


@pytest.mark.parametrize(
    ("entry", "argument"),
    [
        pytest.param(entry, argument, id=f"{entry.name} {argument}")
        for entry in ENTRIES
        for argument in entry.arguments
    ],
)
def test_a_wrong_type_is_an_error_of_ours_that_names_the_argument(
    entry: Entry, argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other errors, such as a TypeError, fail the test; some of the values are good ones."""
    monkeypatch.chdir(tmp_path)  # which is what an empty path names
    for value in WRONG:
        if argument == "on_progress" and callable(value):
            continue
        message = refusal(entry, argument, value)
        if message is not None and argument != "path":  # whose errors name the file
            assert argument.removesuffix("s") in message, f"{value!r:.60}"


def refusal(entry: Entry, argument: str, value: object) -> str | None:
    try:
        entry.call(**{**entry.arguments, argument: value})
    except JinaIntegrationsError as exc:
        return str(exc)
    return None
