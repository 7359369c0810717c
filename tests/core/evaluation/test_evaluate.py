"""The whole evaluation, on the real model and on the model of words."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from jina_integrations import Document, Embedder, SentenceChunker
from jina_integrations.errors import InvalidSettingError, MissingExtraError
from jina_integrations.evaluation import (
    Configuration,
    Evaluation,
    Evidence,
    Grid,
    Question,
    QuestionSet,
    evaluate,
    recommend,
)

GRID = Grid(
    chunkers=[SentenceChunker(8), SentenceChunker(20)],
    quantizations=["none", "binary"],
    retrievals=["dense", "bm25", "hybrid"],
)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    texts = {
        "bakery": "The bakery opens at six. It sells rye bread until nine.",
        "keeper": "The keeper lights the lamp at dusk. He writes the weather down.",
    }
    asked = [("When does the bakery open?", "bakery", 0, 24), ("Who notes rain?", "keeper", 36, 63)]
    village = QuestionSet(
        "village",
        tuple(Document(name, text) for name, text in texts.items()),
        tuple(
            Question(text, text, (Evidence(name, start, end),)) for text, name, start, end in asked
        ),
    )
    return evaluate(village, embedder=Embedder("minilm"), grid=GRID)


def test_every_configuration_is_measured_and_compared(evaluation: Evaluation) -> None:
    assert [result.configuration for result in evaluation.results] == list(GRID.configurations)
    for result in evaluation.results:
        baseline = evaluation.result(result.configuration.baseline)
        assert list(result.values) == list(evaluation.measures)
        for name, values in result.values.items():
            assert values.shape == (2,)
            assert 0.0 <= values.min() <= values.max() <= 1.0
            gain = result.differences[name]
            assert gain.mean == pytest.approx(float((values - baseline.values[name]).mean()))
            assert gain.low <= gain.mean <= gain.high
        assert result.top.shape == (2, 10)
        assert (
            result.top.max() < result.chunks == len(evaluation.chunks[result.configuration.chunker])
        )


def test_the_best_chunk_of_isolated_search_answers_the_question(evaluation: Evaluation) -> None:
    result = evaluation.result(Configuration(chunker="sentence:8"))
    chunks = evaluation.chunks["sentence:8"]

    assert result.ranks.tolist() == [1, 1]
    assert [chunks[position].text for position in result.top[:, 0]] == [
        "The bakery opens at six.",
        "He writes the weather down.",
    ]
    assert result.mean("nDCG@10") == 1.0


def test_what_it_costs_is_counted(evaluation: Evaluation) -> None:
    isolated, mixed, late = (
        evaluation.result(Configuration(chunker="sentence:8", context_weight=weight))
        for weight in (0.0, 0.5, 1.0)
    )
    lexical = evaluation.result(Configuration(chunker="sentence:8", retrieval="bm25"))

    assert isolated.vector_bytes == isolated.chunks * 384 * 4
    assert mixed.tokens == isolated.tokens + late.tokens
    assert (lexical.tokens, lexical.vector_bytes) == (0, 0)
    other = evaluation.result(Configuration(chunker="sentence:20", context_weight=1.0))
    assert other.tokens == late.tokens


def test_several_sizes_are_compared_by_the_answers_in_a_budget(evaluation: Evaluation) -> None:
    assert evaluation.measure == "recall@512t"
    with pytest.raises(KeyError, match="sentence:9 isolated"):
        evaluation.result(Configuration(chunker="sentence:9"))


def test_the_values_are_json(evaluation: Evaluation) -> None:
    values = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))

    assert values["questions"]["count"] == 2
    assert len(values["results"]) == len(GRID.configurations)
    assert {row["baseline"] for row in values["results"]} <= {
        row["name"] for row in values["results"]
    }
    assert values["results"][0]["measures"]["nDCG@10"]["mean"] == 1.0
    assert "api_key" not in json.dumps(values)


def test_a_measure_is_chosen_by_name_and_by_what_is_judged(
    question_set: QuestionSet, words
) -> None:
    embedder = Embedder("words")

    assert evaluate(question_set, embedder=embedder).measure == "nDCG@10"
    assert evaluate(question_set, embedder=embedder, k=3, measure="RR@3").measure == "RR@3"
    with pytest.raises(InvalidSettingError, match="'MAP' is none of nDCG@10"):
        evaluate(question_set, embedder=embedder, measure="MAP")
    whole = tuple(
        replace(question, evidence=(Evidence(question.evidence[0].document_id),))
        for question in question_set.questions
    )
    grid = Grid(chunkers=[SentenceChunker(8), SentenceChunker(50)])
    by_document = evaluate(replace(question_set, questions=whole), embedder=embedder, grid=grid)
    assert by_document.measure == "nDCG@10"
    assert len(by_document.measures) == 3


def test_progress_counts_up_to_the_end(question_set: QuestionSet, words) -> None:
    seen = []
    evaluation = evaluate(question_set, embedder=Embedder("words"), on_progress=seen.append)

    assert {progress.step for progress in seen} == {
        "questions",
        "chunks of sentence:256",
        "isolated chunks of sentence:256",
        "late chunking of sentence:256",
        "configurations",
    }
    tokens = [progress.tokens for progress in seen]
    assert tokens == sorted(tokens)
    assert seen[-1].done == seen[-1].total == len(evaluation.results)
    assert seen[-1].tokens == evaluation.tokens


def test_a_missing_extra_is_named(
    question_set: QuestionSet, words, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ir_measures", None)
    with pytest.raises(MissingExtraError, match=r"jina-integrations\[eval\]"):
        evaluate(question_set, embedder=Embedder("words"))
    monkeypatch.delitem(sys.modules, "ir_measures")
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(MissingExtraError, match=r"jina-integrations\[eval\]"):
        evaluate(question_set, embedder=Embedder("words"), grid=Grid(retrievals=["bm25"]))
    assert words.calls == [], "before anything is encoded"


def test_a_question_whose_answer_is_the_whole_text(words) -> None:
    text = "Only one sentence is here."
    village = QuestionSet(
        "one", (Document("a", text),), (Question("q", text, (Evidence("a", 0, 26),)),)
    )
    evaluation = evaluate(village, embedder=Embedder("words"))

    for result in evaluation.results:
        assert result.values["IoU@5"].tolist() == [1.0]
        assert result.ranks.tolist() == [1]
        assert result.top.tolist() == [[0, *[-1] * 9]]
    reasons = " ".join(recommend(evaluation).reasons)
    assert "questions are few (1)" in reasons
    assert np.isfinite(recommend(evaluation).share)
