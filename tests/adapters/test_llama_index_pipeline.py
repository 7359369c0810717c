"""`IngestionPipeline` with our transformations: cache, strategies, processes, failures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llama_index.core")

import llama_index.core
from llama_index.core import Document
from llama_index.core.ingestion import DocstoreStrategy, IngestionCache, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore
from packaging.version import Version

from jina_adapters.llama_index import JinaEmbedding, LateChunking
from jina_integrations import ApiSettings, Embedder, SentenceChunker
from jina_integrations.errors import ApiConnectionError

TEXT = (
    "Bread arrives at the harbour by boat. The keeper of it, number {}, writes down the weather. "
)


@pytest.fixture(autouse=True)
def _tokenizer_of_llama_index(monkeypatch):
    """In another process tiktoken would download what LlamaIndex ships."""
    shipped = Path(llama_index.core.__file__).parent / "_static" / "tiktoken_cache"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(shipped))


@pytest.fixture
def embed_model():
    return JinaEmbedding("echo", dimensions=64)


@pytest.fixture(params=["splitter", "chunker"])
def late(request, embed_model):
    parser = SentenceSplitter(chunk_size=64, chunk_overlap=16)
    splitter = parser if request.param == "splitter" else SentenceChunker(16)
    return LateChunking(embed_model=embed_model, splitter=splitter)


@pytest.fixture
def documents():
    return [
        Document(id_=f"d{n}", text=TEXT.format(n) * (n + 2), metadata={"n": n}) for n in range(4)
    ]


def check(nodes, documents, *, embedder=None):
    """Each node has the vector of its span in its document."""
    embedder = embedder or Embedder("echo", dimensions=64)
    assert {node.ref_doc_id for node in nodes} == {document.node_id for document in documents}
    for document in documents:
        pieces = [node for node in nodes if node.ref_doc_id == document.node_id]
        spans = [(node.start_char_idx, node.end_char_idx) for node in pieces]
        assert [document.text[start:end] for start, end in spans] == [node.text for node in pieces]
        expected = embedder.embed_chunks(document.text, spans)
        np.testing.assert_allclose([node.embedding for node in pieces], expected, atol=1e-6)


class TestRuns:
    def test_in_this_process(self, late, documents):
        check(IngestionPipeline(transformations=[late]).run(documents=documents), documents)

    async def test_asynchronously(self, late, documents):
        pipeline = IngestionPipeline(transformations=[late])
        check(await pipeline.arun(documents=documents), documents)

    @pytest.mark.skipif(
        Version(llama_index.core.__version__) < Version("0.14.22"),
        reason="LlamaIndex drops what its workers put into the cache",
    )
    @pytest.mark.filterwarnings("ignore:Specified num_workers")
    def test_in_two_processes_and_from_their_cache(self, embed_model, documents):
        splitter = SentenceSplitter(chunk_size=64, chunk_overlap=16)
        late = LateChunking(embed_model=embed_model, splitter=splitter)
        pipeline = IngestionPipeline(transformations=[late])
        check(pipeline.run(documents=documents, num_workers=2), documents)
        for half in (documents[:2], documents[2:]):  # as they were shared out
            check(pipeline.run(documents=half), half)
        assert embed_model.embedder.usage.requests == 0

    @pytest.mark.filterwarnings("ignore:Specified num_workers")
    async def test_asynchronously_in_two_processes(self, late, documents):
        pipeline = IngestionPipeline(transformations=[late])
        check(await pipeline.arun(documents=documents, num_workers=2), documents)

    @pytest.mark.filterwarnings("ignore:Specified num_workers")
    async def test_a_real_model_in_two_processes(self, documents):
        model = JinaEmbedding("minilm", context_weight=0.5)
        late = LateChunking(embed_model=model, splitter=SentenceChunker(48))
        pipeline = IngestionPipeline(transformations=[late])
        nodes = await pipeline.arun(documents=documents, num_workers=2)
        check(nodes, documents, embedder=model.embedder)


class TestCache:
    def test_a_hit_gives_the_same_nodes_and_embeds_nothing(self, late, documents, tmp_path):
        pipeline = IngestionPipeline(transformations=[late])
        first = pipeline.run(documents=documents)
        pipeline.persist(str(tmp_path))
        requests = late.embed_model.embedder.usage.requests

        again = IngestionPipeline(transformations=[late])
        again.load(str(tmp_path))
        for cached in (pipeline, again):
            nodes = cached.run(documents=documents)
            assert [node.to_dict() for node in nodes] == [node.to_dict() for node in first]
        assert late.embed_model.embedder.usage.requests == requests

    @pytest.mark.parametrize(
        "change",
        [
            {"include_metadata": True},
            {"splitter": SentenceChunker(17)},
            {"embed_model": JinaEmbedding("echo", dimensions=64, context_weight=0.5)},
        ],
    )
    def test_other_settings_are_no_hit(self, documents, change, embed_model):
        settings = {"embed_model": embed_model, "splitter": SentenceChunker(16)}
        cache, changed = IngestionCache(), settings | change
        IngestionPipeline(transformations=[LateChunking(**settings)], cache=cache).run(
            documents=documents
        )
        embedder = changed["embed_model"].embedder
        before = embedder.usage.requests
        IngestionPipeline(transformations=[LateChunking(**changed)], cache=cache).run(
            documents=documents
        )
        assert embedder.usage.requests > before


@pytest.fixture
def stores():
    return {"vector_store": SimpleVectorStore(), "docstore": SimpleDocumentStore()}


def stored(stores):
    """Document id to the vectors that the store has of it."""
    data, vectors = stores["vector_store"].data, {}
    for node_id, document_id in data.text_id_to_ref_doc_id.items():
        vectors.setdefault(document_id, []).append(data.embedding_dict[node_id])
    return vectors


def vectors_of(documents, late):
    return {
        document.node_id: [node.embedding for node in late([document])] for document in documents
    }


@pytest.mark.parametrize("form", ["sync", "async"])
class TestStrategies:
    @pytest.mark.parametrize(
        ("strategy", "gone"),
        [(DocstoreStrategy.UPSERTS, []), (DocstoreStrategy.UPSERTS_AND_DELETE, ["d0"])],
    )
    async def test_upserts(self, late, documents, stores, strategy, gone, form):
        pipeline = IngestionPipeline(
            transformations=[late], docstore_strategy=strategy, disable_cache=True, **stores
        )
        changed = [*documents[1:3], Document(id_="d3", text="Nothing is left.")]
        for batch in (documents, changed):
            if form == "sync":
                nodes = pipeline.run(documents=batch)
            else:
                nodes = await pipeline.arun(documents=batch)
        check(nodes, changed[2:])
        left = [document for document in documents[:1] if document.node_id not in gone]
        assert stored(stores) == vectors_of([*left, *changed], late)

    async def test_duplicates_only(self, late, documents, stores, form):
        strategy = DocstoreStrategy.DUPLICATES_ONLY
        pipeline = IngestionPipeline(
            transformations=[late], docstore_strategy=strategy, disable_cache=True, **stores
        )
        for batch in (documents[:2], documents):
            if form == "sync":
                nodes = pipeline.run(documents=batch)
            else:
                nodes = await pipeline.arun(documents=batch)
        check(nodes, documents[2:])
        assert stored(stores) == vectors_of(documents, late)


class TestFailures:
    """What the installed pipeline does when the embedder fails; docs/llama_index.md tells of it."""

    @pytest.fixture
    def failing(self, monkeypatch):
        """Switches `embed_chunks` off, and on again."""
        original, state = Embedder.embed_chunks, {"down": False}

        def embed_chunks(self, *args, **options):
            if state["down"]:
                raise ApiConnectionError("no connection")
            return original(self, *args, **options)

        monkeypatch.setattr(Embedder, "embed_chunks", embed_chunks)
        return state

    def test_upserts_lose_the_old_vectors_until_the_next_run(
        self, late, documents, stores, failing
    ):
        pipeline = IngestionPipeline(transformations=[late], **stores)
        pipeline.run(documents=documents)
        changed = [Document(id_="d0", text="Other text.")]
        failing["down"] = True
        with pytest.raises(ApiConnectionError):
            pipeline.run(documents=changed)
        assert "d0" not in stored(stores)
        failing["down"] = False
        pipeline.run(documents=changed)
        assert "d0" in stored(stores)

    def test_duplicates_only_takes_a_failed_document_for_a_known_one(
        self, late, documents, stores, failing
    ):
        pipeline = IngestionPipeline(
            transformations=[late], docstore_strategy=DocstoreStrategy.DUPLICATES_ONLY, **stores
        )
        failing["down"] = True
        with pytest.raises(ApiConnectionError):
            pipeline.run(documents=documents)
        failing["down"] = False
        assert pipeline.run(documents=documents) == []
        assert stored(stores) == {}

    @pytest.mark.parametrize(
        "strategy", [DocstoreStrategy.UPSERTS, DocstoreStrategy.DUPLICATES_ONLY]
    )
    def test_embedding_first_into_the_cache_loses_nothing(
        self, late, documents, stores, failing, strategy
    ):
        cache = IngestionCache()
        embed = IngestionPipeline(transformations=[late], cache=cache)
        store = IngestionPipeline(
            transformations=[late], cache=cache, docstore_strategy=strategy, **stores
        )

        def ingest(batch):
            for document in batch:
                embed.run(documents=[document])
                store.run(documents=[document])

        ingest(documents)
        before = stored(stores)
        changed = [Document(id_="d0", text="Other text.")]
        failing["down"] = True
        with pytest.raises(ApiConnectionError):
            ingest(changed)
        assert stored(stores) == before
        failing["down"] = False
        requests = late.embed_model.embedder.usage.requests
        ingest(changed)
        assert late.embed_model.embedder.usage.requests == requests + 1
        vectors = vectors_of(changed, late)["d0"]
        assert stored(stores)["d0"][-len(vectors) :] == vectors


@pytest.mark.filterwarnings("ignore:Specified num_workers")
async def test_other_processes_take_the_key_from_the_environment(service, documents, monkeypatch):
    monkeypatch.setenv("JINA_API_KEY", "from-the-environment")
    model = JinaEmbedding(
        "their-model", base_url=service.url, api_key="given", api=ApiSettings(transport="float")
    )
    pipeline = IngestionPipeline(transformations=[SentenceSplitter(), model], disable_cache=True)
    assert all(node.embedding for node in pipeline.run(documents=documents))
    assert set(service.keys) == {"Bearer given"}
    service.keys.clear()
    nodes = await pipeline.arun(documents=documents, num_workers=2)
    assert [node.text for node in nodes] == [document.text.strip() for document in documents]
    assert all(node.embedding for node in nodes)
    assert set(service.keys) == {"Bearer from-the-environment"}
