"""Which chunks each question finds, by vectors, by words, or by both."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..embedding.vectors import unit
from ..types import FloatArray
from .encoding import Encoded
from .grid import Configuration
from .lexical import WordIndex
from .vectors import chunk_vectors, signs, stored

__all__ = ["DEPTH", "OVERSAMPLING", "Rankings", "best_positions", "fuse"]

DEPTH: Final = 100
"""Hits of a ranking at most."""

OVERSAMPLING: Final = 3
"""``binary-rescored`` scores this many times k hits again, as in Qdrant's guide to quantization."""

_RANK_CONSTANT: Final = 60
"""Of reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009)."""

_VALUES_AT_ONCE: Final = 1 << 23
"""Scores in memory at a time; what orders them takes some 20 bytes each."""


class Rankings:
    """Searches all questions of an evaluation.

    Args:
        encoded: The vectors and chunks.
        k: Hits that a search is asked for; only `OVERSAMPLING` depends on it.
    """

    def __init__(self, encoded: Encoded, *, k: int) -> None:
        self._encoded = encoded
        self._k = k
        places = {
            document.id: index for index, document in enumerate(encoded.question_set.documents)
        }
        self._documents = {
            name: np.array([places[chunk.document_id] for chunk in chunks], np.int64)
            for name, chunks in encoded.chunks.items()
        }
        self._lexical: dict[str, NDArray[np.int32]] = {}

    def units(self, chunker: str) -> NDArray[np.int64]:
        """What each chunk counts as: its position, or its document's where documents are judged."""
        documents = self._documents[chunker]
        if self._encoded.question_set.unit == "document":
            return documents
        return np.arange(len(documents))

    def rank(self, configuration: Configuration) -> NDArray[np.int32]:
        """Positions of the best chunks of each question, best first, one of each unit.

        Returns:
            int32, shape (questions, `DEPTH`), -1 where there are no more.
        """
        if configuration.retrieval == "bm25":
            return self._by_words(configuration.chunker)
        dense = self._by_vectors(configuration)
        if configuration.retrieval == "dense":
            return dense
        return fuse(dense, self._by_words(configuration.chunker), self.units(configuration.chunker))

    def _by_vectors(self, configuration: Configuration) -> NDArray[np.int32]:
        questions = unit(
            self._encoded.questions[configuration.precision][:, : configuration.dimensions]
        )
        vectors = chunk_vectors(self._encoded, configuration)
        units = self.units(configuration.chunker)
        searched = stored(vectors, configuration.quantization)
        again_values = OVERSAMPLING * self._k * vectors.shape[1]
        rows = max(1, _VALUES_AT_ONCE // max(len(vectors), again_values))
        rankings: list[NDArray[np.int32]] = []
        for first in range(0, len(questions), rows):
            asked = questions[first : first + rows]
            compared = signs(asked) if configuration.quantization.startswith("binary") else asked
            scores = compared @ searched.T
            if configuration.quantization == "binary-rescored":
                again = best_positions(scores, OVERSAMPLING * self._k)
                rescored = np.full_like(scores, -np.inf)
                exact = np.einsum("qd,qkd->qk", asked, vectors[again])
                np.put_along_axis(rescored, again, exact, axis=1)
                scores = rescored
            rankings.append(_top(scores, units))
        return np.concatenate(rankings)

    def _by_words(self, chunker: str) -> NDArray[np.int32]:
        if chunker not in self._lexical:
            units = self.units(chunker)
            index = WordIndex([chunk.text for chunk in self._encoded.chunks[chunker]])
            rows = [
                _top(index.scores(question.text)[None, :], units)
                for question in self._encoded.question_set.questions
            ]
            self._lexical[chunker] = np.concatenate(rows)
        return self._lexical[chunker]


def fuse(
    first: NDArray[np.int32], second: NDArray[np.int32], units: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Reciprocal rank fusion of two rankings: each unit has the sum of 1 / (60 + its rank).

    A unit is shown by the chunk that `one` found, else by the one of `other`.
    """
    fused = np.full_like(first, -1)
    for row, rankings in enumerate(zip(first, second, strict=True)):
        scores: dict[int, float] = {}
        shown: dict[int, int] = {}
        for ranking in rankings:
            for rank, chunk in enumerate(ranking[ranking >= 0].tolist(), start=1):
                key = int(units[chunk])
                scores[key] = scores.get(key, 0.0) + 1.0 / (_RANK_CONSTANT + rank)
                shown.setdefault(key, chunk)
        best = sorted(scores, key=lambda key: -scores[key])[: len(fused[row])]
        fused[row, : len(best)] = [shown[key] for key in best]
    return fused


def _top(scores: FloatArray, units: NDArray[np.int64]) -> NDArray[np.int32]:
    """The best chunk of each unit, best first; -1 where there are no more finite scores."""
    rows = np.full((len(scores), DEPTH), -1, np.int32)
    if len(units) and units[-1] + 1 < len(units):  # several chunks of one document
        scores = _best_of_each(scores, units)
    best = best_positions(scores, DEPTH)
    finite = np.isfinite(np.take_along_axis(scores, best, axis=1))
    rows[:, : best.shape[1]] = np.where(finite, best, -1)
    return rows


def best_positions(scores: FloatArray, count: int) -> NDArray[np.int64]:
    """Positions of the highest scores of each row, highest first, ties by position."""
    count = min(count, scores.shape[1])
    last = -np.partition(-scores, count - 1, axis=1)[:, count - 1 : count]
    above, equal = scores > last, scores == last
    wanted = count - above.sum(axis=1, keepdims=True)
    kept = above | (equal & (np.cumsum(equal, axis=1) <= wanted))
    best = np.nonzero(kept)[1].reshape(len(scores), count)
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def _best_of_each(scores: FloatArray, units: NDArray[np.int64]) -> FloatArray:
    """The scores, with all but the first best chunk of each document at minus infinity."""
    starts = np.flatnonzero(np.diff(units, prepend=-1))
    kept = np.full_like(scores, -np.inf)
    for first, last in zip(starts, [*starts[1:], len(units)], strict=True):
        columns = scores[:, first:last]
        best = columns.argmax(axis=1)[:, None]
        np.put_along_axis(
            kept[:, first:last], best, np.take_along_axis(columns, best, axis=1), axis=1
        )
    return kept
