"""How good a ranking is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..arguments import check_count, check_type
from ..errors import InvalidSettingError, MissingExtraError
from ..tokenizers.base import Tokenizer
from ..types import CharSpan, Chunk
from .questions import QuestionSet

__all__ = ["Judge", "describe_measure", "measure_names", "metrics_library"]

_TOKENS_AT: Final = 5
"""Chunks that token IoU and precision look at: the default of chunking_evaluation."""

_BUDGET_TOKENS: Final = 512
"""Of retrieved text that a language model is given."""

_TokenRange: TypeAlias = tuple[int, int]

_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "nDCG": "discounted cumulative gain of the first {} hits, 1 for the best possible order "
    "(Järvelin and Kekäläinen 2002)",
    "R": "share of all right hits that are among the first {}",
    "RR": "1 / rank of the first right hit among the first {}, else 0; its mean is the MRR",
    "IoU": "tokens of the answer in the first {} chunks, over the tokens of both together "
    "(Smith and Troynikov 2024)",
    "precision": "share of the tokens of the first {} chunks that belong to the answer",
    "recall": "share of the answer's tokens in the first {} tokens of what was found: the one to "
    "compare chunks of different sizes by",
}


def describe_measure(name: str) -> str:
    """What a measure is, in one line; `name` as in `measure_names`.

    Raises:
        InvalidSettingError: there is no such measure.
    """
    check_type("name", name, str, "a str")
    kind, _, depth = name.partition("@")
    if kind not in _DESCRIPTIONS or not depth.removesuffix("t").isdecimal():
        raise InvalidSettingError(
            f"name: {name!r:.80} is no measure; they are called nDCG@10, R@10, RR@10, IoU@5, "
            "precision@5 and recall@512t"
        )
    return _DESCRIPTIONS[kind].format(depth.removesuffix("t"))


def measure_names(unit: Literal["chunk", "document"], *, k: int) -> tuple[str, ...]:
    """The measures of a question set, in the order of the reports.

    Args:
        unit: `QuestionSet.unit`; the measures that count tokens need passages.
        k: Depth of nDCG, recall and reciprocal rank.

    Raises:
        InvalidSettingError: `k` is below 1 or above 100, or there is no such unit.
    """
    check_count("k", k)
    if not 1 <= k <= 100:
        raise InvalidSettingError(f"k must be from 1 to 100, not {k}")
    check_type("unit", unit, str, "a str")
    if unit not in ("chunk", "document"):
        raise InvalidSettingError(f"unit must be 'chunk' or 'document', not {unit!r:.80}")
    ranked = (f"nDCG@{k}", f"R@{k}", f"RR@{k}")
    if unit == "document":
        return ranked
    return *ranked, f"IoU@{_TOKENS_AT}", f"precision@{_TOKENS_AT}", f"recall@{_BUDGET_TOKENS}t"


def metrics_library() -> ModuleType:
    """``ir_measures``.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import ir_measures
    except ImportError as exc:
        raise MissingExtraError("an evaluation", "eval") from exc
    return ir_measures


class Judge:
    """Judges rankings of one chunker's chunks.

    A chunk is right where it touches a passage that answers the question, and a document where it
    is itself the answer. A token belongs to every span that it touches.

    Args:
        question_set: Questions and answers.
        chunks: All documents' chunks, in order.
        units: What each chunk counts as, see `Rankings.units`.
        tokenizer: Counts the tokens of answers and chunks.
        k: Depth of nDCG, recall and reciprocal rank.

    Raises:
        MissingExtraError: ir-measures is not installed.
    """

    def __init__(
        self,
        question_set: QuestionSet,
        chunks: Sequence[Chunk],
        units: NDArray[np.int64],
        *,
        tokenizer: Tokenizer,
        k: int,
    ) -> None:
        self._library = metrics_library()
        self._k = k
        self._names = measure_names(question_set.unit, k=k)
        self._questions = len(question_set.questions)
        self._units = units
        self._right = _right_units(question_set, chunks, units)
        self._chunk_tokens: list[_TokenRange] = []
        self._answer_tokens: list[list[int]] = []
        if question_set.unit == "chunk":
            tokens = _TokenCounter(question_set, tokenizer)
            self._chunk_tokens = [
                tokens.range(chunk.document_id, chunk.start, chunk.end) for chunk in chunks
            ]
            self._answer_tokens = [
                sorted(
                    {
                        token
                        for piece in question.evidence
                        if piece.span is not None
                        for token in range(*tokens.range(piece.document_id, *piece.span))
                    }
                )
                for question in question_set.questions
            ]

    def ranks(self, ranking: NDArray[np.int32]) -> NDArray[np.int32]:
        """Rank of the first right unit of each question, from 1; 0 where there is none."""
        ranks = np.zeros(self._questions, np.int32)
        for number, row in enumerate(ranking):
            right = self._right[number]
            ranks[number] = next(
                (
                    rank
                    for rank, chunk in enumerate(row, 1)
                    if chunk >= 0 and self._units[chunk] in right
                ),
                0,
            )
        return ranks

    def values(self, ranking: NDArray[np.int32]) -> dict[str, NDArray[np.float64]]:
        """Every measure of `measure_names` for each question: float64, shape (questions,), 0 to 1.

        Args:
            ranking: Positions of chunks, best first, -1 for none: shape (questions, depth).
        """
        values = {name: np.zeros(self._questions) for name in self._names}
        self._rank_measures(ranking, values)
        if self._chunk_tokens:
            self._token_measures(ranking, values)
        return values

    def _rank_measures(
        self, ranking: NDArray[np.int32], values: dict[str, NDArray[np.float64]]
    ) -> None:
        library, k = self._library, self._k
        judged = {
            str(number): {str(unit): grade for unit, grade in grades.items()}
            for number, grades in enumerate(self._right)
        }
        # Scores that fall with the rank, so that ties keep our order.
        run = {
            str(number): {
                str(self._units[chunk]): float(k - rank)
                for rank, chunk in enumerate(row[:k])
                if chunk >= 0
            }
            for number, row in enumerate(ranking)
        }
        measures = [library.nDCG @ k, library.R @ k, library.RR @ k]
        for measured in library.iter_calc(measures, judged, run):
            values[str(measured.measure)][int(measured.query_id)] = measured.value

    def _token_measures(
        self, ranking: NDArray[np.int32], values: dict[str, NDArray[np.float64]]
    ) -> None:
        overlap, precision, recall = self._names[3:]
        for number, (row, answer) in enumerate(zip(ranking, self._answer_tokens, strict=True)):
            spans = [self._chunk_tokens[chunk] for chunk in row if chunk >= 0]
            covered, read = _covered(answer, spans[:_TOKENS_AT])
            values[overlap][number] = covered / (len(answer) + read - covered)
            values[precision][number] = covered / read if read else 0.0
            covered, _ = _covered(answer, _first_tokens(spans, _BUDGET_TOKENS))
            values[recall][number] = covered / len(answer)


class _TokenCounter:
    """Numbers the tokens of all documents, one document after the other."""

    def __init__(self, question_set: QuestionSet, tokenizer: Tokenizer) -> None:
        self._tokens: dict[str, tuple[int, NDArray[np.int64]]] = {}
        first = 0
        for document in question_set.documents:
            offsets = tokenizer.offsets(document.text)
            offsets = offsets[offsets[:, 1] > offsets[:, 0]]
            self._tokens[document.id] = first, offsets
            first += len(offsets)

    def range(self, document_id: str, start: int, end: int) -> _TokenRange:
        """Numbers of the tokens that touch the characters; where none does, of the next one."""
        first, offsets = self._tokens[document_id]
        low = min(int(np.searchsorted(offsets[:, 1], start, side="right")), len(offsets) - 1)
        high = max(int(np.searchsorted(offsets[:, 0], end, side="left")), low + 1)
        return first + low, first + high


def _right_units(
    question_set: QuestionSet, chunks: Sequence[Chunk], units: NDArray[np.int64]
) -> list[dict[int, int]]:
    """For each question the units that answer it, and how well."""
    places: dict[str, list[int]] = {}
    for position, chunk in enumerate(chunks):
        places.setdefault(chunk.document_id, []).append(position)
    right: list[dict[int, int]] = []
    for question in question_set.questions:
        grades: dict[int, int] = {}
        for piece in question.evidence:
            for position in places[piece.document_id]:
                chunk = chunks[position]
                # Neither end of a chunk is whitespace, so what they share is not only whitespace.
                if piece.span is None or _touch((chunk.start, chunk.end), piece.span):
                    unit = int(units[position])
                    grades[unit] = max(piece.grade, grades.get(unit, 0))
        right.append(grades)
    return right


def _touch(first: CharSpan, second: CharSpan) -> bool:
    return first[0] < second[1] and second[0] < first[1]


def _covered(answer: Sequence[int], spans: Sequence[_TokenRange]) -> tuple[int, int]:
    """Tokens of the answer in the spans, each once; and tokens of the spans, repeats counted."""
    covered = sum(any(start <= token < end for start, end in spans) for token in answer)
    return covered, sum(end - start for start, end in spans)


def _first_tokens(spans: Sequence[_TokenRange], budget: int) -> list[_TokenRange]:
    """The spans as far as the budget goes; the last may be cut."""
    kept: list[_TokenRange] = []
    for start, end in spans:
        kept.append((start, min(end, start + budget)))
        budget -= end - start
        if budget <= 0:
            break
    return kept
