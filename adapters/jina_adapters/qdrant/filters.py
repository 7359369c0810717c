"""Our filters as Qdrant's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from qdrant_client import models

from jina_integrations.errors import InvalidInputError
from jina_integrations.types import Scalar

__all__ = ["stale_filter", "to_filter"]

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_EXACT_FLOAT = 2**53
"""Beyond it a float64, which Qdrant's ranges compare, no longer tells all integers apart."""


def to_filter(filters: Mapping[str, list[Scalar]]) -> models.Filter | None:
    """What `check_filters` gave; None for no filter.

    Raises:
        InvalidInputError: a key has a double quote, which Qdrant's paths cannot escape.
    """
    if not filters:
        return None
    conditions: list[models.Condition] = [
        models.Filter(should=[_equals(_path(key), value) for value in values])
        for key, values in filters.items()
    ]
    return models.Filter(must=conditions)


def _path(key: str) -> str:
    if _PLAIN_KEY.fullmatch(key):
        return f"metadata.{key}"
    if '"' in key:
        raise InvalidInputError(f"filter {key!r}: Qdrant cannot filter on a key with a quote")
    return f'metadata."{key}"'


def _equals(path: str, value: Scalar) -> models.FieldCondition:
    if isinstance(value, str | bool) or (isinstance(value, int) and abs(value) > _EXACT_FLOAT):
        return models.FieldCondition(key=path, match=models.MatchValue(value=value))
    # An exact match never finds a float; a range of one point finds 5 and 5.0 alike.
    return models.FieldCondition(key=path, range=models.Range(gte=value, lte=value))


def stale_filter(versions: Mapping[str, str]) -> models.Filter:
    """Points of these documents at other versions than these.

    A version belongs to one document, since its hash covers the document's id.
    """
    return models.Filter(
        must=[
            models.FieldCondition(
                key="metadata.document_id", match=models.MatchAny(any=list(versions))
            ),
            models.FieldCondition(
                key="metadata.document_version",
                match=models.MatchExcept(**{"except": list(versions.values())}),
            ),
        ]
    )
