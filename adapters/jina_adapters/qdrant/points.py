"""A point of Qdrant: how a record lies in its payload, and what selects it. Knows no client.

::

    {
        "page_content": "The text of the chunk.",
        "metadata": {"year": 2024, "updated": "2024-05-01", "document_id": "a.md", …},
        "tags": ['["year", 2024]', '["updated", "2024-05-01"]'],
        "dates": {"updated": "2024-05-01T00:00:00+00:00"},
    }

langchain-qdrant reads the first two. The other two are for filters, since Qdrant compares values in
its own way: a match finds no float, its embedded engine matches no bool, dates are read more
strictly than ISO 8601 is, and a number index answers date ranges wrongly (qdrant-edge-py 0.9.0).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

import numpy as np

from jina_integrations.errors import UnsupportedByStoreError
from jina_integrations.stores import AnyOf, Condition, Conditions, Exists, NoneOf, Range
from jina_integrations.stores.records import metadata_of, record_from, record_id
from jina_integrations.stores.tags import tag_fields, wanted_tags
from jina_integrations.types import RESERVED_METADATA, Record, Vectors

__all__ = [
    "LEDGER_FIELDS",
    "TEXT_FIELDS",
    "FilterClasses",
    "payload_of",
    "point_of",
    "range_paths",
    "record_of",
]

LEDGER_FIELDS: Final = [
    f"metadata.{key}" for key in sorted(RESERVED_METADATA - {"headings", "page", "page_end"})
]
"""What a scan without content fetches."""

TEXT_FIELDS: Final = ["page_content", "metadata"]
"""What a scan with content, and a search, fetch."""

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")

_Filter = TypeVar("_Filter")


def point_of(record: Record) -> tuple[str, list[float], dict[str, object]]:
    """Id, vector and payload."""
    vector: list[float] = np.asarray(record.vectors.dense).tolist()
    return record_id(record), vector, payload_of(record)


def payload_of(record: Record) -> dict[str, object]:
    """What langchain-qdrant reads, in its default layout, and beside it what filters need."""
    layout = {"page_content": record.chunk.text, "metadata": metadata_of(record)}
    return layout | tag_fields(record.chunk.metadata)


def record_of(payload: Mapping[str, object] | None, vector: object = None, *, name: str) -> Record:
    """The record of a point, with its vector where that was fetched.

    Raises:
        StoreCorruptError: another program wrote the point; the store's name is in the message.
    """
    values = payload or {}
    vectors = Vectors() if vector is None else Vectors(dense=np.asarray(vector, np.float32))
    text = values.get("page_content", "")  # left out by a scan without content
    return record_from(text, values.get("metadata"), where=name, vectors=vectors)


@dataclass(frozen=True, slots=True)
class FilterClasses(Generic[_Filter]):
    """The classes of which a library makes its filters; the same in all but their names."""

    filter: Callable[..., _Filter]
    field: Callable[..., object]
    match_any: Callable[..., object]
    number_range: Callable[..., object]
    date_range: Callable[..., object]

    def select(self, where: Conditions) -> _Filter:
        """The selection as the library's filter.

        Raises:
            UnsupportedByStoreError: a range, or ``exists``, of a key that Qdrant's paths cannot
                name.
        """
        must: list[object] = []
        must_not: list[object] = []
        for condition in where:
            negated = isinstance(condition, NoneOf) or (
                isinstance(condition, Exists) and condition.exists
            )
            (must_not if negated else must).append(self._field(condition))
        return self.filter(must=must, must_not=must_not)

    def _field(self, condition: Condition) -> object:
        """What the condition compares; of `NoneOf` and ``exists`` the opposite."""
        if isinstance(condition, AnyOf | NoneOf):
            has_tags, values = wanted_tags(condition)
            path = "tags" if has_tags else f"metadata.{condition.key}"
            return self.field(key=path, match=self.match_any(any=values))
        path = _path(condition)
        if isinstance(condition, Exists):
            return self.field(key=path, is_empty=True)
        bounds = {
            name: bound.isoformat() if isinstance(bound, datetime) else bound
            for name, bound in condition.bounds.items()
        }
        kind = self.date_range if condition.of_dates else self.number_range
        return self.field(key=path, range=kind(**bounds))


def range_paths(where: Conditions) -> set[str]:
    """Payload fields by whose own index the conditions are quicker: ``dates.…`` are of dates."""
    return {_path(condition) for condition in where if isinstance(condition, Range | Exists)}


def _path(condition: Range | Exists) -> str:
    key = condition.key
    root = "dates" if isinstance(condition, Range) and condition.of_dates else "metadata"
    if _PLAIN_KEY.fullmatch(key):
        return f"{root}.{key}"
    if '"' in key or "\\" in key:
        raise UnsupportedByStoreError(
            f"filter {key!r:.80}: Qdrant has no ranges and no 'exists' for a key with a double "
            "quote or a backslash; compare it with values"
        )
    return f'{root}."{key}"'
