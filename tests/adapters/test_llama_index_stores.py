"""LlamaIndex's stores hold the vectors of `LateChunking`, find them, filter and delete them."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

pytest.importorskip("llama_index.core")

from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import MarkdownNodeParser, SentenceSplitter
from llama_index.core.vector_stores import (
    MetadataFilter,
    MetadataFilters,
    SimpleVectorStore,
    VectorStoreQuery,
)

from jina_adapters.llama_index import JinaEmbedding, LateChunking
from jina_integrations import SentenceChunker

TEXTS = {
    "harbour": "Bread arrives at the harbour by boat. The keeper writes down the weather. "
    "He has done so for forty years. Nobody has ever asked to see it.",
    "bakery": "The bakery opens at six with rye bread. It closes when nothing is left. "
    "That is early. The baker sleeps in the afternoon.",
}


class Counting(JinaEmbedding):
    """Notes which texts were embedded alone."""

    @property
    def alone(self) -> list[str]:
        return self.__dict__.setdefault("_alone", [])

    def _get_text_embeddings(self, texts):
        self.alone.extend(texts)
        return super()._get_text_embeddings(texts)


@pytest.fixture
def embed_model():
    return Counting("echo", dimensions=64)


@pytest.fixture
def late(embed_model):
    return LateChunking(embed_model=embed_model, splitter=SentenceChunker(12))


@pytest.fixture
def documents():
    return [Document(id_=name, text=text, metadata={"kind": name}) for name, text in TEXTS.items()]


@pytest.fixture(params=["simple", "qdrant", "chroma"])
def store(request, tmp_path):
    if request.param == "simple":
        yield SimpleVectorStore()
    elif request.param == "qdrant":
        pytest.importorskip("llama_index.vector_stores.qdrant")
        from llama_index.vector_stores.qdrant import QdrantVectorStore
        from qdrant_client import QdrantClient

        client = QdrantClient(path=str(tmp_path / "qdrant"))
        yield QdrantVectorStore("handbook", client=client)
        client.close()
    else:
        pytest.importorskip("llama_index.vector_stores.chroma")
        import chromadb
        from llama_index.vector_stores.chroma import ChromaVectorStore

        client = chromadb.PersistentClient(str(tmp_path / "chroma"))
        collection = client.create_collection("handbook", metadata={"hnsw:space": "cosine"})
        yield ChromaVectorStore(collection)


def vectors_in(store) -> dict[str, list[float]]:
    """Node id to what the store holds."""
    if isinstance(store, SimpleVectorStore):
        return dict(store.data.embedding_dict)
    if hasattr(store, "_collection_initialized"):
        points, _ = store.client.scroll("handbook", limit=99, with_vectors=True)
        return {
            str(point.id): next(iter(point.vector.values()))
            if isinstance(point.vector, dict)
            else point.vector
            for point in points
        }
    stored = store.client.get(include=["embeddings"])
    return dict(zip(stored["ids"], stored["embeddings"], strict=True))


def index_of(documents, late, store, **options):
    return VectorStoreIndex.from_documents(
        documents,
        transformations=[late],
        embed_model=late.embed_model,
        storage_context=StorageContext.from_defaults(vector_store=store),
        **options,
    )


def check(store, documents, late):
    """The store holds the vectors of these documents' nodes and no other."""
    expected = np.array(sorted(node.embedding for node in late(documents)))
    held = sorted(np.asarray(vector).tolist() for vector in vectors_in(store).values())
    np.testing.assert_allclose(np.array(held), expected, atol=1e-6)


def test_an_index_keeps_the_vectors_and_embeds_no_node_again(documents, late, store, embed_model):
    index = index_of(documents, late, store)
    check(store, documents, late)
    assert embed_model.alone == []
    [hit] = index.as_retriever(similarity_top_k=1).retrieve(late(documents)[1].text)
    assert hit.node.ref_doc_id == "harbour"
    start, end = hit.node.start_char_idx, hit.node.end_char_idx
    assert TEXTS["harbour"][start:end] == hit.node.text


def test_an_index_of_ready_nodes_keeps_them_too(documents, late, store, embed_model):
    nodes = late(documents)
    VectorStoreIndex(
        nodes,
        embed_model=embed_model,
        storage_context=StorageContext.from_defaults(vector_store=store),
    )
    held = vectors_in(store)
    for node in nodes:
        np.testing.assert_allclose(held[node.node_id], node.embedding, atol=1e-6)
    assert embed_model.alone == []


def test_a_pipeline_writes_them_and_a_later_index_finds_them(documents, late, store, embed_model):
    if not store.stores_text:
        pytest.skip("an index cannot be opened from SimpleVectorStore alone")
    IngestionPipeline(transformations=[late], vector_store=store).run(documents=documents)
    check(store, documents, late)
    index = VectorStoreIndex.from_vector_store(store, embed_model=embed_model)
    [hit] = index.as_retriever(similarity_top_k=1).retrieve(late(documents)[-1].text)
    assert hit.node.ref_doc_id == "bakery"
    assert embed_model.alone == []


def test_a_stored_vector_finds_its_own_node(documents, late, store):
    nodes = late(documents)
    store.add(nodes)
    for node in nodes:
        hits = store.query(VectorStoreQuery(query_embedding=node.embedding, similarity_top_k=1))
        assert hits.ids == [node.node_id]


def test_metadata_filters(documents, late, store):
    index = index_of(documents, late, store)
    filters = MetadataFilters(filters=[MetadataFilter(key="kind", value="bakery")])
    hits = index.as_retriever(similarity_top_k=9, filters=filters).retrieve("The harbour")
    assert {hit.node.ref_doc_id for hit in hits} == {"bakery"}
    assert len(hits) == len(late(documents[1:]))


def test_a_document_can_be_deleted_inserted_and_refreshed(documents, late, store, embed_model):
    index = index_of(documents, late, store, store_nodes_override=True)
    index.delete_ref_doc("harbour", delete_from_docstore=True)
    check(store, documents[1:], late)
    index.insert(documents[0])
    check(store, documents, late)
    changed = Document(id_="bakery", text="Nothing is left. The baker sleeps.")
    assert index.refresh_ref_docs([documents[0], changed]) == [False, True]
    check(store, [documents[0], changed], late)
    assert embed_model.alone == []


async def test_an_index_that_is_filled_asynchronously(documents, late, embed_model):
    store = SimpleVectorStore()
    index = index_of(documents[:1], late, store)
    await index.ainsert(documents[1])
    check(store, documents, late)
    assert embed_model.alone == []


QUESTIONS = {
    "Which clause is run on the way out, whether an exception occurred or not?": ("try", "finally"),
    "What is an anonymous function with a single expression?": ("lambda", "anonymous functions"),
    "How do I end the nearest enclosing loop?": ("break", "terminates the nearest enclosing loop"),
    "How can I delete a name or an attribute?": ("del", "Deletion of"),
    "How do I put a debugging check into a program?": ("assert", "__debug__"),
}


def test_a_question_finds_the_right_chunk_of_real_text():
    """Sections of Python's language reference, MiniLM, late chunking, LlamaIndex's retriever."""
    topics = pytest.importorskip("pydoc_data.topics").topics
    names = ["try", "lambda", "break", "del", "assert"]
    documents = [Document(id_=name, text=inspect.cleandoc(topics[name])) for name in names]
    embed_model = JinaEmbedding("minilm", context_weight=0.3)
    late = LateChunking(
        embed_model=embed_model, splitter=SentenceSplitter(chunk_size=128, chunk_overlap=16)
    )
    index = VectorStoreIndex.from_documents(
        documents, transformations=[late], embed_model=embed_model
    )
    retriever = index.as_retriever(similarity_top_k=1)
    for question, (name, phrase) in QUESTIONS.items():
        [hit] = retriever.retrieve(question)
        assert hit.node.ref_doc_id == name, question
        assert phrase in hit.node.text, question


def test_markdown_sections_keep_their_headers_in_the_store(late, store, embed_model):
    text = "# Town\n\nIt is small.\n\n## Bakery\n\nIt opens at six.\n"
    late = LateChunking(embed_model=embed_model, splitter=MarkdownNodeParser())
    index = index_of([Document(id_="town", text=text)], late, store)
    [hit] = index.as_retriever(similarity_top_k=1).retrieve("## Bakery\n\nIt opens at six.")
    assert hit.node.metadata["header_path"] == "/Town/"
