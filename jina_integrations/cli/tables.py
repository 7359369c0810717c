"""What `eval` prints: a table for people, and JSON for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import accumulate
from typing import Final, Literal

from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from ..evaluation import Difference, Evaluation, Recommendation, Result, describe_measure
from .outcome import counted, one_line
from .output import console

__all__ = ["evaluation_row", "evaluation_text", "points"]

_NAME_COLUMNS = 20
_GAP = 2
_JUSTIFY: Final[tuple[Literal["left", "right"], ...]] = ("left", "right", "right")
_INTERVALS = (
    "Intervals: 95 %, paired bootstrap over questions, against isolated chunks of the same size.",
    "* marks differences whose interval leaves out 0. All figures are points of 100.",
)


def evaluation_row(
    evaluation: Evaluation, recommendation: Recommendation | None
) -> dict[str, object]:
    """`Evaluation.to_dict`, with the recommendation where there is one."""
    row = evaluation.to_dict()
    if recommendation is not None:
        difference = recommendation.difference
        row["recommendation"] = {
            "name": recommendation.configuration.name,
            "command": recommendation.command,
            "arguments": list(recommendation.arguments),
            "measure": recommendation.measure,
            "difference": difference.mean,
            "low": difference.low,
            "high": difference.high,
            "share_above": difference.share_above,
            "share": recommendation.share,
            "reasons": list(recommendation.reasons),
        }
    return row


def evaluation_text(evaluation: Evaluation, recommendation: Recommendation | None) -> str:
    """What was measured on, the table, what it means, and the recommendation.

    As wide as the terminal, and with its colours; elsewhere 120 columns and none.
    """
    target = console()
    table, shown = _table(evaluation, target.width)
    left_out = [name for name in evaluation.measures if name not in shown]
    with target.capture() as captured:
        for line in _measured_on(evaluation):
            target.print(line)
        target.print()
        target.print(table)
        target.print()
        for name in shown:
            target.print(Text(f"{name}: {describe_measure(name)}"))
        if left_out:
            also = ", ".join(left_out)
            target.print(Text(f"Also measured, for wider terminals and in --json: {also}."))
        target.print(Text("\n".join(_INTERVALS)))
        if recommendation is not None:
            target.print()
            name = one_line(recommendation.configuration.name)
            target.print(Text(f"Recommended: {name}", style="bold"))
            target.print(f"  {one_line(recommendation.command)}", soft_wrap=True)
            for reason in recommendation.reasons:
                item = f"- {one_line(reason)}"
                target.print(textwrap.fill(item, target.width, subsequent_indent="  "))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _measured_on(evaluation: Evaluation) -> Iterator[Text]:
    question_set = evaluation.question_set
    documents = counted(len(question_set.documents), "document")
    kind = "PSEUDO-QUESTION" if question_set.pseudo else "question"
    questions = counted(len(question_set.questions), kind)
    yield Text(f"{one_line(question_set.name)}: {questions} on {documents}", style="bold")
    if question_set.pseudo:
        yield Text(
            "Pseudo-questions are made out of the documents: they compare configurations, and do "
            "not tell how well real questions are answered.",
            style="yellow",
        )
    for line in question_set.notes:
        yield Text(f"Note: {one_line(line)}.".replace("..", "."))
    model = one_line(str(evaluation.embedder["model"]))
    yield Text(
        f"{counted(len(evaluation.results), 'configuration')} of {model}, "
        f"{counted(evaluation.tokens, 'token')} encoded in {evaluation.seconds:,.1f} s"
    )


def _table(evaluation: Evaluation, columns: int) -> tuple[Table, list[str]]:
    """The table, and the measures in it: the chosen one first, and as many others as fit."""
    results, chosen = evaluation.results, evaluation.measure
    differences = [_difference(result, chosen) for result in results]
    tokens = [f"{result.tokens:,}" for result in results]
    sizes = [decimal(result.vector_bytes) for result in results]
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    table.add_column("configuration", overflow="fold", min_width=_NAME_COLUMNS)
    taken = _NAME_COLUMNS
    fixed = (
        (f"difference\nin {chosen}", [text.plain for text in differences]),
        ("tokens\nto encode", tokens),
        ("vectors\nto store", sizes),
    )
    for heading, cells in fixed:
        taken += _GAP + max(map(len, (*heading.split("\n"), *cells)))
    measures = [chosen, *(name for name in evaluation.measures if name != chosen)]
    widths = [_GAP + max(map(len, (*_heading(name).split("\n"), "100.0"))) for name in measures]
    fitting = sum(taken + width <= columns for width in accumulate(widths))
    measures = measures[: max(1, fitting)]
    for name in measures:
        table.add_column(_heading(name), justify="right", no_wrap=True)
    for (heading, _), justify in zip(fixed, _JUSTIFY, strict=True):
        table.add_column(heading, justify=justify, no_wrap=True)
    chunker = ""
    for result, difference, encoded, size in zip(results, differences, tokens, sizes, strict=True):
        configuration = result.configuration
        if configuration.chunker != chunker:
            chunker = configuration.chunker
            if table.row_count:
                table.add_row()
            title = f"{one_line(chunker)}, {counted(result.chunks, 'chunk')}"
            table.add_row(Text(title, style="bold"))
        table.add_row(
            Text(" ".join((configuration.method, *configuration.options))),
            *(Text(f"{100 * result.mean(name):.1f}") for name in measures),
            difference,
            encoded,
            size,
        )
    return table, measures


def _heading(measure: str) -> str:
    """On two lines."""
    return measure.replace("@", "\n@")


def _difference(result: Result, measure: str) -> Text:
    if result.configuration == result.configuration.baseline:
        return Text("baseline", style="dim")
    difference = result.differences[measure]
    style = ("green" if difference.mean > 0 else "red") if difference.clear else ""
    mark = " *" if difference.clear else ""
    return Text(f"{points(difference)}{mark}", style=style)


def points(difference: Difference) -> str:
    """In points of 100, e.g. ``"+1.2 [+0.3, +2.1]"``."""
    low, mean, high = (100 * x for x in (difference.low, difference.mean, difference.high))
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
