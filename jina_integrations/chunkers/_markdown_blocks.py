"""Where the blocks of a Markdown text begin, by CommonMark's rules plus tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = ["Block", "markdown_blocks"]

_LINE_END = re.compile(r"\r\n?|\n")
"""What markdown-it takes for the end of a line."""

_SLICE_LINES = 4096
"""Lines parsed at a time: a parsed block takes some hundred times the memory of its text."""


class Block(NamedTuple):
    """The beginning of a block, or of a part that a long block can be cut into.

    Attributes:
        start: First character of its first line.
        depth: 0 for a block of the document itself, more inside lists, quotes, tables and code.
        kind: markdown-it's name, e.g. ``"heading_open"``, ``"fence"``, ``"table_open"``.
    """

    start: int
    depth: int
    kind: str


def markdown_blocks(text: str) -> Iterator[Block]:
    """The blocks in order, one for each start: the outermost that begins there.

    Parts of a long block that can follow a cut are its list items, quoted blocks, table rows after
    the first, and lines of code; not the first line of code nor the closing fence.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    lines = [0, *(match.end() for match in _LINE_END.finditer(text)), len(text)]
    last = -1
    for line, depth, kind in _parse(parser, text, lines):
        if lines[line] > last:
            last = lines[line]
            yield Block(last, depth, kind)


def _parse(parser: MarkdownIt, text: str, lines: list[int]) -> Iterator[tuple[int, int, str]]:
    """Line, depth and kind of each block.

    Only the last block of a slice depends on the text after it, so the next slice begins there. A
    list as long as a slice goes on as a new list at its last item.
    """
    line, taken, total = 0, _SLICE_LINES, len(lines) - 1
    while line < total:
        stop = min(line + taken, total)
        tokens = parser.parse(text[lines[line] : lines[stop]])
        keep = stop - line if stop == total else (_last(tokens, 0) or _last(tokens, 1))
        if keep == 0:
            taken *= 2
            continue
        for part, depth, kind in _parts(tokens, text, lines, line):
            if part < keep:
                yield line + part, depth, kind
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


def _parts(
    tokens: list[Token], text: str, lines: list[int], base: int
) -> Iterator[tuple[int, int, str]]:
    after_head = -1
    for token in tokens:
        if token.map is None or token.type == "inline":
            continue
        first, end = token.map
        if token.type == "tbody_open":
            after_head = first
        if first != after_head:
            yield first, token.level, token.type
        if token.type in ("fence", "code_block", "html_block"):
            fenced = token.type == "fence"
            for line in range(first + 1 + fenced, end - fenced):
                before = text[lines[base + line - 1] : lines[base + line]]
                yield line, token.level + (1 if before.isspace() else 2), "line"
