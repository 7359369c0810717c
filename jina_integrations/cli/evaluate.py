"""The command ``eval``: which way of chunking and encoding finds the most, on one's own text."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, cast, get_args

import typer

from ..chunkers.registry import parse_chunker
from ..errors import InvalidSettingError
from ..evaluation import Grid, evaluate, read_questions, recommend, render_html
from ..evaluation.grid import Quantization, Retrieval, Window
from ..evaluation.reading import Form
from ..settings import Precision
from .addresses import JsonOption
from .options import embedder_options, make_embedder
from .outcome import SOME_FAILED, note, reported, say, say_json
from .output_file import output_file
from .progress import evaluation_bar
from .tables import evaluation_row, evaluation_text

__all__ = ["evaluate_command", "parse_grid"]

_PSEUDO_QUESTIONS = 300
"""Made of a folder of documents unless told otherwise."""


@embedder_options(
    leave_out=(  # what the grid varies
        "late_chunking",
        "context_weight",
        "window_tokens",
        "overlap_tokens",
        "dimensions",
        "precision",
    )
)
def evaluate_command(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="Questions with known answers: SQuAD JSON, our JSON Lines, a folder of BEIR or "
            "chunking_evaluation; or documents, out of which pseudo-questions are made.",
        ),
    ],
    settings: Mapping[str, object],
    chunkers: Annotated[
        str, typer.Option(metavar="LIST", help="As --chunker of `ingest`, with commas between.")
    ] = "sentence:256",
    context_weights: Annotated[
        str, typer.Option(metavar="LIST", help="0 is isolated chunks, 1 is late chunking.")
    ] = "0,0.25,0.5,1",
    neighbour_weights: Annotated[
        str,
        typer.Option(
            metavar="LIST", help="For the control: weight of both neighbouring chunks, or none."
        ),
    ] = "0.3",
    windows: Annotated[
        str, typer.Option(metavar="LIST", help="Windows of late chunking: TOKENS/OVERLAP, or auto.")
    ] = "auto",
    dimensions: Annotated[
        str, typer.Option(metavar="LIST", help="Lengths of vectors, or full.")
    ] = "full",
    precisions: Annotated[
        str, typer.Option(metavar="LIST", help="auto, float32, bfloat16, float16 or int8.")
    ] = "auto",
    heading_contexts: Annotated[
        str, typer.Option(metavar="LIST", help="on embeds title and headings with each chunk.")
    ] = "off",
    quantizations: Annotated[
        str, typer.Option(metavar="LIST", help="none, int8, binary or binary-rescored.")
    ] = "none",
    retrievals: Annotated[
        str, typer.Option(metavar="LIST", help="dense, bm25 or hybrid.")
    ] = "dense",
    k: Annotated[int, typer.Option("-k", min=1, help="Hits that the measures look at.")] = 10,
    measure: Annotated[
        str | None,
        typer.Option(
            help="What configurations are compared by.",
            show_default="nDCG@k; for several chunkers recall@512t",
        ),
    ] = None,
    questions: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Draw this many questions at random.",
            show_default=f"all; {_PSEUDO_QUESTIONS} pseudo-questions",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed for drawing the questions.", show_default="0")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(get_args(Form))}.", show_default="by what is there"),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Which qrels of BEIR to use.", show_default="test")
    ] = None,
    recommended: Annotated[
        bool, typer.Option("--recommend", help="Print the command to use, and how sure that is.")
    ] = False,
    html: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a report with plots.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure which settings find most.

    On your own text, with every combination of the lists (late chunking among them), compared to
    isolated chunks of the same size.

    Exit codes: 0 all well, 1 some documents failed, 2 wrong usage or refused, 130 stopped by
    Ctrl-C.
    """
    with reported(stopped="stopped; nothing was written"), output_file(html) as write_html:
        grid = parse_grid(
            chunkers=chunkers,
            context_weights=context_weights,
            neighbour_weights=neighbour_weights,
            windows=windows,
            dimensions=dimensions,
            precisions=precisions,
            heading_contexts=heading_contexts,
            quantizations=quantizations,
            retrievals=retrievals,
        )
        chosen = make_embedder(settings)
        question_set = read_questions(
            path,
            form=_form(form),
            split=split,
            pseudo_questions=questions or _PSEUDO_QUESTIONS,
            seed=seed or 0,
        )
        if questions is not None:
            question_set = question_set.sample(questions, seed=seed or 0)
        elif seed is not None and not question_set.pseudo:
            raise InvalidSettingError("--seed draws no question here: say how many by --questions")
        with evaluation_bar() as draw:
            evaluation = evaluate(
                question_set, embedder=chosen, grid=grid, k=k, measure=measure, on_progress=draw
            )
        for failure in evaluation.failures:
            note(f"failed: {failure.document_id}: {failure.error}")
        advice = recommend(evaluation) if recommended or write_html else None
        shown = advice if recommended else None
        if as_json:
            say_json(evaluation_row(evaluation, shown))
        else:
            say(evaluation_text(evaluation, shown))
        if write_html:
            write_html(render_html(evaluation, advice))
    if evaluation.failures:
        sys.exit(SOME_FAILED)


def parse_grid(
    *,
    chunkers: str,
    context_weights: str,
    neighbour_weights: str,
    windows: str,
    dimensions: str,
    precisions: str,
    heading_contexts: str,
    quantizations: str,
    retrievals: str,
) -> Grid:
    """The grid of the command's lists: values with commas between, spaces around them allowed.

    Raises:
        InvalidSettingError: a value is not of its form, or one that `Grid` refuses.
    """
    return Grid(
        chunkers=[parse_chunker(word) for word in _words(chunkers)],
        context_weights=_numbers("--context-weights", context_weights),
        neighbour_weights=_numbers("--neighbour-weights", neighbour_weights),
        windows=[_window(word) for word in _words(windows)],
        dimensions=[
            None if word == "full" else _count("--dimensions", word, "a number, or full")
            for word in _words(dimensions)
        ],
        # The embedder's own is auto. Grid checks that the words are among its choices.
        precisions=[
            None if word == "auto" else cast("Precision", word) for word in _words(precisions)
        ],
        heading_contexts=[_switch("--heading-contexts", word) for word in _words(heading_contexts)],
        quantizations=cast("list[Quantization]", _words(quantizations)),
        retrievals=cast("list[Retrieval]", _words(retrievals)),
    )


def _words(values: str) -> list[str]:
    return [word.strip() for word in values.split(",")] if values.strip() else []


def _numbers(option: str, values: str) -> list[float]:
    if values.strip() == "none":
        return []
    try:
        return [float(word) for word in _words(values)]
    except ValueError:
        raise InvalidSettingError(
            f"{option} must be numbers with commas between, or none, not {values!r:.80}"
        ) from None


def _count(option: str, word: str, expected: str) -> int:
    if not (word.isascii() and word.isdigit()):
        raise InvalidSettingError(f"{option}: {word!r:.80} is not {expected}")
    return int(word)


def _switch(option: str, word: str) -> bool:
    if word not in ("off", "on"):
        raise InvalidSettingError(f"{option}: {word!r:.80} is neither off nor on")
    return word == "on"


def _window(word: str) -> Window:
    window, _, overlap = word.partition("/")
    expected = "TOKENS/OVERLAP, where each may be auto"
    sizes = [
        None if size == "auto" else _count("--windows", size, expected)
        for size in (window, overlap or "auto")
    ]
    return sizes[0], sizes[1]


def _form(name: str | None) -> Form | None:
    if name is not None and name not in get_args(Form):
        raise InvalidSettingError(f"--form {name!r:.80} is none of {', '.join(get_args(Form))}")
    return cast("Form | None", name)
