"""HTML: what a reader of the page would read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from ..errors import MissingExtraError
from .decoding import encoding_metadata, read_text
from .results import ReadResult, SourceFile, document_or_reason

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

__all__ = ["read_html"]

_DROPPED = frozenset({"script", "style", "template", "nav", "title"})
_LINES = frozenset({"br", "dd", "dt", "figcaption", "legend", "li", "option", "summary", "tr"})
"""Elements that stand on lines of their own."""
_PARAGRAPHS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "caption", "details", "dialog"),
        *("div", "dl", "fieldset", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6"),
        *("header", "hr", "main", "ol", "p", "pre", "search", "section", "table", "ul"),
    }
)
"""Elements with a blank line around them: the rest of what the HTML Standard (section 15.3)
renders as blocks."""
_CELLS = frozenset({"td", "th"})

_HTML_SPACE = re.compile(r"[ \t\n\f\r]+")
"""What a browser shows as one space; not the no-break space."""


def read_html(file: SourceFile, stream: BinaryIO) -> Iterator[ReadResult]:
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
    yield document_or_reason(
        file.path,
        _page_text(soup),
        source=file.path,
        media_type="text/html",
        title=soup.title.get_text() if soup.title else None,
        metadata=encoding_metadata(encoding),
    )


def _page_text(soup: BeautifulSoup) -> str:
    """The page's text: white space as a browser shows it, ``pre`` kept as it is."""
    text: list[str] = []
    run: list[str] = []  # inline text since the last break
    gap = ""
    for piece, kind in _pieces(soup):
        if kind == "inline":
            run.append(piece)
            continue
        line = _HTML_SPACE.sub(" ", "".join(run)).strip(" ")
        run.clear()
        for block in (line, piece.strip("\n") if kind == "pre" else ""):
            if block:
                text += (gap if text else "", block)
                gap = ""
        if kind == "break":
            gap = max(gap, piece, key=len)
    return "".join(text)


def _pieces(soup: BeautifulSoup) -> Iterator[tuple[str, str]]:
    """Pieces of the page in order, each with its kind: "inline", "pre", or "break" (newlines)."""
    from bs4.element import NavigableString, PreformattedString, Tag

    # A stack, not recursion: with end tags left out, elements nest thousands deep.
    pending: list[Tag | NavigableString | str] = ["\n\n", soup]
    while pending:
        node = pending.pop()
        if isinstance(node, PreformattedString):  # comments, doctypes, processing instructions
            continue
        if isinstance(node, NavigableString):
            yield str(node), "inline"
        elif isinstance(node, str):
            yield node, "break" if node.startswith("\n") else "inline"
        elif node.name == "pre":
            yield "\n\n", "break"
            for line_break in node.find_all("br"):
                line_break.replace_with("\n")
            yield node.get_text(), "pre"
            yield "\n\n", "break"
        elif node.name not in _DROPPED:
            around = _around(node.name)
            if around:
                pending.append(around)
            pending.extend(
                child
                for child in reversed(node.contents)
                if isinstance(child, Tag | NavigableString)
            )
            if around:
                pending.append(around)


def _around(name: str) -> str:
    if name in _PARAGRAPHS:
        return "\n\n"
    if name in _LINES:
        return "\n"
    return " " if name in _CELLS else ""
