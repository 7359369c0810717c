"""``info``, ``documents``, ``delete``, ``verify`` and ``drop``."""

from __future__ import annotations

import io
import json

import pytest

from jina_integrations.stores import AnyOf, open_store


def break_document(address: str, document_id: str) -> None:
    """Delete the first chunk of it behind the collection's back."""
    store = open_store(address)
    store.delete((AnyOf("document_id", (document_id,)), AnyOf("chunk_index", (0,))))
    store.close()


@pytest.fixture
def cut(words, call, folder, address: str) -> str:
    """A collection in which documents have several chunks."""
    assert call("ingest", folder, "--into", address, "--chunker", "token:2").code == 0
    return address


def test_info(call, filled: str) -> None:
    row = json.loads(call("info", filled, "--json").stdout)
    lines = [line.split("  ", 1) for line in call("info", filled).stdout.splitlines()]
    shown = {name.strip(): value.strip() for name, value in lines}

    assert (row["documents"], row["chunks"]) == (3, 3)
    assert shown["documents"] == shown["chunks"] == "3"
    assert shown["model"] == row["recipe"]["embedder"]["model"] == "minilm"
    assert shown["fingerprint"] == row["fingerprint"]
    assert (shown["dimensions"], shown["chunker"]) == ("32", "sentence:256:0")
    assert (shown["long texts"], shown["heading context"]) == ("fail", "no")


def test_documents_are_listed_by_id(call, cut: str, folder) -> None:
    shown = call("documents", cut).stdout.splitlines()
    rows = json.loads(call("documents", cut, "--json").stdout)

    assert [row["document_id"] for row in rows] == [
        "my texts/bäckerei 日本.txt",
        "my texts/harbour.txt",
        "my texts/keeper.md",
    ]
    assert [row["chunks"] for row in rows] == [3, 2, 4]
    assert {row["root"] for row in rows} == {str(folder)}
    assert shown[0].split() == ["document", "chunks", "read", "from"]
    assert shown[2].split("  ")[0] == "my texts/harbour.txt"
    assert call("documents", cut, "--filter", "title=none").stdout == "no documents\n"


def test_delete_names_unknown_ids_and_deletes_the_others(call, cut: str) -> None:
    gone = call("delete", cut, "my texts/harbour.txt", "my texts/harbour.txt")
    partly = call("delete", cut, "nobody", "my texts/keeper.md", "no\none")

    assert (gone.code, gone.stdout, gone.stderr) == (0, "1 document deleted (2 chunks)\n", "")
    assert partly.code == 1
    assert partly.stdout == "1 document deleted (4 chunks)\n"
    assert partly.stderr == "unknown: nobody\nunknown: no one\n"
    assert json.loads(call("info", cut, "--json").stdout)["documents"] == 1


def test_delete_takes_more_ids_than_one_question_to_the_store(call, cut: str) -> None:
    names = [f"n{number}" for number in range(300)]

    ended = call("delete", cut, *names, "my texts/keeper.md")

    assert ended.code == 1
    assert ended.stdout == "1 document deleted (4 chunks)\n"
    assert ended.stderr.splitlines() == [f"unknown: {name}" for name in names]


def test_verify_finds_and_repairs(call, cut: str, folder) -> None:
    sound = call("verify", cut)
    break_document(cut, "my texts/keeper.md")

    found = call("verify", cut)
    as_json = call("verify", cut, "--json")
    repaired = call("verify", cut, "--repair")

    assert (sound.code, sound.stdout) == (0, "3 documents, 9 chunks: no problems\n")
    assert found.code == as_json.code == repaired.code == 1
    assert found.stdout.splitlines()[1].split("  ")[0] == "my texts/keeper.md"
    assert "incomplete" in found.stdout
    assert found.stdout.splitlines()[-1].endswith("--repair")
    assert json.loads(as_json.stdout)["problems"] == [
        {"document_id": "my texts/keeper.md", "kind": "incomplete", "chunks": 3}
    ]
    assert repaired.stdout.splitlines()[-3:] == [
        "3 chunks deleted",
        "ingest these documents again:",
        "  my texts/keeper.md",
    ]
    call("ingest", folder, "--into", cut, "--chunker", "token:2")
    assert call("verify", cut).stdout == "3 documents, 9 chunks: no problems\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_drop_asks_first(call, filled: str, monkeypatch) -> None:
    without_terminal = call("drop", filled)
    monkeypatch.setattr("sys.stdin", Terminal("\n"))
    refused = call("drop", filled)
    monkeypatch.setattr("sys.stdin", Terminal(""))
    at_the_end = call("drop", filled)
    assert json.loads(call("info", filled, "--json").stdout)["documents"] == 3
    monkeypatch.setattr("sys.stdin", Terminal("Yes\n"))
    dropped = call("drop", filled)

    assert (without_terminal.code, without_terminal.stdout) == (2, "")
    assert "--yes" in without_terminal.stderr
    assert refused.code == at_the_end.code == 2
    assert refused.stderr.startswith("Remove Qdrant Edge collection 'handbook'")
    assert "with 3 documents, 3 chunks? [y/N] " in refused.stderr
    assert refused.stderr.endswith("not removed\n")
    assert dropped.code == 0
    assert dropped.stdout.endswith("with 3 documents, 3 chunks\n")
    assert call("info", filled).code == 2


def test_drop_with_yes_asks_nothing(call, filled: str) -> None:
    ended = call("drop", filled, "--yes")

    assert (ended.code, ended.stderr) == (0, "")
    assert call("info", filled).code == 2


def test_a_collection_that_was_filled_through_a_server_is_kept_up_without_it(
    words, call, folder, address: str
) -> None:
    url = "http://127.0.0.1:9/v1"
    assert call("ingest", folder, "--into", address, "--base-url", url).code == 0

    assert call("info", address).code == 0
    assert call("documents", address).code == 0
    assert call("verify", address).code == 0
    assert call("delete", address, "my texts/keeper.md").code == 0
    assert call("drop", address, "--yes").code == 0


def test_a_collection_of_another_version_can_be_dropped(call, filled: str) -> None:
    from dataclasses import replace

    store = open_store(filled)
    info = store.describe()
    assert info is not None
    store.remember(replace(info, recipe={**info.recipe, "format": 1}))
    store.close()

    refused = call("info", filled)
    dropped = call("drop", filled, "--yes")

    assert refused.code == 2
    assert "drop this one first" in refused.stderr
    assert dropped.code == 0
    assert dropped.stdout.endswith("with all it holds\n")
