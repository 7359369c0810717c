"""The title and the headings above a chunk, in front of the text that is embedded.

What is stored stays as it is: the chunk's text and its offsets in the document.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final

from ..tokenizers.base import Tokenizer
from ..types import CharSpan, Chunk, Document

__all__ = ["context_parts", "fitting_context", "room_for", "with_contexts"]

_BETWEEN: Final = " > "
_AFTER: Final = "\n"


def context_parts(document: Document, chunk: Chunk) -> list[str]:
    """The document's title, and the titles above the chunk, outermost first, none twice in a row.

    A heading that the chunk's text begins with is left out, since it is embedded as it is.
    """
    title = document.metadata.get("title")
    parts: list[str] = []
    for part in ([title] if isinstance(title, str) else []) + list(chunk.headings):
        if part.strip() and part not in parts[-1:]:
            parts.append(part)
    if parts and parts[-1] == _first_heading(document, chunk, parts[-1]):
        parts.pop()
    return parts


def _first_heading(document: Document, chunk: Chunk, expected: str) -> str | None:
    """The title of the heading that begins the chunk.

    Where the chunker came upon the headings itself, and the document has none, the chunk's first
    line tells: it is the title, perhaps with marks around it.
    """
    for heading in document.headings:
        if heading.start == chunk.start:
            return heading.title
    first_line = chunk.text.partition("\n")[0].strip("# ")
    return expected if not document.headings and first_line == expected else None


def fitting_context(parts: Sequence[str], fits: Callable[[str], bool]) -> str:
    """The parts as one line, without the outermost ones where the whole line does not fit.

    Args:
        parts: Of `context_parts`.
        fits: Whether a line, which ends in a newline, leaves room for the chunk.

    Returns:
        The line with its newline; empty where not even the innermost part fits.
    """
    for first in range(len(parts)):
        line = _BETWEEN.join(parts[first:]) + _AFTER
        if fits(line):
            return line
    return ""


def room_for(tokenizer: Tokenizer, text: str, limit: int | None) -> Callable[[str], bool]:
    """Whether a context line and the text are within the limit together.

    Args:
        tokenizer: Counts.
        text: The chunk's.
        limit: Tokens of a passage, `Tokenizer.overhead` included; None for no limit.
    """
    if limit is None:
        return lambda _: True
    return lambda line: tokenizer.count(line + text) + tokenizer.overhead <= limit


def with_contexts(
    text: str, spans: Sequence[CharSpan], contexts: Sequence[str]
) -> tuple[str, list[CharSpan]]:
    """The text with each span's context put in front of the span, and the spans of both together.

    Args:
        text: The document's.
        spans: Half-open, in any order; may overlap.
        contexts: One for each span; may be empty.

    Returns:
        The longer text, and for each span, in the order given, where its context and its
        characters are in it.
    """
    order = sorted(range(len(spans)), key=lambda number: spans[number])
    pieces: list[str] = []
    starts = [0] * len(spans)
    inserted: list[tuple[int, int]] = []  # where in the text, and how many characters up to there
    done = added = 0
    for number in order:
        start, _ = spans[number]
        pieces += [text[done:start], contexts[number]]
        starts[number] = start + added
        added += len(contexts[number])
        inserted.append((start, added))
        done = start
    pieces.append(text[done:])
    return "".join(pieces), [
        (starts[number], end + _added_before(inserted, end))
        for number, (_, end) in enumerate(spans)
    ]


def _added_before(inserted: Sequence[tuple[int, int]], end: int) -> int:
    """Characters that were put in front of positions below `end`."""
    index = bisect_left(inserted, (end, 0))
    return inserted[index - 1][1] if index else 0
