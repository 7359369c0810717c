from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qdrant_client import models
from qdrant_client.hybrid.fusion import reciprocal_rank_fusion

from jina_integrations import Embedder, SentenceChunker
from jina_integrations.evaluation import Configuration, Evidence, Grid, QuestionSet
from jina_integrations.evaluation.encoding import Encoded, encode
from jina_integrations.evaluation.lexical import WordIndex, words
from jina_integrations.evaluation.ranking import DEPTH, OVERSAMPLING, Rankings, best_positions, fuse
from jina_integrations.evaluation.vectors import chunk_vectors, signs, stored

GRID = Grid(
    chunkers=[SentenceChunker(8)],
    quantizations=["none", "int8", "binary", "binary-rescored"],
    retrievals=["dense", "bm25", "hybrid"],
)
BASE = Configuration(chunker="sentence:8")


@pytest.fixture
def encoded(question_set: QuestionSet) -> Encoded:
    return encode(question_set, embedder=Embedder("minilm"), grid=GRID, on_progress=None)


def judged_by_document(encoded: Encoded) -> Encoded:
    question_set = encoded.question_set
    whole = [
        replace(question, evidence=(Evidence(question.evidence[0].document_id),))
        for question in question_set.questions
    ]
    return replace(encoded, question_set=replace(question_set, questions=tuple(whole)))


def test_equal_scores_keep_the_order_of_the_chunks() -> None:
    scores = np.random.default_rng(0).integers(0, 4, size=(20, 300)).astype(np.float32)
    scores[3] = -np.inf
    scores[4] = 1.0

    for count in (1, 7, 100, 300, 400):
        expected = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        np.testing.assert_array_equal(best_positions(scores, count), expected)


@pytest.mark.parametrize("quantization", ["none", "int8", "binary"])
def test_the_order_is_that_of_the_whole_score_matrix(encoded: Encoded, quantization) -> None:
    configuration = BASE.replace(quantization=quantization)
    ranking = Rankings(encoded, k=10).rank(configuration)
    questions = encoded.questions[None]
    asked = signs(questions) if quantization == "binary" else questions
    scores = asked @ stored(chunk_vectors(encoded, configuration), quantization).T

    assert ranking.shape == (8, DEPTH)
    assert ranking.dtype == np.int32
    for row, row_scores in zip(ranking, scores, strict=True):
        positions = row[row >= 0]
        assert sorted(positions) == list(range(len(row_scores)))
        order = sorted(
            range(len(row_scores)), key=lambda position: (-row_scores[position], position)
        )
        np.testing.assert_allclose(row_scores[positions], row_scores[order], atol=1e-6)


def test_rescoring_orders_the_best_by_their_float_vectors(encoded: Encoded) -> None:
    rough = Rankings(encoded, k=2).rank(BASE.replace(quantization="binary"))
    ranking = Rankings(encoded, k=2).rank(BASE.replace(quantization="binary-rescored"))
    scores = encoded.questions[None] @ chunk_vectors(encoded, BASE).T

    for row, candidates, row_scores in zip(ranking, rough, scores, strict=True):
        positions = row[row >= 0].tolist()
        assert set(positions) == set(candidates[: 2 * OVERSAMPLING].tolist())
        assert positions == sorted(positions, key=lambda position: -row_scores[position])


def test_where_documents_are_judged_each_has_its_best_chunk(encoded: Encoded) -> None:
    whole = judged_by_document(encoded)
    chunks = encoded.chunks["sentence:8"]
    all_chunks = Rankings(encoded, k=10).rank(BASE)

    for row, every in zip(Rankings(whole, k=10).rank(BASE), all_chunks, strict=True):
        positions = row[row >= 0].tolist()
        first: dict[str, int] = {}
        for position in every[every >= 0].tolist():
            first.setdefault(chunks[position].document_id, position)
        assert positions == list(first.values())


def test_fusion_is_that_of_qdrant(encoded: Encoded) -> None:
    rankings = Rankings(encoded, k=10)
    dense = rankings.rank(BASE)
    lexical = rankings.rank(BASE.replace(retrieval="bm25"))
    hybrid = rankings.rank(BASE.replace(retrieval="hybrid"))

    for row, *parts in zip(hybrid, dense, lexical, strict=True):
        points = [
            [
                models.ScoredPoint(id=int(position), version=0, score=0.0)
                for position in part
                if position >= 0
            ]
            for part in parts
        ]
        # Their constant counts ranks from 0: 61 is the 60 of the paper.
        theirs = reciprocal_rank_fusion(points, limit=DEPTH, ranking_constant_k=61)
        assert row[row >= 0].tolist() == [point.id for point in theirs]


def test_fusion_shows_a_document_once() -> None:
    units = np.array([0, 0, 1, 1])
    first = np.array([[1, 2, -1, -1]], np.int32)
    other = np.array([[3, 0, -1, -1]], np.int32)

    # Document 1: 1/62 + 1/61; document 0: 1/61 + 1/62. Equal, so in the order of the first.
    assert fuse(first, other, units).tolist() == [[1, 2, -1, -1]]


def test_words_are_found_in_any_language_and_case() -> None:
    assert list(words("Hello, WÖRLD-wide 42.5!")) == ["hello", "wörld", "wide", "42.5"]
    assert list(words("我爱北京天安门。")) == ["我", "爱", "北京", "天安门"]
    assert list(words("... — !?")) == []


def test_only_texts_with_a_word_of_the_question_are_found() -> None:
    index = WordIndex(["the red house", "the blue boat", "..."])

    scores = index.scores("Which boat?")
    assert np.isfinite(scores).tolist() == [False, True, False]
    assert not np.isfinite(index.scores("?")).any()
    assert not np.isfinite(index.scores("zebra")).any()
    assert index.scores("the boat").argmax() == 1
