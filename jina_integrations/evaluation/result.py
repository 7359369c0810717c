"""What an evaluation found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arguments import check_type
from ..ingestion.report import DocumentFailure
from ..types import Chunk
from .grid import Configuration
from .questions import QuestionSet

__all__ = ["Difference", "Evaluation", "Result"]


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better a configuration is than its baseline on the same questions.

    Attributes:
        mean: Of the differences of all questions.
        low: Lower end of the 95 % interval of that mean, by a paired bootstrap over questions.
        high: Its upper end.
        share_above: Share of the resamples in which the mean is above 0.
    """

    mean: float
    low: float
    high: float
    share_above: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What one configuration gave.

    Attributes:
        configuration: The configuration.
        values: For each measure its value on every question, float64, shape (questions,).
        differences: For each measure the difference to `Configuration.baseline`.
        ranks: Rank of the first right unit for each question, from 1; 0 where none was among the
            100 best. int32, shape (questions,).
        top: For each question the ten best hits, best first, as positions in
            `Evaluation.chunks`; -1 where there were fewer. Where documents are judged, the best
            chunk of each. int32, shape (questions, 10).
        chunks: Chunks that are stored.
        tokens: Tokens that an ingest with this configuration encodes.
        vector_bytes: Bytes of all stored vectors, rescoring's float32 included.
    """

    configuration: Configuration
    values: Mapping[str, NDArray[np.float64]]
    differences: Mapping[str, Difference]
    ranks: NDArray[np.int32]
    top: NDArray[np.int32]
    chunks: int
    tokens: int
    vector_bytes: int

    def mean(self, measure: str) -> float:
        """The measure's mean over all questions."""
        return float(self.values[measure].mean())


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """All results, and what they were measured on.

    Attributes:
        question_set: What was measured on; without what could not be embedded.
        embedder: Settings of the embedder, as in `Embedder.to_dict`.
        results: In the order of `Grid.configurations`.
        chunks: For each chunker its chunks, all documents in order.
        measures: Their names, in the order of the reports.
        measure: The one that configurations are compared by.
        failures: Documents that could not be embedded.
        tokens: Tokens that the evaluation itself encoded.
        seconds: Wall time.
    """

    question_set: QuestionSet
    embedder: Mapping[str, object]
    results: tuple[Result, ...]
    chunks: Mapping[str, tuple[Chunk, ...]]
    measures: tuple[str, ...]
    measure: str
    failures: tuple[DocumentFailure, ...]
    tokens: int
    seconds: float

    def result(self, configuration: Configuration) -> Result:
        """The result of a configuration.

        Raises:
            InvalidInputError: the argument is no Configuration.
            KeyError: it was not measured.
        """
        check_type("configuration", configuration, Configuration, "a Configuration")
        for result in self.results:
            if result.configuration == configuration:
                return result
        raise KeyError(configuration.name)

    def to_dict(self) -> dict[str, object]:
        """Everything but the single questions and chunks, as JSON values."""
        questions = self.question_set
        return {
            "questions": {
                "name": questions.name,
                "count": len(questions.questions),
                "documents": len(questions.documents),
                "unit": questions.unit,
                "pseudo": questions.pseudo,
                "notes": list(questions.notes),
            },
            "embedder": dict(self.embedder),
            "measure": self.measure,
            "results": [_row(result, self.measures) for result in self.results],
            "failures": [
                {"document_id": failure.document_id, "error": str(failure.error)}
                for failure in self.failures
            ],
            "tokens": self.tokens,
            "seconds": self.seconds,
        }


def _row(result: Result, measures: tuple[str, ...]) -> dict[str, object]:
    configuration = result.configuration
    return {
        "name": configuration.name,
        "baseline": configuration.baseline.name,
        "method": configuration.method,
        **configuration.to_dict(),
        "chunks": result.chunks,
        "tokens": result.tokens,
        "vector_bytes": result.vector_bytes,
        "measures": {
            name: {
                "mean": result.mean(name),
                "difference": result.differences[name].mean,
                "low": result.differences[name].low,
                "high": result.differences[name].high,
                "share_above": result.differences[name].share_above,
            }
            for name in measures
        },
    }
