"""Plain text, Markdown and reStructuredText: the text as it stands, with its first heading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO

from .decoding import encoding_metadata, read_text
from .results import ReadResult, SourceFile, document_or_reason

__all__ = [
    "ATX_OPENING",
    "FRONT_MATTER",
    "SETEXT_UNDERLINE",
    "atx_title",
    "read_markdown",
    "read_plain",
    "read_rst",
]

FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?^(?:---|\.\.\.)[ \t]*$", re.DOTALL | re.MULTILINE)
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
ATX_OPENING = re.compile(r" {0,3}#{1,6}(?=[ \t])")
SETEXT_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)[ \t]*")
_NO_PARAGRAPH = re.compile(r"[>|]|[-*+][ \t]|[0-9]+[.)][ \t]| {4}|\t")
"""Starts of quotes, tables, lists and indented code: the line below underlines no heading."""
_RST_UNDERLINE = re.compile(r"([!-/:-@\[-`{-~])\1*")


def read_plain(file: SourceFile, stream: BinaryIO) -> Iterator[ReadResult]:
    """One document, titled by its file name."""
    yield _read(file, stream, "text/plain")


def read_markdown(file: SourceFile, stream: BinaryIO) -> Iterator[ReadResult]:
    """One document, titled by its first heading."""
    yield _read(file, stream, "text/markdown")


def read_rst(file: SourceFile, stream: BinaryIO) -> Iterator[ReadResult]:
    """One document, titled by its first section title."""
    yield _read(file, stream, "text/x-rst")


def _read(file: SourceFile, stream: BinaryIO, media_type: str) -> ReadResult:
    text, encoding = read_text(stream)
    if media_type == "text/markdown":
        title = _markdown_title(text)
    elif media_type == "text/x-rst":
        title = _rst_title(text)
    else:
        title = None
    return document_or_reason(
        file.path,
        text,
        source=file.path,
        media_type=media_type,
        title=title,
        metadata=encoding_metadata(encoding),
    )


def _markdown_title(text: str) -> str | None:
    """The first ATX or setext heading outside front matter and code fences (CommonMark 4.2-4.5)."""
    front_matter = FRONT_MATTER.match(text)
    fence = ""
    previous = ""
    for line in text[front_matter.end() if front_matter else 0 :].split("\n"):
        marks = _FENCE.match(line)
        if fence:
            closes = marks and marks[1].startswith(fence) and not line[marks.end() :].strip()
            fence = "" if closes else fence
        elif marks:
            fence = marks[1]
        elif (opening := ATX_OPENING.match(line)) and (title := atx_title(line[opening.end() :])):
            return title
        elif previous and SETEXT_UNDERLINE.fullmatch(line):
            return previous
        previous = "" if fence or marks or _NO_PARAGRAPH.match(line) else line.strip()
    return None


def atx_title(content: str) -> str:
    """A heading's content without the closing hashes, which a space parts from it."""
    content = content.strip()
    unclosed = content.rstrip("#")
    return unclosed.strip() if unclosed[-1:] in ("", " ", "\t") else content


def _rst_title(text: str) -> str | None:
    """The first line that is underlined along its whole length (docutils, section titles)."""
    for title, underline in pairwise(text.split("\n")):
        line = underline.rstrip()
        if (
            title.strip()
            and not _RST_UNDERLINE.fullmatch(title.strip())
            and len(line) >= min(4, len(title.rstrip()))
            and _RST_UNDERLINE.fullmatch(line)
        ):
            return title
    return None
