"""Which settings may fill one collection together, and what is said of the others."""

from __future__ import annotations

import re

import pytest

from jina_integrations import ApiSettings, Embedder, Recipe, SentenceChunker
from jina_integrations.errors import RecipeMismatchError, StoreCorruptError
from jina_integrations.stores import CollectionInfo
from tests.samples import PARAGRAPHS, collection, contents, corpus, fill


@pytest.fixture(autouse=True)
def _words(words) -> None:
    pass


def late(**settings) -> Embedder:
    return Embedder("words", late_chunking=True, **settings)


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        (Embedder("words"), Embedder("words", dimensions=16), ["dimensions=32 (here 16)"]),
        (Embedder("words", dimensions=16), Embedder("words"), ["dimensions=16 (here 32)"]),
        (Embedder("words"), late(), ["late_chunking=False (here True)"]),
        (
            Embedder("words"),
            Embedder("words", precision="bfloat16", dimensions=8, device="cpu", batch_tokens=7),
            ["dimensions=32 (here 8)", "precision='float32' (here 'half')"],
        ),
        (Embedder("words"), Embedder("sentences"), ["model='words' (here 'sentences')"]),
        (Embedder("words"), Embedder("words", normalize=False), ["normalize=True (here False)"]),
        (late(), late(context_weight=0.5), ["context_weight=1.0 (here 0.5)"]),
        (late(), late(window_tokens=64), ["window_tokens=8192 (here 64)"]),
        (late(), late(overlap_tokens=3), ["overlap_tokens=16 (here 3)"]),
        (
            Embedder("words", truncate=True),
            Embedder("words", long="windows"),
            ["long='truncate' (here 'windows')"],
        ),
    ],
)
def test_other_settings_are_refused_and_named(memory_store, words, first, second, named) -> None:
    fill(memory_store, corpus(3), first)
    before = contents(memory_store.records)
    words.calls.clear()

    with pytest.raises(RecipeMismatchError) as error:
        fill(memory_store, corpus(3, edition="second"), second)

    for difference in named:
        assert difference in str(error.value)
    assert "ingest with these" in str(error.value)
    assert "ingest into a new collection, or drop this one first" in str(error.value)
    assert not re.search("device|batch_tokens|weights", str(error.value))
    assert contents(memory_store.records) == before
    assert words.calls == []


@pytest.mark.parametrize(
    "second",
    [
        Embedder("words", device="cpu"),
        Embedder("words", batch_tokens=9),
        Embedder("words", precision="float32"),
        Embedder("words", dimensions=32),
        Embedder("words", normalize=True),
        Embedder("words", window_tokens=128),
        Embedder("words", overlap_tokens=7),
        Embedder("words", context_weight=0.5),
        Embedder("words", late_chunking=False),
        Embedder("words", truncate=True),
        Embedder("words", base_url="http://127.0.0.1:1/v1"),
        Embedder("words", api=ApiSettings(max_retries=1)),
    ],
    ids=repr,
)
def test_settings_that_change_no_vector_are_no_drift(memory_store, second: Embedder) -> None:
    fill(memory_store, corpus(3))

    assert fill(memory_store, corpus(3), second).documents_unchanged == 3


def test_base_url_that_moves(memory_store, words) -> None:
    words.kind = "api"
    fill(memory_store, corpus(3), Embedder("words", base_url="http://127.0.0.1:1/v1"))
    moved = Embedder("words", base_url="http://127.0.0.1:2/v1")

    assert fill(memory_store, corpus(3), moved).documents_unchanged == 3


def test_changed_model_files_are_refused(memory_store, words) -> None:
    fill(memory_store, corpus(3))
    words.weights = "words as tuned"

    with pytest.raises(RecipeMismatchError, match="same name and other files"):
        fill(memory_store, corpus(3))


def test_heading_context_is_in_the_recipe(memory_store) -> None:
    fill(memory_store, corpus(3))

    with pytest.raises(RecipeMismatchError, match=r"heading_context=False \(here True\)"):
        fill(memory_store, corpus(3), heading_context=True)


def test_tokenizer_and_algorithm_decide_the_cuts(memory_store, words, monkeypatch) -> None:
    """Neither is drift: the documents are cut and embedded again."""
    chunker = SentenceChunker(64)
    fill(memory_store, corpus(3), chunker=chunker)
    assert fill(memory_store, corpus(3), chunker=chunker).documents_unchanged == 3

    monkeypatch.setattr(SentenceChunker, "algorithm", {"version": 99})
    assert fill(memory_store, corpus(3), chunker=chunker).documents_embedded == 3

    words.tokenizer_identity = "another"
    assert fill(memory_store, corpus(3), chunker=chunker).documents_embedded == 3
    assert fill(memory_store, corpus(3), chunker=chunker).documents_unchanged == 3


def test_collection_remembers_what_filled_it(memory_store) -> None:
    embedder = Embedder("words", dimensions=16, device="cpu")
    fill(memory_store, corpus(1), embedder)

    info = memory_store.describe()
    assert info.recipe == Recipe.of(embedder, PARAGRAPHS).to_dict()
    assert info.recipe["embedder"] == {**embedder.to_dict(), "backend": "local"}
    assert info.dimensions == {"dense": 16}
    assert Recipe.from_dict(info.recipe, where="here").fingerprint == embedder.fingerprint


def test_last_chunker_and_a_way_with_long_texts_are_remembered(memory_store) -> None:
    def remembered() -> Recipe:
        return Recipe.from_dict(memory_store.describe().recipe, where="here")

    fill(memory_store, corpus(2))
    assert remembered().document["long"] == "error"
    fill(memory_store, corpus(3), Embedder("words", truncate=True), chunker=SentenceChunker(64))
    assert remembered().document["long"] == "truncate"
    assert remembered().cut["chunker"]["chunker"] == "sentence"
    fill(memory_store, corpus(4))
    assert remembered().document["long"] == "truncate"
    assert remembered().cut["chunker"]["chunker"] == "span"

    with pytest.raises(RecipeMismatchError, match="long='truncate'"):
        fill(memory_store, corpus(2), Embedder("words", long="windows"))


def test_collection_that_another_process_made_first(memory_store, monkeypatch) -> None:
    """Between our look and our `create`: its settings count."""
    other = Recipe.of(Embedder("words", dimensions=16), PARAGRAPHS)
    make = memory_store.create

    def create(info: CollectionInfo) -> None:
        make(CollectionInfo(other.to_dict(), {"dense": 16}))
        make(info)

    monkeypatch.setattr(memory_store, "create", create)

    with pytest.raises(RecipeMismatchError, match=r"dimensions=16 \(here 32\)"):
        fill(memory_store, corpus(3))
    assert not memory_store.records


def test_recipe_of_another_format(memory_store) -> None:
    recipe = Recipe.of(Embedder("words"), PARAGRAPHS).to_dict()
    memory_store.create(CollectionInfo({**recipe, "format": 99}, {"dense": 32}))

    with pytest.raises(RecipeMismatchError, match="recipe format 99"):
        fill(memory_store, corpus(1))


@pytest.mark.parametrize("part", ["embedder", "vector", "document", "cut"])
def test_recipe_that_cannot_be_read(memory_store, part: str) -> None:
    recipe = Recipe.of(Embedder("words"), PARAGRAPHS).to_dict()
    memory_store.create(CollectionInfo({**recipe, part: 5}, {"dense": 32}))

    with pytest.raises(StoreCorruptError, match="recipe"):
        collection(memory_store).search("text")
