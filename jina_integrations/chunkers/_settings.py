"""Checks that the chunkers share."""

from __future__ import annotations

from ..errors import InvalidSettingError
from ..texts import check_text

__all__ = ["check_int", "check_overlap", "has_text"]


def check_int(name: str, value: object, *, minimum: int) -> None:
    """Refuse anything but an int of at least `minimum`; a bool is no int.

    Raises:
        InvalidSettingError: it is something else.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidSettingError(f"{name} must be an int, not {value!r:.80}")
    if value < minimum:
        raise InvalidSettingError(f"{name}={value}: must be at least {minimum}")


def check_overlap(name: str, value: object, *, max_tokens: int) -> None:
    """Refuse an overlap that is no int from 0 to below `max_tokens`.

    Raises:
        InvalidSettingError: it is something else.
    """
    check_int(name, value, minimum=0)
    if isinstance(value, int) and value >= max_tokens:
        raise InvalidSettingError(f"{name}={value} must be smaller than max_tokens={max_tokens}")


def has_text(text: object) -> bool:
    """False for an empty or whitespace-only str, True for a text that can be embedded.

    Raises:
        InvalidTextError: not a str, a NUL character, or a lone surrogate.
    """
    if isinstance(text, str) and (not text or text.isspace()):
        return False
    check_text(text)
    return True
