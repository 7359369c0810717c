"""The embeddings cache serves a vector only for what it was made for."""

from __future__ import annotations

import pickle

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.storage.kvstore import SimpleKVStore

from jina_adapters.llama_index import JinaEmbedding
from jina_integrations import Embedder

TEXTS = ["The bakery opens at six.", "The keeper writes down the weather."]


@pytest.fixture
def store():
    return SimpleKVStore()


@pytest.fixture
def by_task(monkeypatch):
    """Vectors that begin with 0 for a query and with 1 for a passage; gives the texts embedded."""
    embedded: list[str] = []
    original = Embedder.embed

    def embed(self, texts, *, task, on_error="raise"):
        embedded.extend(texts)
        vectors = original(self, texts, task=task)
        vectors[:, 0] = task == "passage"
        return vectors

    async def aembed(self, texts, *, task, on_error="raise"):
        return embed(self, texts, task=task)

    monkeypatch.setattr(Embedder, "embed", embed)
    monkeypatch.setattr(Embedder, "aembed", aembed)
    return embedded


async def query_of(model, text, form):
    return (
        model.get_query_embedding(text)
        if form == "sync"
        else await model.aget_query_embedding(text)
    )


async def texts_of(model, texts, form):
    if form == "sync":
        return model.get_text_embedding_batch(texts)
    if form == "async":
        return await model.aget_text_embedding_batch(texts)
    return [model.get_text_embedding(text) for text in texts]


@pytest.mark.parametrize("form", ["sync", "async", "single"])
@pytest.mark.parametrize("query_first", [True, False])
async def test_a_query_never_gets_a_passages_vector(store, by_task, form, query_first):
    model = JinaEmbedding("echo", dimensions=64, embeddings_cache=store)
    for _ in range(2):  # the second time all come from the cache
        if query_first:
            query = await query_of(model, TEXTS[0], form)
        texts = await texts_of(model, TEXTS, form)
        query = await query_of(model, TEXTS[0], form)
        assert query[0] == 0
        assert [vector[0] for vector in texts] == [1, 1]
    assert sorted(by_task) == sorted([TEXTS[0], *TEXTS])


@pytest.mark.parametrize("change", [{"dimensions": 32}, {"normalize": False}])
async def test_models_do_not_share_entries(store, by_task, change):
    options = {"dimensions": 64}
    first = JinaEmbedding("echo", embeddings_cache=store, **options)
    second = JinaEmbedding("echo", embeddings_cache=store, **options | change)
    assert first.get_text_embedding("a") != second.get_text_embedding("a")
    assert await first.aget_query_embedding("a") != await second.aget_query_embedding("a")
    assert len(by_task) == 4


def test_a_task_of_both_sides_shares_its_entries_and_no_others(store, by_task):
    model = JinaEmbedding("echo", task="clustering", embeddings_cache=store)
    assert model.get_text_embedding("a") == model.get_query_embedding("a")
    assert len(by_task) == 1
    JinaEmbedding("echo", embeddings_cache=store).get_text_embedding("a")
    assert len(by_task) == 2


async def test_the_users_own_store_holds_the_entries_and_outlives_the_model(
    store, by_task, tmp_path
):
    model = JinaEmbedding("echo", dimensions=64, embeddings_cache=store)
    vectors = model.get_text_embedding_batch(TEXTS)
    assert len(store.get_all("embeddings")) == 2
    store.persist(str(tmp_path / "cache.json"))

    again = SimpleKVStore.from_persist_path(str(tmp_path / "cache.json"))
    model = JinaEmbedding("echo", dimensions=64, embeddings_cache=again)
    assert model.get_text_embedding_batch(TEXTS) == vectors
    assert await model.aget_text_embedding(TEXTS[0]) == vectors[0]
    assert len(by_task) == 2


def test_a_store_that_is_set_later_is_no_different(store, by_task):
    model = JinaEmbedding("echo")
    model.embeddings_cache = store
    assert model.get_query_embedding("a") != model.get_text_embedding("a")
    assert len(store.get_all("embeddings")) == 2
    model.embeddings_cache = None
    model.get_query_embedding("a")
    assert len(by_task) == 3


def test_copies_and_pickles_keep_keys_apart(store, by_task):
    model = JinaEmbedding("echo", embeddings_cache=store)
    query = model.get_query_embedding("a")
    copies = [
        model.model_copy(),
        model.model_copy(update={"embeddings_cache": store}),
        JinaEmbedding("echo", embeddings_cache=model.embeddings_cache),
        pickle.loads(pickle.dumps(model)),
    ]
    for copy in copies:
        assert copy.get_query_embedding("a") == query
        assert len(by_task) == 1
    assert all(copy.embeddings_cache.store is store for copy in copies[:3])
    assert copies[0].get_text_embedding("a") != query


async def test_the_view_is_a_whole_store(store):
    view = JinaEmbedding("echo", embeddings_cache=store).embeddings_cache
    other = JinaEmbedding("minilm", embeddings_cache=store).embeddings_cache
    view.put("a", {"x": [1.0]})
    await view.aput("b", {"x": [2.0]})
    other.put("c", {"x": [3.0]})
    assert view.get_all() == await view.aget_all() == {"a": {"x": [1.0]}, "b": {"x": [2.0]}}
    assert view.get("a") == await view.aget("a") == {"x": [1.0]}
    assert (view.delete("a"), await view.adelete("b"), view.delete("c")) == (True, True, False)
    assert other.get("c") == {"x": [3.0]}
