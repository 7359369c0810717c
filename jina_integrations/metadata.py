"""What a document's metadata may be: keys and scalars that every supported store keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

from .errors import InvalidInputError
from .inputs import find_surrogate

__all__ = ["RESERVED_METADATA", "Metadata", "Scalar", "check_metadata"]

Scalar: TypeAlias = str | int | float | bool
"""What metadata may hold: every supported store keeps and filters these."""

Metadata: TypeAlias = Mapping[str, Scalar]

RESERVED_METADATA = frozenset(
    {
        "document_id",
        "document_version",
        "document_root",
        "chunk_index",
        "chunk_count",
        "start",
        "end",
        "headings",
        "page",
        "page_end",
    }
)
"""Metadata keys that the stores write themselves, beside the document's own."""


def check_metadata(metadata: Mapping[str, object], *, where: str) -> None:
    """Refuse what stores cannot keep.

    Args:
        metadata: Any mapping.
        where: What it is, for the message; the key follows.

    Raises:
        InvalidInputError: a key or a value that no store keeps as it is.
    """
    for key, value in metadata.items():
        _check_metadata_value(f"{where} {key!r:.80}", key, value)


def _check_metadata_value(where: str, key: object, value: object) -> None:
    if not isinstance(key, str) or not key:
        raise InvalidInputError(f"{where}: keys must be non-empty strings")
    if key in RESERVED_METADATA:
        raise InvalidInputError(f"{where}: the stores write this key themselves; rename yours")
    if "\0" in key or find_surrogate(key) is not None:
        raise InvalidInputError(f"{where}: keys hold no NUL and no lone surrogate")
    if not isinstance(value, str | int | float | bool):
        raise InvalidInputError(
            f"{where}: must be a str, int, float or bool, not {type(value).__name__}; "
            "leave the key out, or turn the value into text"
        )
    if isinstance(value, str) and find_surrogate(value) is not None:
        raise InvalidInputError(f"{where}: holds a lone surrogate, which is not text")
    if isinstance(value, str) and "\0" in value:
        raise InvalidInputError(
            f"{where}: holds a NUL character, which PostgreSQL and others refuse; remove it"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInputError(f"{where}: {value} is not a finite number; leave the key out")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidInputError(f"{where}: {value} does not fit 64 bits; store it as text")
