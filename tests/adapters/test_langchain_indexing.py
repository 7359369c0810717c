"""`LateChunkingStore`: whole documents through LangChain's `index`, chunks in the store below."""

import numpy as np
import pytest

pytest.importorskip("langchain_core")

from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore

from jina_adapters.langchain import JinaEmbeddings, LateChunkingStore, late_chunk_documents
from jina_integrations import Embedder, SentenceChunker
from jina_integrations.errors import (
    InvalidInputError,
    InvalidSettingError,
    StoreCorruptError,
    StoreError,
)

SPLITTER = SentenceChunker(max_tokens=8)
PAGES = [
    Document(
        f"Page {page} of {source} is about bread. It is baked here. It is eaten there by {page}.",
        metadata={"source": source, "page": page},
    )
    for source in ("handbook", "leaflet")
    for page in range(4)
]
EDITED = Document("This page was rewritten. It is short.", metadata=PAGES[1].metadata)


class Failing(InMemoryVectorStore):
    """Breaks off in the middle of a write when told to."""

    writes_left = -1

    def add_documents(self, documents, ids=None, **kwargs):
        self.writes_left -= 1
        if self.writes_left == 0:
            super().add_documents(documents[:1], ids=ids[:1])
            raise ConnectionError("the store is gone")
        return super().add_documents(documents, ids=ids, **kwargs)


@pytest.fixture
def inner():
    return Failing(JinaEmbeddings("echo", dimensions=64))


@pytest.fixture
def store(inner):
    return LateChunkingStore(inner, splitter=SPLITTER)


@pytest.fixture
def records(store):
    manager = InMemoryRecordManager(f"handbook/{store.embeddings.embedder.fingerprint}")
    manager.create_schema()
    return manager


@pytest.fixture
def run(records, store):
    """`index` as the documentation has it."""

    def run_index(documents, **changes):
        options = {
            "cleanup": "scoped_full",
            "source_id_key": "source",
            "key_encoder": "sha256",
            "batch_size": 3,
        }
        before = store.embeddings.embedder.usage.tokens
        result = index(documents, records, store, **(options | changes))
        return result, store.embeddings.embedder.usage.tokens - before

    return run_index


def key(metadata, text):
    return metadata["source"], metadata.get("page"), text


def check(inner, documents):
    """The store holds the chunks of these documents, each with its own vector, and no others."""
    late = late_chunk_documents(documents, splitter=SPLITTER, embeddings=inner.embeddings)
    expected = {
        key(chunk.metadata, chunk.page_content): vector
        for chunk, vector in zip(late.documents, late.vectors, strict=True)
    }
    items = inner.store.values()
    stored = {key(item["metadata"], item["text"]): item["vector"] for item in items}
    assert len(expected) == len(items)
    assert stored.keys() == expected.keys()
    for name, vector in expected.items():
        np.testing.assert_allclose(stored[name], vector, atol=1e-6)


def counts(result):
    return tuple(result[f"num_{name}"] for name in ("added", "skipped", "deleted"))


class TestIndex:
    def test_documents_are_recorded_and_their_chunks_stored(self, run, inner):
        assert counts(run(PAGES)[0]) == (8, 0, 0)
        assert len(inner.store) > 2 * len(PAGES)
        check(inner, PAGES)

    def test_unchanged_documents_cost_nothing(self, run, inner):
        run(PAGES)
        result, tokens = run(PAGES)
        assert (counts(result), tokens) == ((0, 8, 0), 0)
        check(inner, PAGES)

    def test_an_edited_document_is_the_only_one_embedded(self, run, inner):
        run(PAGES)
        result, tokens = run([PAGES[0], EDITED, *PAGES[2:]])
        assert counts(result) == (1, 7, 1)
        assert tokens == len(EDITED.page_content.split())
        check(inner, [PAGES[0], EDITED, *PAGES[2:]])

    def test_a_removed_document_goes_and_its_siblings_stay(self, run, inner):
        run(PAGES)
        result, tokens = run(PAGES[1:])
        assert (counts(result), tokens) == ((0, 7, 1), 0)
        check(inner, PAGES[1:])

    def test_a_source_that_is_not_seen_stays(self, run, inner):
        run(PAGES)
        assert counts(run(PAGES[:4])[0]) == (0, 4, 0)
        check(inner, PAGES)
        assert counts(run(PAGES[:4], cleanup="full")[0]) == (0, 4, 4)
        check(inner, PAGES[:4])

    @pytest.mark.parametrize("writes", [1, 2, 3])
    def test_a_broken_run_is_completed_by_the_next(self, run, inner, writes):
        run(PAGES)
        changed = [
            Document(page.page_content + " It was changed.", metadata=page.metadata)
            for page in PAGES
        ]
        inner.writes_left = writes
        with pytest.raises(ConnectionError):
            run(changed)
        assert {item["text"] for item in inner.store.values()} >= {
            chunk.page_content
            for chunk in late_chunk_documents(
                PAGES, splitter=SPLITTER, embeddings=inner.embeddings
            ).documents
        }
        result, _ = run(changed)
        assert counts(result)[2] == 8
        check(inner, changed)

    def test_force_update_embeds_nothing_that_the_store_has(self, run, inner):
        run(PAGES)
        result, tokens = run(PAGES, force_update=True)
        assert (result["num_updated"], tokens) == (8, 0)
        check(inner, PAGES)

    def test_force_update_restores_what_is_lost(self, run, inner):
        run(PAGES)
        del inner.store[next(iter(inner.store))]
        _, tokens = run(PAGES, force_update=True)
        assert tokens == len(PAGES[0].page_content.split())
        check(inner, PAGES)

    def test_incremental_ends_right_but_deletes_and_embeds_siblings_again(self, run, inner):
        """It cleans inside its batch loop: whatever of a source it has not seen yet is deleted."""
        run(PAGES)
        left = []

        def documents():
            for page in [PAGES[0], EDITED, *PAGES[2:]]:
                left.append(
                    sum(i["metadata"]["source"] == "handbook" for i in inner.store.values())
                )
                yield page

        result, tokens = run(documents(), cleanup="incremental", batch_size=2)
        assert result["num_deleted"] == 5  # the edited page, and four that were not
        assert tokens > len(EDITED.page_content.split())
        assert left[2] < left[0] / 2  # after the first batch half of the source is gone
        check(inner, [PAGES[0], EDITED, *PAGES[2:]])

    async def test_asynchronously(self, records, store, inner):
        options = {
            "cleanup": "scoped_full",
            "source_id_key": "source",
            "key_encoder": "sha256",
            "batch_size": 3,
        }
        assert counts(await aindex(PAGES, records, store, **options)) == (8, 0, 0)
        check(inner, PAGES)
        assert counts(await aindex(PAGES[1:], records, store, **options)) == (0, 7, 1)
        check(inner, PAGES[1:])

    @pytest.mark.parametrize("kind", ["qdrant", "chroma", "faiss"])
    def test_other_stores(self, kind):
        embeddings = JinaEmbeddings("echo", dimensions=64)
        below = OPEN[kind](embeddings)
        store = LateChunkingStore(below, splitter=SPLITTER)
        records = InMemoryRecordManager(kind)
        options = {"cleanup": "scoped_full", "source_id_key": "source", "key_encoder": "sha256"}
        for documents in (PAGES, [PAGES[0], EDITED, *PAGES[2:-1]]):
            index(documents, records, store, batch_size=3, **options)
            hits = store.similarity_search("It is baked here.", k=100, fetch_k=100)
            pages = {(f.metadata["source"], f.metadata["page"]) for f in hits}
            assert pages == {(d.metadata["source"], d.metadata["page"]) for d in documents}
            late = late_chunk_documents(documents, splitter=SPLITTER, embeddings=embeddings)
            texts = sorted(chunk.page_content for chunk in late.documents)
            assert sorted(chunk.page_content for chunk in hits) == texts


def open_qdrant(embeddings):
    library = pytest.importorskip("langchain_qdrant")
    from qdrant_client import QdrantClient, models

    class Store(library.QdrantVectorStore):
        def similarity_search(self, query, k=4, fetch_k=None, **kwargs):
            return super().similarity_search(query, k, **kwargs)

    client = QdrantClient(":memory:")
    distance = models.Distance.COSINE
    client.create_collection(
        "pages", vectors_config=models.VectorParams(size=64, distance=distance)
    )
    return Store(client, "pages", embedding=embeddings)


def open_chroma(embeddings):
    library = pytest.importorskip("langchain_chroma")
    import chromadb

    client = chromadb.EphemeralClient()
    if "pages" in [collection.name for collection in client.list_collections()]:
        client.delete_collection("pages")

    class Store(library.Chroma):
        def similarity_search(self, query, k=4, fetch_k=None, **kwargs):
            return super().similarity_search(query, k, **kwargs)

    return Store("pages", embeddings, client=client)


def open_faiss(embeddings):
    library = pytest.importorskip("langchain_community.vectorstores")
    faiss = pytest.importorskip("faiss")
    from langchain_community.docstore.in_memory import InMemoryDocstore

    return library.FAISS(embeddings, faiss.IndexFlatIP(64), InMemoryDocstore(), {})


OPEN = {"qdrant": open_qdrant, "chroma": open_chroma, "faiss": open_faiss}


class TestDocuments:
    def test_they_are_added_and_deleted_by_their_ids(self, store, inner):
        assert store.add_documents(PAGES[:2], ids=["a", None])[0] == "a"
        added = store.add_documents([Document("Bread.", id="c", metadata={"source": "c"})])
        assert added == ["c"]
        assert store.delete(["a", "never there"]) is True
        check(inner, [PAGES[1], Document("Bread.", metadata={"source": "c"})])

    async def test_asynchronously(self, store, inner):
        names = await store.aadd_documents(PAGES)
        assert len(set(names)) == len(PAGES)
        check(inner, PAGES)
        assert await store.adelete(names[1:]) is True
        check(inner, PAGES[:1])

    def test_texts_are_documents(self, store, inner):
        metadatas = [page.metadata for page in PAGES]
        texts = [page.page_content for page in PAGES]
        assert store.add_texts(texts, metadatas, ids=list("abcdefgh")) == list("abcdefgh")
        check(inner, PAGES)

    def test_a_retriever_adds_documents_too(self, store, inner):
        store.as_retriever().add_documents(PAGES)
        check(inner, PAGES)

    def test_both_versions_go_where_an_update_broke_off(self, store, inner):
        (name,) = store.add_documents([PAGES[0].model_copy(update={"id": "a"})])
        delete, inner.delete = inner.delete, lambda ids: False
        with pytest.raises(StoreError):
            store.add_documents([EDITED.model_copy(update={"id": "a"})])
        inner.delete = delete
        store.delete([name])
        assert not inner.store

    def test_a_deletion_that_broke_off_is_finished_by_the_next(self, store, inner):
        (name,) = store.add_documents(PAGES[:1])
        chunks = list(inner.store)
        assert len(chunks) > 2
        del inner.store[chunks[1]]
        store.delete([name])
        assert not inner.store

    def test_the_first_chunk_is_deleted_last(self, store, inner):
        (name,) = store.add_documents(PAGES[:1])
        first = next(iter(inner.store))
        deleted = []
        inner.delete = lambda ids, **kwargs: deleted.extend([*ids, kwargs])
        store.delete([name], timeout=3)
        assert deleted.pop() == {"timeout": 3}
        assert deleted[-1] == first
        assert set(deleted) == set(inner.store)

    def test_a_failed_deletion_is_told(self, store, inner):
        names = store.add_documents(PAGES[:1])
        inner.delete = lambda ids: False
        assert store.delete(names) is False

    @pytest.mark.parametrize(
        "change", [dict.clear, lambda metadata: metadata.update(document_id="other")]
    )
    def test_chunks_whose_metadata_were_changed_are_no_guess(self, store, inner, change):
        names = store.add_documents(PAGES[:1])
        change(next(iter(inner.store.values()))["metadata"])
        with pytest.raises(StoreCorruptError, match="lacks its document_id"):
            store.delete(names)

    def test_one_without_text_is_skipped(self, store, inner):
        documents = [Document(" ", id="blank"), PAGES[0].model_copy(update={"id": "a"})]
        with pytest.warns(UserWarning, match=r"skipped without text: documents\[0\]$"):
            assert store.add_documents(documents) == ["a"]
        check(inner, PAGES[:1])

    def test_a_bad_document_is_named(self, store):
        with pytest.raises(InvalidInputError) as caught:
            store.add_documents([PAGES[0], Document("Bread.", id=" ")])
        assert caught.value.index == 1
        with pytest.raises(InvalidInputError, match="8 documents cannot have 1 ids"):
            store.add_documents(PAGES, ids=["a"])


class TestSearches:
    QUERY = "It is eaten there by 2."

    async def test_all_are_the_stores_own(self, store, inner):
        store.add_documents(PAGES)
        vector = inner.embeddings.embed_query(self.QUERY)
        for name, query in (
            ("similarity_search", self.QUERY),
            ("similarity_search_with_score", self.QUERY),
            ("similarity_search_by_vector", vector),
            ("max_marginal_relevance_search", self.QUERY),
            ("max_marginal_relevance_search_by_vector", vector),
        ):
            hits = getattr(store, name)(query, k=3)
            assert len(hits) == 3
            assert hits == getattr(inner, name)(query, k=3), name
            twin = f"a{name}"
            assert await getattr(store, twin)(query, k=3) == hits, name

    async def test_retriever(self, store):
        store.add_documents(PAGES)
        retriever = store.as_retriever(search_kwargs={"k": 1})
        assert retriever.invoke(self.QUERY)[0].page_content == self.QUERY
        assert (await retriever.ainvoke(self.QUERY))[0].page_content == self.QUERY

    async def test_relevance_scores(self):
        below = open_faiss(JinaEmbeddings("echo", dimensions=64))
        store = LateChunkingStore(below, splitter=SPLITTER)
        store.add_documents(PAGES)
        hits = store.similarity_search_with_relevance_scores(self.QUERY, k=2)
        assert hits == below.similarity_search_with_relevance_scores(self.QUERY, k=2)
        assert await store.asimilarity_search_with_relevance_scores(self.QUERY, k=2) == hits


class TestConstruction:
    def test_it_needs_a_store_that_can_be_asked(self):
        class Closed(InMemoryVectorStore):
            get_by_ids = VectorStore.get_by_ids
            aget_by_ids = VectorStore.aget_by_ids

        with pytest.raises(InvalidInputError, match="Closed has no get_by_ids"):
            LateChunkingStore(Closed(JinaEmbeddings("echo")), splitter=SPLITTER)

    def test_it_refuses_what_add_late_chunks_refuses(self):
        off = JinaEmbeddings(Embedder("echo", late_chunking=False))
        with pytest.raises(InvalidSettingError, match="late_chunking=False"):
            LateChunkingStore(InMemoryVectorStore(off), splitter=SPLITTER)
        with pytest.raises(InvalidInputError, match="must be a TextSplitter"):
            LateChunkingStore(InMemoryVectorStore(JinaEmbeddings("echo")), splitter="sentence")

    def test_it_is_not_made_from_texts(self):
        with pytest.raises(InvalidInputError, match="and call add_texts"):
            LateChunkingStore.from_texts(["bread"], JinaEmbeddings("echo"))
