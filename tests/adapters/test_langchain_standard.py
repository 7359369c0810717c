"""LangChain's own test suites, with our embeddings."""

import uuid

import pytest

pytest.importorskip("langchain_tests")

from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_tests.integration_tests import (
    EmbeddingsIntegrationTests,
    VectorStoreIntegrationTests,
)
from langchain_tests.unit_tests import EmbeddingsUnitTests

from jina_adapters.langchain import JinaEmbeddings

NAMESPACE = uuid.UUID("8f0d7a52-3f41-4c53-9d0e-6b1d1a4f2c10")


class TestUnit(EmbeddingsUnitTests):
    @property
    def embeddings_class(self):
        return JinaEmbeddings

    @property
    def embedding_model_params(self):
        return {"model": "minilm"}

    @property
    def init_from_env_params(self):
        # The key is in no attribute; that the variable is read is tested below.
        model = {"model": "jina-embeddings-v3"}
        return {"JINA_API_KEY": "a-secret-key"}, model, model


def test_the_key_variable_is_read(monkeypatch):
    monkeypatch.setenv("JINA_API_KEY", "a-secret-key")
    assert JinaEmbeddings("jina-embeddings-v3").embedder.backend == "api"


class TestIntegration(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self):
        return JinaEmbeddings

    @property
    def embedding_model_params(self):
        return {"model": "minilm"}


class TestChroma(VectorStoreIntegrationTests):
    @staticmethod
    def get_embeddings():
        return JinaEmbeddings("echo", dimensions=64)

    @pytest.fixture
    def vectorstore(self):
        chroma = pytest.importorskip("langchain_chroma").Chroma
        store = chroma(uuid.uuid4().hex, self.get_embeddings())
        yield store
        store.delete_collection()


def qdrant(embeddings, kind=None):
    """A collection in memory. `kind` extends langchain-qdrant's class."""
    library = pytest.importorskip("langchain_qdrant")
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")
    size = len(embeddings.embed_query("size"))
    distance = models.Distance.COSINE
    client.create_collection(
        "handbook", vectors_config=models.VectorParams(size=size, distance=distance)
    )
    return (kind or library.QdrantVectorStore)(client, "handbook", embedding=embeddings)


def with_any_id():
    """langchain-qdrant's store with the three things that the suite demands and it lacks.

    Ids that are no UUID, ids of which some are None, and found documents that are as they were
    added: langchain-qdrant gives them without an id, and with two keys more in their metadata.
    """
    library = pytest.importorskip("langchain_qdrant")

    class AnyId(library.QdrantVectorStore):
        def add_texts(self, texts, metadatas=None, ids=None, **kwargs):
            names = [
                str(uuid.uuid4()) if name is None else name for name in ids or [None] * len(texts)
            ]
            named = [
                {**metadata, "name": name} for metadata, name in zip(metadatas, names, strict=True)
            ]
            super().add_texts(texts, named, point_ids(names), **kwargs)
            return names

        def delete(self, ids=None, **kwargs):
            return super().delete(point_ids(ids), **kwargs)

        def get_by_ids(self, ids, /):
            return super().get_by_ids(point_ids(ids))

        @classmethod
        def _document_from_point(cls, *args):
            document = super()._document_from_point(*args)
            document.id = document.metadata.pop("name")
            del document.metadata["_id"], document.metadata["_collection_name"]
            return document

    return AnyId


def point_ids(names):
    return [str(uuid.uuid5(NAMESPACE, name)) for name in names]


class TestQdrant(VectorStoreIntegrationTests):
    @staticmethod
    def get_embeddings():
        return JinaEmbeddings("echo", dimensions=64)

    @pytest.fixture
    def vectorstore(self):
        return qdrant(self.get_embeddings(), with_any_id())


class TestQdrantAsItIs:
    """Why `TestQdrant` extends the store: it fails the suite with LangChain's embeddings too."""

    @pytest.fixture(params=["langchain", "ours"])
    def store(self, request):
        fake = DeterministicFakeEmbedding(size=6)
        return qdrant(fake if request.param == "langchain" else JinaEmbeddings("echo"))

    def test_ids_must_be_uuids_or_numbers(self, store):
        with pytest.raises(ValueError, match="Point id 1 is not a valid UUID"):
            store.add_texts(["foo"], [{}], ids=["1"])

    def test_what_is_found_has_no_id_and_more_metadata(self, store):
        (name,) = store.add_texts(["foo"], [{"id": 1}])
        (document,) = store.similarity_search("foo", k=1)
        assert document.id is None
        assert document.metadata.keys() == {"id", "_id", "_collection_name"}
        assert uuid.UUID(document.metadata["_id"]) == uuid.UUID(name)
