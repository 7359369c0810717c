"""Progress bars on a terminal, and nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from ..evaluation import EvaluationProgress
from ..ingestion import IngestProgress
from ..readers.walk import walk
from .outcome import one_line

__all__ = ["evaluation_bar", "progress_bar"]

_RECORD_FILES = (".csv", ".jsonl")
"""One such file holds any number of documents."""


@contextmanager
def progress_bar(paths: Sequence[str]) -> Generator[Callable[[IngestProgress], None] | None]:
    """A callback that draws documents, chunks, tokens/s and time left; None without a terminal.

    Time left is known where every file is one document.
    """
    with _terminal_bar() as bar:
        if bar is None:
            yield None
            return
        task = bar.add_task("loading the model", total=_count_inputs(paths))

        def draw(progress: IngestProgress) -> None:
            documents = progress.embedded + progress.unchanged
            bar.update(
                task,
                completed=documents + progress.failed + progress.skipped,
                description=f"{documents:,} documents  {progress.chunks:,} chunks  "
                f"{_rate(progress):,.0f} tokens/s",
            )

        yield draw


@contextmanager
def evaluation_bar() -> Generator[Callable[[EvaluationProgress], None] | None]:
    """A callback that draws a bar for each step, with tokens/s and time left; None elsewhere."""
    with _terminal_bar() as bar:
        if bar is None:
            yield None
            return
        task = bar.add_task("loading the model", total=None)
        step = ""

        def draw(progress: EvaluationProgress) -> None:
            nonlocal step
            if progress.step != step:
                step = progress.step
                bar.reset(task, total=progress.total)
            bar.update(
                task,
                completed=progress.done,
                description=f"{one_line(step)}  {progress.done:,} of {progress.total:,}  "
                f"{_rate(progress):,.0f} tokens/s",
            )

        yield draw


@contextmanager
def _terminal_bar() -> Generator[Progress | None]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (
        SpinnerColumn(),
        BarColumn(),
        TextColumn("{task.description}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield bar


def _rate(progress: IngestProgress | EvaluationProgress) -> float:
    """Tokens a second."""
    return progress.tokens / progress.seconds if progress.seconds else 0.0


def _count_inputs(paths: Sequence[str]) -> int | None:
    """How many results `read_documents` will give; None where only reading can tell."""
    count = 0
    for path in paths:
        for entry in walk(Path(path)):
            if entry.path.lower().endswith(_RECORD_FILES):
                return None
            count += 1
    return count
