"""How far a command is: a bar on a terminal, and a line now and then elsewhere."""

from __future__ import annotations

import csv
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

from ..readers.results import SourceFile
from ..readers.walk import given_paths, walk
from .outcome import note, one_line

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..evaluation import EvaluationProgress
    from ..ingestion.report import IngestProgress

__all__ = ["evaluation_bar", "ingest_progress"]

LINE_EVERY_S: Final = 30.0
"""Between two lines where there is no terminal: a log shows that the run lives, and stays short."""

_NAME_CHARACTERS: Final = 200
_OnIngest: TypeAlias = "Callable[[IngestProgress], None]"
_OnEvaluation: TypeAlias = "Callable[[EvaluationProgress], None]"


@contextmanager
def ingest_progress(
    paths: Sequence[str], *, line_every_s: float = LINE_EVERY_S
) -> Generator[_OnIngest]:
    """A callback that shows what the run does, documents of how many, tokens/s and time left.

    Args:
        paths: What is read; counted in the background.
        line_every_s: Seconds between two lines on stderr where that is no terminal.
    """
    inputs = _Inputs(paths)
    try:
        if sys.stderr.isatty():
            with _terminal_bar() as bar:
                yield _drawn_on(bar, inputs)
        else:
            yield _lines(inputs, line_every_s)
    finally:
        inputs.stop()


def _drawn_on(bar: Progress, inputs: _Inputs) -> _OnIngest:
    task = bar.add_task("starting", total=None, counts="")
    pace = _Pace()

    def draw(progress: IngestProgress) -> None:
        rate = pace.tokens_per_second(progress.tokens, progress.seconds)
        bar.update(
            task,
            completed=progress.done,
            total=inputs.total,
            description=_doing(progress),
            counts=f"{inputs.counted(progress.done)}  {progress.tokens:,} tokens, {rate:,.0f}/s",
        )

    return draw


def _lines(inputs: _Inputs, every_s: float) -> _OnIngest:
    pace = _Pace()
    due, done, then = every_s, 0, 0.0

    def tell(progress: IngestProgress) -> None:
        nonlocal due, done, then
        rate = pace.tokens_per_second(progress.tokens, progress.seconds)
        if progress.seconds < due:
            return
        line = (
            f"{_doing(progress)}: {inputs.counted(progress.done)}, {progress.chunks:,} chunks, "
            f"{progress.tokens:,} tokens, {rate:,.0f}/s"
        )
        if inputs.total and progress.done > done:
            speed = (progress.done - done) / (progress.seconds - then)
            line += f", {_duration((inputs.total - progress.done) / speed)} left"
        note(line)
        due, done, then = progress.seconds + every_s, progress.done, progress.seconds

    return tell


def _doing(progress: IngestProgress) -> str:
    """E.g. ``embedding docs/guide.md``."""
    name = progress.document_id[-_NAME_CHARACTERS:]
    named = progress.activity in ("reading", "embedding", "writing")
    return one_line(f"{progress.activity} {name}") if named else progress.activity


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds, e.g. ``1:02:03``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


class _Pace:
    """Tokens a second since the first ones, so that the loading of a model does not count."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def tokens_per_second(self, tokens: int, seconds: float) -> float:
        """The rate after so many tokens and seconds in all; 0 where it is not known yet."""
        if self._first is None:
            if tokens:
                self._first = tokens, seconds
            return 0.0
        passed = seconds - self._first[1]
        return (tokens - self._first[0]) / passed if passed else 0.0


class _Inputs:
    """How many documents the paths hold, counted in a thread of its own.

    The records of CSV and JSON Lines are counted by a quick look, which may be a little wrong.

    Attributes:
        total: None until it is known.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.total: int | None = None
        self._exact = True
        self._stopped = False
        threading.Thread(target=self._count, args=(paths,), name="jina-count", daemon=True).start()

    def stop(self) -> None:
        """Count no further."""
        self._stopped = True

    def counted(self, done: int) -> str:
        """E.g. ``12 of 300 documents``."""
        if self.total is None:
            return f"{done:,} documents"
        about = "" if self._exact else "about "
        return f"{done:,} of {about}{max(self.total, done):,} documents"

    def _count(self, paths: Sequence[str]) -> None:
        count = 0
        for given in given_paths(paths):
            for entry in walk(given):
                if self._stopped:
                    return
                count += 1 if not isinstance(entry, SourceFile) else self._documents_in(entry)
        self.total = count

    def _documents_in(self, file: SourceFile) -> int:
        name = file.path.lower()
        if not name.endswith((".csv", ".jsonl")):
            return 1
        self._exact = False
        try:
            # Bytes as Latin-1: line ends, commas and quotes are the same in all usual encodings.
            with file.location.open(encoding="latin-1", newline="") as stream:
                if name.endswith(".jsonl"):
                    return self._length(line for line in stream if not line.isspace())
                return max(0, self._length(csv.reader(stream)) - 1)
        except (OSError, csv.Error):  # reading it will tell
            return 1

    def _length(self, records: Iterator[object]) -> int:
        count = 0
        for _ in records:
            if self._stopped:
                break
            count += 1
        return count


@contextmanager
def evaluation_bar() -> Generator[_OnEvaluation | None]:
    """A callback that draws a bar for each step, with tokens/s and time left; None elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    with _terminal_bar() as bar:
        task = bar.add_task("loading the model", total=None, counts="")
        step = ""

        def draw(progress: EvaluationProgress) -> None:
            nonlocal step
            if progress.step != step:
                step = progress.step
                bar.reset(task, total=progress.total)
            rate = progress.tokens / progress.seconds if progress.seconds else 0.0
            bar.update(
                task,
                completed=progress.done,
                description=one_line(step),
                counts=f"{progress.done:,} of {progress.total:,}  {rate:,.0f} tokens/s",
            )

        yield draw


@contextmanager
def _terminal_bar() -> Generator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    columns = (
        SpinnerColumn(),
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
        BarColumn(bar_width=12),
        TextColumn("{task.fields[counts]}", markup=False, table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, expand=True) as bar:
        yield bar
