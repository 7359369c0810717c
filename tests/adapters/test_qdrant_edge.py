"""`QdrantEdgeStore`: the shared contract, what is in its folder, and every way to fail."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("qdrant_edge")

import qdrant_edge as engine

from jina_adapters.qdrant import QdrantEdgeStore, shards
from jina_integrations.errors import (
    CollectionNotFoundError,
    InvalidInputError,
    InvalidSettingError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    UnsupportedByStoreError,
)
from jina_integrations.stores import AnyOf, NoneOf, Range, collection_folder
from jina_integrations.stores import open_store as open_address
from jina_integrations.stores.access import StoreAccess
from jina_integrations.stores.filters import parse_filters
from jina_integrations.testing import (
    DIMENSIONS,
    INFO,
    FullDiskContract,
    KilledWriterContract,
    StoreContract,
    dense_vectors,
    records,
)

QUERY = dense_vectors(1)[0]


@pytest.fixture
def address(tmp_path):
    return f"qdrant-edge:{tmp_path}/index#handbook"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "index" / "handbook"


@contextlib.contextmanager
def opened(address):
    with contextlib.closing(StoreAccess(open_address(address))) as access:
        yield access


@pytest.fixture
def filled(address):
    with opened(address) as access:
        access.create(INFO)
        access.write(records("a", "v1", 3, metadata={"lang": "en"}))
        access.write(records("b", "v1", 3, seed=1, metadata={"lang": "fr"}))
    return address


class TestStore(StoreContract):
    @pytest.fixture
    def open_store(self, address):
        return lambda: open_address(address)


class TestStoreInSegmentsWithGraphs(StoreContract):
    """As in a large collection: graphs, and several segments, from the first chunks on."""

    @pytest.fixture
    def open_store(self, address, monkeypatch):
        monkeypatch.setattr(shards, "EXACT_BYTES", 1024)
        monkeypatch.setattr(shards, "SEGMENT_BYTES", 8 * 1024)
        small = replace(QdrantEdgeStore.capabilities, settle_bytes=8 * 1024)
        monkeypatch.setattr(QdrantEdgeStore, "capabilities", small)
        return lambda: open_address(address)


class TestKilled(KilledWriterContract):
    is_shared = False

    @pytest.fixture
    def address(self, tmp_path):
        return f"qdrant-edge:{tmp_path}/index#handbook"


class TestFullDisk(FullDiskContract):
    kind = "qdrant-edge"
    small = "160m"  # of which 128 MiB are kept free
    large = "400m"


class TestFolder:
    def test_a_collection_is_a_folder(self, filled, folder):
        assert {path.name for path in folder.iterdir()} == {
            "info.json",
            "shard",
            "jina-integrations.lock",
            "jina-integrations.holder",
        }
        assert json.loads((folder / "info.json").read_text())["recipe"] == INFO.recipe
        assert [path.name for path in folder.parent.iterdir()] == ["handbook"]

    def test_points_are_laid_out_as_langchain_reads_them(self, filled, folder):
        shard = engine.EdgeShard.load(str(folder / "shard"))
        points, _ = shard.scroll(engine.ScrollRequest(limit=9, with_payload=True))
        shard.close()
        payload = next(point.payload for point in points if "chunk 1 of b" in str(point.payload))
        assert payload["page_content"] == "chunk 1 of b at v1"
        assert payload["metadata"]["lang"] == "fr"
        assert payload["metadata"]["document_id"] == "b"

    def test_a_write_is_on_the_disk_when_it_returns(self, filled, folder, tmp_path):
        """A copy of the files, as a power cut may leave them but for the log, has the points."""
        with opened(filled) as access:
            access.write(records("c", "v1", 3))
            assert access.delete((AnyOf("document_id", ("a",)),)) == 3
            shutil.copytree(folder / "shard", tmp_path / "copy")
            shutil.rmtree(tmp_path / "copy" / "wal")
        shard = engine.EdgeShard.load(str(tmp_path / "copy"))
        assert shard.count(engine.CountRequest()) == 6
        shard.close()

    def test_reading_a_missing_folder_makes_nothing(self, tmp_path, address):
        with opened(address) as access:
            assert access.describe() is None
            access.drop()
            with pytest.raises(CollectionNotFoundError):
                access.settle()
        assert list(tmp_path.iterdir()) == []

    def test_collections_of_a_folder_do_not_meet(self, filled, tmp_path):
        with opened(f"qdrant-edge:{tmp_path}/index#other") as other, opened(filled) as access:
            other.create(INFO)
            other.write(records("a", "v1", 1))
            access.drop()
            assert other.count() == 1

    @pytest.mark.parametrize(
        ("folder", "collection", "error"),
        [
            (5, "c", InvalidInputError),
            ("index", "a/b", InvalidSettingError),
            ("index", "", InvalidSettingError),
            ("index", "..", InvalidSettingError),
        ],
    )
    def test_names_that_are_none(self, folder, collection, error):
        with pytest.raises(error, match=r"path|collection"):
            QdrantEdgeStore(folder, collection)

    def test_keys_that_qdrants_paths_cannot_name(self, address):
        with opened(address) as access:
            access.create(INFO)
            access.write(records("a", "v1", 2, metadata={'a"b': True}))
            assert len(access.search(QUERY, k=9, where=parse_filters({'a"b': True}))) == 2
            with pytest.raises(UnsupportedByStoreError, match="quote"):
                access.search(QUERY, k=9, where=parse_filters({'a"b': {"gte": 1}}))

    def test_an_index_sees_both_upper_bounds(self, address):
        """The engine's index forgets one of ``lt`` and ``lte``, and of ``gt`` and ``gte``."""
        with opened(address) as access:
            access.create(INFO)
            for number in range(6):
                access.write(records(f"d{number}", "v1", 1, metadata={"n": number}))
            assert access.count((Range("n", gt=1, gte=3, lt=9, lte=4),)) == 2
            assert access.count((Range("n", gt=3, gte=1, lt=5, lte=9),)) == 1

    def test_a_key_with_numbers_and_dates(self, address):
        """An index of numbers answers ranges of dates wrongly, so these have a field each."""
        with opened(address) as access:
            access.create(INFO)
            for row, value in enumerate((5, 2**53, "2024-05-01", "soon")):
                access.write(records(f"d{row}", "v1", 1, metadata={"key": value}))
            for filters, count in (
                ({"key": {"gte": 0}}, 2),
                ({"key": {"gte": "2000-01-01"}}, 1),
                ({"key": {"gte": 6}}, 1),
                ({"key": {"exists": True}}, 4),
            ):
                assert access.count(parse_filters(filters)) == count


class TestSharing:
    def test_stores_of_a_process_share_the_shard(self, filled):
        with opened(filled) as first, opened(filled) as second:
            assert second.count() == 6
            first.write(records("c", "v1", 2))
            assert second.count((AnyOf("document_id", ("c",)),)) == 2
            first.close()
            assert second.count() == 8
        with opened(filled) as access:
            assert access.count() == 8

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
    def test_a_fork_is_another_process(self, filled):
        """It waits for no thread of the parent's engine, and closes nothing of it as it ends."""
        with opened(filled) as access:
            assert access.count() == 6
            child = os.fork()
            if not child:
                signal.alarm(20)  # instead of waiting for ever
                status = 1
                try:
                    with pytest.raises(StoreLockedError), opened(filled) as forked:
                        forked.count()
                    access.store.close()  # as happens at the end of a process
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert access.count() == 6

    def test_a_forgotten_store_lets_go(self, filled):
        store = open_address(filled)
        assert store.count(()) == 6
        del store
        with opened(filled) as access:
            access.drop()
        assert collection_folder._opened == {}

    def test_another_store_drops_it(self, filled):
        with opened(filled) as first, opened(filled) as second:
            assert second.count() == 6
            first.drop()
            with pytest.raises(CollectionNotFoundError):
                second.count()
            first.create(INFO)
            assert second.count() == 0

    def test_searches_while_the_graph_is_built(self, address, monkeypatch):
        monkeypatch.setattr(shards, "EXACT_BYTES", 1024)
        with opened(address) as writer, opened(address) as reader:
            writer.create(INFO)
            writer.write(records("a", "v1", 4000))
            settling = threading.Thread(target=writer.settle)
            settling.start()
            searches = 0
            while settling.is_alive():
                assert len(reader.search(QUERY, k=5)) == 5
                searches += 1
            settling.join()
            assert searches > 0
            assert reader.count() == 4000

    def test_another_process_is_named(self, filled):
        """And may ask what the collection remembers, which is no part of the shard."""
        script = (
            "import sys; from jina_integrations.stores import open_store\n"
            "store = open_store(sys.argv[1]); print(store.count(()), flush=True); sys.stdin.read()"
        )
        command = [sys.executable, "-c", script, filled]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout.readline() == "6\n"
            with opened(filled) as access:
                assert access.describe() == INFO
                for call in (access.count, access.drop, lambda: access.remember(INFO)):
                    with pytest.raises(StoreLockedError, match=f"process {other.pid} on "):
                        call()
            other.kill()
        with opened(filled) as access:
            assert access.count() == 6

    def test_two_make_the_same_collection(self, address):
        with opened(address) as first, opened(address) as second:
            assert (first.describe(), second.describe()) == (None, None)
            first.create(INFO)
            second.create(replace(INFO, recipe={}))
            assert second.describe() == INFO
            second.write(records("a", "v1", 1))
            assert first.count() == 1


class TestFailures:
    @pytest.mark.parametrize("content", [b"", b"garbage", b"[]", b"\xff\xfe", b'{"recipe": 5}'])
    def test_a_garbled_info_file(self, filled, folder, content):
        (folder / "info.json").write_bytes(content)
        with opened(filled) as access, pytest.raises(StoreCorruptError, match="settings"):
            access.describe()

    def test_a_lost_info_file(self, filled, folder):
        """It does not look like an empty folder, which would be filled from the beginning."""
        (folder / "info.json").unlink()
        with opened(filled) as access:
            with pytest.raises(StoreCorruptError, match=r"info\.json is missing"):
                access.describe()
            with pytest.raises(StoreCorruptError, match=r"info\.json is missing"):
                access.create(INFO)
            access.drop()
            assert access.create(INFO) == INFO

    @pytest.mark.parametrize("loss", ["shard", "shard/segments"])
    def test_lost_points(self, filled, folder, loss):
        """The engine would replay the end of its log, and miss the rest."""
        shutil.rmtree(folder / loss)
        with opened(filled) as access:
            with pytest.raises(StoreCorruptError, match="points are missing"):
                access.search(QUERY, k=1)
            access.drop()
            assert access.describe() is None

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("segment.json", b"garbage"),
            ("edge_config.json", b"garbage"),
            ("version.info", b""),
            ("open-1", b""),
            ("vector_storage/vectors/status.dat", b""),  # over which the engine panics
            ("page_0.dat", None),
        ],
    )
    def test_garbled_points(self, filled, folder, name, content):
        for path in folder.rglob(f"**/{name}"):
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content)
        with opened(filled) as access, pytest.raises(StoreCorruptError, match="backup"):
            access.count()
        with opened(filled) as access:
            access.drop()  # the lock is free again

    def test_a_folder_of_something_else(self, tmp_path, address):
        (tmp_path / "index/handbook").mkdir(parents=True)
        (tmp_path / "index/handbook/notes.txt").write_text("mine")
        with opened(address) as access, pytest.raises(StoreError, match="something else"):
            access.create(INFO)
        assert [path.name for path in (tmp_path / "index").iterdir()] == ["handbook"]
        assert (tmp_path / "index/handbook/notes.txt").read_text() == "mine"

    def test_a_file_in_the_folders_place(self, tmp_path, address):
        (tmp_path / "index").write_text("a file")
        with opened(address) as access:
            for call in (access.describe, lambda: access.create(INFO)):
                with pytest.raises(StoreError, match="path"):
                    call()

    def test_nothing_is_made_on_a_full_disk(self, tmp_path, address, monkeypatch):
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100 * 2**20))
        with opened(address) as access, pytest.raises(StoreFullError, match="space"):
            access.create(INFO)
        assert list((tmp_path / "index").iterdir()) == []

    def test_a_name_that_is_too_long(self, tmp_path):
        with (
            opened(f"qdrant-edge:{tmp_path}/index#{'x' * 300}") as access,
            pytest.raises(StoreError, match="long"),
        ):
            access.create(INFO)

    def test_nothing_is_written_where_the_system_would_end_the_process(self, filled, monkeypatch):
        """The engine maps its files: without room for a page of them comes a SIGBUS."""
        usage = shutil.disk_usage(Path(filled.partition(":")[2].rpartition("#")[0]))
        with opened(filled) as access:
            assert access.count() == 6
            monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100 * 2**20))
            for call in (
                lambda: access.write(records("c", "v1", 1)),
                lambda: access.delete(()),
                access.settle,
            ):
                with pytest.raises(StoreFullError, match="space"):
                    call()
            assert access.count() == 6

    def test_a_read_only_folder_is_searched_in_a_copy(self, filled, folder, another_user):
        files = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        (info, count, hits, *writes), log = another_user(filled)
        assert info == str(INFO)
        assert (count, hits) == ("6", "6")
        assert "searching a copy" in log
        assert len(writes) == 5
        assert all("StoreAccessDeniedError" in line for line in writes)
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == files

    def test_a_folder_of_another_user(self, filled, folder, another_user):
        folder.parent.chmod(0o700)
        lines, _ = another_user(filled)
        assert len(lines) == 8
        assert all("StoreAccessDeniedError" in line for line in lines)

    def test_no_room_for_a_copy(self, filled, monkeypatch):
        usage = shutil.disk_usage("/")
        monkeypatch.setattr(os, "access", lambda *_: False)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**20))
        with opened(filled) as access, pytest.raises(StoreFullError, match="space"):
            access.count()


_SETTLING_WRITER = """
import sys
from dataclasses import replace
from jina_adapters.qdrant import QdrantEdgeStore, shards
from jina_integrations.stores import open_store
from jina_integrations.stores.access import StoreAccess
from jina_integrations.testing import INFO, records

shards.EXACT_BYTES, shards.SEGMENT_BYTES = 8 * 1024, 40 * 1024
QdrantEdgeStore.capabilities = replace(QdrantEdgeStore.capabilities, settle_bytes=40 * 1024)
store = StoreAccess(open_store(sys.argv[1]))
if store.describe() is None:
    store.create(INFO)
for number in range(int(sys.argv[2]), 10_000):
    store.write(records(f"d{number}", "v1", 40, seed=number))
    print(number, flush=True)
"""


class TestLargeCollections:
    def test_a_kill_while_graphs_are_built_loses_nothing(self, address):
        """A graph every 11 documents, so that one is under way at many a moment."""
        written = 0
        for documents in (3, 14, 9):
            command = [sys.executable, "-c", _SETTLING_WRITER, address, str(written)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
                for line in writer.stdout:
                    if int(line) == written + documents:
                        writer.kill()
                written = int(line) + 1
            with opened(address) as access:
                names = tuple(f"d{number}" for number in range(written))
                assert access.count((AnyOf("document_id", names),)) == 40 * written
                for number in range(written):
                    (hit,) = access.search(dense_vectors(40, seed=number)[7], k=1)
                    assert (hit.chunk.document_id, hit.chunk.index) == (f"d{number}", 7)

    def test_it_is_settled_while_it_is_written(self, address, monkeypatch):
        """Else what was written last, which is kept in memory, grows with the run."""
        segment = replace(QdrantEdgeStore.capabilities, settle_bytes=40 * DIMENSIONS * 4)
        assert QdrantEdgeStore.capabilities.settle_bytes == shards.SEGMENT_BYTES
        monkeypatch.setattr(QdrantEdgeStore, "capabilities", segment)
        settled = []
        monkeypatch.setattr(shards.Shard, "settle", lambda shard: settled.append(shard))
        with opened(address) as access:
            access.create(INFO)
            for number in range(9):
                access.write(records(f"d{number}", "v1", 10))
        assert len(settled) == 2

    def test_filters_keep_their_recall_in_a_graph(self, address, monkeypatch):
        monkeypatch.setattr(shards, "EXACT_BYTES", 1024)
        with opened(address) as access:
            access.create(INFO)
            chunks = [
                item
                for row in range(300)
                for item in records(f"d{row}", "v1", 10, seed=row, metadata={"even": row % 2 == 0})
            ]
            access.write(chunks)
            access.settle()
            matrix = np.stack([item.vectors.dense for item in chunks])
            for where in ((AnyOf("even", (True,)),), (NoneOf("even", (True,)),)):
                wanted = isinstance(where[0], AnyOf)
                rows = [
                    row
                    for row, item in enumerate(chunks)
                    if (item.chunk.metadata["even"] is True) == wanted
                ]
                shared = 0
                for query in dense_vectors(10, seed=12345):
                    best = np.argsort(-(matrix[rows] @ query))[:10]
                    expected = {chunks[rows[index]].chunk for index in best}
                    shared += len(
                        expected & {h.chunk for h in access.search(query, k=10, where=where)}
                    )
                assert shared >= 90
