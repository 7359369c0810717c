"""Which configuration to use, as a command line, and how sure that choice is."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..arguments import check_type
from ..errors import InvalidSettingError
from .bootstrap import RESAMPLES, difference, resampled_means
from .command import ingest_arguments, is_writable, settings_without_option
from .grid import Configuration
from .result import Difference, Evaluation, Result

__all__ = ["Recommendation", "recommend"]

_FEW_QUESTIONS: Final = 50


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The configuration to use.

    Attributes:
        configuration: The configuration.
        measure: What it was chosen by.
        arguments: Its options for ``jina-integrations ingest PATH --into ADDRESS``.
        share: Of the resamples of the questions, in how many the same choice comes out, 0 to 1.
        difference: To its baseline, in `measure`.
        reasons: Why, and how sure: whole sentences.
    """

    configuration: Configuration
    measure: str
    arguments: tuple[str, ...]
    share: float
    difference: Difference
    reasons: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command line, with PATH and ADDRESS left to fill in."""
        return f"jina-integrations ingest PATH --into ADDRESS {shlex.join(self.arguments)}"


def recommend(evaluation: Evaluation) -> Recommendation:
    """The cheapest configuration that is within one standard error of the best.

    That is the one-standard-error rule (Breiman et al. 1984, section 3.4.3), with the standard
    error of the paired difference. Cost is tokens to encode times bytes to store. Only what
    ``jina-integrations ingest`` can write is chosen from; the reasons name what else is clearly
    better.

    Raises:
        InvalidInputError: the argument is no Evaluation.
        InvalidSettingError: the grid has nothing that the command can write.
    """
    check_type("evaluation", evaluation, Evaluation, "an Evaluation")
    candidates = sorted(
        (result for result in evaluation.results if is_writable(result.configuration)),
        key=lambda result: result.tokens * result.vector_bytes,
    )
    if not candidates:
        raise InvalidSettingError(
            "nothing to recommend: no configuration of the grid is one that `ingest` can write"
        )
    measure = evaluation.measure
    values = np.stack([result.values[measure] for result in candidates], axis=1)
    resamples = resampled_means(values)
    errors = _standard_errors(resamples)
    ((best, chosen),) = _choose(values.mean(axis=0)[None, :], errors)
    share = float((_choose(resamples, errors)[:, 1] == chosen).mean())
    choice = candidates[chosen]
    return Recommendation(
        configuration=choice.configuration,
        measure=measure,
        arguments=ingest_arguments(choice.configuration, evaluation.embedder),
        share=share,
        difference=choice.differences[measure],
        reasons=tuple(_reasons(evaluation, choice, candidates[best], share)),
    )


def _choose(means: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.intp]:
    """For each row of means the best, and the first (that is, cheapest) that is near enough.

    Args:
        means: Of the candidates by cost, shape (rows, candidates).
        errors: `_standard_errors`.

    Returns:
        Positions, shape (rows, 2).
    """
    best = means.argmax(axis=1)
    least = np.take_along_axis(means, best[:, None], axis=1) - errors[best]
    return np.stack([best, (means >= least).argmax(axis=1)], axis=1)


def _standard_errors(resamples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the difference of each two candidates, paired: shape (candidates, candidates)."""
    covariance = np.atleast_2d(np.cov(resamples, rowvar=False))
    variance = covariance.diagonal()
    squared = variance[:, None] + variance[None, :] - 2 * covariance
    return np.sqrt(np.maximum(squared, 0.0))


def _reasons(evaluation: Evaluation, choice: Result, best: Result, share: float) -> Iterator[str]:
    measure = evaluation.measure
    count = len(evaluation.question_set.questions)
    yield (
        f"{choice.configuration.name} has {measure} {choice.mean(measure):.3f} on {count:,} "
        f"questions, and the same choice comes out in {share:.0%} of {RESAMPLES:,} resamples of "
        "them."
    )
    baseline = choice.configuration.baseline
    if choice.configuration != baseline:
        yield f"Its difference to {baseline.name}: {_points(choice.differences[measure])}."
    if best is not choice:
        (gain,) = _paired([best], choice, measure)
        yield (
            f"{best.configuration.name} has the highest mean, {_points(gain)} more: within one "
            "standard error, and dearer to encode and store."
        )
    if not choice.configuration.context_weight:
        yield from _why_not_late(evaluation, measure)
    yield from _what_else(evaluation, choice, measure)
    if evaluation.question_set.pseudo:
        yield "These are pseudo-questions, made out of the documents: real ones may rank otherwise."
    if count < _FEW_QUESTIONS:
        yield f"The questions are few ({count}): with others, the choice may well be another."
    left_out = settings_without_option(evaluation.embedder)
    if left_out:
        yield f"`ingest` has no option for {', '.join(left_out)}: use the Python function for that."


def _why_not_late(evaluation: Evaluation, measure: str) -> Iterator[str]:
    """How the best of the late-chunking configurations compares with its baseline."""
    late = [
        result
        for result in evaluation.results
        if result.configuration.context_weight and is_writable(result.configuration)
    ]
    if late:
        best = max(late, key=lambda result: result.mean(measure))
        yield (
            f"Of late chunking, {best.configuration.name} does best; its difference to isolated "
            f"chunks of the same size: {_points(best.differences[measure])}."
        )


def _what_else(evaluation: Evaluation, choice: Result, measure: str) -> Iterator[str]:
    """The best of each other way to search, where it is clearly better."""
    others: dict[object, Result] = {}
    for result in sorted(evaluation.results, key=lambda result: -result.mean(measure)):
        configuration = result.configuration
        if not is_writable(configuration):
            kind = (
                configuration.retrieval,
                configuration.quantization,
                configuration.neighbour_weight > 0.0,
            )
            others.setdefault(kind, result)
    gains = _paired(others.values(), choice, measure)
    for result, gain in zip(others.values(), gains, strict=True):
        if gain.low > 0.0:
            yield (
                f"{result.configuration.name} is clearly better, by {_points(gain)}; `ingest` does "
                "not do that, your own code or store would."
            )


def _paired(results: Collection[Result], other: Result, measure: str) -> list[Difference]:
    """How much better each of the results is than the other."""
    if not results:
        return []
    gains = np.stack([result.values[measure] - other.values[measure] for result in results], axis=1)
    means = resampled_means(gains)
    return [difference(gains[:, column], means[:, column]) for column in range(len(results))]


def _points(gain: Difference) -> str:
    low, high = 100 * gain.low, 100 * gain.high
    verdict = "" if gain.clear else ", which may be chance"
    return f"{100 * gain.mean:+.1f} points (95 % interval {low:+.1f} to {high:+.1f}{verdict})"
