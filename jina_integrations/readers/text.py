"""Plain text, Markdown and reStructuredText: the text as it stands, with its headings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from ..chunkers.markdown_blocks import markdown_blocks, markdown_headings
from ..types import Document, Heading
from .decoding import encoding_metadata, read_text
from .results import SourceFile, make_document

__all__ = ["read_markdown", "read_plain", "read_rst", "rst_headings"]

_RST_LINE = re.compile(r"([!-/:-@\[-`{-~])\1*")
"""A printable ASCII character that is no letter or digit, repeated (docutils, section titles)."""

_RST_MARKUP = re.compile(r"(?:[-*+]|\.\.)\s")
"""Starts of list items, comments and directives, which are no titles."""


def read_plain(file: SourceFile, stream: BinaryIO) -> Iterator[Document]:
    """One document, titled by its file name."""
    yield from _read(file, stream, "text/plain", lambda _: ())


def read_markdown(file: SourceFile, stream: BinaryIO) -> Iterator[Document]:
    """One document, titled by its first heading.

    Raises:
        MissingExtraError: markdown-it-py is not installed.
    """
    yield from _read(
        file, stream, "text/markdown", lambda text: markdown_headings(markdown_blocks(text))
    )


def read_rst(file: SourceFile, stream: BinaryIO) -> Iterator[Document]:
    """One document, titled by its first section title."""
    yield from _read(file, stream, "text/x-rst", rst_headings)


def _read(
    file: SourceFile,
    stream: BinaryIO,
    media_type: str,
    headings: Callable[[str], tuple[Heading, ...]],
) -> Iterator[Document]:
    text, encoding = read_text(stream)
    document = make_document(
        file,
        text,
        media_type=media_type,
        headings=headings(text),
        metadata=encoding_metadata(encoding),
    )
    if document:
        yield document


def rst_headings(text: str) -> tuple[Heading, ...]:
    r"""The section titles of a reStructuredText whose lines end in ``\n``.

    A title is the first line of a paragraph and underlined along its whole length, or at least four
    characters; it may have the same line above it. Levels are numbered in the order in which their
    styles (the character, and whether there is a line above) come first, as docutils does.
    """
    lines = ["", *text.split("\n"), "", ""]
    levels: dict[tuple[str, bool], int] = {}
    headings: list[Heading] = []
    start, after_heading = -1, 0
    for number in range(1, len(lines) - 2):
        start += len(lines[number - 1]) + 1
        if number < after_heading or (lines[number - 1].strip() and number != after_heading):
            continue
        first, second, third = (line.rstrip() for line in lines[number : number + 3])
        if _RST_LINE.fullmatch(first) and first == third:
            title, line, above = second, third, True
        else:
            title, line, above = first, second, False
        if _is_title(title, line, above=above):
            level = levels.setdefault((line[0], above), len(levels) + 1)
            headings.append(Heading(start, level, title.strip()))
            after_heading = number + (3 if above else 2)
    return tuple(headings)


def _is_title(title: str, line: str, *, above: bool) -> bool:
    return (
        bool(title)
        and (above or not (title[0].isspace() or _RST_MARKUP.match(title)))
        and not _RST_LINE.fullmatch(title.strip())
        and _RST_LINE.fullmatch(line) is not None
        and len(line) >= min(4, len(title.strip()))
    )
