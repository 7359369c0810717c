"""``search``: what it prints of its hits."""

from __future__ import annotations

import json
from pathlib import Path


def test_prints_rank_score_place_and_text(call, filled: str) -> None:
    ended = call("search", "when does the bakery opens?", "--from", filled, "-k", "2")

    assert ended.code == 0
    first, text, second, *_ = ended.stdout.splitlines()
    assert first.startswith("1. 0.")
    assert first.endswith("  my texts/bäckerei 日本.txt, 0-24")
    assert text == "    The bakery opens at six."
    assert second.startswith("2. ")


def test_headings_are_part_of_the_place(words, call, folder: Path, address: str) -> None:
    (folder / "guide.md").write_text(
        "# Guide\n\nFirst.\n\n## Install\n\n### Linux\n\nUse the parcel.", encoding="utf-8"
    )
    call("ingest", folder, "--into", address, "--chunker", "markdown:8")

    ended = call("search", "parcel", "--from", address, "--filter", "title=Guide")

    assert "  my texts/guide.md > Guide > Install, 17-55" in ended.stdout


def test_pages_are_part_of_the_place() -> None:
    from jina_integrations.cli.searching import _place
    from jina_integrations.types import Chunk

    def place(page: int | None, page_end: int | None) -> str:
        return _place(Chunk("a.pdf", 0, 5, 9, "text", {}, ("1 Intro",), page, page_end))

    assert place(3, 3) == "a.pdf > 1 Intro, p. 3, 5-9"
    assert place(3, 4) == "a.pdf > 1 Intro, p. 3-4, 5-9"
    assert place(None, None) == "a.pdf > 1 Intro, 5-9"


def test_of_a_long_chunk_the_lines_that_answer_are_shown(
    words, call, folder: Path, address: str
) -> None:
    before = " ".join(f"filling{number:030}" for number in range(24))
    text = f"{before} The badge costs nine francs. {before[:380]}"
    (folder / "long.txt").write_text(text, encoding="utf-8")
    call("ingest", folder, "--into", address)
    question = ("search", "what costs the badge", "--from", address, "--filter", "title=long.txt")

    shown = call(*question).stdout
    full = call(*question, "--full").stdout
    (row,) = json.loads(call(*question, "--json").stdout)

    lines = shown.splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("    … ")
    assert "badge costs nine francs" in " ".join(map(str.strip, lines))
    assert all(len(line) <= 124 for line in lines)
    assert " ".join(" ".join(full.splitlines()[1:]).split()) == text.strip()
    assert row["text"] == text.strip()


def test_json_has_all_of_a_hit(call, filled: str) -> None:
    ended = call("search", "the bakery", "--from", filled, "-k", "1", "--json")

    assert "bäckerei 日本" in ended.stdout
    (row,) = json.loads(ended.stdout)
    assert row.pop("score") > 0.3
    assert row == {
        "rank": 1,
        "document_id": "my texts/bäckerei 日本.txt",
        "index": 0,
        "start": 0,
        "end": 24,
        "text": "The bakery opens at six.",
        "headings": [],
        "page": None,
        "page_end": None,
        "metadata": {
            "source": "my texts/bäckerei 日本.txt",
            "title": "bäckerei 日本.txt",
            "media_type": "text/plain",
        },
    }


def test_no_hits(call, filled: str) -> None:
    nothing = ("search", "x", "--from", filled, "--filter", "a=b")

    assert call(*nothing).stdout == "no hits\n"
    assert call(*nothing, "--json").stdout == "[]\n"


def test_empty_question(call, filled: str) -> None:
    ended = call("search", " ", "--from", filled)

    assert (ended.code, ended.stdout) == (2, "")
    assert "whitespace" in ended.stderr
