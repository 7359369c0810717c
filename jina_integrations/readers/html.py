"""HTML: what a reader of the page would read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from ..errors import MissingExtraError
from ..types import Document, Heading
from .decoding import encoding_metadata, read_text
from .results import SourceFile, make_document

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

__all__ = ["read_html"]

_DROPPED = frozenset({"script", "style", "template", "nav", "title"})
_LINES = frozenset({"br", "dd", "dt", "figcaption", "legend", "li", "option", "summary", "tr"})
"""Elements that stand on lines of their own."""
_PARAGRAPHS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "caption", "details", "dialog"),
        *("div", "dl", "fieldset", "figure", "footer", "form", "header", "hr", "main", "ol", "p"),
        *("pre", "search", "section", "table", "ul"),
    }
)
"""Elements with a blank line around them: the rest of what the HTML Standard (section 15.3)
renders as blocks."""
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_CELLS = frozenset({"td", "th"})

_HTML_SPACE = re.compile(r"[ \t\n\f\r]+")
"""What a browser shows as one space; not the no-break space."""


def read_html(file: SourceFile, stream: BinaryIO) -> Iterator[Document]:
    """One document: scripts, styles and navigation dropped, titled by ``<title>``.

    Raises:
        ReadError: the file cannot be decoded.
        MissingExtraError: Beautiful Soup is not installed.
    """
    try:
        from bs4 import BeautifulSoup
        from bs4.dammit import EncodingDetector
    except ImportError as exc:
        raise MissingExtraError("reading HTML", "readers") from exc
    declared = EncodingDetector.find_declared_encoding(stream.read(), is_html=True)
    markup, encoding = read_text(stream, declared=declared)
    soup = BeautifulSoup(markup, "html.parser")
    text, headings = _page_text(soup)
    document = make_document(
        file,
        text,
        media_type="text/html",
        title=soup.title.get_text() if soup.title else None,
        headings=headings,
        metadata=encoding_metadata(encoding),
    )
    if document:
        yield document


class _Inline(NamedTuple):
    """Text that goes on in the line."""

    text: str


class _Preformatted(NamedTuple):
    """Lines that stay as they are."""

    text: str


class _Break(NamedTuple):
    """A new line, or with two newlines a new paragraph."""

    newlines: str


class _HeadingEdge(NamedTuple):
    """The start of a heading, or its end."""

    level: int
    is_start: bool


_Piece = _Inline | _Preformatted | _Break | _HeadingEdge


def _page_text(soup: BeautifulSoup) -> tuple[str, tuple[Heading, ...]]:
    """The page's text: white space as a browser shows it, ``pre`` kept as it is; its headings."""
    text: list[str] = []
    run: list[str] = []  # inline text since the last break
    headings: list[Heading] = []
    opened: list[tuple[int, int]] = []  # of headings: position in `text`, index in `headings`
    length, gap = 0, ""
    for piece in _pieces(soup):
        if isinstance(piece, _Inline):
            run.append(piece.text)
            continue
        line = _HTML_SPACE.sub(" ", "".join(run)).strip(" ")
        run.clear()
        for block in (line, piece.text.strip("\n") if isinstance(piece, _Preformatted) else ""):
            if block:
                text += (gap if text else "", block)
                length += len(text[-2]) + len(block)
                gap = ""
        if isinstance(piece, _Break):
            gap = max(gap, piece.newlines, key=len)
        elif isinstance(piece, _HeadingEdge) and piece.is_start:
            opened.append((len(text), len(headings)))
            headings.append(Heading(length + (len(gap) if text else 0), piece.level, ""))
        elif isinstance(piece, _HeadingEdge):
            first, index = opened.pop()
            headings[index] = replace(headings[index], title="".join(text[first:]))
    return "".join(text), tuple(heading for heading in headings if heading.title)


def _pieces(soup: BeautifulSoup) -> Iterator[_Piece]:
    """Pieces of the page in order."""
    from bs4.element import NavigableString, PreformattedString, Tag

    # A stack, not recursion: with end tags left out, elements nest thousands deep.
    pending: list[Tag | NavigableString | _Piece] = [_PARAGRAPH, soup]
    while pending:
        node = pending.pop()
        if isinstance(node, PreformattedString):  # comments, doctypes, processing instructions
            continue
        if isinstance(node, NavigableString):
            yield _Inline(str(node))
        elif not isinstance(node, Tag):
            yield node
        elif node.name == "pre":
            yield _PARAGRAPH
            for line_break in node.find_all("br"):
                line_break.replace_with("\n")
            yield _Preformatted(node.get_text())
            yield _PARAGRAPH
        elif node.name not in _DROPPED:
            before, after = _around(node.name)
            pending.extend(reversed(after))
            pending.extend(
                child
                for child in reversed(node.contents)
                if isinstance(child, Tag | NavigableString)
            )
            pending.extend(reversed(before))


def _around(name: str) -> tuple[list[_Piece], list[_Piece]]:
    """What comes before an element's content, and what comes after it."""
    if name in _HEADINGS:
        level = _HEADINGS.index(name) + 1
        return (
            [_PARAGRAPH, _HeadingEdge(level, is_start=True)],
            [_PARAGRAPH, _HeadingEdge(level, is_start=False)],
        )
    if name in _PARAGRAPHS:
        return [_PARAGRAPH], [_PARAGRAPH]
    if name in _LINES:
        return [_LINE], [_LINE]
    return ([_SPACE], [_SPACE]) if name in _CELLS else ([], [])


_PARAGRAPH: Final = _Break("\n\n")
_LINE: Final = _Break("\n")
_SPACE: Final = _Inline(" ")
