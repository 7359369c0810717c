"""Our filters as Chroma's.

Chroma compares a number with the integers after cutting it to one, and with the floats after
turning it into one (chromadb 1.5.9): by itself 5.5 finds 5, and ``>= 5.5`` does too. So where that
changes the number, what it becomes (its twin) is taken in or left out by name. One pair cannot be
told apart: the integer 2**63 - 1, and the float 2**63.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, cast

from chromadb import Where

from jina_integrations.stores import AnyOf, Conditions, NoneOf, Range
from jina_integrations.stores.filters import compare
from jina_integrations.types import Scalar

__all__ = ["to_where"]

_Where: TypeAlias = dict[str, object]


def to_where(conditions: Conditions) -> Where | None:
    """All of the conditions; None for none. Of the operators that `ChromaStore` has."""
    parts: list[_Where] = []
    for condition in conditions:
        key = condition.key
        if isinstance(condition, AnyOf):
            parts.append(_join("$or", _compared(key, condition.values, "$in", "$nin", "$and")))
        elif isinstance(condition, NoneOf):  # `$nin` also takes records without the key
            parts += _compared(key, condition.values, "$nin", "$in", "$or")
        elif isinstance(condition, Range):
            bounds = cast("dict[str, float]", condition.bounds)
            parts += [_bound(key, name, bound) for name, bound in bounds.items()]
    return cast("Where", _join("$and", parts)) if parts else None


def _compared(
    key: str, values: Sequence[Scalar], for_values: str, for_twins: str, join: str
) -> list[_Where]:
    """One condition for each group of values."""
    compared: list[_Where] = []
    for group, twins in _groups(values):
        conditions: list[_Where] = [{key: {for_values: group}}]
        if twins:
            conditions.append({key: {for_twins: twins}})
        compared.append(_join(join, conditions))
    return compared


def _bound(key: str, name: str, bound: float) -> _Where:
    condition: _Where = {key: {f"${name}": bound}}
    twin = _twin(bound)
    wanted, has = compare(name, twin, bound), name in ("gte", "lte")
    if twin == bound or wanted == has:
        return condition
    if wanted:
        return _join("$or", [condition, {key: {"$eq": twin}}])
    return _join("$and", [condition, {key: {"$ne": twin}}])


def _groups(values: Sequence[Scalar]) -> list[tuple[list[Scalar], list[float]]]:
    """The values by type, since Chroma refuses lists of several; and the twins of each list."""
    groups: dict[tuple[type, bool], tuple[list[Scalar], list[float]]] = {}
    for value in values:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        twin = _twin(cast("float", value)) if is_number else value
        group, twins = groups.setdefault((type(value), twin == value), ([], []))
        group.append(value)
        if twin != value:
            twins.append(cast("float", twin))
    return list(groups.values())


def _twin(number: float) -> float:
    """What Chroma takes the number for where it compares it with the other type."""
    integer = max(-(2**63), min(int(number), 2**63 - 1))
    if isinstance(number, int):
        back = max(-(2**63), min(int(float(number)), 2**63 - 1))
        return number if back == number else float(number)
    return number if float(integer) == number else integer


def _join(operator_name: str, conditions: list[_Where]) -> _Where:
    """Chroma refuses an operator over a single condition."""
    return conditions[0] if len(conditions) == 1 else {operator_name: conditions}
