"""`add_late_chunks`: late-chunking vectors in LangChain's stores, and stores that refuse them."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("langchain_core")

from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore

from jina_adapters.langchain import (
    JinaEmbeddings,
    aadd_late_chunks,
    add_late_chunks,
    late_chunk_documents,
)
from jina_integrations import Collection, Embedder, SentenceChunker
from jina_integrations import Document as CoreDocument
from jina_integrations.errors import (
    InvalidInputError,
    InvalidSettingError,
    StoreError,
    TextTooLongError,
)

splitters = pytest.importorskip("langchain_text_splitters")

SPLITTER = splitters.RecursiveCharacterTextSplitter(chunk_size=70, chunk_overlap=25)
HEADER = "Printed by the town of Hazelford. All rights are reserved, as always."
BAKERY = f"""{HEADER}

The bakery opens at six. On Sundays it stays closed.

Its rye bread is baked twice a week. The rye bread is gone by noon.

What is left over goes to the zoo, where the elephants like it.
"""
LIGHTHOUSE = f"""{HEADER}

The lamp was lit at dusk. The keeper counted ships.

{HEADER}

At dawn it was put out again, and the keeper went to bed.
"""
CORPUS = [
    Document(BAKERY, id="bakery", metadata={"place": "town", "page": 1}),
    Document(LIGHTHOUSE, id="lighthouse", metadata={"place": "coast", "page": 2}),
    Document(BAKERY + "\nThe end.", id="copy", metadata={"place": "town", "page": 3}),
]


@pytest.fixture
def embeddings():
    return JinaEmbeddings("echo", dimensions=64)


@pytest.fixture
def expected(embeddings):
    """Text and vector by chunk id, straight from the embedder: one document at a time."""
    chunks = {}
    for document in CORPUS:
        late = late_chunk_documents([document], splitter=SPLITTER, embeddings=embeddings)
        spans = [
            (chunk.metadata["start_index"], chunk.metadata["start_index"] + len(chunk.page_content))
            for chunk in late.documents
        ]
        vectors = embeddings.embedder.embed_chunks(document.page_content, spans)
        for chunk, vector in zip(late.documents, vectors, strict=True):
            chunks[chunk.id] = (chunk.page_content, vector)
    return chunks


def open_memory(embeddings):
    return InMemoryVectorStore(embeddings)


def memory_vectors(store):
    return {name: (item["text"], item["vector"]) for name, item in store.store.items()}


def open_qdrant(embeddings):
    library = pytest.importorskip("langchain_qdrant")
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")
    size = len(embeddings.embed_query("size"))
    distance = models.Distance.COSINE
    client.create_collection(
        "handbook", vectors_config=models.VectorParams(size=size, distance=distance)
    )
    return library.QdrantVectorStore(client, "handbook", embedding=embeddings)


def qdrant_vectors(store):
    points, _ = store.client.scroll("handbook", limit=1000, with_vectors=True)
    return {str(point.id): (point.payload["page_content"], point.vector) for point in points}


def open_chroma(embeddings):
    library = pytest.importorskip("langchain_chroma")
    import chromadb

    client = chromadb.EphemeralClient()
    if "handbook" in [collection.name for collection in client.list_collections()]:
        client.delete_collection("handbook")
    return library.Chroma(
        "handbook",
        embeddings,
        client=client,
        collection_configuration={"hnsw": {"space": "cosine"}},
    )


def chroma_vectors(store):
    stored = store.get(include=["documents", "embeddings"])
    pairs = zip(stored["documents"], stored["embeddings"], strict=True)
    return dict(zip(stored["ids"], pairs, strict=True))


def open_faiss(embeddings):
    library = pytest.importorskip("langchain_community.vectorstores")
    faiss = pytest.importorskip("faiss")
    from langchain_community.docstore.in_memory import InMemoryDocstore

    index = faiss.IndexFlatIP(len(embeddings.embed_query("size")))
    return library.FAISS(embeddings, index, InMemoryDocstore(), {})


def faiss_vectors(store):
    return {
        name: (store.docstore.search(name).page_content, store.index.reconstruct(number))
        for number, name in store.index_to_docstore_id.items()
    }


class Rebatching(VectorStore):
    """Only `add_texts`, which embeds seven texts at a time, across documents."""

    def __init__(self, embeddings):
        self._embeddings = embeddings
        self.rows = {}
        self.calls = []

    embeddings = property(lambda self: self._embeddings)

    def add_texts(self, texts, metadatas=None, *, ids=None, **kwargs):
        for start in range(0, len(texts), 7):
            part = slice(start, start + 7)
            self.calls.append(len(texts[part]))
            vectors = self.embed(texts[part])
            for name, text, vector in zip(ids[part], texts[part], vectors, strict=True):
                self.rows[name] = (text, vector)
        return ids

    def embed(self, texts):
        return self._embeddings.embed_documents(texts)

    def delete(self, ids=None, **kwargs):
        for name in ids:
            self.rows.pop(name, None)

    def similarity_search(self, query, k=4, **kwargs):
        return []

    @classmethod
    def from_texts(cls, texts, embedding, metadatas=None, **kwargs):
        return cls(embedding)


STORES = {
    "memory": (open_memory, memory_vectors),
    "qdrant": (open_qdrant, qdrant_vectors),
    "chroma": (open_chroma, chroma_vectors),
    "faiss": (open_faiss, faiss_vectors),
    "a store that batches by seven": (Rebatching, lambda store: store.rows),
}
SEARCHABLE = ["memory", "qdrant", "chroma", "faiss"]
"""These can also be asked for what they have."""

FILTERS = {
    "memory": lambda document: document.metadata["place"] == "coast",
    "chroma": {"place": "coast"},
    "faiss": {"place": "coast"},
}


def check_pairs(stored, expected):
    """The store holds these pairs of text and vector under whatever ids, and no others."""

    def order(pair):
        return pair[0], np.round(np.asarray(pair[1]), 4).tolist()

    stored, expected = sorted(stored.values(), key=order), sorted(expected, key=order)
    assert [text for text, _ in stored] == [text for text, _ in expected]
    np.testing.assert_allclose(
        [vector for _, vector in stored], [vector for _, vector in expected], atol=1e-5
    )


def check(stored, expected):
    """The store holds these chunks, each with its own vector, and no others."""
    assert {name: text for name, (text, _) in stored.items()} == {
        name: text for name, (text, _) in expected.items()
    }
    for name, (_, vector) in expected.items():
        np.testing.assert_allclose(stored[name][1], vector, atol=1e-6)


@pytest.fixture(params=STORES)
def kind(request):
    return request.param


@pytest.fixture
def store(kind, embeddings):
    return STORES[kind][0](embeddings)


@pytest.fixture
def vectors(kind):
    return STORES[kind][1]


class TestVectors:
    def test_texts_come_in_several_documents(self, expected):
        texts = [text for text, _ in expected.values()]
        assert texts.count(HEADER) == 4
        headers = [vector for text, vector in expected.values() if text == HEADER]
        assert abs(headers[0] @ headers[1]) < 0.9999

    def test_every_chunk_has_that_of_its_whole_document(self, store, vectors, expected):
        assert add_late_chunks(store, iter(CORPUS), splitter=SPLITTER) == list(expected)
        check(vectors(store), expected)

    async def test_asynchronously_too(self, store, vectors, expected):
        assert await aadd_late_chunks(store, CORPUS, splitter=SPLITTER) == list(expected)
        check(vectors(store), expected)

    def test_texts_that_are_added_next_are_embedded_by_themselves(self, store, vectors, embeddings):
        add_late_chunks(store, CORPUS[:1], splitter=SPLITTER)
        name = "5c56c793-69f3-4fbf-87e6-c4bf54c28c26"
        store.add_texts([HEADER], [{}], ids=[name])
        np.testing.assert_allclose(
            vectors(store)[name][1], embeddings.embed_documents([HEADER])[0], atol=1e-6
        )

    def test_seven_at_a_time_are_of_several_documents(self, embeddings):
        store = Rebatching(embeddings)
        documents = [
            Document(" ".join(f"This is line {line} of note {number}." for line in range(9)))
            for number in range(4)
        ]
        late = late_chunk_documents(documents, splitter=SPLITTER, embeddings=embeddings)
        owners = [chunk.metadata["document_id"] for chunk in late.documents]
        assert len(set(owners[:7])) > 1
        assert len(owners) > 14
        add_late_chunks(store, documents, splitter=SPLITTER)
        assert store.calls[:2] == [7, 7]
        chunks = [
            (chunk.page_content, row)
            for chunk, row in zip(late.documents, late.vectors, strict=True)
        ]
        check(store.rows, dict(zip([chunk.id for chunk in late.documents], chunks, strict=True)))

    def test_a_common_sentence_costs_no_further_write(self, embeddings):
        writes = []

        class Noting(InMemoryVectorStore):
            def add_documents(self, documents, **kwargs):
                writes.append(len(documents))
                return super().add_documents(documents, **kwargs)

        documents = [
            Document(f"{HEADER}\n\nNote {number} is about bread.", id=str(number))
            for number in range(50)
        ]
        store = Noting(embeddings)
        add_late_chunks(store, documents, splitter=SPLITTER)
        assert writes == [100]
        late = late_chunk_documents(documents, splitter=SPLITTER, embeddings=embeddings)
        stored = memory_vectors(store)
        for chunk, vector in zip(late.documents, late.vectors, strict=True):
            np.testing.assert_allclose(stored[chunk.id][1], vector, atol=1e-6)

    def test_what_the_documents_cost_is_one_call(self, embeddings):
        before = embeddings.embedder.usage
        add_late_chunks(open_memory(embeddings), CORPUS, splitter=SPLITTER)
        assert embeddings.embedder.usage.requests - before.requests == 1


class TestSearch:
    """The stores' own, on what `add_late_chunks` wrote."""

    @pytest.fixture(params=SEARCHABLE)
    def kind(self, request):
        return request.param

    @pytest.fixture(autouse=True)
    def filled(self, store):
        add_late_chunks(store, CORPUS, splitter=SPLITTER)

    @pytest.fixture
    def place(self, kind):
        """The store's filter for the lighthouse."""
        if kind != "qdrant":
            return FILTERS[kind]
        from qdrant_client import models

        condition = models.FieldCondition(
            key="metadata.place", match=models.MatchValue(value="coast")
        )
        return models.Filter(must=[condition])

    def test_similarity_search(self, store):
        wanted = "What is left over goes to the zoo, where the elephants like it."
        hits = store.similarity_search(wanted, k=2)
        assert [document.page_content for document in hits] == [wanted] * 2
        assert {document.metadata["document_id"] for document in hits} == {"bakery", "copy"}
        assert BAKERY[hits[0].metadata["start_index"] :].startswith(wanted)

    def test_retriever_and_mmr(self, store):
        wanted = "What is left over goes to the zoo, where the elephants like it."
        retriever = store.as_retriever(
            search_type="mmr", search_kwargs={"k": 2, "fetch_k": 8, "lambda_mult": 0.5}
        )
        hits = [document.page_content for document in retriever.invoke(wanted)]
        assert hits[0] == wanted
        assert hits[1] != wanted

    def test_filter(self, store, place):
        hits = store.similarity_search("The bakery opens at six.", k=20, filter=place)
        assert {document.metadata["document_id"] for document in hits} == {"lighthouse"}

    def test_delete(self, store, vectors, expected):
        gone, *kept = expected
        store.delete([gone])
        assert set(vectors(store)) == set(kept)


class TestAgain:
    def test_the_same_documents_change_nothing(self, store, vectors, expected):
        for _ in range(2):
            assert add_late_chunks(store, CORPUS, splitter=SPLITTER) == list(expected)
        check(vectors(store), expected)

    @pytest.mark.parametrize("kind", SEARCHABLE)
    @pytest.mark.parametrize("asynchronous", [False, True])
    async def test_a_document_that_got_shorter_leaves_nothing(self, kind, embeddings, asynchronous):
        open_store, vectors = STORES[kind]
        store = open_store(embeddings)
        add_late_chunks(store, CORPUS, splitter=SPLITTER)
        shorter = Document("The bakery has closed for good.", id="bakery", metadata={"page": 9})
        if asynchronous:
            names = await aadd_late_chunks(store, [shorter], splitter=SPLITTER)
        else:
            names = add_late_chunks(store, [shorter], splitter=SPLITTER)
        fresh = late_chunk_documents(
            [shorter, *CORPUS[1:]], splitter=SPLITTER, embeddings=embeddings
        )
        pairs = zip((chunk.page_content for chunk in fresh.documents), fresh.vectors, strict=True)
        check_pairs(vectors(store), list(pairs))
        (chunk,) = store.get_by_ids(names)
        assert "place" not in chunk.metadata

    def test_without_get_by_ids_chunks_beyond_the_end_stay(self, embeddings):
        store = Rebatching(embeddings)
        before = add_late_chunks(store, CORPUS[:1], splitter=SPLITTER)
        (after,) = add_late_chunks(store, [Document("Closed.", id="bakery")], splitter=SPLITTER)
        assert after == before[0]
        assert list(store.rows) == before
        assert store.rows[after][0] == "Closed."

    def test_earlier_chunks_that_cannot_be_deleted_stay_until_the_next_call(self, embeddings):
        store = open_memory(embeddings)
        add_late_chunks(store, CORPUS[:1], splitter=SPLITTER)
        before = set(store.store)
        delete, store.delete = store.delete, lambda ids: False
        closed = Document("Closed.", id="bakery")
        with pytest.raises(StoreError, match="failed to delete the earlier chunks"):
            add_late_chunks(store, [closed], splitter=SPLITTER)
        assert store.store.keys() > before
        store.delete = delete
        tokens = embeddings.embedder.usage.tokens
        names = add_late_chunks(store, [closed], splitter=SPLITTER)
        assert list(store.store) == names
        assert embeddings.embedder.usage.tokens == tokens

    def test_unchanged_documents_cost_no_token_and_no_write(self, kind, store, embeddings):
        if kind not in SEARCHABLE:
            pytest.skip("it cannot be asked for what it has")
        names = add_late_chunks(store, CORPUS, splitter=SPLITTER)
        tokens = embeddings.embedder.usage.tokens
        store.add_documents = None
        assert add_late_chunks(store, CORPUS, splitter=SPLITTER) == names
        assert embeddings.embedder.usage.tokens == tokens

    @pytest.mark.parametrize(
        "change",
        [
            {"splitter": splitters.RecursiveCharacterTextSplitter(chunk_size=50, chunk_overlap=0)},
            {"heading_context": True},
            {"documents": [Document(BAKERY, id="bakery", metadata={"title": "x", "page": 2})]},
            {"store": {"context_weight": 0.5}},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_whatever_decides_chunks_or_vectors_is_a_new_version(self, change):
        store = open_memory(JinaEmbeddings("echo", dimensions=64))
        options = {
            "documents": [Document(BAKERY, id="bakery", metadata={"title": "x", "page": 1})],
            "splitter": SPLITTER,
        }
        before = add_late_chunks(store, **options)
        if "store" in change:
            changed = JinaEmbeddings("echo", dimensions=64, **change["store"])
            store.embedding = changed
            options.pop("store", None)
        else:
            options |= change
        after = add_late_chunks(store, **options)
        assert not set(before) & set(after)
        assert list(store.store) == after

    @pytest.mark.parametrize("kind", SEARCHABLE)
    @pytest.mark.parametrize("writes", [0, 1])
    def test_an_update_that_fails_loses_nothing(self, kind, embeddings, monkeypatch, writes):
        """The earlier version is whole until the new one is written, wherever the store fails."""
        open_store, vectors = STORES[kind]
        store = open_store(embeddings)
        monkeypatch.setattr("jina_adapters.langchain.writing.CHUNKS_PER_CALL", 3)
        add_late_chunks(store, CORPUS, splitter=SPLITTER)
        before = vectors(store)
        add_documents, left = store.add_documents, [writes]

        def fail(*args, **kwargs):
            if not left[0]:
                raise ConnectionError("the store is gone")
            left[0] -= 1
            return add_documents(*args, **kwargs)

        monkeypatch.setattr(store, "add_documents", fail)
        changed = [
            Document(f"It is news. {document.page_content}", id=document.id) for document in CORPUS
        ]
        for _ in range(2):
            with pytest.raises(ConnectionError):
                add_late_chunks(store, changed, splitter=SPLITTER)
            assert vectors(store).keys() >= before.keys()
        monkeypatch.undo()
        add_late_chunks(store, changed[:2], splitter=SPLITTER)
        other = Document("Another version altogether.", id="copy")
        add_late_chunks(store, [other], splitter=SPLITTER)
        fresh = late_chunk_documents(
            [*changed[:2], other], splitter=SPLITTER, embeddings=embeddings
        )
        pairs = zip((chunk.page_content for chunk in fresh.documents), fresh.vectors, strict=True)
        check_pairs(vectors(store), list(pairs))

    def test_what_a_broken_call_left_is_replaced_by_the_next(
        self, embeddings, expected, monkeypatch
    ):
        monkeypatch.setattr("jina_adapters.langchain.writing.CHUNKS_PER_CALL", 5)

        class Breaking(InMemoryVectorStore):
            left = 2

            def add_documents(self, documents, **kwargs):
                self.left -= 1
                if not self.left:
                    raise ConnectionError("the store is gone")
                return super().add_documents(documents, **kwargs)

        store = Breaking(embeddings)
        with pytest.raises(ConnectionError):
            add_late_chunks(store, CORPUS, splitter=SPLITTER)
        assert 0 < len(store.store) < len(expected)
        assert embeddings.embed_documents(["elsewhere"])  # the table is gone
        add_late_chunks(store, CORPUS, splitter=SPLITTER)
        check_pairs(memory_vectors(store), expected.values())

    def test_documents_are_taken_lazily_and_a_bad_one_leaves_those_before(self):
        embeddings = JinaEmbeddings("echo", batch_tokens=2)  # a batch ends at 256 characters
        store = open_memory(embeddings)
        taken = []

        def documents():
            for number in range(4):
                taken.append((number, len(store.store)))
                yield Document(BAKERY, id=str(number) if number < 3 else " ")

        with pytest.raises(InvalidInputError) as caught:
            add_late_chunks(store, documents(), splitter=SPLITTER)
        assert caught.value.index == 3
        assert taken[0] == (0, 0)
        assert taken[2][1] > 0
        assert {item["metadata"]["document_id"] for item in store.store.values()} == {"0", "1"}

    def test_an_error_of_the_embedder_names_the_document(self):
        embeddings = JinaEmbeddings("minilm", context_weight=0.5, batch_tokens=2)
        whole = splitters.CharacterTextSplitter(separator="§", chunk_size=10_000, chunk_overlap=0)
        documents = [Document(BAKERY, id="bakery"), Document("word " * 300, id="long")]
        with pytest.raises(TextTooLongError, match=r"^spans\[0\] of documents\[1\]") as caught:
            add_late_chunks(open_memory(embeddings), documents, splitter=whole)
        assert caught.value.index == 1
        assert caught.value.__notes__ == ["documents[1] is 'long'"]


class TestAtOnce:
    def test_threads_share_the_embeddings(self, embeddings, expected):
        """One writes late chunks while another embeds the same texts by themselves."""
        texts = [text for text, _ in expected.values()]
        plain = embeddings.embed_documents(texts)
        stores = [open_memory(embeddings) for _ in range(4)]
        stop = threading.Event()
        seen = []

        def embed():
            while not stop.is_set():
                seen.append(embeddings.embed_documents(texts))

        with ThreadPoolExecutor(5) as pool:
            embedding = pool.submit(embed)
            writing = [
                pool.submit(add_late_chunks, store, CORPUS, splitter=SPLITTER) for store in stores
            ]
            for write in writing:
                write.result()
            stop.set()
            embedding.result()
        assert seen
        assert all(rows == plain for rows in seen)
        for store in stores:
            check(memory_vectors(store), expected)

    async def test_tasks_share_the_embeddings(self, embeddings, expected):
        stores = [open_memory(embeddings) for _ in range(3)]
        texts = [text for text, _ in expected.values()]
        writes = [aadd_late_chunks(store, CORPUS, splitter=SPLITTER) for store in stores]
        *_, rows = await asyncio.gather(*writes, embeddings.aembed_documents(texts))
        assert rows == embeddings.embed_documents(texts)
        for store in stores:
            check(memory_vectors(store), expected)

    def test_other_embeddings_in_the_same_call_are_not_answered(self, embeddings):
        store = Annotated(embeddings)
        add_late_chunks(store, CORPUS[:1], splitter=SPLITTER)
        texts = [item["text"] for item in store.store.values()]
        assert store.plain == embeddings.embed_documents(texts)

    def test_a_store_that_writes_into_another_one(self, embeddings, expected):
        class Mirrored(InMemoryVectorStore):
            def add_documents(self, documents, **kwargs):
                add_late_chunks(mirror, CORPUS[:1], splitter=SPLITTER)
                return super().add_documents(documents, **kwargs)

        mirror, store = open_memory(embeddings), Mirrored(embeddings)
        add_late_chunks(store, CORPUS, splitter=SPLITTER)
        check(memory_vectors(store), expected)
        first = {name: item for name, item in expected.items() if item[0] in BAKERY}
        check(memory_vectors(mirror), {name: first[name] for name in mirror.store})


class Annotated(InMemoryVectorStore):
    """Also embeds each text with embeddings of its own."""

    def add_documents(self, documents, **kwargs):
        other = JinaEmbeddings("echo", dimensions=64)
        self.plain = other.embed_documents([document.page_content for document in documents])
        return super().add_documents(documents, **kwargs)


class Memory(InMemoryVectorStore):
    """`aadd_documents` runs `add_documents` in a thread, as with most stores."""

    aadd_documents = VectorStore.aadd_documents


class Changing(Memory):
    def add_documents(self, documents, **kwargs):
        changed = [d.model_copy(update={"page_content": d.page_content.lower()}) for d in documents]
        return super().add_documents(changed, **kwargs)


class Swallowing(Changing):
    """Writes some, then fails at a text of its own and says nothing."""

    def add_documents(self, documents, **kwargs):
        try:
            InMemoryVectorStore.add_documents(self, documents[:1], ids=kwargs["ids"][:1])
            return super().add_documents(documents, **kwargs)
        except ValueError:
            return kwargs["ids"]


class Threaded(Rebatching):
    """Embeds in a thread of its own, which does not have the caller's context."""

    def embed(self, texts):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(super().embed, texts).result()


class Remembering(Rebatching):
    """Embeds no text twice."""

    def __init__(self, embeddings):
        super().__init__(embeddings)
        self.known = {}

    def embed(self, texts):
        for text in texts:
            if text not in self.known:
                (self.known[text],) = super().embed([text])
        return [self.known[text] for text in texts]


class Backwards(Rebatching):
    """Embeds the last text first, so equal texts would get one another's vectors."""

    def embed(self, texts):
        return [super(Backwards, self).embed([text])[0] for text in texts[::-1]][::-1]


class Renaming(Memory):
    def add_documents(self, documents, ids=None, **kwargs):
        return super().add_documents(documents, ids=[f"own-{name}" for name in ids])


class Undeletable(Threaded):
    delete = VectorStore.delete


async def blocking(*args, **kwargs):
    return add_late_chunks(*args, **kwargs)


class TestRefusals:
    @pytest.mark.parametrize(
        ("store_class", "message"),
        [
            (Changing, "it embeds 'printed by.*is not the text of any chunk"),
            (Swallowing, "it embeds 'printed by.*is not the text of any chunk"),
            (Threaded, "did not ask its embeddings for.*a thread pool of its own"),
            (Remembering, "did not ask its embeddings for 6 of 13"),
            (Backwards, "in another order or again, and 'What is left over"),
            (Renaming, "ids other than theirs"),
        ],
    )
    @pytest.mark.parametrize("add", [aadd_late_chunks, blocking])
    async def test_a_store_that_does_not_take_the_vectors_keeps_none(
        self, store_class, message, add, embeddings
    ):
        store = store_class(embeddings)
        says = f"(?s)^{store_class.__name__} cannot take.*{message}.*has been deleted.*own client"
        with pytest.raises(InvalidInputError, match=says):
            await add(store, CORPUS, splitter=SPLITTER)
        assert not (store.store if isinstance(store, Memory) else store.rows)

    def test_what_was_never_written_need_not_be_deleted(self, embeddings, monkeypatch):
        """FAISS raises where an id that it is to delete is not there."""
        store = open_faiss(embeddings)
        add_texts = store.add_texts
        monkeypatch.setattr(
            store, "add_texts", lambda texts, *args, **kwargs: add_texts(["other"], *args, **kwargs)
        )
        with pytest.raises(InvalidInputError, match=r"it embeds 'other'.*has been deleted"):
            add_late_chunks(store, CORPUS, splitter=SPLITTER)
        assert store.index.ntotal == 0

    def test_what_cannot_be_deleted_is_said(self, embeddings):
        store = Undeletable(embeddings)
        with pytest.raises(InvalidInputError, match=r"could not be deleted: .* chunks, the first"):
            add_late_chunks(store, CORPUS, splitter=SPLITTER)

    def test_embeddings_that_are_others_or_wrapped(self, embeddings):
        cached = pytest.importorskip("langchain_classic.embeddings").CacheBackedEmbeddings
        from langchain_core.embeddings import DeterministicFakeEmbedding
        from langchain_core.stores import InMemoryByteStore

        wrapped = cached.from_bytes_store(embeddings, InMemoryByteStore(), key_encoder="sha256")
        for other in (DeterministicFakeEmbedding(size=6), wrapped):
            with pytest.raises(InvalidInputError, match="build it with JinaEmbeddings itself"):
                add_late_chunks(InMemoryVectorStore(other), CORPUS, splitter=SPLITTER)

    def test_what_is_no_store(self, embeddings):
        with pytest.raises(InvalidInputError, match="must be a VectorStore, not list"):
            add_late_chunks([], CORPUS, splitter=SPLITTER)

    def test_ids_for_chunks(self, embeddings):
        with pytest.raises(InvalidSettingError, match=r"set Document\.id"):
            add_late_chunks(open_memory(embeddings), CORPUS, splitter=SPLITTER, ids=["1", "2", "3"])

    def test_late_chunking_that_is_switched_off(self):
        embeddings = JinaEmbeddings(Embedder("echo", late_chunking=False))
        with pytest.raises(InvalidSettingError, match="late_chunking=False is set"):
            add_late_chunks(open_memory(embeddings), CORPUS, splitter=SPLITTER)


class TestHybrid:
    def test_qdrants_sparse_vectors_are_its_own(self, embeddings, expected):
        library = pytest.importorskip("langchain_qdrant")
        from qdrant_client import QdrantClient, models

        class Lengths(library.SparseEmbeddings):
            def embed_documents(self, texts):
                return [self.embed_query(text) for text in texts]

            def embed_query(self, text):
                return library.SparseVector(indices=[len(text)], values=[1.0])

        client = QdrantClient(":memory:")
        client.create_collection(
            "handbook",
            vectors_config={"dense": models.VectorParams(size=64, distance=models.Distance.COSINE)},
            sparse_vectors_config={"sparse": models.SparseVectorParams()},
        )
        store = library.QdrantVectorStore(
            client,
            "handbook",
            embedding=embeddings,
            sparse_embedding=Lengths(),
            retrieval_mode=library.RetrievalMode.HYBRID,
            vector_name="dense",
            sparse_vector_name="sparse",
        )
        add_late_chunks(store, CORPUS, splitter=SPLITTER, batch_size=5)
        points, _ = client.scroll("handbook", limit=1000, with_vectors=True)
        check({p.id: (p.payload["page_content"], p.vector["dense"]) for p in points}, expected)
        assert all(p.vector["sparse"].indices == [len(p.payload["page_content"])] for p in points)
        assert store.similarity_search(HEADER, k=1)[0].page_content == HEADER


class TestCollections:
    """What `Collection.ingest` wrote, through LangChain's stores."""

    @pytest.fixture(params=["qdrant", "chroma"])
    def opened(self, request, tmp_path):
        """A store of LangChain over the collection that is at the address, once it is filled."""

        def open_qdrant_folder(embeddings):
            library = pytest.importorskip("langchain_qdrant")
            from qdrant_client import QdrantClient

            client = QdrantClient(path=str(tmp_path / "index"))
            request.addfinalizer(client.close)
            return library.QdrantVectorStore(client, "handbook", embedding=embeddings)

        def open_chroma_folder(embeddings):
            library = pytest.importorskip("langchain_chroma")
            return library.Chroma("handbook", embeddings, persist_directory=str(tmp_path / "index"))

        opening = {"qdrant": open_qdrant_folder, "chroma": open_chroma_folder}[request.param]
        return f"{request.param}:{tmp_path / 'index'}#handbook", opening

    def test_they_are_searched_and_filtered(self, opened):
        address, opening = opened
        embedder = Embedder("echo", dimensions=64, late_chunking=True)
        documents = [
            CoreDocument(document.id, document.page_content, {"place": document.metadata["place"]})
            for document in CORPUS
        ]
        question = "The lamp was lit at dusk."
        with Collection(address, embedder=embedder, chunker=SentenceChunker(16)) as collection:
            collection.ingest(documents)
            expected = collection.search(question, k=3)
        store = opening(JinaEmbeddings(embedder))
        hits = store.similarity_search(question, k=3)
        assert [hit.page_content for hit in hits] == [hit.chunk.text for hit in expected]
        assert [hit.metadata["document_id"] for hit in hits] == [
            hit.chunk.document_id for hit in expected
        ]
        assert {hit.metadata["place"] for hit in hits} <= {"town", "coast"}
        text = {document.id: document.page_content for document in CORPUS}
        for hit in hits:
            span = slice(hit.metadata["start"], hit.metadata["end"])
            assert text[hit.metadata["document_id"]][span] == hit.page_content


class TestRealText:
    """Python's language reference, by a real model."""

    TOPICS = ("with", "assert", "del", "break", "integers")

    def test_a_question_finds_the_chunk_that_answers_it(self):
        topics = pytest.importorskip("pydoc_data.topics").topics
        documents = [Document(topics[name], id=name) for name in self.TOPICS]
        store = open_qdrant(JinaEmbeddings("minilm", context_weight=0.25))
        splitter = splitters.RecursiveCharacterTextSplitter(chunk_size=400, chunk_overlap=80)
        add_late_chunks(store, documents, splitter=splitter)
        retriever = store.as_retriever(search_kwargs={"k": 1})
        for question, name, part in (
            ("How is the exit of a context manager called?", "with", "__exit__"),
            ("How do I check an assumption while debugging?", "assert", "__debug__"),
            ("What happens to a name that is deleted?", "del", "removes the binding"),
            ("Which statement leaves the innermost loop?", "break", "loop"),
            ("May numbers have underscores between their digits?", "integers", "nderscores"),
        ):
            (hit,) = retriever.invoke(question)
            start = hit.metadata["start_index"]
            assert hit.metadata["document_id"] == name, question
            assert topics[name][start:].startswith(hit.page_content)
            assert part in hit.page_content, (question, hit.page_content)
