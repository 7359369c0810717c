"""What counts as a text that can be embedded, and as a span of it, in one place."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from .errors import InvalidInputError, InvalidSpanError, InvalidTextError

if TYPE_CHECKING:
    from .types import CharSpan  # which checks its documents with `check_text`

__all__ = ["check_span_lists", "check_spans", "check_text", "check_text_list", "find_surrogate"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def check_text(text: object, *, index: int | None = None) -> str:
    """The text itself, once it is known to be embeddable.

    Args:
        text: Anything.
        index: Its position in the caller's list, carried by the error.

    Raises:
        InvalidTextError: not a str, empty, only whitespace, a NUL character, or a lone surrogate.
    """
    reason = _reason_against(text)
    if reason is not None:
        argument = "text" if index is None else "texts"
        raise InvalidTextError(reason, argument=argument, index=index)
    return cast("str", text)


def _reason_against(text: object) -> str | None:
    if not isinstance(text, str):
        return f"must be a str, not {type(text).__name__}"
    if not text or text.isspace():
        return f"is {'only whitespace' if text else 'empty'}: leave it out of the call"
    nul = text.find("\0")
    if nul >= 0:
        return (
            f"has a NUL character at {nul}: is it a binary file? Else remove it with "
            'text.replace("\\0", "")'
        )
    surrogate = find_surrogate(text)
    if surrogate is not None:
        return (
            f"has the lone surrogate U+{ord(text[surrogate]):04X} at {surrogate}, which is not "
            "text: decode the source as UTF-8 with errors='replace'"
        )
    return None


def find_surrogate(text: str) -> int | None:
    """Where the first lone surrogate is; None where there is none."""
    match = None if text.isascii() else _SURROGATE.search(text)
    return None if match is None else match.start()


def check_text_list(texts: object) -> Sequence[object]:
    """The texts, once they are known to be a list; its items are not looked at.

    Raises:
        InvalidInputError: a single str or something that is no sequence was passed.
    """
    if isinstance(texts, str | bytes) or not isinstance(texts, Sequence):
        raise InvalidInputError(
            f"must be a list of str, not {type(texts).__name__}: wrap a single text in a list",
            argument="texts",
        )
    return cast("Sequence[object]", texts)


def check_span_lists(spans: object, count: int) -> Sequence[object]:
    """One item for each of `count` texts; the items are not looked at.

    Raises:
        InvalidInputError: no sequence, or not as many.
    """
    if isinstance(spans, str | bytes) or not isinstance(spans, Sequence):
        raise InvalidInputError(f"must be a list, not {type(spans).__name__}", argument="spans")
    lists = cast("Sequence[object]", spans)
    if len(lists) != count:
        raise InvalidInputError(f"{count} texts need as many lists of spans, not {len(lists)}")
    return lists


def check_spans(text: str, spans: object, *, index: int = 0) -> list[CharSpan]:
    """The spans of one text as pairs of ints.

    Args:
        text: The document.
        spans: A list of half-open character ranges.
        index: The text's position in the caller's list, carried by the error.

    Raises:
        InvalidSpanError: a span is no pair of ints with ``0 <= start < end <= len(text)``.
    """
    if isinstance(spans, str | bytes) or not isinstance(spans, Sequence):
        raise InvalidSpanError(
            f"spans of texts[{index}] must be a list of (start, end), not {type(spans).__name__}",
            index=index,
        )
    items = cast("Sequence[object]", spans)
    return [_check_span(span, text, number, index) for number, span in enumerate(items)]


def _check_span(span: object, text: str, number: int, index: int) -> CharSpan:
    try:
        start, end = cast("tuple[int, int]", span)
        start, end = operator.index(start), operator.index(end)
    except (TypeError, ValueError) as exc:
        reason = f"must be (start, end) in characters, not {span!r:.60}"
        raise InvalidSpanError(reason, argument="texts", index=index, span=number) from exc
    if not 0 <= start < end <= len(text):
        raise InvalidSpanError(
            f"is ({start}, {end}): it must satisfy 0 <= start < end <= {len(text)}, the text's "
            "length in characters",
            argument="texts",
            index=index,
            span=number,
        )
    return start, end
