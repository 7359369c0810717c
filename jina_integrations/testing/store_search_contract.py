"""The part of a store's contract about searches and filters, see `store_contract`."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from ..stores.access import StoreAccess
from ..stores.base import CollectionInfo
from ..stores.filters import AnyOf, Filters, matches, operator_of, parse_filters
from ..stores.records import metadata_of
from ..types import FloatArray, Record, Scalar, Vectors
from .store_fixtures import OpenAccess, StoreFixtures
from .store_samples import (
    DIMENSIONS,
    FILTERS,
    INFO,
    METADATA,
    cosine_scores,
    dense_vectors,
    documents_and_filters,
    max_similarity,
    multi_vectors,
    records,
    sparse_scores,
    sparse_vectors,
)

__all__ = ["SearchContract"]


class SearchContract(StoreFixtures):
    """What every store finds, and how it ranks it."""

    # Searching

    def test_search_ranks_as_brute_force_does(self, access: StoreAccess) -> None:
        """Order and cosine scores against NumPy, with vectors of any length."""
        lengths = iter(np.random.default_rng(1).uniform(0.5, 2.0, 120).astype(np.float32))
        chunks = [
            replace(record, vectors=Vectors(dense=record.vectors.dense * next(lengths)))
            for seed in range(12)
            for record in records(f"d{seed}", "v1", 10, seed=seed)
            if record.vectors.dense is not None
        ]
        access.write(chunks)
        access.settle()
        for query in dense_vectors(5, seed=99) * np.float32(3.0):
            scores = cosine_scores(chunks, query)
            expected = np.argsort(-scores)[:10]
            hits = access.search(query, k=10)
            assert [hit.chunk for hit in hits] == [chunks[row].chunk for row in expected]
            np.testing.assert_allclose([hit.score for hit in hits], scores[expected], atol=1e-5)

    def test_search_takes_the_best_of_the_selected(self, access: StoreAccess) -> None:
        """The filter comes before the `k` are taken, however far away the selected ones are."""
        chunks = [item for row in range(60) for item in records(f"d{row}", "v1", 5, seed=row)]
        access.write(chunks)
        access.settle()
        query = dense_vectors(1, seed=99)[0]
        worst = np.argsort(cosine_scores(chunks, query))[:40]
        documents = tuple(sorted({chunks[row].chunk.document_id for row in worst})[:10])
        selected = [item for item in chunks if item.chunk.document_id in documents]
        expected = np.argsort(-cosine_scores(selected, query))[:7]
        hits = access.search(query, k=7, where=(AnyOf("document_id", documents),))
        assert [hit.chunk for hit in hits] == [selected[row].chunk for row in expected]

    def test_search_returns_all_where_there_are_fewer(self, access: StoreAccess) -> None:
        """An empty collection gives no hits, a small one all it has."""
        query = dense_vectors(1)[0]
        assert access.search(query, k=5) == []
        access.write(records("a", "v1", 3))
        k = min(10_000, access.capabilities.max_k or 10_000)
        assert len(access.search(query, k=k)) == 3
        assert len(access.search(query, k=k, where=(AnyOf("document_id", ("a",)),))) == 3
        assert access.search(query, k=k, where=(AnyOf("document_id", ("b",)),)) == []

    def test_sparse_vectors(self, open_access: OpenAccess) -> None:
        """Ranked by the dot product; records that share no term may be left out."""
        access = _open_with(open_access, "sparse")
        weights = sparse_vectors(40)
        chunks = [
            replace(record, vectors=replace(record.vectors, sparse=vector))
            for record, vector in zip(records("a", "v1", 40), weights, strict=True)
        ]
        access.write(chunks)
        access.settle()
        for query in sparse_vectors(3, seed=9):
            scores = sparse_scores(chunks, query)
            expected = [int(row) for row in np.argsort(-scores)[:5] if scores[row] > 0]
            hits = access.search(query, kind="sparse", k=5)[: len(expected)]
            assert [hit.chunk.index for hit in hits] == expected
            np.testing.assert_allclose([hit.score for hit in hits], scores[expected], atol=1e-4)
        for item in access.scan(vectors=True):
            expected_weights = weights[item.chunk.index]
            assert item.vectors.sparse is not None
            np.testing.assert_array_equal(item.vectors.sparse.indices, expected_weights.indices)
            np.testing.assert_allclose(
                item.vectors.sparse.values, expected_weights.values, rtol=1e-6
            )

    def test_multi_vectors(self, open_access: OpenAccess) -> None:
        """Ranked by the sum, over the query's tokens, of the highest cosine (MaxSim)."""
        access = _open_with(open_access, "multi")
        tokens = multi_vectors(20)
        chunks = [
            replace(record, vectors=replace(record.vectors, multi=rows))
            for record, rows in zip(records("a", "v1", 20), tokens, strict=True)
        ]
        access.write(chunks)
        access.settle()
        for query in multi_vectors(3, seed=9):
            scores = max_similarity(chunks, query)
            expected = np.argsort(-scores)[:5]
            hits = access.search(query, kind="multi", k=5)
            assert [hit.chunk.index for hit in hits] == list(expected)
            np.testing.assert_allclose([hit.score for hit in hits], scores[expected], atol=1e-4)
        for item in access.scan(vectors=True):
            rows = item.vectors.multi
            assert rows is not None
            assert rows.dtype == np.float32
            np.testing.assert_allclose(_unit(rows), _unit(tokens[item.chunk.index]), atol=1e-6)

    # Filtering

    @pytest.mark.parametrize("operator", sorted(FILTERS))
    def test_filters_mean_what_the_reference_says(self, access: StoreAccess, operator: str) -> None:
        """Each filter on each value, in count, scan and search, against `filters.matches`."""
        if operator not in access.capabilities.operators:
            pytest.skip(f"the store cannot filter by {operator}")
        written = _with_metadata(METADATA)
        access.write(written)
        for filters in FILTERS[operator]:
            _check_filters(access, written, filters)

    def test_filters_on_what_stores_write_themselves(self, access: StoreAccess) -> None:
        """Pages, root and positions are filtered by like a document's own keys."""
        (first, second) = records("a", "v1", 2, root="docs")
        paged = replace(first, chunk=replace(first.chunk, page=3, page_end=4))
        written = [paged, second, *records("b", "v2", 2)]
        access.write(written)
        filters: list[Filters] = [
            {"document_id": "a", "chunk_index": 1},
            {"document_version": {"not": "v1"}},
            {"document_root": "docs"},
            {"document_root": {"exists": False}},
            {"page": {"gte": 3, "lt": 4}},
            {"page_end": {"exists": True}},
            {"chunk_count": 2, "start": {"gt": 0}},
        ]
        for wanted in filters:
            _check_filters(access, written, wanted)

    @given(documents_and_filters())
    @settings(
        max_examples=20,  # of many filters each, since a store may sync every write
        deadline=None,
        phases=[Phase.generate],  # making a failure smaller takes minutes with a real store
        derandomize=True,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,  # each example empties the collection
            HealthCheck.differing_executors,  # one test for all stores
            HealthCheck.too_slow,
        ],
    )
    def test_any_filter_on_any_metadata(
        self, access: StoreAccess, example: tuple[list[dict[str, Scalar]], list[Filters]]
    ) -> None:
        """Metadata and filters at random; operators that the store lacks are left out."""
        metadata, filters = example
        access.delete(())
        written = _with_metadata(metadata)
        access.write(written)
        for wanted in filters:
            _check_filters(access, written, wanted)


def _open_with(open_access: OpenAccess, kind: str) -> StoreAccess:
    """A new collection with dense vectors and another kind, for a store that has it."""
    access = open_access()
    if kind not in access.capabilities.kinds:
        pytest.skip(f"the store keeps no {kind} vectors")
    access.create(
        CollectionInfo(INFO.recipe, {"dense": DIMENSIONS, "sparse": 0})
        if kind == "sparse"
        else CollectionInfo(INFO.recipe, {"dense": DIMENSIONS, "multi": DIMENSIONS})
    )
    return access


def _with_metadata(metadata: Iterable[Mapping[str, Scalar]]) -> list[Record]:
    """A record of each."""
    return [
        record
        for row, values in enumerate(metadata)
        for record in records(f"d{row}", "v1", 1, seed=row, metadata=values)
    ]


def _check_filters(access: StoreAccess, written: list[Record], filters: Filters) -> None:
    conditions = parse_filters(filters)
    if not {operator_of(condition) for condition in conditions} <= access.capabilities.operators:
        return
    expected = sorted(
        (repr(item.chunk.metadata), item.chunk.document_id, item.chunk.index)
        for item in written
        if matches(metadata_of(item), conditions)
    )
    hits = [
        hit.chunk for hit in access.search(dense_vectors(1)[0], k=len(written), where=conditions)
    ]
    scanned = [item.chunk for item in access.scan(conditions)]
    by_id = {(item.chunk.document_id, item.chunk.index): item.chunk for item in written}
    for chunks in (hits, scanned):
        selected = sorted(
            (repr(by_id[chunk.document_id, chunk.index].metadata), chunk.document_id, chunk.index)
            for chunk in chunks
        )
        assert selected == expected, filters
    assert access.count(conditions) == len(expected), filters


def _unit(rows: FloatArray) -> FloatArray:
    unit: FloatArray = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit
