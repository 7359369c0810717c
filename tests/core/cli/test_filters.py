"""``--filter``: its grammar, and what it finds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jina_integrations.cli.filters import parse_filter_words
from jina_integrations.errors import InvalidInputError


@pytest.mark.parametrize(
    ("value", "readings"),
    [
        ("text", ["text"]),
        ("5", ["5", 5]),
        ("-2.5", ["-2.5", -2.5]),
        ("true", ["true", True]),
        ("null", ["null"]),
        ("NaN", ["NaN"]),
        ("1e999", ["1e999"]),
        ("9223372036854775808", ["9223372036854775808"]),
        ("9" * 5000, ["9" * 5000]),
        ('"quoted"', ['"quoted"']),
        ("[1]", ["[1]"]),
        ("[" * 100_000, ["[" * 100_000]),
        ("a=b", ["a=b"]),
        ("a>b", ["a>b"]),
        ("two\nlines", ["two\nlines"]),
        ("", [""]),
    ],
)
def test_a_value_is_text_and_what_it_reads_as(value: str, readings: list) -> None:
    parsed = parse_filter_words([f"key={value}"])
    excluded = parse_filter_words([f"key!={value}"])

    assert parsed == {"key": readings}
    assert [type(item) for item in parsed["key"]] == [type(item) for item in readings]
    assert excluded == {"key": {"not": readings}}


@pytest.mark.parametrize(
    ("words", "filters"),
    [
        ([], None),
        (["a=1", "b=x", "a=y"], {"a": ["1", 1, "y"], "b": ["x"]}),
        (["a!=x", "a!=2"], {"a": {"not": ["x", "2", 2]}}),
        (["year>=2020", "year<2024"], {"year": {"gte": 2020, "lt": 2024}}),
        (["year>2020.5", "year<=2024"], {"year": {"gt": 2020.5, "lte": 2024}}),
        (["day<2024-05-01"], {"day": {"lt": "2024-05-01"}}),
        (["reviewed"], {"reviewed": {"exists": True}}),
        (["!reviewed"], {"reviewed": {"exists": False}}),
        (["year>=2020", "year!=2022"], {"year": {"gte": 2020, "not": ["2022", 2022]}}),
        (["a key=x"], {"a key": ["x"]}),
    ],
)
def test_conditions(words: list[str], filters: object) -> None:
    assert parse_filter_words(words) == filters


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([""], "KEY=VALUE"),
        (["=a"], "KEY=VALUE"),
        (["!"], "KEY=VALUE"),
        (["!a=b"], "KEY=VALUE"),
        (["!!a"], "KEY=VALUE"),
        ([">5"], "KEY=VALUE"),
        (["a>"], "KEY=VALUE"),
        (["a>1", "a>2"], "another condition of this kind"),
        (["a", "!a"], "another condition of this kind"),
        (["a=1", "a!=2"], "leave one of them out"),
    ],
)
def test_malformed(words: list[str], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        parse_filter_words(words)


def test_search_and_documents_filter(words, call, tmp_path: Path, address: str) -> None:
    records = tmp_path / "r.jsonl"
    rows: list[dict[str, object]] = [
        {"text": "bread", "id": f"n{n}", "rank": n, "code": f"0{n}", "day": f"2024-05-0{n + 1}"}
        for n in range(4)
    ]
    rows[3]["draft"] = True
    records.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert call("ingest", records, "--into", address).code == 0

    def ids_with(*filters: str) -> set[str]:
        options = [word for condition in filters for word in ("--filter", condition)]
        hits = call("search", "bread", "--from", address, *options, "--json")
        entries = call("documents", address, *options, "--json")
        ids = [{row["document_id"][-2:] for row in json.loads(e.stdout)} for e in (hits, entries)]
        assert ids[0] == ids[1]
        return ids[0]

    assert ids_with() == {"n0", "n1", "n2", "n3"}
    assert ids_with("rank=2") == {"n2"}
    assert ids_with("rank=2", "rank=3") == {"n2", "n3"}
    assert ids_with("rank=2", "code=03") == set()
    assert ids_with("code=03") == {"n3"}
    assert ids_with("code=3") == set()
    assert ids_with("rank!=2", "rank!=3") == {"n0", "n1"}
    assert ids_with("rank>=1", "rank<3") == {"n1", "n2"}
    assert ids_with("day>2024-05-02") == {"n2", "n3"}
    assert ids_with("draft") == {"n3"}
    assert ids_with("!draft") == {"n0", "n1", "n2"}
    assert ids_with("draft=true") == {"n3"}
    wrong = call("search", "x", "--from", address, "--filter", "rank>many")
    assert (wrong.code, wrong.stdout) == (2, "")
    assert "ISO 8601" in wrong.stderr
