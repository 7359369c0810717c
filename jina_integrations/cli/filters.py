"""``--filter key=value`` into what a store filters by."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

from ..errors import InvalidInputError
from ..types import Scalar

__all__ = ["parse_filters"]


def parse_filters(pairs: Iterable[str]) -> dict[str, list[Scalar]]:
    """Each key with its alternatives: the value as text, and as the number or boolean it reads as.

    A key that comes twice may have either value; several keys must all hold.

    Raises:
        InvalidInputError: there is no ``=``, or nothing before it.
    """
    filters: dict[str, list[Scalar]] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise InvalidInputError(f"--filter {pair!r}: write key=value, e.g. source=guide.md")
        filters.setdefault(key, []).extend(_readings(value))
    return filters


def _readings(value: str) -> list[Scalar]:
    try:
        parsed: object = json.loads(value)
    except (ValueError, RecursionError):
        return [value]
    if not isinstance(parsed, int | float) or not math.isfinite(parsed):
        return [value]
    fits = not isinstance(parsed, int) or -(2**63) <= parsed < 2**63
    return [value, parsed] if fits else [value]
