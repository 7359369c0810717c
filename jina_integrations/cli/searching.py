"""The command ``search``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from .addresses import ADDRESS_HELP, JsonOption
from .filters import FilterOption, parse_filter_words
from .outcome import one_line, reported, say, say_json

if TYPE_CHECKING:
    from ..types import Chunk, Hit

__all__ = ["search_command"]

_INDENT: Final = 4
_LINES: Final = 3
_WORD: Final = re.compile(r"\w{3,}")


def search_command(
    question: Annotated[str, typer.Argument(help="What to look for.")],
    address: Annotated[str, typer.Option("--from", metavar="ADDRESS", help=ADDRESS_HELP)],
    k: Annotated[int, typer.Option("-k", min=1, help="How many hits at most.")] = 5,
    filters: FilterOption = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The server to embed the question with, for a collection that was filled "
            "through one.",
            show_default=False,
        ),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Print whole chunks.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find the chunks nearest to a question.

    The collection remembers how it was filled, so the question is embedded in the same way.
    """
    with reported():
        from ..collection import Collection

        conditions = parse_filter_words(filters or [])
        with Collection.open(address, base_url=base_url) as collection:
            hits = collection.search(question, k=k, filters=conditions)
        if as_json:
            say_json([_row(rank, hit) for rank, hit in enumerate(hits, 1)])
        else:
            say("\n".join(_lines(question, hits, full=full)) or "no hits")


def _row(rank: int, hit: Hit) -> dict[str, object]:
    return {"rank": rank, "score": hit.score, **hit.chunk.to_dict()}


def _lines(question: str, hits: Sequence[Hit], *, full: bool) -> list[str]:
    """Rank, score and place of each hit, and below it the text."""
    from .output import wrapped

    lines: list[str] = []
    for rank, hit in enumerate(hits, start=1):
        text = wrapped(hit.chunk.text, indent=_INDENT)
        lines.append(f"{rank}. {hit.score:.3f}  {_place(hit.chunk)}")
        lines += text if full else _excerpt(text, question)
    return lines


def _place(chunk: Chunk) -> str:
    """E.g. ``docs/guide.md > Install > Linux, p. 3-4, 120-240``; the last are characters."""
    path = " > ".join(map(one_line, (chunk.document_id, *chunk.headings)))
    parts = [path]
    if chunk.page is not None:
        last = "" if chunk.page_end in (None, chunk.page) else f"-{chunk.page_end}"
        parts.append(f"p. {chunk.page}{last}")
    return ", ".join([*parts, f"{chunk.start}-{chunk.end}"])


def _excerpt(lines: Sequence[str], question: str) -> list[str]:
    """The consecutive lines that hold the most words of the question."""
    words = set(_WORD.findall(question.casefold()))

    def shared(first: int) -> int:
        part = " ".join(lines[first : first + _LINES]).casefold()
        return len(words.intersection(_WORD.findall(part)))

    first = max(range(max(1, len(lines) - _LINES + 1)), key=shared)  # the first of equal ones
    shown = list(lines[first : first + _LINES])
    if first:
        shown[0] = f"{shown[0][:_INDENT]}… {shown[0][_INDENT:]}"
    if first + _LINES < len(lines):
        shown[-1] += " …"
    return shown
