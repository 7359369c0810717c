"""What a filter means, once for every store.

::

    {"language": "de"}                              equal
    {"language": ["de", "fr"]}                      any of
    {"language": {"not": "de"}}                     not; also {"not": ["de", "fr"]}
    {"year": {"gte": 2020, "lt": 2024}}             a range of numbers
    {"updated": {"gte": "2024-05-01"}}              a range of ISO 8601 dates or times
    {"reviewed": {"exists": True}}                  the key is there

All keys must hold, and all operators of a key. Numbers compare across int and float; a bool equals
only a bool, so ``True`` is not 1, and ``"5"`` is not 5. ``not`` also holds where the key is
missing. A range of dates compares values that are ISO 8601 text (see `moment`) as moments, in UTC
where they name no zone; other values are in no range of dates. A range of numbers compares as
float64, which holds whole numbers exactly up to 2**53. Keys are those of the document's metadata,
and of what stores write beside it (``document_id``, ``chunk_index``, ``page``, …), except
``headings``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias, cast

from ..errors import InvalidInputError
from ..inputs import find_surrogate
from ..types import Scalar

__all__ = [
    "AnyOf",
    "Condition",
    "Exists",
    "FilterValue",
    "Filters",
    "NoneOf",
    "Operator",
    "Range",
    "compare",
    "matches",
    "moment",
    "operator_of",
    "parse_filters",
]

FilterValue: TypeAlias = Scalar | Sequence[Scalar] | Mapping[str, Scalar | Sequence[Scalar]]
Filters: TypeAlias = Mapping[str, FilterValue]
"""Metadata key to its value, values or operators, see `stores.filters`."""

Operator: TypeAlias = Literal["any", "none", "range", "date_range", "exists"]
"""What a store can be able to filter by; its `Capabilities` say which."""


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The key is there, and equals one of the values. At least one value."""

    key: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class NoneOf:
    """The key is missing, or equals none of the values. At least one value."""

    key: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The key's value lies between the bounds, of which at least one is there.

    Attributes:
        key: The metadata key.
        gt: Lower bound, itself excluded; a number, or a moment in UTC.
        gte: Lower bound.
        lt: Upper bound, itself excluded.
        lte: Upper bound.
    """

    key: str
    gt: float | datetime | None = None
    gte: float | datetime | None = None
    lt: float | datetime | None = None
    lte: float | datetime | None = None

    @property
    def bounds(self) -> dict[str, float | datetime]:
        """By name, at most one on each side: of two an index may see only the looser."""
        names = ("gt", "gte", "lt", "lte")
        bounds = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if "gt" in bounds and "gte" in bounds:
            del bounds["gt" if bounds["gt"] < bounds["gte"] else "gte"]
        if "lt" in bounds and "lte" in bounds:
            del bounds["lt" if bounds["lt"] > bounds["lte"] else "lte"]
        return bounds

    @property
    def of_dates(self) -> bool:
        """Whether the bounds are moments."""
        return any(isinstance(bound, datetime) for bound in self.bounds.values())


@dataclass(frozen=True, slots=True)
class Exists:
    """The key is there, or is missing."""

    key: str
    exists: bool


Condition: TypeAlias = AnyOf | NoneOf | Range | Exists


def operator_of(condition: Condition) -> Operator:
    """What a store must be able to do for the condition."""
    if isinstance(condition, AnyOf):
        return "any"
    if isinstance(condition, NoneOf):
        return "none"
    if isinstance(condition, Exists):
        return "exists"
    return "date_range" if condition.of_dates else "range"


def parse_filters(filters: Filters | None) -> tuple[Condition, ...]:
    """The conditions that must all hold; none for no filter.

    Raises:
        InvalidInputError: a key, operator or value that means nothing; the message names it.
    """
    if filters is None:
        return ()
    if not isinstance(filters, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInputError(
            f"filters must be a mapping of metadata keys to values, not {type(filters).__name__}"
        )
    return tuple(condition for key, wanted in filters.items() for condition in _parse(key, wanted))


def _parse(key: object, wanted: object) -> Iterable[Condition]:
    if not isinstance(key, str) or not key or "\0" in key or find_surrogate(key) is not None:
        raise InvalidInputError(f"filter {key!r:.80}: a key is text, and not empty")
    if key == "headings":
        raise InvalidInputError("filter 'headings': it is a list, and cannot be filtered by")
    if not isinstance(wanted, Mapping):
        return [AnyOf(key, _values(key, wanted))]
    operators = cast("Mapping[object, object]", wanted)
    if not operators:
        raise InvalidInputError(f"filter {key!r:.80}: no operator is given")
    conditions: list[Condition] = []
    bounds: dict[str, float | datetime] = {}
    for operator, value in operators.items():
        if operator == "not":
            conditions.append(NoneOf(key, _values(key, value)))
        elif operator == "exists":
            if not isinstance(value, bool):
                raise InvalidInputError(f"filter {key!r:.80}: exists must be True or False")
            conditions.append(Exists(key, value))
        elif operator in ("gt", "gte", "lt", "lte"):
            bounds[operator] = _bound(key, value)
        else:
            raise InvalidInputError(
                f"filter {key!r:.80}: {operator!r:.80} is no operator; there are not, exists, gt, "
                "gte, lt and lte, and for equality write the value itself"
            )
    if bounds:
        if len({isinstance(bound, datetime) for bound in bounds.values()}) > 1:
            raise InvalidInputError(
                f"filter {key!r:.80}: a range is of numbers or of dates, not both"
            )
        conditions.append(Range(key, **bounds))
    return conditions


def _values(key: str, wanted: object) -> tuple[Scalar, ...]:
    if isinstance(wanted, str | int | float):
        values: list[object] = [wanted]
    elif isinstance(wanted, Sequence) and not isinstance(wanted, bytes | bytearray | memoryview):
        values = list(cast("Sequence[object]", wanted))
    else:
        raise InvalidInputError(
            f"filter {key!r:.80}: must be a value, a list of values or a mapping of operators, not "
            f"{type(wanted).__name__}"
        )
    if not values:
        raise InvalidInputError(f"filter {key!r:.80}: an empty list matches nothing; leave it out")
    return tuple(_scalar(key, value) for value in values)


def _scalar(key: str, value: object) -> Scalar:
    if not isinstance(value, str | int | float):
        raise InvalidInputError(
            f"filter {key!r:.80}: {type(value).__name__} is no str, int, float or bool"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInputError(f"filter {key!r:.80}: {value} is not a finite number")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidInputError(f"filter {key!r:.80}: {value} does not fit 64 bits")
    if isinstance(value, str) and ("\0" in value or find_surrogate(value) is not None):
        raise InvalidInputError(
            f"filter {key!r:.80}: NUL and lone surrogates are in no stored text"
        )
    return value


def _bound(key: str, value: object) -> float | datetime:
    if isinstance(value, str):
        bound = moment(value)
        if bound is None:
            raise InvalidInputError(
                f"filter {key!r:.80}: {value!r:.80} is no ISO 8601 date, such as '2024-05-01' or "
                "'2024-05-01T12:00:00Z'"
            )
        return bound
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInputError(
            f"filter {key!r:.80}: a bound must be a number or an ISO 8601 date, not {value!r:.80}"
        )
    return cast("float", _scalar(key, value))


_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d"
    r"([T ]([01]\d|2[0-3]):\d\d(:\d\d(\.\d+)?)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)?)?",
    re.ASCII,
)


def moment(text: str) -> datetime | None:
    """The moment that an ISO 8601 date or time names, in UTC; None where the text is none.

    A date is its first moment; a time without a zone is taken as UTC. The forms are those of
    RFC 3339, ``2024-05-01`` and ``2024-05-01T12:30:00.5+02:00``; seconds, zone and ``T`` may be
    left out (a space for ``T``). Beyond microseconds, digits are cut.
    """
    if not _MOMENT.fullmatch(text):
        return None
    try:
        parsed = datetime.fromisoformat(text)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):  # no such day, or beyond the years 1 to 9999 in UTC
        return None


def matches(metadata: Mapping[str, object], conditions: Iterable[Condition]) -> bool:
    """Whether metadata fulfil all conditions: the reference for what stores do."""
    return all(_holds(metadata, condition) for condition in conditions)


def _holds(metadata: Mapping[str, object], condition: Condition) -> bool:
    if isinstance(condition, Exists):
        return (condition.key in metadata) == condition.exists
    if isinstance(condition, NoneOf):
        return not _holds(metadata, AnyOf(condition.key, condition.values))
    if condition.key not in metadata:
        return False
    value = metadata[condition.key]
    if isinstance(condition, AnyOf):
        return any(_equal(value, wanted) for wanted in condition.values)
    if condition.of_dates:
        value = moment(value) if isinstance(value, str) else None
    elif isinstance(value, bool) or not isinstance(value, int | float):
        value = None
    return value is not None and all(
        compare(name, value, bound) for name, bound in condition.bounds.items()
    )


def _equal(value: object, wanted: Scalar) -> bool:
    return isinstance(value, bool) == isinstance(wanted, bool) and value == wanted


def compare(operator: str, value: float | datetime, bound: float | datetime) -> bool:
    """Whether the value is within one of a range's `bounds`."""
    left, right = cast("tuple[float, float]", (value, bound))
    return {
        "gt": left > right,
        "gte": left >= right,
        "lt": left < right,
        "lte": left <= right,
    }[operator]
