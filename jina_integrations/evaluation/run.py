"""Measure every configuration of a grid on the same questions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..arguments import check_callback, check_type
from ..embedding.embedder import Embedder
from ..errors import InvalidSettingError
from .bootstrap import difference, resampled_means
from .encoding import Encoded, EvaluationProgress, encode
from .grid import Configuration, Grid
from .lexical import bm25_library
from .measures import Judge, measure_names, metrics_library
from .questions import QuestionSet
from .ranking import Rankings
from .result import Difference, Evaluation, Result
from .vectors import vector_bytes

__all__ = ["evaluate"]

_SHOWN: Final = 10
"""Hits of each question that a `Result` keeps."""

_Values: TypeAlias = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class _Outcome:
    """What one configuration found; see `Result`."""

    values: _Values
    ranks: NDArray[np.int32]
    top: NDArray[np.int32]


def evaluate(
    question_set: QuestionSet,
    *,
    embedder: Embedder,
    grid: Grid | None = None,
    k: int = 10,
    measure: str | None = None,
    on_progress: Callable[[EvaluationProgress], None] | None = None,
) -> Evaluation:
    """Measure whether late chunking helps, and what each configuration costs.

    Every document is encoded once for each window (through the API: and chunker), every chunk once
    for each chunker; all configurations are made of these vectors, and are those that `ingest`
    would store. Search is exact. A document that cannot be embedded is left out of all.

    Args:
        question_set: Documents, and questions that they answer.
        embedder: Its model, backend, precision and windows; the grid varies them.
        grid: What is compared; the default compares late chunking with isolated chunks of 256
            tokens.
        k: Depth of nDCG, recall and reciprocal rank, 1 to 100.
        measure: What configurations are compared by; None is nDCG, or, where answers are passages
            and there are several chunkers, ``recall@512t``, since larger chunks have fewer rivals.
        on_progress: Called as the work goes on, in this thread.

    Raises:
        InvalidSettingError: `k`, `measure`, or a value of the grid is not one that there is.
        LateChunkingUnsupportedError: the grid has late chunking, and the model does not.
        InvalidInputError: an argument has the wrong type, a question cannot be embedded, or none
            is left.
        MissingExtraError: the ``eval`` extra is not installed.
        JinaIntegrationsError: the model or service failed.
    """
    started = time.perf_counter()
    grid = Grid() if grid is None else grid
    check_type("question_set", question_set, QuestionSet, "a QuestionSet, see read_questions")
    check_type("embedder", embedder, Embedder, "an Embedder")
    check_type("grid", grid, Grid, "a Grid")
    check_callback("on_progress", on_progress)
    metrics_library()  # what is missing is said before anything is encoded
    if any(retrieval != "dense" for retrieval in grid.retrievals):
        bm25_library()
    names = measure_names(question_set.unit, k=k)
    by_size = len(grid.chunkers) > 1 and question_set.unit == "chunk"
    chosen = (names[-1] if by_size else names[0]) if measure is None else measure
    check_type("measure", chosen, str, "a str")
    if chosen not in names:
        raise InvalidSettingError(f"measure {chosen!r:.80} is none of {', '.join(names)}")
    encoded = encode(question_set, embedder=embedder, grid=grid, on_progress=on_progress)

    def report(done: int) -> None:
        if on_progress is not None:
            seconds = time.perf_counter() - started
            total = len(grid.configurations)
            tokens = encoded.tokens_encoded
            on_progress(EvaluationProgress("configurations", done, total, tokens, seconds))

    results = _results(encoded, embedder, grid.configurations, k=k, report=report)
    return Evaluation(
        question_set=encoded.question_set,
        embedder=embedder.to_dict(),
        results=tuple(results),
        chunks=encoded.chunks,
        measures=names,
        measure=chosen,
        failures=encoded.failures,
        tokens=encoded.tokens_encoded,
        seconds=time.perf_counter() - started,
    )


def _results(
    encoded: Encoded,
    embedder: Embedder,
    configurations: Sequence[Configuration],
    *,
    k: int,
    report: Callable[[int], None],
) -> list[Result]:
    rankings = Rankings(encoded, k=k)
    judges = {
        name: Judge(
            encoded.question_set, chunks, rankings.units(name), tokenizer=embedder.tokenizer, k=k
        )
        for name, chunks in encoded.chunks.items()
    }
    outcomes: dict[Configuration, _Outcome] = {}
    for done, configuration in enumerate(configurations):
        report(done)
        judge, ranking = judges[configuration.chunker], rankings.rank(configuration)
        outcomes[configuration] = _Outcome(
            judge.values(ranking), judge.ranks(ranking), ranking[:, :_SHOWN]
        )
    report(len(configurations))
    differences = _differences(
        {configuration: outcome.values for configuration, outcome in outcomes.items()}
    )
    return [
        Result(
            configuration=configuration,
            values=outcome.values,
            differences=differences[configuration],
            ranks=outcome.ranks,
            top=outcome.top,
            chunks=len(encoded.chunks[configuration.chunker]),
            tokens=sum(encoded.tokens[encoding] for encoding in encoded.encodings[configuration]),
            vector_bytes=vector_bytes(
                configuration,
                chunks=len(encoded.chunks[configuration.chunker]),
                dimensions=embedder.dimensions,
            ),
        )
        for configuration, outcome in outcomes.items()
    ]


def _differences(
    values: Mapping[Configuration, _Values],
) -> dict[Configuration, dict[str, Difference]]:
    """Of each configuration and measure to the configuration's baseline."""
    gains = {
        (configuration, name): column - values[configuration.baseline][name]
        for configuration, columns in values.items()
        for name, column in columns.items()
    }
    means = resampled_means(np.stack(list(gains.values()), axis=1))
    differences: dict[Configuration, dict[str, Difference]] = {
        configuration: {} for configuration in values
    }
    for column, ((configuration, name), gain) in enumerate(gains.items()):
        differences[configuration][name] = difference(gain, means[:, column])
    return differences
