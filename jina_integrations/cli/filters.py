"""``--filter year>=2020`` and the like, into what `Collection.search` takes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from ..errors import InvalidInputError

if TYPE_CHECKING:
    from ..stores import Filters
    from ..types import Scalar

__all__ = ["FilterOption", "parse_filter_words"]

FilterOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="CONDITION",
        help="KEY=VALUE, KEY!=VALUE, 'KEY>=VALUE' (also > < <=; numbers or dates), KEY (is there), "
        "'!KEY' (is missing). Repeat it for several.",
    ),
]

_COMPARISON: Final = re.compile(r"(?P<key>[^=!<>]+)(?P<operator>!=|>=|<=|=|>|<)(?P<value>.*)", re.S)
_EXISTENCE: Final = re.compile(r"(?P<missing>!?)(?P<key>[^=!<>]+)", re.S)
_BOUNDS: Final = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_FORMS: Final = "write KEY=VALUE, KEY!=VALUE, KEY>=VALUE, KEY or !KEY, e.g. source=docs/guide.md"


def parse_filter_words(words: Iterable[str]) -> Filters | None:
    """Conditions of the command line as `Filters`; None where there are none.

    ``year=2024`` means the number 2024 and the text "2024", ``draft=true`` the text and the bool.
    A key that comes twice with ``=`` may have either value, with ``!=`` neither. Everything else
    must hold together.

    Raises:
        InvalidInputError: a word has another form, or two of them do not go together.
    """
    equal: dict[str, list[Scalar]] = {}
    unequal: dict[str, list[Scalar]] = {}
    others: dict[str, dict[str, Scalar]] = {}
    for word in words:
        comparison, existence = _COMPARISON.fullmatch(word), _EXISTENCE.fullmatch(word)
        if comparison:
            key, operator, value = comparison.group("key", "operator", "value")
            if operator in _BOUNDS:
                _add(others, key, _BOUNDS[operator], _bound(word, value), word)
            else:
                wanted = equal if operator == "=" else unequal
                wanted.setdefault(key, []).extend(_readings(value))
        elif existence:
            _add(others, existence["key"], "exists", not existence["missing"], word)
        else:
            raise InvalidInputError(f"--filter {word!r:.80}: {_FORMS}")
    operators: dict[str, dict[str, Scalar | list[Scalar]]] = {
        key: {**others.get(key, {}), **({"not": unequal[key]} if key in unequal else {})}
        for key in [*others, *(key for key in unequal if key not in others)]
    }
    for key in equal.keys() & operators.keys():
        raise InvalidInputError(
            f"--filter: {key!r:.80} is compared by = and otherwise, too; leave one of them out"
        )
    return {**equal, **operators} or None


def _add(
    others: dict[str, dict[str, Scalar]], key: str, operator: str, value: Scalar, word: str
) -> None:
    if operator in others.setdefault(key, {}):
        raise InvalidInputError(f"--filter {word!r:.80}: there is another condition of this kind")
    others[key][operator] = value


def _readings(value: str) -> list[Scalar]:
    """The value as text, and as the number or bool that it reads as."""
    read = _number_or_bool(value)
    return [value] if read is None else [value, read]


def _bound(word: str, value: str) -> Scalar:
    """A number, or else the text of a date, which `Collection.search` checks."""
    if not value:
        raise InvalidInputError(f"--filter {word!r:.80}: {_FORMS}")
    read = _number_or_bool(value)
    return value if read is None else read


def _number_or_bool(value: str) -> Scalar | None:
    try:
        parsed: object = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, int | float) or not math.isfinite(parsed):
        return None
    return parsed if isinstance(parsed, float) or -(2**63) <= parsed < 2**63 else None
