"""`QdrantVectors` in Qdrant's embedded engine, which has what local mode leaves out.

Local mode has no HNSW graph, no quantization and no payload index; the engine, in this process, has
all three. It is not spoken to through qdrant-client, so `Engine` says the same in its terms.
"""

import numpy as np
import pytest

pytest.importorskip("qdrant_client")
pytest.importorskip("qdrant_edge")

import qdrant_edge as edge
from qdrant_client import models

from jina_adapters.qdrant import QdrantVectors
from jina_integrations import Document, Embedder, SpanChunker

WHOLE = SpanChunker(lambda text: [(0, len(text))], name="whole")
DOCUMENTS = [
    Document(f"{number}", f"Text number {number}.", {"tenant": "abc"[number % 3]})
    for number in range(1500)
]
BINARY = models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True))
RESCORED = models.SearchParams(
    quantization=models.QuantizationSearchParams(rescore=True, oversampling=4.0)
)


def equals(key, value):
    return models.FieldCondition(key=f"metadata.{key}", match=models.MatchValue(value=value))


def tenant(name):
    return models.Filter(must=[equals("tenant", name)])


def cosines(rows, vector):
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(vector)
    return np.asarray(rows, np.float64) @ np.asarray(vector, np.float64) / norms


def condition_of(condition):
    return edge.FieldCondition(condition.key, edge.MatchValue(condition.match.value))


class Engine:
    """Qdrant's engine, which takes what `QdrantVectors` gives to a client."""

    def __init__(self, folder, config, points):
        self.shard = edge.EdgeShard.create(
            str(folder),
            edge.EdgeConfig(
                vectors={name: self._params(params) for name, params in config.items()},
                optimizers=edge.EdgeOptimizersConfig(
                    indexing_threshold=1, default_segment_number=1
                ),
            ),
        )
        index = edge.KeywordIndexParams(is_tenant=True)
        self.shard.update(edge.UpdateOperation.create_field_index("metadata.tenant", index))
        stored = [edge.Point(point.id, point.vector, point.payload) for point in points]
        self.shard.update(edge.UpdateOperation.upsert_points(stored))
        self.shard.optimize()

    def _params(self, params):
        graph = params.hnsw_config or models.HnswConfigDiff(m=16)
        binary = isinstance(params.quantization_config, models.BinaryQuantization)
        return edge.EdgeVectorParams(
            params.size,
            edge.Distance.Cosine,
            on_disk=params.on_disk,
            hnsw_config=edge.HnswIndexConfig(graph.m, 100, 10, payload_m=graph.payload_m),
            quantization_config=edge.BinaryQuantizationConfig() if binary else None,
        )

    def _filter(self, selection):
        if selection is None:
            return None
        few = selection.min_should
        return edge.Filter(
            must=[condition_of(condition) for condition in selection.must or []] or None,
            min_should=few
            and edge.MinShould(
                [condition_of(condition) for condition in few.conditions], few.min_count
            ),
        )

    def _search_params(self, params):
        if params is None:
            return None
        wanted = params.quantization
        quantization = edge.QuantizationSearchParams(
            rescore=wanted.rescore, oversampling=wanted.oversampling
        )
        return edge.SearchParams(quantization=quantization)

    def query(self, *, query, using, limit, prefetch=None, query_filter=None, search_params=None):
        prefetches = []
        if prefetch is not None:
            candidates = edge.Query.Nearest(prefetch.query, prefetch.using)
            prefetches = [
                edge.Prefetch(
                    prefetch.limit,
                    candidates,
                    filter=self._filter(prefetch.filter),
                    params=self._search_params(prefetch.params),
                )
            ]
        request = edge.QueryRequest(
            limit,
            query=edge.Query.Nearest(query, using),
            prefetches=prefetches,
            filter=self._filter(query_filter),
            params=self._search_params(search_params),
            with_payload=True,
        )
        return self.shard.query(request)


@pytest.fixture(scope="module")
def with_prefix(tmp_path_factory):
    vectors = QdrantVectors(Embedder("echo", dimensions=64), "text", prefix_dimensions=16)
    engine = Engine(
        tmp_path_factory.mktemp("prefix"),
        vectors.vectors_config(),
        vectors.points(DOCUMENTS, chunker=WHOLE),
    )
    yield vectors, engine
    engine.shard.close()


@pytest.mark.parametrize("owner", [None, "a"])
def test_prefix_search_rescores_the_candidates_that_the_filter_leaves(with_prefix, owner):
    vectors, engine = with_prefix
    documents = [item for item in DOCUMENTS if owner in (None, item.metadata["tenant"])]
    rows = vectors.embedder.embed_documents([item.text for item in documents])
    query = vectors.embedder.embed_queries(["a question"])[0]
    scores = cosines(rows, query)
    candidates = np.argsort(-cosines(rows[:, :16], query[:16]))[:20].tolist()
    expected = sorted(candidates, key=lambda row: -scores[row])[:5]

    arguments = vectors.query(
        "a question", limit=5, query_filter=None if owner is None else tenant(owner)
    )
    hits = engine.query(**arguments)

    # HNSW is not exact: of the twenty candidates one may be another.
    names = [documents[row].id for row in expected]
    assert len({hit.payload["metadata"]["document_id"] for hit in hits} & {*names}) >= 4
    for hit in hits:
        row = [item.id for item in documents].index(hit.payload["metadata"]["document_id"])
        assert hit.score == pytest.approx(scores[row], abs=1e-5)


def test_a_filter_keeps_its_meaning_beside_a_prefix(with_prefix):
    """Given both inside and outside of the prefetch, the engine would count each match twice."""
    vectors, engine = with_prefix
    both = models.MinShould(
        conditions=[equals("tenant", "b"), equals("document_id", "4")], min_count=2
    )
    arguments = vectors.query("a question", query_filter=models.Filter(min_should=both))
    assert [hit.payload["metadata"]["document_id"] for hit in engine.query(**arguments)] == ["4"]


@pytest.mark.parametrize("prefix_dimensions", [None, 16])
def test_a_tenant_has_its_graph(tmp_path, prefix_dimensions):
    graphs = {"hnsw_config": models.HnswConfigDiff(m=0, payload_m=16)}
    vectors = QdrantVectors(Embedder("echo", dimensions=64), "text", prefix_dimensions)
    config = (
        vectors.vectors_config(prefix=graphs)
        if prefix_dimensions
        else vectors.vectors_config(**graphs)
    )
    engine = Engine(tmp_path / "tenants", config, vectors.points(DOCUMENTS, chunker=WHOLE))
    for limit in (1, 50):
        arguments = vectors.query("a question", limit=limit, query_filter=tenant("b"))
        hits = engine.query(**arguments)
        assert [hit.payload["metadata"]["tenant"] for hit in hits] == ["b"] * limit
    assert engine.query(**vectors.query("a question", query_filter=tenant("nobody"))) == []
    engine.shard.close()


def test_rescoring_gives_back_what_binary_codes_lose(tmp_path):
    vectors = QdrantVectors(Embedder("echo", dimensions=256), "text")
    engine = Engine(
        tmp_path / "binary",
        vectors.vectors_config(quantization_config=BINARY),
        vectors.points(DOCUMENTS, chunker=WHOLE),
    )
    rows = vectors.embedder.embed_documents([item.text for item in DOCUMENTS])
    alone = models.SearchParams(
        quantization=models.QuantizationSearchParams(rescore=False, oversampling=1.0)
    )
    shared = {"alone": 0, "rescored": 0}
    for question in (f"question {number}" for number in range(20)):
        query = vectors.embedder.embed_queries([question])[0]
        nearest = {DOCUMENTS[row].id for row in np.argsort(-cosines(rows, query))[:10]}
        for name, params in {"alone": alone, "rescored": RESCORED}.items():
            hits = engine.query(**vectors.query(query, search_params=params))
            shared[name] += len(nearest & {hit.payload["metadata"]["document_id"] for hit in hits})
    engine.shard.close()
    assert shared["rescored"] > 1.3 * shared["alone"]
