"""Where spans lie in a document: under which headings, and on which pages."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from ..types import CharSpan, Heading, Page

__all__ = ["MAX_TITLE_CHARS", "Place", "places", "short_title"]

MAX_TITLE_CHARS: Final = 300
"""A longer "heading" is a paragraph, and as a title it would be stored again with every chunk."""


class Place(NamedTuple):
    """The fields of `Chunk` of the same names."""

    headings: tuple[str, ...]
    page: int | None
    page_end: int | None


def places(
    spans: Iterable[CharSpan], headings: Sequence[Heading], pages: Sequence[Page]
) -> Iterator[Place]:
    """The place of each span, in time O(headings + pages + spans * log).

    A span's innermost heading is the last one that starts at or before the span's first character;
    above it stands each time the last heading before of a lower level number.

    Args:
        spans: Half-open character spans, in any order.
        headings: By start. One without a title ends the sections above it and is in no path.
        pages: By start. A character before the first page is on no page.
    """
    heading_starts = [heading.start for heading in headings]
    page_starts = [page.start for page in pages]
    paths = [(), *_paths(headings)]
    numbers = [None, *(page.number for page in pages)]
    for start, end in spans:
        yield Place(
            headings=paths[bisect_right(heading_starts, start)],
            page=numbers[bisect_right(page_starts, start)],
            page_end=numbers[bisect_right(page_starts, end - 1)],
        )


def short_title(source: str) -> str:
    """The title on one line; empty where it is longer than `MAX_TITLE_CHARS`."""
    if len(source) > 10 * MAX_TITLE_CHARS:  # do not split megabytes into words to find out
        return ""
    line = " ".join(source.split())
    return line if len(line) <= MAX_TITLE_CHARS else ""


def _paths(headings: Iterable[Heading]) -> Iterator[tuple[str, ...]]:
    """For each heading the titles of those above it, and its own."""
    above: list[Heading] = []
    for heading in headings:
        while above and above[-1].level >= heading.level:
            above.pop()
        above.append(heading)
        yield tuple(each.title for each in above if each.title)
