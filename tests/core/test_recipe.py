"""What a recipe holds, what it hashes, and what right of them differ in. Drift in practice is in
`test_ingestion_recipe`."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_integrations import (
    ApiSettings,
    Document,
    Embedder,
    MarkdownChunker,
    Recipe,
    SentenceChunker,
    TokenChunker,
)
from jina_integrations.errors import RecipeMismatchError, StoreCorruptError
from jina_integrations.models import TaskScheme
from jina_integrations.recipe import FORMAT, Difference, hash_values
from jina_integrations.settings import EmbedderSettings, roles
from jina_integrations.types import Heading, Page

DOCUMENT = Document("a.md", "Take the ferry at noon.", {"year": 2024})


@pytest.fixture(autouse=True)
def _words(words) -> None:
    """The small model of the tests."""


def recipe(chunker: Any = None, *, heading_context: bool = False, **settings: Any) -> Recipe:
    embedder = Embedder(settings.pop("model", "words"), **settings)
    return Recipe.of(embedder, chunker or SentenceChunker(64), heading_context=heading_context)


LATE = {"late_chunking": True}

CHANGES: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
    "model": [({}, {"model": "other words"})],
    "precision": [({}, {"precision": "bfloat16"}), ({}, {"precision": "int8"})],
    "dimensions": [({}, {"dimensions": 8}), ({"dimensions": 8}, {"dimensions": 16})],
    "normalize": [({}, {"normalize": False})],
    "late_chunking": [({}, LATE)],
    "window_tokens": [(LATE, {**LATE, "window_tokens": 64})],
    "overlap_tokens": [(LATE, {**LATE, "overlap_tokens": 3})],
    "context_weight": [(LATE, {**LATE, "context_weight": 0.5})],
}
"""Settings that count, by the field that changes; those of right spellings are in `SAME`."""

SAME: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
    "backend": [({}, {"backend": "local"})],
    "revision": [({}, {"revision": "main"})],
    "trust_remote_code": [({}, {"trust_remote_code": True, "revision": "0" * 40})],
    "engine": [({}, {"engine": "onnx"}), ({}, {"engine": "torch"})],
    "device": [({}, {"device": "cpu"})],
    "precision": [({}, {"precision": "float32"})],
    "dimensions": [({}, {"dimensions": 32})],
    "normalize": [({}, {"normalize": True})],
    "truncate": [({}, {"truncate": True})],
    "long": [({}, {"long": "error"})],
    "late_chunking": [({}, {"late_chunking": False})],
    "window_tokens": [
        ({}, {"window_tokens": 64}),
        ({"truncate": True}, {"truncate": True, "window_tokens": 64}),
        (LATE, {**LATE, "window_tokens": 8192}),
    ],
    "overlap_tokens": [({}, {"overlap_tokens": 3}), (LATE, {**LATE, "overlap_tokens": 16})],
    "context_weight": [({}, {"context_weight": 0.5}), (LATE, {**LATE, "context_weight": 1.0})],
    "batch_tokens": [({}, {"batch_tokens": 9})],
    "base_url": [({}, {"base_url": "http://127.0.0.1:1/v1"})],
    "api": [({}, {"api": ApiSettings(max_retries=1)})],
}
"""Settings that give the same chunks and vectors: a default said aloud, or what is not in use."""


def pairs(table: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(name, *pair, id=f"{name}-{number}")
        for name, cases in table.items()
        for number, pair in enumerate(cases)
    ]


def test_every_setting_is_in_a_table() -> None:
    fields = set(EmbedderSettings.model_fields)
    assert CHANGES.keys() | SAME.keys() == fields
    decides = {
        name for name, role in roles(EmbedderSettings).items() if role in ("vector", "document")
    }
    assert CHANGES.keys() | {"truncate", "long"} == decides


@pytest.mark.parametrize(("name", "first", "second"), pairs(CHANGES))
def test_settings_that_count(name: str, first: dict, second: dict) -> None:
    """Both hashes for those that queries must share, the version alone for the others."""
    left, right = recipe(**first), recipe(**second)
    assert left.version(DOCUMENT) != right.version(DOCUMENT)
    is_shared = roles(EmbedderSettings)[name] == "vector"
    assert (left.fingerprint != right.fingerprint) == is_shared
    assert [item.name for item in right.drift(left)][:1] == [name]
    assert bool(right.vector_drift(left)) == is_shared


@pytest.mark.parametrize(("name", "first", "second"), pairs(SAME))
def test_settings_that_do_not_count(name: str, first: dict, second: dict) -> None:
    left, right = recipe(**first), recipe(**second)
    assert left.fingerprint == right.fingerprint
    assert left.version(DOCUMENT) == right.version(DOCUMENT)
    assert right.drift(left) == []


@pytest.mark.parametrize(
    "changed",
    [
        replace(DOCUMENT, id="b.md"),
        replace(DOCUMENT, text="Take the ferry at noon!"),
        replace(DOCUMENT, metadata={"year": 2025}),
        replace(DOCUMENT, metadata={"year": 2024, "month": 5}),
        replace(DOCUMENT, metadata={"year": "2024"}),
        replace(DOCUMENT, metadata={}),
        replace(DOCUMENT, headings=(Heading(0, 1, "Ferry"),)),
        replace(DOCUMENT, pages=(Page(0, 3),)),
    ],
)
def test_a_version_is_of_everything_that_is_stored(changed: Document) -> None:
    assert recipe().version(changed) != recipe().version(DOCUMENT)


@pytest.mark.parametrize(
    "same",
    [replace(DOCUMENT, root="elsewhere"), Document("a.md", DOCUMENT.text, {"year": 2024})],
)
def test_a_version_is_not_of_where_it_was_read(same: Document) -> None:
    assert recipe().version(same) == recipe().version(DOCUMENT)


def test_the_order_of_metadata_is_no_difference() -> None:
    first = Document("a.md", "text", {"a": 1, "b": 2})
    assert recipe().version(first) == recipe().version(replace(first, metadata={"b": 2, "a": 1}))


@pytest.mark.parametrize(
    "chunker",
    [
        SentenceChunker(32),
        SentenceChunker(64, overlap_sentences=1),
        TokenChunker(64),
        MarkdownChunker(64),
    ],
)
def test_another_chunker_is_another_version_and_no_drift(chunker: Any) -> None:
    left, right = recipe(), recipe(chunker)
    assert left.fingerprint == right.fingerprint
    assert left.version(DOCUMENT) != right.version(DOCUMENT)
    assert right.drift(left) == []


def test_how_many_pieces_a_service_encodes_together_is_drift(words) -> None:
    """Of late chunking alone, and only through an API."""
    fewer: dict[str, Any] = {"api": ApiSettings(request_inputs=3)}
    assert recipe(**LATE, **fewer).version(DOCUMENT) == recipe(**LATE).version(DOCUMENT)
    words.kind = "api"
    assert recipe(**fewer).version(DOCUMENT) == recipe().version(DOCUMENT)
    left, right = recipe(**LATE), recipe(**LATE, **fewer)
    assert left.fingerprint == right.fingerprint
    assert left.version(DOCUMENT) != right.version(DOCUMENT)
    assert [str(item) for item in right.drift(left)] == ["request_inputs=512 (here 3)"]


def test_heading_context_is_another_version_and_drift() -> None:
    left, right = recipe(), recipe(heading_context=True)
    assert left.fingerprint == right.fingerprint
    assert left.version(DOCUMENT) != right.version(DOCUMENT)
    assert [str(item) for item in right.drift(left)] == ["heading_context=False (here True)"]


@pytest.mark.parametrize(
    ("stored", "present", "drifts"),
    [
        ("error", "truncate", False),
        ("truncate", "error", False),
        ("error", "windows", False),
        ("windows", "error", False),
        ("truncate", "windows", True),
        ("windows", "truncate", True),
    ],
)
def test_a_collection_has_one_way_with_long_texts(stored: str, present: str, drifts: bool) -> None:
    """Failing them goes with either, and the collection goes on remembering the other."""
    ways: dict[str, dict[str, Any]] = {
        "error": {},
        "truncate": {"truncate": True},
        "windows": {"long": "windows"},
    }
    left, right = recipe(**ways[stored]), recipe(**ways[present])
    assert ("long" in [item.name for item in right.drift(left)]) == drifts
    if not drifts:
        kept = stored if present == "error" else present
        assert right.merged(left).document["long"] == kept


@pytest.mark.parametrize("way", [{"truncate": True}, {"long": "windows"}])
def test_texts_within_the_limit_do_not_mind_what_becomes_of_others(way: dict[str, Any]) -> None:
    left, right = recipe(), recipe(**way)
    assert left.version(DOCUMENT) == right.version(DOCUMENT)
    assert right.drift(left) == left.drift(right) == []
    assert right.drift(left.merged(right)) == []
    assert left.merged(right).document == right.document


def test_windows_of_long_texts_are_settled_once() -> None:
    left, right = recipe(long="windows"), recipe(long="windows", window_tokens=64)
    assert "window_tokens" in [item.name for item in right.drift(left)]


def test_a_recipe_survives_json_and_pickle() -> None:
    for left in (recipe(), recipe(TokenChunker(9), heading_context=True, **LATE)):
        values = json.loads(json.dumps(left.to_dict()))
        for again in (Recipe.from_dict(values, where="here"), pickle.loads(pickle.dumps(left))):
            assert again == left
            assert again.fingerprint == left.fingerprint
            assert again.version(DOCUMENT) == left.version(DOCUMENT)


def test_a_recipe_holds_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "secret-of-the-test")
    left = recipe(base_url="http://127.0.0.1:1/v1", api=ApiSettings(api_key_env_var="SOME_KEY"))
    assert "secret-of-the-test" not in repr(left) + json.dumps(left.to_dict())


def test_the_format_is_part_of_both_hashes() -> None:
    left = recipe()
    right = replace(left, format=FORMAT + 1)
    assert left.fingerprint != right.fingerprint
    assert left.version(DOCUMENT) != right.version(DOCUMENT)


@pytest.mark.parametrize("number", [None, 1, FORMAT + 1, str(FORMAT)])
def test_another_format_is_refused_with_a_way_out(number: object) -> None:
    values = {**recipe().to_dict(), "format": number}
    with pytest.raises(RecipeMismatchError, match=rf"here .*{number!r}.*format {FORMAT}: ingest"):
        Recipe.from_dict(values, where="here")


@pytest.mark.parametrize("name", ["embedder", "vector", "document", "cut"])
@pytest.mark.parametrize("wrong", [None, [], "text", 5])
def test_a_broken_recipe_is_refused(name: str, wrong: object) -> None:
    values: dict[str, object] = {**recipe().to_dict(), name: wrong}
    with pytest.raises(StoreCorruptError, match="here: the recipe"):
        Recipe.from_dict(values, where="here")


def test_a_difference_names_both_values() -> None:
    assert str(Difference("precision", "float32", "half")) == "precision='float32' (here 'half')"
    (difference,) = recipe(dimensions=8).vector_drift(recipe())
    assert str(difference) == "dimensions=32 (here 8)"


def test_a_corrected_row_of_a_model_is_named(words, monkeypatch: pytest.MonkeyPatch) -> None:
    left = recipe()
    card = replace(words.card.fget(None), pooling="cls", tasks={"passage": TaskScheme("passage: ")})
    monkeypatch.setattr(words, "card", property(lambda _: card))
    assert [item.name for item in recipe().vector_drift(left)] == ["tasks", "pooling"]


def test_another_model_is_named_rather_than_its_files() -> None:
    names = [item.name for item in recipe(model="other words").vector_drift(recipe())]
    assert names == ["model"]


def test_hashes_are_the_same_in_every_process() -> None:
    values = {"b": [1, 2.5, None, True], "a": {"é": "日本"}}
    code = f"from jina_integrations.recipe import hash_values; print(hash_values({values!r}))"
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert hashes == {hash_values(dict(reversed(values.items())))}


@given(
    st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.none(), max_size=4),
    st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.none(), max_size=4),
)
def test_hashes_tell_mappings_apart(left: dict[str, Any], right: dict[str, Any]) -> None:
    """By their JSON, in which ``True`` is not 1."""
    same = json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    assert (hash_values(left) == hash_values(right)) == same
