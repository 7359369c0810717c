"""`QdrantVectors` for plain qdrant-client: in local mode, and against REST's schema."""

import contextlib
import pickle
import re
import socket
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("qdrant_client")

from qdrant_client import QdrantClient, models

from jina_adapters.qdrant import QdrantStore, QdrantVectors
from jina_integrations import (
    ApiSettings,
    Collection,
    Document,
    Embedder,
    MarkdownChunker,
    SentenceChunker,
    SpanChunker,
)
from jina_integrations.errors import (
    ApiConnectionError,
    InvalidInputError,
    InvalidSettingError,
    TextTooLongError,
)

SENTENCES = SpanChunker(
    lambda text: [match.span() for match in re.finditer(r"[^.]+\.", text)], name="full stops"
)
DOCUMENTS = [
    Document("sea.txt", "The tide was out. Crabs ran over the sand. A gull cried.", {"lang": "en"}),
    Document("wald.txt", "Es war still. Ein Specht klopfte. Es roch nach Harz.", {"lang": "de"}),
    Document("hill.txt", "We climbed at dawn. The path was steep and full of stones."),
]
QUANTIZATIONS = [
    models.ScalarQuantization(
        scalar=models.ScalarQuantizationConfig(
            type=models.ScalarType.INT8, quantile=0.99, always_ram=True
        )
    ),
    models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True)),
    models.ProductQuantization(
        product=models.ProductQuantizationConfig(compression=models.CompressionRatio.X16)
    ),
]
RESCORED = models.SearchParams(
    quantization=models.QuantizationSearchParams(rescore=True, oversampling=4.0)
)


def tenant(name):
    condition = models.FieldCondition(key="metadata.tenant", match=models.MatchValue(value=name))
    return models.Filter(must=[condition])


def cosines(rows, vector):
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(vector)
    return np.asarray(rows, np.float64) @ np.asarray(vector, np.float64) / norms


@pytest.fixture
def client():
    with contextlib.closing(QdrantClient(":memory:")) as client:
        yield client


@pytest.fixture(scope="module")
def port():
    command = [sys.executable, str(Path(__file__).with_name("qdrant_rest.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


@pytest.fixture(params=["local", "rest"])
def any_client(request):
    """Local mode, and a client whose requests are parsed by the models of Qdrant's REST schema."""
    if request.param == "local":
        client = QdrantClient(":memory:")
    else:
        client = QdrantClient(
            host="127.0.0.1", port=request.getfixturevalue("port"), check_compatibility=False
        )
    with contextlib.closing(client):
        yield client
        client.delete_collection("books")


def stored(client, collection="books"):
    points, _ = client.scroll(collection, limit=999, with_vectors=True)
    return {point.id: point for point in points}


class TestSearching:
    def test_a_question_finds_the_chunk_that_answers_it(self, client):
        """End to end with plain qdrant-client, a real model and the real language reference."""
        topics = pytest.importorskip("pydoc_data.topics").topics
        vectors = QdrantVectors(
            Embedder("minilm", late_chunking=True, context_weight=0.25), name="text"
        )
        documents = [Document(name, topics[name][:3000]) for name in ("try", "with", "import")]
        client.create_collection("books", vectors_config=vectors.vectors_config())
        client.upload_points(
            "books", vectors.points(documents, chunker=SentenceChunker(max_tokens=96)), wait=True
        )

        question = "Why is the variable that holds the caught exception cleared after the handler?"
        (hit,) = client.query_points("books", **vectors.query(question, limit=1)).points

        assert hit.payload["metadata"]["document_id"] == "try"
        text = " ".join(hit.payload["page_content"].split())
        assert 'assigned using "as target", it is cleared at the end' in text

    @pytest.mark.parametrize("name", ["", "text"])
    def test_scores_are_cosine_similarities(self, any_client, name):
        embedder = Embedder("echo", dimensions=32)
        vectors = QdrantVectors(embedder, name)
        rows = embedder.embed_documents([f"text {number}" for number in range(20)])
        any_client.create_collection("books", vectors_config=vectors.vectors_config())
        any_client.upsert(
            "books",
            [
                models.PointStruct(id=number, vector=vector)
                for number, vector in enumerate(vectors.point_vectors(rows))
            ],
        )

        hits = any_client.query_points("books", **vectors.query("text 7", limit=20)).points

        expected = cosines(rows, embedder.embed_queries(["text 7"])[0])
        assert [hit.id for hit in hits] == np.argsort(-expected).tolist()
        np.testing.assert_allclose([hit.score for hit in hits], np.sort(expected)[::-1], atol=1e-6)

    async def test_async_queries_are_the_same(self):
        vectors = QdrantVectors(Embedder("echo", dimensions=32), "text", prefix_dimensions=8)
        options = {"limit": 3, "query_filter": tenant("a"), "oversampling": 2.5}
        assert await vectors.aquery("a question", **options) == vectors.query(
            "a question", **options
        )

    def test_a_vector_is_searched_as_it_is(self):
        embedder = Embedder("echo", dimensions=32)
        row = embedder.embed_queries(["a question"])[0]
        vectors = QdrantVectors(embedder)
        assert vectors.query(row) == vectors.query("a question")

    @pytest.mark.parametrize(
        ("query", "options", "message"),
        [
            (np.ones(31, np.float32), {}, r"\(1, 31\).*\(n, 32\)"),
            (np.full(32, np.nan, np.float32), {}, "NaN"),
            (np.zeros(32, np.float32), {}, "zero"),
            ("text", {"limit": 0}, "limit must be an int of at least 1, not 0"),
            ("text", {"limit": True}, "limit must be an int of at least 1, not True"),
            ("text", {"oversampling": 2.0}, "quantization="),
            ("", {}, "empty"),
        ],
    )
    def test_what_cannot_be_searched_is_refused(self, query, options, message):
        with pytest.raises(InvalidInputError, match=message):
            QdrantVectors(Embedder("echo", dimensions=32)).query(query, **options)


class TestPoints:
    def test_they_are_what_ingest_writes(self, client):
        embedder = Embedder("echo", dimensions=32, late_chunking=True)
        vectors = QdrantVectors(embedder)
        store = QdrantStore(client, "theirs")
        Collection(store, embedder=embedder, chunker=SENTENCES).ingest(DOCUMENTS)
        client.create_collection("books", vectors_config=vectors.vectors_config())
        client.upsert("books", list(vectors.points(DOCUMENTS, chunker=SENTENCES)))

        ours, theirs = stored(client), stored(client, "theirs")

        assert ours.keys() == theirs.keys()
        assert len(ours) == 8
        for name, point in ours.items():
            assert point.payload == theirs[name].payload
            assert point.vector == theirs[name].vector

    def test_late_chunking_reads_the_whole_document_however_they_are_batched(self):
        embedder = Embedder("echo", dimensions=32, late_chunking=True, batch_tokens=256)
        vectors = QdrantVectors(embedder)
        many = [Document(f"{n}", document.text * 40) for n, document in enumerate(DOCUMENTS * 9)]
        points = {
            (point.payload["metadata"]["document_id"], point.payload["metadata"]["start"]): point
            for point in vectors.points(many, chunker=SENTENCES)
        }
        for document in many:
            spans = SENTENCES.spans(document.text, embedder.tokenizer)
            expected = embedder.embed_chunks(document.text, spans)
            rows = [points.pop((document.id, start)).vector for start, _ in spans]
            np.testing.assert_allclose(rows, expected, atol=1e-6)
        assert points == {}

    def test_documents_are_taken_lazily(self):
        taken = []

        def documents():
            for number in range(600):
                taken.append(number)
                yield Document(f"{number}", f"Text number {number}.")

        vectors = QdrantVectors(Embedder("echo", dimensions=8))
        points = vectors.points(documents(), chunker=SENTENCES)
        assert taken == []
        assert len(list(islice(points, 10))) == 10
        assert 10 <= len(taken) < 300
        assert len(list(points)) == 590

    def test_the_payload_can_be_ones_own(self):
        vectors = QdrantVectors(Embedder("echo", dimensions=8))
        points = vectors.points(
            DOCUMENTS[:1],
            chunker=SENTENCES,
            payload=lambda item: {"text": item.chunk.text, "file": item.chunk.document_id},
        )
        assert [point.payload for point in points] == [
            {"text": "The tide was out.", "file": "sea.txt"},
            {"text": "Crabs ran over the sand.", "file": "sea.txt"},
            {"text": "A gull cried.", "file": "sea.txt"},
        ]

    @pytest.mark.parametrize("late_chunking", [True, False])
    def test_a_document_that_cannot_be_embedded_is_named(self, late_chunking):
        embedder = Embedder("minilm", late_chunking=late_chunking, context_weight=0.5)
        whole = SpanChunker(lambda text: [(0, len(text))], name="whole")
        documents = [DOCUMENTS[0], Document("long.txt", "word " * 400), DOCUMENTS[1]]
        with pytest.raises(TextTooLongError) as caught:
            list(QdrantVectors(embedder).points(documents, chunker=whole))
        assert caught.value.index == 1
        assert str(caught.value).startswith("spans[0] of documents[1]")
        assert caught.value.__notes__ == ["documents[1] is 'long.txt'"]

    def test_a_service_that_fails_is_no_documents_fault(self):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        embedder = Embedder(
            "jina-embeddings-v3",
            base_url=f"http://127.0.0.1:{port}/v1",
            api_key="a-key",
            api=ApiSettings(max_retries=0),
        )
        with pytest.raises(ApiConnectionError) as caught:
            list(QdrantVectors(embedder).points(DOCUMENTS, chunker=SENTENCES))
        assert not hasattr(caught.value, "__notes__")

    def test_a_document_without_text_is_skipped_and_named(self):
        vectors = QdrantVectors(Embedder("echo", dimensions=8))
        documents = [DOCUMENTS[0], Document("empty.txt", " \n"), DOCUMENTS[1]]
        with pytest.warns(UserWarning, match=r"^skipped without text: documents\[1\]$"):
            points = list(vectors.points(documents, chunker=SENTENCES))
        assert len(points) == 6

    def test_a_chunker_that_gives_no_chunk_is_named(self):
        vectors = QdrantVectors(Embedder("echo", dimensions=8))
        nothing = SpanChunker(lambda text: [], name="nothing")
        with pytest.raises(InvalidInputError, match=r"^documents\[0\] cut by") as caught:
            list(vectors.points(DOCUMENTS, chunker=nothing))
        assert caught.value.__notes__ == ["documents[0] is 'sea.txt'"]

    @pytest.mark.parametrize("late_chunking", [True, False])
    def test_headings_are_embedded_as_ingest_does(self, client, late_chunking):
        embedder = Embedder("echo", dimensions=32, late_chunking=late_chunking)
        vectors, chunker = QdrantVectors(embedder), MarkdownChunker(12)
        text = "# Town\n\nIt is small.\n\n## Bakery\n\nIt opens at six and closes early.\n"
        documents = [Document("town.md", text, {"title": "Guide"})]
        store = QdrantStore(client, "theirs")
        Collection(store, embedder=embedder, chunker=chunker, heading_context=True).ingest(
            documents
        )
        client.create_collection("books", vectors_config=vectors.vectors_config())
        points = vectors.points(documents, chunker=chunker, heading_context=True)
        client.upsert("books", list(points))
        assert stored(client) == stored(client, "theirs")
        plain = {point.id for point in vectors.points(documents, chunker=chunker)}
        assert not plain & stored(client).keys()

    def test_what_is_no_document_is_refused(self):
        vectors = QdrantVectors(Embedder("echo", dimensions=8))
        with pytest.raises(InvalidInputError, match=r"documents\[1\].*not str") as caught:
            list(vectors.points([DOCUMENTS[0], "a text"], chunker=SENTENCES))
        assert caught.value.index == 1

    @pytest.mark.parametrize("name", ["", "text"])
    def test_langchain_reads_them(self, client, name):
        pytest.importorskip("langchain_qdrant")
        from langchain_core.embeddings import Embeddings
        from langchain_qdrant import QdrantVectorStore

        embedder = Embedder("echo", dimensions=32)

        class Echo(Embeddings):
            def embed_documents(self, texts):
                return embedder.embed_documents(texts).tolist()

            def embed_query(self, text):
                return embedder.embed_queries([text])[0].tolist()

        vectors = QdrantVectors(embedder, name)
        client.create_collection("books", vectors_config=vectors.vectors_config())
        client.upsert("books", list(vectors.points(DOCUMENTS, chunker=SENTENCES)))
        store = QdrantVectorStore(client, "books", embedding=Echo(), vector_name=name)
        ((document, score),) = store.similarity_search_with_score("Ein Specht klopfte.", k=1)
        assert document.page_content == "Ein Specht klopfte."
        assert document.metadata["document_id"] == "wald.txt"
        assert document.metadata["lang"] == "de"
        assert score == pytest.approx(1.0, abs=1e-5)


class TestPrefix:
    def test_it_is_what_a_shorter_embedder_gives(self):
        texts = ["one", "two", "three"]
        vectors = QdrantVectors(Embedder("echo", dimensions=64), "text", prefix_dimensions=16)
        made = vectors.point_vectors(vectors.embedder.embed_documents(texts))
        assert all(list(vector) == ["text", "text-16"] for vector in made)
        shorter = Embedder("echo", dimensions=16).embed_documents(texts)
        np.testing.assert_allclose([vector["text-16"] for vector in made], shorter, atol=1e-6)

    def test_it_is_not_normalised_where_the_embedder_does_not(self):
        embedder = Embedder("echo", dimensions=64, normalize=False)
        rows = embedder.embed_documents(["one"])
        (vector,) = QdrantVectors(embedder, "text", 16).point_vectors(rows)
        assert vector == {"text": rows[0].tolist(), "text-16": rows[0, :16].tolist()}

    def test_candidates_are_by_prefix_and_scores_by_the_whole_vector(self, any_client):
        embedder = Embedder("echo", dimensions=32)
        vectors = QdrantVectors(embedder, "text", prefix_dimensions=8)
        rows = embedder.embed_documents([f"text {number}" for number in range(60)])
        query = embedder.embed_queries(["a question"])[0]
        any_client.create_collection("books", vectors_config=vectors.vectors_config())
        any_client.upsert(
            "books",
            [
                models.PointStruct(id=number, vector=vector)
                for number, vector in enumerate(vectors.point_vectors(rows))
            ],
        )

        hits = any_client.query_points(
            "books", **vectors.query("a question", limit=3, oversampling=3.5)
        ).points

        candidates = np.argsort(-cosines(rows[:, :8], query[:8]))[:11]  # ceil(3 * 3.5)
        scores = cosines(rows, query)
        expected = sorted(candidates.tolist(), key=lambda number: -scores[number])[:3]
        assert [hit.id for hit in hits] == expected
        np.testing.assert_allclose([hit.score for hit in hits], scores[expected], atol=1e-6)
        assert expected != np.argsort(-scores)[:3].tolist()  # or the prefix decided nothing
        assert expected != candidates[:3].tolist()  # or the whole vector decided nothing

    def test_four_candidates_are_taken_for_each_hit(self):
        vectors = QdrantVectors(Embedder("echo", dimensions=32), "text", prefix_dimensions=8)
        assert vectors.query("a question", limit=5)["prefetch"].limit == 20

    def test_filters_and_parameters_are_of_the_search_by_prefix(self):
        vectors = QdrantVectors(Embedder("echo", dimensions=32), "text", prefix_dimensions=8)
        arguments = vectors.query("a question", query_filter=tenant("a"), search_params=RESCORED)
        assert arguments.keys() == {"query", "limit", "using", "prefetch"}
        assert arguments["using"] == "text"
        assert arguments["prefetch"].using == "text-8"
        assert arguments["prefetch"].filter == tenant("a")
        assert arguments["prefetch"].params == RESCORED

    @pytest.mark.parametrize(
        ("model", "name", "length", "message"),
        [
            ("echo", "", 8, "pass name='text', and the prefix is 'text-8'"),
            ("echo", "text", 0, "an int of at least 1, not 0"),
            ("echo", "text", True, "an int of at least 1, not True"),
            ("echo", "text", 4, "8 to 1024"),
            ("echo", "text", 1024, "below the embedder's 1024"),
            ("minilm", "text", 64, "not trained for shorter vectors"),
        ],
    )
    def test_one_that_means_nothing_is_refused(self, model, name, length, message):
        with pytest.raises(InvalidSettingError, match=message):
            QdrantVectors(Embedder(model), name, prefix_dimensions=length).vectors_config()

    def test_none_is_made_of_zeros(self):
        vectors = QdrantVectors(Embedder("echo", dimensions=32), "text", prefix_dimensions=8)
        row = np.r_[np.zeros(8), np.ones(24)].astype(np.float32)
        with pytest.raises(InvalidInputError, match="vector 1") as caught:
            vectors.point_vectors(np.stack([np.ones(32, np.float32), row]))
        assert caught.value.index == 1

    @pytest.mark.parametrize("oversampling", [0.5, float("nan"), float("inf")])
    def test_fewer_candidates_than_hits_are_refused(self, oversampling):
        vectors = QdrantVectors(Embedder("echo", dimensions=32), "text", prefix_dimensions=8)
        with pytest.raises(InvalidSettingError, match="at least 1"):
            vectors.query("a question", oversampling=oversampling)


class TestConfig:
    def test_without_a_name_it_is_one_cosine_vector(self):
        assert QdrantVectors(Embedder("minilm")).vectors_config() == models.VectorParams(
            size=384, distance=models.Distance.COSINE
        )

    @pytest.mark.parametrize(
        "quantization", QUANTIZATIONS, ids=lambda quantization: type(quantization).__name__
    )
    def test_options_reach_the_server(self, port, quantization):
        vectors = QdrantVectors(Embedder("echo", dimensions=64), "text")
        config = vectors.vectors_config(
            distance=models.Distance.DOT,
            datatype=models.Datatype.FLOAT16,
            on_disk=True,
            hnsw_config=models.HnswConfigDiff(m=32),
            quantization_config=quantization,
        )
        with contextlib.closing(
            QdrantClient(host="127.0.0.1", port=port, check_compatibility=False)
        ) as client:
            client.create_collection("options", vectors_config=config)
            stored_config = client.get_collection("options").config.params.vectors
            client.query_points("options", **vectors.query("text", search_params=RESCORED))
            client.delete_collection("options")
        assert stored_config == {
            "text": models.VectorParams(
                size=64,
                distance=models.Distance.DOT,
                datatype=models.Datatype.FLOAT16,
                on_disk=True,
                hnsw_config=models.HnswConfigDiff(m=32),
                quantization_config=quantization,
            )
        }

    def test_a_prefix_is_indexed_and_the_whole_vector_lies_on_disk(self):
        vectors = QdrantVectors(Embedder("echo", dimensions=64), "text", prefix_dimensions=16)
        config = vectors.vectors_config(prefix={"quantization_config": QUANTIZATIONS[0]})
        assert config == {
            "text": models.VectorParams(
                size=64,
                distance=models.Distance.COSINE,
                on_disk=True,
                hnsw_config=models.HnswConfigDiff(m=0),
            ),
            "text-16": models.VectorParams(
                size=16, distance=models.Distance.COSINE, quantization_config=QUANTIZATIONS[0]
            ),
        }

    def test_options_change_what_is_set_beside_a_prefix(self):
        vectors = QdrantVectors(Embedder("echo", dimensions=64), "text", prefix_dimensions=16)
        graph = models.HnswConfigDiff(m=8)
        config = vectors.vectors_config(on_disk=False, hnsw_config=graph)
        assert config["text"].on_disk is False
        assert config["text"].hnsw_config == graph
        assert config["text-16"].hnsw_config is None

    def test_options_of_no_prefix_are_refused(self):
        with pytest.raises(InvalidSettingError, match="needs prefix_dimensions"):
            QdrantVectors(Embedder("echo")).vectors_config(prefix={"on_disk": True})

    def test_an_option_that_qdrant_does_not_have_is_refused(self):
        with pytest.raises(ValueError, match="on_disc"):
            QdrantVectors(Embedder("echo")).vectors_config(on_disc=True)

    def test_it_compares_and_pickles_by_settings(self):
        vectors = QdrantVectors(Embedder("echo", dimensions=64), "text", prefix_dimensions=16)
        assert pickle.loads(pickle.dumps(vectors)) == vectors


class TestTenants:
    @pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant")
    @pytest.mark.parametrize("prefix_dimensions", [None, 8])
    def test_one_never_sees_anothers_points(self, any_client, prefix_dimensions):
        vectors = QdrantVectors(Embedder("echo", dimensions=32), "text", prefix_dimensions)
        any_client.create_collection("books", vectors_config=vectors.vectors_config())
        any_client.create_payload_index(
            "books",
            "metadata.tenant",
            models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
        )
        documents = [
            Document(f"{owner}/{number}", f"Text number {number}.", {"tenant": owner})
            for owner, count in {"acme": 40, "tiny": 2}.items()
            for number in range(count)
        ]
        any_client.upload_points("books", vectors.points(documents, chunker=SENTENCES), wait=True)

        for owner, count in {"acme": 5, "tiny": 2, "nobody": 0}.items():
            arguments = vectors.query("Text number 30.", limit=5, query_filter=tenant(owner))
            hits = any_client.query_points("books", **arguments).points
            assert [hit.payload["metadata"]["tenant"] for hit in hits] == [owner] * count

    def test_the_index_says_that_it_is_of_tenants(self, port):
        wanted = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
        vectors = QdrantVectors(Embedder("echo", dimensions=8))
        with contextlib.closing(
            QdrantClient(host="127.0.0.1", port=port, check_compatibility=False)
        ) as client:
            client.create_collection("tenants", vectors_config=vectors.vectors_config())
            client.create_payload_index("tenants", "metadata.tenant", wanted)
            index = client.get_collection("tenants").payload_schema["metadata.tenant"]
            client.delete_collection("tenants")
        assert index.data_type == models.PayloadSchemaType.KEYWORD
        assert index.params == wanted
