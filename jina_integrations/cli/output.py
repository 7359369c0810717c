"""How commands lay out what they print for people."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from .outcome import one_line

__all__ = ["console", "fields_table", "rendered", "rows_table", "width", "wrapped"]

_PIPED_COLUMNS: Final = 120
_MIN_COLUMNS: Final = 60


def width() -> int:
    """Columns of the terminal; elsewhere a fixed number, so that pipes get the same each time."""
    terminal = sys.stdout.isatty()
    columns = shutil.get_terminal_size().columns if terminal else _PIPED_COLUMNS
    return max(columns, _MIN_COLUMNS)


def console() -> Console:
    """As wide as the terminal, and with its colours; elsewhere without any."""
    terminal = sys.stdout.isatty()
    return Console(
        width=width(),
        force_terminal=terminal,
        color_system="auto" if terminal else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def rendered(*items: RenderableType) -> str:
    """What `console` prints, as text."""
    target = console()
    with target.capture() as captured:
        for item in items:
            target.print(item)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def rows_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numbers: Sequence[str] = (),
    on_one_line: Mapping[str, int] | None = None,
) -> Table:
    """A table without lines; long text goes on below itself.

    Args:
        headings: Of the columns.
        rows: Cells, as many as there are headings. Ints get commas between their thousands.
        numbers: Headings of columns that end, and do not begin, below each other.
        on_one_line: Headings of columns whose cells are cut where they do not fit, with the share
            of the remaining width that each gets.
    """
    shares = on_one_line or {}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=bool(shares))
    for heading in headings:
        table.add_column(
            heading,
            justify="right" if heading in numbers else "left",
            no_wrap=heading in (*numbers, *shares),
            overflow="ellipsis" if heading in shares else "fold",
            ratio=shares.get(heading),
        )
    for row in rows:
        table.add_row(*map(_cell, row))
    return table


def fields_table(fields: Iterable[tuple[str, object]]) -> Table:
    """Names and values, one pair a line."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, value in fields:
        table.add_row(name, _cell(value))
    return table


def _cell(value: object) -> Text:
    number = isinstance(value, int) and not isinstance(value, bool)
    return Text(f"{value:,}" if number else one_line(str(value)))


def wrapped(text: str, *, indent: int) -> list[str]:
    """The text in lines that are indented and no longer than the terminal is wide."""
    margin = " " * indent
    return textwrap.wrap(
        one_line(text), width(), initial_indent=margin, subsequent_indent=margin
    ) or [margin]
