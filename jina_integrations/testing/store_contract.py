"""The tests that every `Store` passes, ours and other people's.

::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda: MyStore(tmp_path / "index", "handbook")
"""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, TypeAlias, cast

import numpy as np
import pytest

from ..errors import (
    CollectionNotFoundError,
    FingerprintMismatchError,
    InvalidInputError,
)
from ..stores import CollectionInfo, Filters, Store, StoreCounts
from ..types import Chunk, EmbeddedChunk, FloatArray, Metadata, Scalar

__all__ = [
    "DIMENSIONS",
    "INFO",
    "StoreContract",
    "embedded",
    "vectors",
]

DIMENSIONS = 24

INFO = CollectionInfo(
    fingerprint="0123456789abcdef",
    dimensions=DIMENSIONS,
    embedder={"model": "minilm", "nested": {"list": [1, 2.5, None, True, "é"]}},
)
"""What the contract's collections remember."""

OpenStore: TypeAlias = Callable[[], Store]


def vectors(count: int, *, seed: int = 0) -> FloatArray:
    """Unit vectors in random directions, shape (count, DIMENSIONS)."""
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSIONS)).astype(np.float32)
    unit: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def embedded(
    document: str,
    version: str,
    count: int,
    *,
    seed: int = 0,
    metadata: Metadata | None = None,
) -> list[EmbeddedChunk]:
    """All chunks of one document at one version."""
    texts = [f"chunk {index} of {document} at {version}" for index in range(count)]
    return [
        EmbeddedChunk(
            chunk=Chunk(document, index, 40 * index, 40 * index + len(text), text, metadata or {}),
            version=version,
            chunk_count=count,
            vector=vector,
        )
        for index, (text, vector) in enumerate(zip(texts, vectors(count, seed=seed), strict=True))
    ]


class StoreContract:
    """Subclass it in a test module and override `open_store`."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """A function that opens one collection, absent at first; each call opens it anew."""
        raise NotImplementedError("override the fixture open_store")

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Iterator[Store]:
        """The collection, made and empty."""
        with open_store() as store:
            store.create(INFO)
            yield store

    def test_info_is_none_before_and_the_same_after_reopening(self, open_store: OpenStore) -> None:
        """The collection remembers the embedder."""
        with open_store() as store:
            assert store.read_info() is None
            store.create(INFO)
            assert store.read_info() == INFO
        with open_store() as store:
            assert store.read_info() == INFO

    def test_nothing_works_before_the_collection_is_made(self, open_store: OpenStore) -> None:
        """Every other method says that there is no collection."""
        calls: list[Callable[[Store], object]] = [
            lambda store: store.find_complete({"a": "v1"}),
            lambda store: store.write(embedded("a", "v1", 1)),
            lambda store: store.drop_stale({"a": "v1"}),
            lambda store: store.search(vectors(1)[0], k=1),
            lambda store: store.counts(),
        ]
        with open_store() as store:
            for call in calls:
                with pytest.raises(CollectionNotFoundError, match="ingest"):
                    call(store)
            assert store.read_info() is None

    def test_making_it_twice_is_safe(self, store: Store) -> None:
        """Another process may have been faster, with the same settings or with others."""
        store.write(embedded("a", "v1", 2))
        store.create(INFO)
        assert store.counts() == StoreCounts(documents=1, chunks=2)
        with pytest.raises(FingerprintMismatchError, match="other"):
            store.create(CollectionInfo("another", DIMENSIONS, {}))
        assert store.read_info() == INFO

    def test_search_ranks_as_brute_force_does(self, store: Store) -> None:
        """Order and cosine scores against NumPy, with vectors of any length."""
        chunks = [
            chunk for seed in range(12) for chunk in embedded(f"d{seed}", "v1", 10, seed=seed)
        ]
        lengths = np.random.default_rng(1).uniform(0.5, 2.0, len(chunks)).astype(np.float32)
        store.write(
            [
                EmbeddedChunk(item.chunk, item.version, item.chunk_count, item.vector * length)
                for item, length in zip(chunks, lengths, strict=True)
            ]
        )
        matrix = np.stack([item.vector for item in chunks]).astype(np.float64)
        for query in vectors(5, seed=99):
            cosines = matrix @ query.astype(np.float64)
            expected = np.argsort(-cosines)[:10]
            hits = store.search(query, k=10)
            assert [hit.chunk for hit in hits] == [chunks[row].chunk for row in expected]
            np.testing.assert_allclose([hit.score for hit in hits], cosines[expected], atol=1e-5)

    def test_search_returns_all_where_there_are_fewer(self, store: Store) -> None:
        """An empty collection gives no hits, a small one all it has."""
        assert store.search(vectors(1)[0], k=5) == []
        store.write(embedded("a", "v1", 3))
        assert len(store.search(vectors(1)[0], k=50)) == 3
        assert len(store.search(vectors(1)[0], k=50, filters={"document_id": "a"})) == 3
        assert store.search(vectors(1)[0], k=50, filters={"document_id": "b"}) == []

    @pytest.mark.parametrize("k", [0, -1, 1.5, True])
    def test_k_below_one_is_refused(self, store: Store, k: int) -> None:
        """So is what is no integer."""
        with pytest.raises(InvalidInputError, match="at least 1"):
            store.search(vectors(1)[0], k=k)

    @pytest.mark.parametrize(
        ("vector", "message"),
        [
            (np.ones(DIMENSIONS + 1), "shape"),
            (np.ones((1, DIMENSIONS)), "shape"),
            (np.full(DIMENSIONS, np.nan), "NaN"),
            (np.zeros(DIMENSIONS), "zero"),
        ],
    )
    def test_vectors_that_mean_nothing_are_refused(
        self, store: Store, vector: FloatArray, message: str
    ) -> None:
        """In a search and in a write, of which then nothing is stored."""
        vector = vector.astype(np.float32)
        with pytest.raises(InvalidInputError, match=message):
            store.search(vector, k=1)
        good, bad = embedded("a", "v1", 2)
        with pytest.raises(InvalidInputError, match=message) as caught:
            store.write([good, EmbeddedChunk(bad.chunk, bad.version, 2, vector)])
        assert caught.value.index == 1
        assert store.counts() == StoreCounts(documents=0, chunks=0)

    VALUES: ClassVar[tuple[Scalar, ...]] = (
        5,
        5.0,
        5.5,
        "5",
        True,
        1,
        False,
        0,
        1.0,
        2**53 + 1,
        -(2**63),
        "",
        " ",
        "é\n",
    )

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            (5, [5, 5.0]),
            (5.0, [5, 5.0]),
            (5.5, [5.5]),
            ("5", ["5"]),
            (True, [True]),
            (1, [1, 1.0]),
            (False, [False]),
            (0, [0]),
            (2**53 + 1, [2**53 + 1]),
            (-(2**63), [-(2**63)]),
            ("", [""]),
            (" ", [" "]),
            ("é\n", ["é\n"]),
            ("missing", []),
            (["5", 5.5, True, 0], [5.5, "5", True, 0]),
            ((5, 1), [5, 5.0, 1, 1.0]),
        ],
    )
    def test_filters_compare_value_and_type(
        self, store: Store, wanted: object, found: list[object]
    ) -> None:
        """A number equals a number, a bool only a bool, a text only a text; lists mean any of."""
        chunks = embedded("without", "v1", 1)
        for index, value in enumerate(self.VALUES):
            chunks += embedded(f"d{index}", "v1", 1, seed=index, metadata={"key": value})
        store.write(chunks)
        filters = cast("Filters", {"key": wanted})
        hits = store.search(vectors(1)[0], k=50, filters=filters)
        assert sorted(map(repr, (hit.chunk.metadata["key"] for hit in hits))) == sorted(
            map(repr, found)
        )

    def test_all_filter_keys_must_hold(self, store: Store) -> None:
        """Keys with dots, spaces and other scripts too."""
        store.write(embedded("a", "v1", 2, metadata={"a.b": 1, "clé à": "x", "lang": "fr"}))
        store.write(embedded("b", "v1", 2, metadata={"a.b": 1, "clé à": "y", "lang": "fr"}))
        query = vectors(1)[0]
        hits = store.search(query, k=9, filters={"a.b": 1, "clé à": ["y", "z"], "lang": "fr"})
        assert {(hit.chunk.document_id, hit.chunk.index) for hit in hits} == {("b", 0), ("b", 1)}
        hits = store.search(query, k=9, filters={"document_id": "a", "chunk_index": 1})
        assert [(hit.chunk.document_id, hit.chunk.index) for hit in hits] == [("a", 1)]

    @pytest.mark.parametrize("wanted", [[], None, {"a": 1}, [None], [[1]], float("nan"), 2**63])
    def test_filters_that_mean_nothing_are_refused(self, store: Store, wanted: object) -> None:
        """Rather than matching nothing, or everything."""
        filters = cast("Filters", {"key": wanted})
        with pytest.raises(InvalidInputError, match="key"):
            store.search(vectors(1)[0], k=1, filters=filters)

    def test_chunks_come_back_as_they_were(self, open_store: OpenStore) -> None:
        """Text, position and metadata, whatever the script, after reopening."""
        metadata: Metadata = {"s": "日本語 🎉", "i": -3, "f": 2.0, "b": True, "d.e": ""}
        text = 'اللغة العربية "quoted" \t\r\n ภาษาไทย 🇫🇷 \u200b end'
        chunk = Chunk("dir/ファイル.md", 0, 7, 7 + len(text), text, metadata)
        with open_store() as store:
            store.create(INFO)
            store.write([EmbeddedChunk(chunk, "v1", 1, vectors(1)[0])])
        with open_store() as store:
            (hit,) = store.search(vectors(1)[0], k=1)
            assert hit.chunk == chunk
            assert {key: type(value) for key, value in hit.chunk.metadata.items()} == {
                key: type(value) for key, value in metadata.items()
            }
            assert hit.score == pytest.approx(1.0, abs=1e-5)

    def test_lone_surrogates_are_refused(self, store: Store) -> None:
        """They are no text, and some stores would lose the whole batch."""
        good = embedded("a", "v1", 1)
        for bad in (
            embedded("b", "v1", 1, metadata={"key": "\ud800"}),
            embedded("b", "v1", 1, metadata={"\ud800": "x"}),
        ):
            with pytest.raises(InvalidInputError, match="surrogate") as caught:
                store.write(good + bad)
            assert caught.value.index == 1
        assert store.counts() == StoreCounts(documents=0, chunks=0)

    def test_writing_again_overwrites(self, store: Store) -> None:
        """Ids are deterministic, within one call too, where the last one stays."""
        store.write([])
        store.write(embedded("a", "v1", 3, seed=1))
        store.write(embedded("a", "v1", 3, seed=2) + embedded("a", "v1", 3, seed=3))
        assert store.counts() == StoreCounts(documents=1, chunks=3)
        for index, vector in enumerate(vectors(3, seed=3)):
            (hit,) = store.search(vector, k=1)
            assert hit.chunk.index == index
            assert hit.score == pytest.approx(1.0, abs=1e-5)

    def test_only_whole_documents_at_the_version_are_complete(self, store: Store) -> None:
        """One missing chunk anywhere, or another version, is not complete."""
        store.write(embedded("whole", "v1", 3) + embedded("single", "v1", 1))
        for missing in range(3):
            chunks = embedded(f"without{missing}", "v1", 3)
            store.write(chunks[:missing] + chunks[missing + 1 :])
        store.write(embedded("older", "v0", 3))
        names = ["whole", "single", "without0", "without1", "without2", "older", "unknown"]
        assert store.find_complete(dict.fromkeys(names, "v1")) == {"whole", "single"}
        assert store.find_complete({"older": "v0", "whole": "v2"}) == {"older"}
        assert store.find_complete({}) == set()

    def test_many_documents_at_once(self, store: Store) -> None:
        """More than fit one request, in every method that takes many."""
        chunks = [chunk for row in range(600) for chunk in embedded(f"d{row}", f"v{row}", 2)]
        store.write(chunks[:-1])
        versions = {f"d{row}": f"v{row}" for row in range(1200)}
        assert store.find_complete(versions) == {f"d{row}" for row in range(599)}
        assert store.drop_stale(versions) == 0
        newer = {f"d{row}": f"w{row}" for row in range(0, 600, 2)}
        assert store.drop_stale(newer) == 600
        assert store.counts() == StoreCounts(documents=300, chunks=599)
        assert len(store.search(vectors(1)[0], k=50)) == 50

    def test_stale_chunks_are_dropped_and_counted(self, store: Store) -> None:
        """Of the named documents alone, all versions but the given one."""
        store.write(embedded("a", "a1", 4) + embedded("a", "a2", 2) + embedded("a", "a3", 3))
        store.write(embedded("b", "b1", 2) + embedded("c", "c1", 2))
        assert store.counts() == StoreCounts(documents=3, chunks=13)
        assert store.drop_stale({"a": "a2", "b": "b1", "unknown": "x"}) == 7
        assert store.drop_stale({"a": "a2", "b": "b1", "unknown": "x"}) == 0
        assert store.drop_stale({}) == 0
        assert store.counts() == StoreCounts(documents=3, chunks=6)
        assert store.find_complete({"a": "a2", "b": "b1", "c": "c1"}) == {"a", "b", "c"}
        assert store.find_complete({"a": "a1"}) == set()
        assert len(store.search(vectors(1)[0], k=9, filters={"document_id": "a"})) == 2
        assert store.drop_stale({"c": "another"}) == 2
        store.write(embedded("c", "c1", 2))
        assert store.find_complete({"c": "c1"}) == {"c"}

    def test_any_order_of_writes_and_drops_tells_the_truth(self, open_store: OpenStore) -> None:
        """Against a set of chunks as the model, reopened now and then."""
        random = np.random.default_rng(7)
        model: set[tuple[str, str, int]] = set()
        store = open_store()
        store.create(INFO)
        for step in range(60):
            document, version = f"d{random.integers(4)}", f"v{random.integers(3)}"
            if random.random() < 0.3:
                stale = {key for key in model if key[0] == document and key[1] != version}
                assert store.drop_stale({document: version}) == len(stale)
                model -= stale
            else:
                indexes = {int(index) for index in random.integers(3, size=2)}
                chunks = embedded(document, version, 3)
                store.write([chunks[index] for index in indexes])
                model |= {(document, version, index) for index in indexes}
            if step % 10 == 9:
                store.close()
                store = open_store()
            for version in ("v0", "v1", "v2"):
                expected = {
                    name
                    for name in (f"d{number}" for number in range(4))
                    if {(name, version, index) for index in range(3)} <= model
                }
                versions = {f"d{number}": version for number in range(4)}
                assert store.find_complete(versions) == expected
            assert store.counts().chunks == len(model)
        store.close()

    def test_closing_is_safe_twice_and_keeps_everything(self, open_store: OpenStore) -> None:
        """A write is there after closing, without any flush."""
        store = open_store()
        store.create(INFO)
        store.write(embedded("a", "v1", 3))
        store.close()
        store.close()
        with open_store() as again:
            assert again.find_complete({"a": "v1"}) == {"a"}
            assert again.counts() == StoreCounts(documents=1, chunks=3)
