"""The tests that every `Store` passes, ours and other people's. Needs pytest and hypothesis.

::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda: MyStore(tmp_path / "index", "handbook")

Tests of a vector kind or a filter operator that the store's `capabilities` lack are skipped.
"""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from ..errors import CollectionNotFoundError
from ..stores.access import StoreAccess
from ..stores.base import CollectionInfo, Conditions
from ..stores.filters import AnyOf, NoneOf
from ..types import Chunk, FloatArray, Record, Scalar, Vectors
from .store_fixtures import OpenAccess
from .store_samples import DIMENSIONS, INFO, dense_vectors, records
from .store_search_contract import SearchContract

__all__ = ["StoreContract"]


class StoreContract(SearchContract):
    """Subclass it in a test module and override `open_store`."""

    # The collection

    def test_info_is_none_before_and_the_same_after_reopening(
        self, open_access: OpenAccess
    ) -> None:
        """Asking makes nothing, and the collection remembers what it was made with."""
        access = open_access()
        assert access.describe() is None
        access.close()
        access = open_access()
        assert access.describe() is None
        assert access.create(INFO) == INFO
        assert access.describe() == INFO
        access.close()
        assert open_access().describe() == INFO

    def test_nothing_works_before_the_collection_is_made(self, open_access: OpenAccess) -> None:
        """Every other method says that there is no collection."""
        access = open_access()
        calls: list[Callable[[], object]] = [
            lambda: access.write(records("a", "v1", 1)),
            lambda: access.delete(()),
            access.count,
            lambda: list(access.scan()),
            lambda: access.search(dense_vectors(1)[0], k=1),
            lambda: access.remember(INFO),
        ]
        for call in calls:
            with pytest.raises(CollectionNotFoundError, match="ingest"):
                call()
        assert access.describe() is None

    def test_making_it_twice_keeps_the_first(self, access: StoreAccess) -> None:
        """Another process may have been faster, with the same settings or with others."""
        access.write(records("a", "v1", 2))
        assert access.create(INFO) == INFO
        assert access.create(CollectionInfo({"model": "another"}, INFO.dimensions)) == INFO
        assert access.count() == 2

    def test_it_remembers_something_else(
        self, access: StoreAccess, open_access: OpenAccess
    ) -> None:
        """The new info replaces the old one, whole, and no record is lost."""
        access.write(records("a", "v1", 2))
        changed = CollectionInfo({"chunker": {"name": "ü", "tokens": 64}}, INFO.dimensions)
        access.remember(changed)
        assert access.describe() == changed
        access.close()
        access = open_access()
        assert access.describe() == changed
        assert access.count() == 2
        assert len(access.search(dense_vectors(1)[0], k=9)) == 2

    def test_dropped_and_made_again(self, access: StoreAccess, open_access: OpenAccess) -> None:
        """Nothing of the old one is left, and the new one may have other dimensions."""
        access.write(records("a", "v1", 3))
        access.drop()
        assert access.describe() is None
        access.drop()
        access.close()
        access = open_access()
        assert access.describe() is None
        shorter = CollectionInfo(INFO.recipe, {"dense": 8})
        assert access.create(shorter) == shorter
        assert access.count() == 0
        assert list(access.scan()) == []
        vector = dense_vectors(1)[0, :8]
        access.write([replace(records("b", "v1", 1)[0], vectors=Vectors(dense=vector))])
        assert [hit.chunk.document_id for hit in access.search(vector, k=5)] == ["b"]

    # What comes back

    def test_records_come_back_as_they_were(
        self, access: StoreAccess, open_access: OpenAccess
    ) -> None:
        """Text, position, headings, pages, root and metadata, whatever the script."""
        metadata: dict[str, Scalar] = {"s": "日本語 🎉", "i": -3, "f": 2.0, "b": True, "no": False}
        metadata |= {"d.e": "", "clé à": "é\n", "a[0]": "brackets", "x" * 200: 2**60}
        names = ("id", "text", "vector", "metadata", "document", "page_content", "score", "name")
        metadata |= dict.fromkeys(names, "the document's")  # and not the store's
        text = 'اللغة العربية "quoted" \t\r\n ภาษาไทย 🇫🇷 \u200b end'
        whole = Record(
            Chunk(
                document_id="dir/ファイル 'a' \"b\" 100%.md",
                index=1,
                start=7,
                end=7 + len(text),
                text=text,
                metadata=metadata,
                headings=("Über uns", 'a "quoted" one', ""),
                page=3,
                page_end=4,
            ),
            version="v1",
            chunk_count=2,
            vectors=Vectors(dense=dense_vectors(1)[0]),
            root="/srv/docs ü",
        )
        bare = replace(records("bare", "v1", 1)[0], vectors=Vectors(dense=dense_vectors(2)[1]))
        access.write([whole, bare])
        access.close()
        access = open_access()
        stored = {record.chunk.document_id: record for record in access.scan()}
        assert stored == {item.chunk.document_id: _bare(item) for item in (whole, bare)}
        kept = stored[whole.chunk.document_id].chunk.metadata
        assert {key: type(value) for key, value in kept.items()} == {
            key: type(value) for key, value in metadata.items()
        }
        (hit,) = access.search(dense_vectors(1)[0], k=1)
        assert hit.chunk == whole.chunk
        assert hit.score == pytest.approx(1.0, abs=1e-5)

    def test_a_text_of_a_megabyte(self, access: StoreAccess) -> None:
        """Nothing is cut, wherever the database ends its short texts."""
        (record,) = records("long", "v1", 1)
        text = "wörter & zeichen\n" * 62_500
        record = replace(record, chunk=replace(record.chunk, text=text, end=len(text)))
        access.write([record])
        (stored,) = access.scan()
        assert stored == _bare(record)

    def test_scans_without_content(self, access: StoreAccess) -> None:
        """Id, position, version, count and root are there all the same."""
        written = records("a", "v1", 3, root="docs") + records("b", "v2", 2)
        access.write(written)
        for content in (True, False):
            stored = access.scan(content=content)
            assert Counter(map(_fields, stored)) == Counter(map(_fields, written))

    def test_scans_select(self, access: StoreAccess) -> None:
        """By document and version, as the core asks for what is stale."""
        access.write(records("a", "v1", 3) + records("a", "v2", 2) + records("b", "v1", 1))
        stale: Conditions = (AnyOf("document_id", ("a", "b")), NoneOf("document_version", ("v2",)))
        if "none" in access.capabilities.operators:
            assert Counter(map(_fields, access.scan(stale, content=False))) == Counter(
                map(_fields, records("a", "v1", 3) + records("b", "v1", 1))
            )
        assert {_fields(item) for item in access.scan((AnyOf("chunk_index", (2,)),))} == {
            _fields(records("a", "v1", 3)[2])
        }

    def test_scans_give_vectors_back(self, access: StoreAccess) -> None:
        """float32, in the written direction; a store may bring them to length 1."""
        written = [
            replace(record, vectors=Vectors(dense=record.vectors.dense * np.float32(length)))
            for record, length in zip(records("a", "v1", 4), (0.3, 1.0, 2.5, 40.0), strict=True)
            if record.vectors.dense is not None
        ]
        access.write(written)
        stored = {item.chunk.index: item for item in access.scan(content=False, vectors=True)}
        assert sorted(stored) == [0, 1, 2, 3]
        for record in written:
            vector, expected = stored[record.chunk.index].vectors.dense, record.vectors.dense
            assert vector is not None
            assert expected is not None
            assert vector.dtype == np.float32
            assert vector.shape == (DIMENSIONS,)
            np.testing.assert_allclose(_unit(vector), _unit(expected), atol=1e-6)

    # Writing and deleting

    def test_writing_again_overwrites(self, access: StoreAccess) -> None:
        """Ids are deterministic, within one call too, where the last one stays."""
        access.write([])
        access.write(records("a", "v1", 3, seed=1))
        access.write(records("a", "v1", 3, seed=2) + records("a", "v1", 3, seed=3))
        assert access.count() == 3
        for index, vector in enumerate(dense_vectors(3, seed=3)):
            (hit,) = access.search(vector, k=1)
            assert hit.chunk.index == index
            assert hit.score == pytest.approx(1.0, abs=1e-5)

    def test_deleting_tells_how_many(self, access: StoreAccess) -> None:
        """Of the selected records alone, in all versions or in some."""
        access.write(records("a", "v1", 4) + records("a", "v2", 2) + records("b", "v1", 3))
        version = (AnyOf("document_id", ("a", "unknown")), AnyOf("document_version", ("v1",)))
        assert access.delete(version) == 4
        assert access.delete(version) == 0
        assert access.count() == 5
        assert access.count((AnyOf("document_id", ("a",)),)) == 2
        hits = access.search(dense_vectors(1)[0], k=9, where=(AnyOf("document_id", ("a",)),))
        assert sorted(hit.chunk.index for hit in hits) == [0, 1]
        assert access.delete((AnyOf("document_id", ("b",)),)) == 3
        access.write(records("b", "v1", 3))
        assert access.count() == 5
        assert access.delete(()) == 5
        assert access.count() == 0
        assert access.search(dense_vectors(1)[0], k=9) == []
        assert access.describe() == INFO

    def test_many_documents(self, access: StoreAccess) -> None:
        """More than fit one request or one page, and as many values as the store says it takes."""
        documents = 600
        access.write(
            [item for row in range(documents) for item in records(f"d{row}", f"v{row}", 2)]
        )
        assert access.count() == 2 * documents
        assert access.count((AnyOf("chunk_index", (0,)),)) == documents
        assert sum(1 for _ in access.scan(content=False)) == 2 * documents
        wanted = tuple(f"d{2 * row}" for row in range(access.capabilities.max_values))
        selected = 2 * min(len(wanted), documents // 2)
        where = (AnyOf("document_id", wanted),)
        assert access.count(where) == selected
        assert len({_fields(item) for item in access.scan(where, content=False)}) == selected
        assert len(access.search(dense_vectors(1)[0], k=50, where=where)) == 50
        assert access.delete(where) == selected
        assert access.count() == 2 * documents - selected
        access.settle()
        assert access.count() == 2 * documents - selected

    def test_any_order_of_writes_and_deletes(
        self, access: StoreAccess, open_access: OpenAccess
    ) -> None:
        """Against a set of chunks as the model, reopened now and then."""
        random = np.random.default_rng(7)
        model: set[tuple[str, str, int]] = set()
        for step in range(40):
            document, version = f"d{random.integers(4)}", f"v{random.integers(3)}"
            where = (AnyOf("document_id", (document,)), AnyOf("document_version", (version,)))
            if random.random() < 0.3:
                deleted = {key for key in model if key[:2] == (document, version)}
                assert access.delete(where) == len(deleted)
                model -= deleted
            else:
                indexes = {int(index) for index in random.integers(3, size=2)}
                chunks = records(document, version, 3)
                access.write([chunks[index] for index in indexes])
                model |= {(document, version, index) for index in indexes}
            if step % 10 == 9:
                access.settle()
                access.close()
                access = open_access()
            assert access.count(where) == sum(key[:2] == (document, version) for key in model)
            stored = list(access.scan(content=False))
            assert len(stored) == len(model)
            assert {
                (item.chunk.document_id, item.version, item.chunk.index) for item in stored
            } == model

    def test_closing_is_safe_twice_and_keeps_everything(
        self, access: StoreAccess, open_access: OpenAccess
    ) -> None:
        """A write is there after closing, without any flush."""
        access.write(records("a", "v1", 3))
        access.close()
        access.close()
        access = open_access()
        assert access.count() == 3
        assert len(access.search(dense_vectors(1)[0], k=9)) == 3

    def test_threads_share_it(self, access: StoreAccess) -> None:
        """Several threads write, search and count through one store."""

        def work(number: int) -> int:
            access.write(records(f"d{number}", "v1", 5, seed=number))
            where = (AnyOf("document_id", (f"d{number}",)),)
            assert access.search(dense_vectors(5, seed=number)[0], k=1, where=where)
            return access.count(where)

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(work, range(12))) == [5] * 12
        assert access.count() == 60

    def test_several_writers(self, access: StoreAccess, open_access: OpenAccess) -> None:
        """Stores of one collection that write at once, where `many_writers` says so."""
        if not access.capabilities.many_writers:
            pytest.skip("the store takes one writer at a time")
        others = [open_access() for _ in range(3)]

        def work(number: int) -> None:
            for step in range(5):
                others[number].write(records(f"d{number}-{step}", "v1", 4))
                others[number].delete((AnyOf("document_id", (f"d{number}-{step - 1}",)),))

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(work, range(3)))
        assert access.count() == 12
        assert {item.chunk.document_id for item in access.scan()} == {"d0-4", "d1-4", "d2-4"}


def _fields(record: Record) -> tuple[str, int, int, int, str, int, str]:
    chunk = record.chunk
    return (
        *(chunk.document_id, chunk.index, chunk.start, chunk.end),
        *(record.version, record.chunk_count, record.root),
    )


def _bare(record: Record) -> Record:
    """As a scan without vectors gives it back."""
    return replace(record, vectors=Vectors())


def _unit(rows: FloatArray) -> FloatArray:
    unit: FloatArray = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit
