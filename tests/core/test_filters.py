"""What a filter means, and every filter that means nothing."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_integrations.errors import InvalidInputError
from jina_integrations.stores.filters import (
    AnyOf,
    Exists,
    NoneOf,
    Range,
    matches,
    moment,
    operator_of,
    parse_filters,
)
from jina_integrations.stores.tags import typed_tag

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("filters", "conditions"),
    [
        (None, ()),
        ({}, ()),
        ({"language": "de"}, (AnyOf("language", ("de",)),)),
        ({"n": [1, 2.5, True]}, (AnyOf("n", (1, 2.5, True)),)),
        ({"n": ("a",), "m": 0}, (AnyOf("n", ("a",)), AnyOf("m", (0,)))),
        ({"language": {"not": "de"}}, (NoneOf("language", ("de",)),)),
        ({"language": {"not": ["de", "fr"]}}, (NoneOf("language", ("de", "fr")),)),
        ({"year": {"gte": 2020, "lt": 2024.5}}, (Range("year", gte=2020, lt=2024.5),)),
        ({"day": {"gt": "2024-05-01T14:00:00+02:00"}}, (Range("day", gt=NOON),)),
        ({"day": {"exists": False}}, (Exists("day", exists=False),)),
        (
            {"n": {"gte": 1, "not": [2, 3], "exists": True, "lte": 9}},
            (NoneOf("n", (2, 3)), Exists("n", exists=True), Range("n", gte=1, lte=9)),
        ),
    ],
)
def test_filters_become_conditions(filters: object, conditions: tuple[object, ...]) -> None:
    assert parse_filters(filters) == conditions  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        *((wrong, f"not {type(wrong).__name__}") for wrong in (5, "x", [("a", 1)], {"a"}, b"a")),
        *(({key: 1}, "a key is text") for key in ("", 1, None, "a\0b", "\ud800", ("a",))),
        ({"headings": "Start"}, "it is a list"),
        ({"key": []}, "'key': an empty list"),
        ({"key": {}}, "'key': no operator"),
        ({"key": None}, "'key': must be a value, a list of values or a mapping"),
        ({"key": {1, 2}}, "not set"),
        ({"key": b"bytes"}, "not bytes"),
        ({"key": bytearray(b"x")}, "not bytearray"),
        ({"key": date(2024, 5, 1)}, "not date"),
        ({"key": [None]}, "NoneType is no str"),
        ({"key": [[1]]}, "list is no str"),
        ({"key": {"not": [b"x"]}}, "bytes is no str"),
        ({"key": {"not": []}}, "empty list"),
        ({"key": {"not": {"gte": 1}}}, "not dict"),
        ({"key": float("nan")}, "not a finite number"),
        ({"key": 2**63}, "64 bits"),
        ({"key": "a\0"}, "NUL"),
        ({"key": ["\ud800"]}, "surrogate"),
        ({"key": {"exists": 1}}, "exists must be True or False"),
        ({"key": {"eq": 1}}, "'eq' is no operator; there are not, exists, gt"),
        ({"key": {None: 1}}, "None is no operator"),
        ({"key": {"gte": True}}, "a number or an ISO 8601 date, not True"),
        ({"key": {"gte": None}}, "not None"),
        ({"key": {"gte": [1]}}, r"not \[1\]"),
        ({"key": {"gte": date(2024, 5, 1)}}, "not datetime.date"),
        ({"key": {"gte": float("inf")}}, "not a finite number"),
        ({"key": {"gte": 10**400}}, "64 bits"),
        ({"key": {"gte": "yesterday"}}, "'yesterday' is no ISO 8601 date"),
        ({"key": {"gte": 1, "lt": "2024-05-01"}}, "of numbers or of dates"),
    ],
)
def test_filters_that_mean_nothing_are_refused(filters: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_filters(filters)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"k" * 100_000: {}}, {"k": {"gte": "x" * 100_000}}])
def test_a_message_never_holds_a_whole_text(wrong: dict) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_filters(wrong)
    assert len(str(caught.value)) < 300


def test_each_condition_names_what_it_needs() -> None:
    filters = {
        "a": 1,
        "b": {"not": 1},
        "c": {"gt": 1},
        "d": {"gt": "2024-05-01"},
        "e": {"exists": True},
    }
    assert [operator_of(condition) for condition in parse_filters(filters)] == [
        *("any", "none", "range", "date_range", "exists")
    ]


@pytest.mark.parametrize(
    ("value", "filters", "expected"),
    [
        (5, {"k": 5.0}, True),
        (5.0, {"k": 5}, True),
        (True, {"k": 1}, False),
        (1, {"k": True}, False),
        (False, {"k": [0, "False"]}, False),
        ("5", {"k": 5}, False),
        (2**53 + 1, {"k": 2**53}, False),
        (1, {"k": {"not": True}}, True),
        (1, {"k": {"not": [True, 1]}}, False),
        (1, {"other": {"not": 1}}, True),
        (1, {"other": {"exists": False}, "k": {"exists": True}}, True),
        (True, {"k": {"gte": 0}}, False),
        ("5", {"k": {"gte": 0}}, False),
        (5, {"k": {"gt": 5}}, False),
        (5, {"k": {"gte": 5, "lte": 5}}, True),
        (5, {"k": {"gt": 4, "not": 5}}, False),
        (2024, {"k": {"gte": "2024-01-01"}}, False),
        ("2024-05-01", {"k": {"gte": "2024-05-01T00:00:00Z"}}, True),
        ("2024-05-01", {"k": {"gt": "2024-05-01T00:00:00Z"}}, False),
        ("2024-05-01T01:00:00+02:00", {"k": {"lt": "2024-05-01"}}, True),
        ("May 2024", {"k": {"gte": "1999-01-01"}}, False),
        ("2024", {"k": {"gte": "1999-01-01"}}, False),
    ],
)
def test_values_and_types_count(value: object, filters: dict, *, expected: bool) -> None:
    assert matches({"k": value}, parse_filters(filters)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01", datetime(2024, 5, 1, tzinfo=UTC)),
        ("2024-05-01T12:00", NOON),
        ("2024-05-01 12:00:00", NOON),
        ("2024-05-01T12:00:00Z", NOON),
        ("2024-05-01T12:00:00.000000Z", NOON),
        ("2024-05-01T06:30:00-05:30", NOON),
        ("2024-05-01T12:00:00.1234567Z", NOON.replace(microsecond=123456)),
        ("0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_moments(text: str, expected: datetime) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "2024", "2024-05", "20240501", "2024-5-1", "2024-13-01", "2023-02-29", "0000-01-01"),
        *("2024-W18-3", "2024-122", "٢٠٢٤-٠٥-٠١", "2024-05-01 ", "2024-05-01T", "2024-05-01T12"),
        *("2024-05-01T24:00:00", "2024-05-01T12:60", "2024-05-01T12:00:60", "2024-05-01x12:00"),
        *("2024-05-01T12:00:00+2", "2024-05-01T12:00:00+24:00", "0001-01-01T00:00:00+01:00"),
    ],
)
def test_other_texts_are_no_moments(text: str) -> None:
    assert moment(text) is None


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-23 * 60, 23 * 60))
def test_a_moment_is_the_same_in_every_zone(local: datetime, minutes: int) -> None:
    aware = local.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert moment(aware.isoformat()) == aware


_SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.integers(-2, 2)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0.0, -0.0, 1.0, 2.0**53, "1", "true", "True", "1.0"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
)
_KEYS = st.sampled_from(["a", "b", 'a", "b', "a=b", "a=s:b"])


@given(_KEYS, _SCALARS, _KEYS, _SCALARS)
def test_tags_are_equal_exactly_where_key_and_value_are(
    key: str, value: object, other_key: str, other: object
) -> None:
    equal = matches({key: value}, [AnyOf(other_key, (other,))])  # type: ignore[arg-type]
    assert (typed_tag(key, value) == typed_tag(other_key, other)) == equal  # type: ignore[arg-type]


def test_tags_can_be_read() -> None:
    tags = [typed_tag("year", 2024.0), typed_tag("new", value=True), typed_tag("ü", "b")]
    assert tags == ['["year", 2024]', '["new", true]', '["ü", "b"]']
    assert json.loads(tags[0]) == ["year", 2024]
