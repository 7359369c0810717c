"""Blocks and headings of a Markdown text, by CommonMark's rules plus tables and front matter."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from ..errors import MissingExtraError
from ..types import Heading
from .places import short_title

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = ["Block", "markdown_blocks", "markdown_headings", "plain_text"]

_FRONT_MATTER = re.compile(
    r"---[ \t]*(?:\r\n?|\n)(?![ \t]*[\r\n])(?:.*?[\r\n])??(?:---|\.\.\.)[ \t]*(?:\r\n?|\n|\Z)",
    re.DOTALL,
)
"""Pandoc's rule: between ``---`` and ``---`` or ``...``, and no blank line at its start."""

_LINE_END = re.compile(r"\r\n?|\n")
"""What markdown-it takes for the end of a line."""

_SLICE_LINES = 4096
"""Lines parsed at a time: a parsed block takes some hundred times the memory of its text."""


class Block(NamedTuple):
    """A block, or a part that a long block can be cut into.

    Attributes:
        start: First character of its first line.
        end: One past the last character of its last line, without the line's end.
        depth: 0 for a block of the document itself, more inside lists, quotes, tables and code.
        kind: markdown-it's name, e.g. ``"heading_open"``, ``"fence"``, ``"table_open"``; or
            ``"front_matter"``, ``"line"``.
        level: Of a heading, 1 to 6.
        content: Of a heading: its Markdown without marks and underlines.
    """

    start: int
    end: int
    depth: int
    kind: str
    level: int = 0
    content: str = ""


def markdown_blocks(text: str) -> Iterator[Block]:
    """The blocks in order, one for each start: the outermost that begins there.

    Parts of a long block that can follow a cut are its list items, quoted blocks, table rows after
    the first, and lines of code; not the first line of code nor the closing fence.

    Raises:
        MissingExtraError: markdown-it-py is not installed.
    """
    lines = [0, *(match.end() for match in _LINE_END.finditer(text)), len(text)]
    front_matter = _FRONT_MATTER.match(text)
    if front_matter:
        yield Block(0, len(front_matter[0].rstrip()), 0, "front_matter")
    first = bisect_left(lines, front_matter.end()) if front_matter else 0
    last = -1
    for block in _parse(text, lines, first):
        if block.start > last:
            last = block.start
            yield block


def markdown_headings(blocks: Iterable[Block]) -> tuple[Heading, ...]:
    """The headings among the blocks; not those in lists and quotes.

    Their titles are without Markdown, and empty where they are too long for a title.

    Raises:
        MissingExtraError: markdown-it-py is not installed.
    """
    return tuple(
        Heading(block.start, block.level, plain_text(short_title(block.content)))
        for block in blocks
        if block.kind == "heading_open" and block.depth == 0
    )


def plain_text(source: str) -> str:
    """The text of inline Markdown, on one line."""
    (inline,) = _inline_parser().parseInline(source)
    return " ".join(
        "".join(
            child.content if child.type in ("text", "code_inline", "image") else " "
            for child in inline.children or ()
            if child.type in ("text", "code_inline", "image", "softbreak", "hardbreak")
        ).split()
    )


@cache
def _block_parser() -> MarkdownIt:
    parser = _parser().enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    parser.parse("warm")
    return parser


@cache
def _inline_parser() -> MarkdownIt:
    parser = _parser()
    parser.parseInline("warm")
    return parser


def _parser() -> MarkdownIt:
    """A parser, which its first text makes safe to share: only then it compiles its rules."""
    try:
        from markdown_it import MarkdownIt
    except ImportError as exc:
        raise MissingExtraError("reading Markdown", "chunkers") from exc
    return MarkdownIt("commonmark")


def _parse(text: str, lines: list[int], line: int) -> Iterator[Block]:
    """The blocks from a line on.

    Only the last block of a slice depends on the text after it, so the next slice begins there. A
    list as long as a slice goes on as a new list at its last item.
    """
    parser = _block_parser()
    taken, total = _SLICE_LINES, len(lines) - 1
    while line < total:
        stop = min(line + taken, total)
        tokens = parser.parse(text[lines[line] : lines[stop]])
        keep = stop - line if stop == total else (_last(tokens, 0) or _last(tokens, 1))
        if keep == 0:
            taken *= 2
            continue
        for block in _parts(tokens, text, lines, line):
            if block.start < lines[line + keep]:
                yield block
        line, taken = line + keep, _SLICE_LINES


def _last(tokens: list[Token], depth: int) -> int:
    """First line of the last block at depth 0, or of the last list item at depth 1."""
    return max(
        (
            token.map[0]
            for token in tokens
            if token.map is not None
            and token.level == depth
            and (depth == 0 or token.type == "list_item_open")
        ),
        default=0,
    )


def _parts(tokens: list[Token], text: str, lines: list[int], base: int) -> Iterator[Block]:
    def block(first: int, end: int, depth: int, kind: str) -> Block:
        start, stop = lines[base + first], lines[base + end]
        while stop > start and text[stop - 1] in "\r\n":
            stop -= 1
        return Block(start, stop, depth, kind)

    after_head = -1
    for index, token in enumerate(tokens):
        if token.map is None or token.type == "inline":
            continue
        first, end = token.map
        if token.type == "tbody_open":
            after_head = first
        if first != after_head:
            part = block(first, end, token.level, token.type)
            if token.type == "heading_open":
                part = part._replace(level=int(token.tag[1:]), content=tokens[index + 1].content)
            yield part
        if token.type in ("fence", "code_block", "html_block"):
            fenced = token.type == "fence"
            for line in range(first + 1 + fenced, end - fenced):
                before = text[lines[base + line - 1] : lines[base + line]]
                yield block(line, line + 1, token.level + (1 if before.isspace() else 2), "line")
