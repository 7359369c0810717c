"""What counts as a character span, in one place."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import cast

from .errors import InvalidInputError, InvalidSpanError
from .types import CharSpan

__all__ = ["check_spans"]


def check_spans(texts: Sequence[str], spans: object) -> list[list[CharSpan]]:
    """The spans of each text as pairs of ints.

    Raises:
        InvalidInputError: there is not one list of spans for each text.
        InvalidSpanError: a span is no pair of ints with ``0 <= start < end <= len(text)``; carries
            the text's index.
    """
    if isinstance(spans, str | bytes) or not isinstance(spans, Sequence):
        raise InvalidInputError(f"spans must be a list, not {type(spans).__name__}")
    lists = cast("Sequence[object]", spans)
    if len(lists) != len(texts):
        raise InvalidInputError(f"{len(texts)} texts need as many lists of spans, not {len(lists)}")
    checked: list[list[CharSpan]] = []
    for index, (text, own) in enumerate(zip(texts, lists, strict=True)):
        if isinstance(own, str | bytes) or not isinstance(own, Sequence):
            raise InvalidSpanError(
                f"spans of texts[{index}] must be a list of (start, end), not {type(own).__name__}",
                index=index,
            )
        items = cast("Sequence[object]", own)
        checked.append([_check(span, text, at, index) for at, span in enumerate(items)])
    return checked


def _check(span: object, text: str, at: int, index: int) -> CharSpan:
    try:
        start, end = cast("tuple[int, int]", span)
        start, end = operator.index(start), operator.index(end)
    except (TypeError, ValueError) as exc:
        raise InvalidSpanError(
            f"spans[{at}] of texts[{index}] must be (start, end) in characters, not {span!r:.60}",
            index=index,
        ) from exc
    if not 0 <= start < end <= len(text):
        raise InvalidSpanError(
            f"spans[{at}] of texts[{index}] is ({start}, {end}): it must satisfy "
            f"0 <= start < end <= {len(text)}, the text's length in characters",
            index=index,
        )
    return start, end
