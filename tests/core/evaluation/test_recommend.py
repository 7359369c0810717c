from __future__ import annotations

import shlex

import numpy as np
import pytest
from typer.main import get_command

from jina_integrations import ApiSettings, Document, Embedder
from jina_integrations.cli.app import app
from jina_integrations.errors import InvalidSettingError
from jina_integrations.evaluation import (
    Configuration,
    Evaluation,
    Evidence,
    Question,
    QuestionSet,
    Result,
    recommend,
)
from jina_integrations.evaluation.bootstrap import difference, resampled_means

MEASURE = "nDCG@10"
BASE = Configuration(chunker="sentence:256")


def variant(**changes: object) -> Configuration:
    return Configuration(**{"chunker": "sentence:256"} | changes)


def evaluation_of(
    measured: dict[Configuration, tuple[np.ndarray, int, int]],
    *,
    embedder: Embedder | None = None,
    pseudo: bool = False,
) -> Evaluation:
    """Configurations with their values, tokens and bytes."""
    count = len(measured[BASE][0])
    results = []
    for configuration, (values, tokens, size) in measured.items():
        gain = values - measured[configuration.baseline][0]
        results.append(
            Result(
                configuration=configuration,
                values={MEASURE: values},
                differences={MEASURE: difference(gain, resampled_means(gain[:, None])[:, 0])},
                ranks=np.zeros(count, np.int32),
                top=np.full((count, 10), -1, np.int32),
                chunks=1,
                tokens=tokens,
                vector_bytes=size,
            )
        )
    questions = tuple(Question(f"{number}", "Which?", (Evidence("a"),)) for number in range(count))
    return Evaluation(
        question_set=QuestionSet("set", (Document("a", "Text."),), questions, pseudo=pseudo),
        embedder=(embedder or Embedder("minilm")).to_dict(),
        results=tuple(results),
        chunks={"sentence:256": ()},
        measures=(MEASURE,),
        measure=MEASURE,
        failures=(),
        tokens=0,
        seconds=0.0,
    )


def values(share: float, count: int = 200) -> np.ndarray:
    """1 for that share of the questions, evenly, else 0."""
    return (np.arange(count) * 0.61803 % 1.0 < share).astype(np.float64)


def test_a_clearly_better_configuration_is_chosen_though_dearer() -> None:
    mixed = variant(context_weight=0.5)
    advice = recommend(
        evaluation_of({BASE: (values(0.5), 100, 100), mixed: (values(0.7), 250, 100)})
    )

    assert advice.configuration == mixed
    assert advice.share > 0.99
    assert advice.difference.clear
    assert advice.command == (
        "jina-integrations ingest PATH --into ADDRESS --embedder minilm --chunker sentence:256 "
        "--late-chunking --context-weight 0.5"
    )
    assert advice.reasons[0].startswith("sentence:256 mix 0.5 has nDCG@10 0.700 on 200 questions")


def test_of_configurations_that_chance_may_order_the_cheapest_is_chosen() -> None:
    better = values(0.5)
    better[[3, 5, 7]] = 1.0, 1.0, 0.0
    worse = better.copy()
    worse[[3, 5, 7]] = 0.0, 0.0, 1.0
    late = variant(context_weight=1.0)
    advice = recommend(evaluation_of({BASE: (worse, 100, 100), late: (better, 140, 100)}))

    assert advice.configuration == BASE
    assert any("sentence:256 late has the highest mean" in reason for reason in advice.reasons)
    assert any(
        reason.startswith("Of late chunking, sentence:256 late") for reason in advice.reasons
    )
    assert advice.command.endswith("--no-late-chunking")


def test_the_standard_error_is_that_of_the_paired_difference() -> None:
    random = np.random.default_rng(3)
    first = random.random(80)
    second = first + random.normal(0.02, 0.05, 80)
    gain = second - first
    error = gain.std() / np.sqrt(80)
    late = variant(context_weight=1.0)
    for shift, expected in ((0.8, BASE), (1.25, late)):
        moved = second - gain.mean() + shift * error
        advice = recommend(evaluation_of({BASE: (first, 1, 1), late: (moved, 2, 1)}))
        assert advice.configuration == expected, shift


def test_what_ingest_cannot_make_is_told_and_not_chosen() -> None:
    measured = {
        BASE: (values(0.5), 100, 100),
        variant(neighbour_weight=0.3): (values(0.9), 100, 100),
        variant(retrieval="hybrid"): (values(0.8), 100, 100),
        variant(retrieval="hybrid", context_weight=1.0): (values(0.75), 100, 100),
        variant(quantization="int8"): (values(0.5), 100, 25),
    }
    advice = recommend(evaluation_of(measured))

    assert advice.configuration == BASE
    clearly = [reason for reason in advice.reasons if "clearly better" in reason]
    assert [reason.split(" is ")[0] for reason in clearly] == [
        "sentence:256 neighbours 0.3",
        "sentence:256 isolated hybrid",
    ]
    with pytest.raises(InvalidSettingError, match="nothing to recommend"):
        recommend(evaluation_of_only_splitters())


def evaluation_of_only_splitters() -> Evaluation:
    evaluation = evaluation_of({BASE: (values(0.5), 1, 1)})
    mine = Configuration(chunker="span:mine")
    result = Result(**{**_fields(evaluation.results[0]), "configuration": mine})
    return Evaluation(**{**_fields(evaluation), "results": (result,)})


def _fields(value: object) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def test_every_setting_reaches_the_command_or_is_told() -> None:
    best = variant(
        context_weight=1.0,
        window_tokens=512,
        overlap_tokens=128,
        dimensions=64,
        precision="bfloat16",
        heading_context=True,
    )
    embedder = Embedder(
        "a b",
        backend="api",
        base_url="http://127.0.0.1:8000/v1",
        api=ApiSettings(tokens_per_minute=9000, max_retries=2),
        truncate=True,
        normalize=False,
    )
    advice = recommend(
        evaluation_of({BASE: (values(0.1), 1, 1), best: (values(0.9), 1, 1)}, embedder=embedder)
    )

    assert shlex.split(advice.command)[5:] == [
        *("--embedder", "a b", "--chunker", "sentence:256", "--late-chunking"),
        *("--context-weight", "1", "--heading-context", "--backend", "api"),
        *("--precision", "bfloat16", "--dimensions", "64", "--window-tokens", "512"),
        *("--overlap-tokens", "128", "--base-url", "http://127.0.0.1:8000/v1"),
        *("--tokens-per-minute", "9000", "--truncate"),
    ]
    words = ["ingest", "docs", "--into", "qdrant-edge:./index#notes", *advice.arguments]
    group = get_command(app)
    _, command, rest = group.resolve_command(group.context_class(group), words)
    arguments = command.make_context("ingest", rest).params
    assert arguments["overlap_tokens"] == 128, "the command takes every one of these options"
    assert arguments["heading_context"] is True
    assert any("no option for max_retries, normalize:" in reason for reason in advice.reasons)


def test_few_questions_and_pseudo_questions_are_told() -> None:
    advice = recommend(evaluation_of({BASE: (values(0.5, 20), 1, 1)}, pseudo=True))

    assert any("pseudo-questions" in reason for reason in advice.reasons)
    assert any("questions are few (20)" in reason for reason in advice.reasons)
