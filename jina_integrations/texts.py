"""What counts as a text that can be embedded, in one place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

from .errors import InvalidInputError, InvalidTextError

__all__ = ["check_text", "check_text_list", "find_surrogate"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def check_text(text: object, *, index: int | None = None) -> str:
    """The text itself, once it is known to be embeddable.

    Args:
        text: Anything.
        index: Its position in the caller's list, carried by the error.

    Raises:
        InvalidTextError: not a str, empty, only whitespace, a NUL character, or a lone surrogate.
    """
    name = "text" if index is None else f"texts[{index}]"
    if not isinstance(text, str):
        raise InvalidTextError(f"{name} must be a str, not {type(text).__name__}", index=index)
    if not text or text.isspace():
        kind = "empty" if not text else "only whitespace"
        raise InvalidTextError(f"{name} is {kind}: leave it out of the call", index=index)
    nul = text.find("\0")
    if nul >= 0:
        raise InvalidTextError(
            f"{name} has a NUL character at {nul}: is it a binary file? Else remove it with "
            'text.replace("\\0", "")',
            index=index,
        )
    surrogate = find_surrogate(text)
    if surrogate is not None:
        raise InvalidTextError(
            f"{name} has the lone surrogate U+{ord(text[surrogate]):04X} at {surrogate}, "
            "which is not text: decode the source as UTF-8 with errors='replace'",
            index=index,
        )
    return text


def find_surrogate(text: str) -> int | None:
    """Where the first lone surrogate is; None where there is none."""
    found = None if text.isascii() else _SURROGATE.search(text)
    return None if found is None else found.start()


def check_text_list(texts: object) -> Sequence[object]:
    """The texts, once they are known to be a list; its items are not looked at.

    Raises:
        InvalidInputError: a single str or something that is no sequence was passed.
    """
    if isinstance(texts, str | bytes) or not isinstance(texts, Sequence):
        raise InvalidInputError(
            f"texts must be a list of str, not {type(texts).__name__}: wrap a single text in a list"
        )
    return cast("Sequence[object]", texts)
