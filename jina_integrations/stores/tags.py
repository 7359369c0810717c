"""Metadata as texts that every database compares alike, for those whose typing means another thing.

Beside ``{"year": 2024, "updated": "2024-05-01"}`` a store then keeps, and filters by::

    {
        "tags": ['["year", 2024]', '["updated", "2024-05-01"]'],
        "dates": {"updated": "2024-05-01T00:00:00+00:00"},
    }

One index on the tags serves all keys of all documents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from ..types import RESERVED_METADATA, Scalar
from .filters import AnyOf, NoneOf, moment

__all__ = ["tag_fields", "typed_tag", "wanted_tags"]

_TEXT_KEYS: Final = frozenset({"document_id", "document_version", "document_root"})
"""Reserved keys with text; the others have integers. So they need no tags."""

_INTEGERS: Final = 2**63
"""A database's integers are below it; those of the reserved keys are counts and positions."""


def typed_tag(key: str, value: Scalar) -> str:
    """The pair as one text that is equal exactly where key and value are, see `stores.filters`.

    It is JSON, e.g. ``["year", 2024]``; 2024 and 2024.0 have the same tag, ``True`` and 1 have not.
    """
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps([key, int(value) if whole else value], ensure_ascii=False)


def tag_fields(metadata: Mapping[str, Scalar]) -> dict[str, object]:
    """The ``tags`` of a document's metadata, and its ``dates``: ISO 8601 in UTC."""
    moments = {key: moment(value) for key, value in metadata.items() if isinstance(value, str)}
    return {
        "tags": [typed_tag(key, value) for key, value in metadata.items()],
        "dates": {key: date.isoformat() for key, date in moments.items() if date is not None},
    }


def wanted_tags(condition: AnyOf | NoneOf) -> tuple[bool, list[str] | list[int]]:
    """Whether the tags are to be compared, rather than the key's own value; and with what.

    Reserved keys have values of one type each, so that values of others equal none of theirs.
    """
    key, values = condition.key, condition.values
    if key not in RESERVED_METADATA:
        return True, [typed_tag(key, value) for value in values]
    if key in _TEXT_KEYS:
        return False, [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if isinstance(value, int | float)]
    return False, [
        int(number)
        for number in numbers
        if not isinstance(number, bool) and number == int(number) and abs(number) < _INTEGERS
    ]
