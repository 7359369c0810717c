"""What the report's tables say: results, and questions that were won or lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ...types import Chunk
from ..grid import Configuration
from ..questions import Evidence, Question
from ..result import Difference, Evaluation, Result

__all__ = [
    "Comparison",
    "Example",
    "Excerpt",
    "ResultRow",
    "Side",
    "Verdict",
    "compared_result",
    "comparison",
    "deltas",
    "excerpt",
    "result_rows",
    "verdict",
]

_EXAMPLES: Final = 5
_CHUNKS_SHOWN: Final = 2
_EXCERPT_CHARACTERS: Final = 420

Verdict = Literal["better", "worse", "unclear"]


def verdict(difference: Difference) -> Verdict:
    """``better`` or ``worse`` where the interval leaves out 0, else ``unclear``."""
    if not difference.clear:
        return "unclear"
    return "better" if difference.low > 0.0 else "worse"


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A row of the table of results.

    Attributes:
        result: The result.
        means: In the order of `Evaluation.measures`.
        best: For each of them whether no configuration has a higher one.
        difference: To the baseline, in `Evaluation.measure`; None for a baseline itself.
        verdict: Of that difference; None for a baseline.
        interval: Low end, mean and high end of the difference, 0 to 100 on a scale that all rows
            share; empty for a baseline.
        recommended: Whether this is the recommended configuration.
    """

    result: Result
    means: tuple[float, ...]
    best: tuple[bool, ...]
    difference: Difference | None
    verdict: Verdict | None
    interval: tuple[float, ...]
    recommended: bool


def result_rows(
    evaluation: Evaluation, recommended: Configuration | None
) -> tuple[tuple[ResultRow, ...], float]:
    """A row for each result, in their order, and where 0 lies on the scale of the intervals."""
    table = [[result.mean(name) for name in evaluation.measures] for result in evaluation.results]
    highest_means = [max(column) for column in zip(*table, strict=True)]
    differences = [result.differences[evaluation.measure] for result in evaluation.results]
    low = min(0.0, *(difference.low for difference in differences))
    span = (max(0.0, *(difference.high for difference in differences)) - low) or 1.0
    rows: list[ResultRow] = []
    for result, means, difference in zip(evaluation.results, table, differences, strict=True):
        baseline = result.configuration == result.configuration.baseline
        ends = () if baseline else (difference.low, difference.mean, difference.high)
        rows.append(
            ResultRow(
                result=result,
                means=tuple(means),
                best=tuple(
                    mean == highest for mean, highest in zip(means, highest_means, strict=True)
                ),
                difference=None if baseline else difference,
                verdict=None if baseline else verdict(difference),
                interval=tuple(100.0 * (end - low) / span for end in ends),
                recommended=result.configuration == recommended,
            )
        )
    return tuple(rows), -100.0 * low / span


def compared_result(evaluation: Evaluation, recommended: Configuration | None) -> Result | None:
    """The result whose questions are shown one by one.

    The recommended one, or the best of the others where that is a baseline or there is none. None
    where only baselines were measured.
    """
    if recommended is not None and recommended != recommended.baseline:
        return evaluation.result(recommended)
    others = [
        result
        for result in evaluation.results
        if result.configuration != result.configuration.baseline
    ]
    return max(others, key=lambda result: result.mean(evaluation.measure), default=None)


def deltas(evaluation: Evaluation, result: Result) -> NDArray[np.float64]:
    """`Evaluation.measure` minus the baseline's for each question, shape (questions,)."""
    baseline = evaluation.result(result.configuration.baseline)
    return result.values[evaluation.measure] - baseline.values[evaluation.measure]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A chunk as the report shows it.

    Attributes:
        rank: From 1.
        document_id: Its document.
        start: First character of the whole chunk in the document.
        end: One past its last character.
        right: Whether it touches the evidence.
        parts: Its text, or the part around the evidence; the flag says what is evidence.
    """

    rank: int
    document_id: str
    start: int
    end: int
    right: bool
    parts: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Side:
    """What one configuration found for a question.

    Attributes:
        value: Of `Evaluation.measure`.
        rank: Of the first right unit, from 1; 0 where none was among the 100 best.
        excerpts: Its best chunks.
    """

    value: float
    rank: int
    excerpts: tuple[Excerpt, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A question, and what the baseline and the compared configuration found for it.

    Attributes:
        question: The question.
        answer: The text of its first evidence, trimmed; None where a whole document answers it.
        delta: The compared configuration's value minus the baseline's.
        sides: The baseline's, the compared configuration's.
    """

    question: Question
    answer: str | None
    delta: float
    sides: tuple[Side, Side]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A configuration against its baseline, question by question.

    Attributes:
        result: The configuration's.
        wins: Questions on which it is better.
        ties: On which it is as good.
        losses: On which it is worse.
        greatest_wins: A few, greatest first.
        greatest_losses: A few, greatest first.
    """

    result: Result
    wins: int
    ties: int
    losses: int
    greatest_wins: tuple[Example, ...]
    greatest_losses: tuple[Example, ...]


def comparison(evaluation: Evaluation, result: Result) -> Comparison:
    """`result` against its baseline.

    Examples that differ by as much are in the order of how far the first right hit moved, and
    then in that of the set.
    """
    baseline = evaluation.result(result.configuration.baseline)
    by_question = deltas(evaluation, result)
    moved = _depth(baseline) - _depth(result)
    best = np.lexsort((-moved, -by_question)).tolist()
    worst = np.lexsort((moved, by_question)).tolist()
    texts = {document.id: document.text for document in evaluation.question_set.documents}

    def example(index: int) -> Example:
        question = evaluation.question_set.questions[index]
        first = question.evidence[0]
        answer = texts[first.document_id][first.start : first.end]
        return Example(
            question=question,
            answer=None if first.start is None else _shortened(answer),
            delta=float(by_question[index]),
            sides=(_side(evaluation, baseline, index), _side(evaluation, result, index)),
        )

    return Comparison(
        result=result,
        wins=int((by_question > 0).sum()),
        ties=int((by_question == 0).sum()),
        losses=int((by_question < 0).sum()),
        greatest_wins=tuple(example(index) for index in best[:_EXAMPLES] if by_question[index] > 0),
        greatest_losses=tuple(
            example(index) for index in worst[:_EXAMPLES] if by_question[index] < 0
        ),
    )


def _depth(result: Result) -> NDArray[np.int64]:
    """Ranks in which not found is the deepest."""
    return np.where(result.ranks > 0, result.ranks, 101).astype(np.int64)


def _side(evaluation: Evaluation, result: Result, index: int) -> Side:
    question = evaluation.question_set.questions[index]
    chunks = evaluation.chunks[result.configuration.chunker]
    return Side(
        value=float(result.values[evaluation.measure][index]),
        rank=int(result.ranks[index]),
        excerpts=tuple(
            excerpt(chunks[position], question.evidence, rank=rank)
            for rank, position in enumerate(result.top[index, :_CHUNKS_SHOWN].tolist(), start=1)
            if position >= 0
        ),
    )


def excerpt(
    chunk: Chunk,
    evidence: Sequence[Evidence],
    *,
    rank: int,
    max_characters: int = _EXCERPT_CHARACTERS,
) -> Excerpt:
    """A chunk with its evidence marked, cut to about `max_characters` around the first of it.

    Where something is cut off stands "…".
    """
    pieces = [piece for piece in evidence if piece.document_id == chunk.document_id]
    marked = np.zeros(len(chunk.text), dtype=np.bool_)
    for piece in pieces:
        if piece.start is not None and piece.end is not None:
            marked[max(0, piece.start - chunk.start) : max(0, piece.end - chunk.start)] = True
    start, end = _shown(chunk.text, marked, max_characters)
    edges = [start, *(np.flatnonzero(np.diff(marked[start:end])) + start + 1).tolist(), end]
    parts = [
        (chunk.text[left:right], bool(marked[left]))
        for left, right in pairwise(edges)
        if left < right
    ]
    if start > 0:
        parts.insert(0, ("… ", False))
    if end < len(chunk.text):
        parts.append((" …", False))
    return Excerpt(
        rank=rank,
        document_id=chunk.document_id,
        start=chunk.start,
        end=chunk.end,
        right=bool(marked.any()) or any(piece.start is None for piece in pieces),
        parts=tuple(parts),
    )


def _shown(text: str, marked: NDArray[np.bool_], max_characters: int) -> tuple[int, int]:
    """The character range of `text` that is shown, at whole words where there are any near."""
    if len(text) <= max_characters:
        return 0, len(text)
    first = int(marked.argmax())
    run = marked[first:]
    length = (len(run) if run.all() else int(run.argmin())) if marked.any() else 0
    before = max(max_characters - length, max_characters // 4) // 2
    start = min(max(0, first - before), len(text) - max_characters)
    end = start + max_characters
    space = text.find(" ", start, min(start + 20, first)) if start > 0 else -1
    start = space + 1 if space >= 0 else start
    space = text.rfind(" ", end - 20, end) if end < len(text) else -1
    return start, (space if space >= 0 else end)


def _shortened(text: str) -> str:
    if len(text) <= _EXCERPT_CHARACTERS:
        return text
    return text[:_EXCERPT_CHARACTERS].rstrip() + " …"
