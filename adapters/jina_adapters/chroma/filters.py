"""Our filters as Chroma's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, cast

from chromadb import Where

from jina_integrations.errors import InvalidInputError
from jina_integrations.types import Scalar

__all__ = ["check_key", "stale_where", "to_where"]

_Condition: TypeAlias = dict[str, object]

_RESERVED_PREFIXES = ("$", "#", "chroma:")
"""``$`` begins operators, ``#`` names Chroma's own fields, ``chroma:`` its own metadata."""


def check_key(name: str, key: str, *, index: int | None = None) -> None:
    """Refuse a metadata key that Chroma keeps for itself.

    Raises:
        InvalidInputError: it begins with ``$``, ``#`` or ``chroma:``; carries the index.
    """
    if key.startswith(_RESERVED_PREFIXES):
        raise InvalidInputError(
            f"{name} {key!r}: Chroma takes no key that begins with '$', '#' or 'chroma:'; "
            "rename it",
            index=index,
        )


def to_where(filters: Mapping[str, list[Scalar]]) -> Where | None:
    """What `check_filters` gave; None for no filter.

    Raises:
        InvalidInputError: a key is one that Chroma keeps for itself.
    """
    conditions: list[_Condition] = []
    for key, values in filters.items():
        check_key("filter", key)
        conditions.append(_join("$or", [_equals(key, value) for value in values]))
    return cast("Where", _join("$and", conditions)) if conditions else None


def _equals(key: str, value: Scalar) -> _Condition:
    """Chroma finds 5 and 5.0 by either, and a bool only by a bool, as `Filters` says.

    But it cuts a float to an integer before it looks at integers, so that 5.5 finds 5 as well
    (chromadb 1.5.9); that integer is excluded here.
    """
    equal: _Condition = {key: {"$eq": value}}
    if isinstance(value, float):
        cut = max(-(2**63), min(int(value), 2**63 - 1))
        if float(cut) != value:
            return _join("$and", [equal, {key: {"$ne": cut}}])
    return equal


def _join(operator: str, conditions: list[_Condition]) -> _Condition:
    """Chroma refuses an operator over a single condition."""
    return conditions[0] if len(conditions) == 1 else {operator: conditions}


def stale_where(versions: Mapping[str, str]) -> Where:
    """Records of these documents at other versions than these.

    A version belongs to one document, since its hash covers the document's id.
    """
    where = {
        "$and": [
            {"document_id": {"$in": list(versions)}},
            {"document_version": {"$nin": list(versions.values())}},
        ]
    }
    return cast("Where", where)
