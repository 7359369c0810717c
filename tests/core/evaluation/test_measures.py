"""Measures against scikit-learn, and against sets of tokens."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from jina_integrations import Chunk, Document
from jina_integrations.errors import InvalidSettingError
from jina_integrations.evaluation import Evidence, Question, QuestionSet
from jina_integrations.evaluation.measures import Judge, describe_measure, measure_names

TEXT = " ".join(f"w{number}" for number in range(60))
STARTS = [TEXT.index(f"w{number}") for number in range(60)]
ENDS = [start + len(f"w{number}") for number, start in enumerate(STARTS)]


class Words:
    overhead = 2

    def count(self, text: str) -> int:
        return len(text.split())

    def offsets(self, text: str) -> np.ndarray:
        # As byte-level tokenizers have it: a token owns the space before it.
        starts = [0, *(end for end in ENDS[:-1])]
        return np.array([*zip(starts, ENDS, strict=True), (len(text), len(text))], np.int64)


def chunk(index: int, first: int, last: int) -> Chunk:
    """The words from `first` up to `last`."""
    start, end = STARTS[first], ENDS[last - 1]
    return Chunk("a", index, start, end, TEXT[start:end])


def judge_of(chunks, spans, k: int = 10) -> Judge:
    evidence = tuple(Evidence("a", STARTS[first], ENDS[last - 1]) for first, last in spans)
    question_set = QuestionSet("set", (Document("a", TEXT),), (Question("q", "Which?", evidence),))
    return Judge(question_set, chunks, np.arange(len(chunks)), tokenizer=Words(), k=k)


@st.composite
def cases(draw: st.DrawFn):
    cuts = sorted(draw(st.sets(st.integers(1, 59), min_size=1, max_size=12)))
    bounds = [0, *cuts, 60]
    overlap = draw(st.integers(0, 4))
    chunks = [
        chunk(index, max(0, first - overlap), last)
        for index, (first, last) in enumerate(pairwise(bounds))
    ]
    spans = draw(
        st.lists(
            st.tuples(st.integers(0, 59), st.integers(1, 9)).map(lambda p: (p[0], min(60, sum(p)))),
            min_size=1,
            max_size=3,
        )
    )
    order = draw(st.permutations(range(len(chunks))))
    ranked = order[: draw(st.integers(0, len(order)))]
    return chunks, spans, ranked, overlap, bounds


@settings(max_examples=60, deadline=None)
@given(cases())
def test_values_are_those_of_plain_sets_and_of_scikit_learn(case) -> None:
    chunks, spans, ranked, overlap, bounds = case
    judge = judge_of(chunks, spans, k=5)
    ranking = np.full((1, 20), -1, np.int32)
    ranking[0, : len(ranked)] = ranked
    values = {name: float(column[0]) for name, column in judge.values(ranking).items()}

    answer = {word for first, last in spans for word in range(first, last)}
    held = [set(range(max(0, a - overlap), b)) for a, b in pairwise(bounds)]
    right = [position for position, tokens in enumerate(held) if tokens & answer]
    top = ranked[:5]
    covered = len(answer & set().union(*(held[position] for position in top)))
    read = sum(len(held[position]) for position in top)
    assert values["IoU@5"] == pytest.approx(covered / (len(answer) + read - covered))
    assert values["precision@5"] == pytest.approx(covered / read if read else 0.0)
    every = set().union(*(held[position] for position in ranked))
    assert values["recall@512t"] == pytest.approx(len(answer & every) / len(answer))
    assert values["R@5"] == pytest.approx(len(set(top) & set(right)) / len(right))
    ranks = [rank for rank, position in enumerate(ranked, 1) if position in right]
    assert values["RR@5"] == pytest.approx(1 / ranks[0] if ranks and ranks[0] <= 5 else 0.0)
    assert int(judge.ranks(ranking)[0]) == (ranks[0] if ranks else 0)
    if len(chunks) > 1:
        truth = np.array([[float(position in right) for position in range(len(chunks))]])
        scores = np.full((1, len(chunks)), -1.0)
        scores[0, top] = np.arange(len(top), 0, -1)
        # What was not found has no rank: it must not count, so put nothing right there.
        gains = ndcg_score(truth, scores, k=len(top)) if top else 0.0
        ideal = sum(1 / np.log2(1 + rank) for rank in range(1, min(5, len(right)) + 1))
        ideal_of_right = sum(
            1 / np.log2(1 + rank) for rank in range(1, min(len(top), len(right)) + 1)
        )
        assert values["nDCG@5"] == pytest.approx(gains * ideal_of_right / ideal)


def test_the_budget_cuts_the_last_chunk() -> None:
    long = " ".join(f"w{number}" for number in range(1000))

    class Plain(Words):
        def offsets(self, text: str) -> np.ndarray:
            ends = np.cumsum([len(word) + 1 for word in text.split()]) - 1
            return np.stack([ends - 1, ends], axis=1)

    chunks = [Chunk("a", 0, 0, len(long), long)]
    middle = long.index("w500"), long.index("w520") - 1
    question_set = QuestionSet(
        "set", (Document("a", long),), (Question("q", "?", (Evidence("a", *middle),)),)
    )
    judge = Judge(question_set, chunks, np.arange(1), tokenizer=Plain(), k=1)

    assert judge.values(np.zeros((1, 1), np.int32))["recall@512t"][0] == pytest.approx(12 / 20)


def test_documents_are_judged_by_grade_and_without_tokens() -> None:
    documents = tuple(Document(name, "text of it") for name in "abc")
    evidence = (Evidence("a", grade=1), Evidence("b", grade=3))
    question_set = QuestionSet("set", documents, (Question("q", "Which?", evidence),))
    chunks = [Chunk(name, 0, 0, 10, "text of it") for name in "abc"]
    judge = Judge(question_set, chunks, np.arange(3), tokenizer=Words(), k=10)
    values = judge.values(np.array([[2, 0, 1]], np.int32))

    assert list(values) == ["nDCG@10", "R@10", "RR@10"]
    expected = ndcg_score([[1.0, 3.0, 0.0]], [[2.0, 1.0, 3.0]])
    assert values["nDCG@10"][0] == pytest.approx(expected)
    assert values["RR@10"][0] == 0.5


def test_every_measure_is_described_and_its_depth_checked(question_set: QuestionSet) -> None:
    for name in measure_names(question_set.unit, k=7):
        assert name.partition("@")[2].removesuffix("t") in describe_measure(name)
    assert measure_names("document", k=3) == ("nDCG@3", "R@3", "RR@3")
    for k in (0, 101):
        with pytest.raises(InvalidSettingError, match="k must be"):
            measure_names("chunk", k=k)


def test_a_chunk_is_right_where_it_touches_the_passage(question_set: QuestionSet) -> None:
    chunks = [chunk(0, 0, 5), chunk(1, 5, 10), chunk(2, 10, 60)]
    judge = judge_of(chunks, [(4, 6)])

    for order, rank in (([0, 1, 2], 1), ([2, 1, 0], 2), ([2, -1, -1], 0)):
        assert judge.ranks(np.array([order], np.int32)).tolist() == [rank]
    whole = replace(question_set.questions[0], evidence=(Evidence("bakery"),))
    assert replace(question_set, questions=(whole,)).unit == "document"
