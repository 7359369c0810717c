"""The Chroma store: the shared contract, what others read, and every way to fail."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import numpy as np
import pytest

pytest.importorskip("chromadb")

import chromadb

from jina_adapters.chroma import ChromaStore
from jina_integrations import Embedder
from jina_integrations.errors import (
    CollectionNotFoundError,
    InvalidInputError,
    InvalidSettingError,
    StoreAccessDeniedError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    StoreUnavailableError,
    UnsupportedByStoreError,
)
from jina_integrations.stores import AnyOf, NoneOf, Range, open_store
from jina_integrations.stores.access import StoreAccess
from jina_integrations.stores.filters import matches, parse_filters
from jina_integrations.testing import (
    INFO,
    FullDiskContract,
    KilledWriterContract,
    StoreContract,
    dense_vectors,
    records,
)
from tests.samples import collection, document

KEY = "a-secret-key"


@pytest.fixture(scope="module")
def port(tmp_path_factory, chroma_serving):
    with chroma_serving(tmp_path_factory.mktemp("server")) as (port, _):
        yield port


@pytest.fixture
def folder(tmp_path):
    return f"chroma:{tmp_path}/index#handbook"


def accessing(address, **options):
    """A store as the core uses it, closed at the end of the block."""
    return closing(StoreAccess(open_store(address), **options))


def fill(address):
    with accessing(address) as access:
        access.create(INFO)
        access.write(records("a", "v1", 3, metadata={"lang": "en"}))
        access.write(records("b", "v1", 3, seed=1, metadata={"lang": "fr"}))


@pytest.fixture
def filled(folder):
    fill(folder)
    return folder


@pytest.fixture
def indexed(folder):
    """More chunks than Chroma keeps without writing its index (`sync_threshold`)."""
    with accessing(folder) as access:
        access.create(INFO)
        access.write(records("a", "v1", 1200))
    return folder


class TestFolder(StoreContract):
    @pytest.fixture
    def open_store(self, folder):
        return lambda: open_store(folder)


class TestServer(StoreContract):
    @pytest.fixture
    def open_store(self, port):
        name = uuid.uuid4().hex
        return lambda: open_store(f"chroma+http://127.0.0.1:{port}/{name}")


class TestKilled(KilledWriterContract):
    @pytest.fixture
    def address(self, folder):
        return folder


class TestKilledClient(KilledWriterContract):
    @pytest.fixture
    def address(self, port):
        return f"chroma+http://127.0.0.1:{port}/{uuid.uuid4().hex}"


class TestFullDisk(FullDiskContract):
    kind = "chroma"


class TestLayout:
    def test_records_are_langchains(self, folder, tmp_path):
        (_, record) = records("b", "v1", 2, metadata={"lang": "fr"})
        record = replace(
            record, chunk=replace(record.chunk, headings=("Ü", "b"), page=1, page_end=2)
        )
        with accessing(folder) as access:
            access.create(INFO)
            access.write([record])
        with chromadb.PersistentClient(tmp_path / "index") as client:
            collection = client.get_collection("handbook", embedding_function=None)
            assert collection.configuration_json["hnsw"]["space"] == "cosine"
            found = collection.get(include=["documents", "metadatas", "embeddings"])
        assert uuid.UUID(found["ids"][0]).version == 5
        assert found["documents"] == [record.chunk.text]
        assert found["metadatas"] == [
            {
                "lang": "fr",
                "document_id": "b",
                "document_version": "v1",
                "chunk_index": 1,
                "chunk_count": 2,
                "start": record.chunk.start,
                "end": record.chunk.end,
                "headings": ["Ü", "b"],
                "page": 1,
                "page_end": 2,
            }
        ]
        np.testing.assert_allclose(found["embeddings"][0], record.vectors.dense, atol=1e-6)

    def test_langchain_reads_it(self, folder, tmp_path):
        pytest.importorskip("langchain_chroma")
        from langchain_chroma import Chroma
        from langchain_core.embeddings import Embeddings

        class Known(Embeddings):
            def embed_documents(self, texts):
                return [self.embed_query(text) for text in texts]

            def embed_query(self, text):
                return dense_vectors(3, seed=1)[2].tolist()

        fill(folder)
        with accessing(folder) as access:
            (record,) = records("c", "v1", 1, seed=5, metadata={"lang": "de"})
            access.write([replace(record, chunk=replace(record.chunk, headings=("A", "B")))])
        theirs = Chroma("handbook", Known(), persist_directory=str(tmp_path / "index"))
        ((document, distance),) = theirs.similarity_search_with_score("anything", k=1)
        assert document.page_content == records("b", "v1", 3)[2].chunk.text
        assert document.metadata["document_id"] == "b"
        assert distance == pytest.approx(0.0, abs=1e-5)
        found = theirs.similarity_search("anything", k=9, filter={"lang": "en"})
        assert [hit.metadata["document_id"] for hit in found] == ["a", "a", "a"]
        (found,) = theirs.similarity_search("anything", k=9, filter={"lang": "de"})
        assert found.metadata["headings"] == ["A", "B"]
        with accessing(folder) as access:  # their opening left our settings alone
            assert access.describe() == INFO
        theirs._client.close()

    def test_llama_index_reads_it(self, filled, tmp_path):
        pytest.importorskip("llama_index.vector_stores.chroma")
        from llama_index.core.vector_stores import (
            MetadataFilter,
            MetadataFilters,
            VectorStoreQuery,
        )
        from llama_index.vector_stores.chroma import ChromaVectorStore

        with chromadb.PersistentClient(tmp_path / "index") as client:
            store = ChromaVectorStore(client.get_collection("handbook", embedding_function=None))
            query = dense_vectors(3, seed=1)[2].tolist()
            found = store.query(VectorStoreQuery(query_embedding=query, similarity_top_k=1))
            assert found.nodes[0].text == records("b", "v1", 3)[2].chunk.text
            assert found.nodes[0].metadata["document_id"] == "b"
            english = MetadataFilters(filters=[MetadataFilter(key="lang", value="en")])
            found = store.query(
                VectorStoreQuery(query_embedding=query, similarity_top_k=9, filters=english)
            )
            assert [node.metadata["document_id"] for node in found.nodes] == ["a", "a", "a"]

    def test_what_is_remembered_leaves_the_rest_alone(self, filled, tmp_path):
        with chromadb.PersistentClient(tmp_path / "index") as client:
            collection = client.get_collection("handbook", embedding_function=None)
            collection.modify(metadata={**collection.metadata, "owner": "x"})
            before = collection.configuration_json
        changed = replace(INFO, recipe={"model": "another"})
        with accessing(filled) as access:
            access.remember(changed)
        with chromadb.PersistentClient(tmp_path / "index") as client:
            collection = client.get_collection("handbook", embedding_function=None)
            assert collection.metadata["owner"] == "x"
            assert collection.configuration_json == before
            assert before["hnsw"]["space"] == "cosine"


class TestFilters:
    @pytest.mark.parametrize("key", ["$and", "#document", "chroma:document"])
    def test_keys_that_chroma_keeps_for_itself(self, folder, key):
        with accessing(folder) as access:
            access.create(INFO)
            with pytest.raises(InvalidInputError, match=r"'bad'.*begins with"):
                access.write(records("good", "v1", 1) + records("bad", "v1", 1, metadata={key: 1}))
            with pytest.raises(InvalidInputError, match="begins with"):
                access.search(dense_vectors(1)[0], k=1, where=(AnyOf(key, (1,)),))
            assert access.count() == 0

    def test_numbers_that_chroma_cuts(self, folder):
        """chromadb 1.5.9 by itself finds 5 for 5.5, and the largest integer for 1e300."""
        values = [5, 5.5, 5.0, -5, -5.5, 0, 0.5, -0.5, 2**63 - 1, -(2**63), 1e300, -1e300]
        values += [2**53, 2**53 + 1, float(2**53), 2**60 + 1, float(2**60)]
        stored = {f"{row}": value for row, value in enumerate(values)}
        bounds = [*values, 4.5, -4.5, 1e19, -1e19]
        filters = [{"key": value} for value in values]
        filters += [{"key": {"not": value}} for value in values]
        filters += [{"key": bounds}, {"key": {"not": values[1:6]}}]
        filters += [{"key": {name: b}} for b in bounds for name in ("gt", "gte", "lt", "lte")]
        with accessing(folder) as access:
            access.create(INFO)
            for name, value in stored.items():
                access.write(records(name, "v1", 1, metadata={"key": value}))
            for wanted in filters:
                where = parse_filters(wanted)
                found = {record.chunk.document_id for record in access.scan(where)}
                expected = {
                    name for name, value in stored.items() if matches({"key": value}, where)
                }
                assert found == expected, wanted

    @pytest.mark.parametrize("shape", ["numbers", "cut numbers", "texts"])
    def test_as_many_values_as_it_takes(self, filled, shape):
        """12,000 ended the process by SIGSEGV when they were an `$or` of equalities."""
        with accessing(filled) as access:
            count = access.capabilities.max_values
            values = {
                "numbers": range(count),
                "cut numbers": [row + 0.5 for row in range(count)],
                "texts": map(str, range(count)),
            }[shape]
            values = tuple(values)
            query = dense_vectors(1)[0]
            for condition, found in ((AnyOf("lang", values), 0), (NoneOf("lang", values), 6)):
                assert access.count((condition,)) == found
                assert len(access.search(query, k=9, where=(condition,))) == found
            more = (AnyOf("lang", (*values, 1)),)
            with pytest.raises(InvalidInputError, match=f"takes {count}"):
                access.search(query, k=1, where=more)

    def test_what_chroma_cannot_do_is_said(self, filled):
        with accessing(filled) as access:
            for wanted in ({"lang": {"exists": True}}, {"lang": {"gte": "2024-05-01"}}):
                with pytest.raises(UnsupportedByStoreError, match="'lang'"):
                    access.count(parse_filters(wanted))
            assert access.count((Range("chunk_index", gte=1),)) == 4

    def test_any_k(self, filled):
        """10**11 was "out of range integral type conversion attempted"."""
        with accessing(filled) as access:
            query = dense_vectors(1)[0]
            assert len(access.search(query, k=access.capabilities.max_k)) == 6
            with pytest.raises(InvalidInputError, match="99999999999"):
                access.search(query, k=99_999_999_999)

    def test_no_write_is_larger_than_chroma_takes(self, tmp_path):
        with chromadb.PersistentClient(tmp_path / "index") as client:
            assert ChromaStore.capabilities.max_records <= client.get_max_batch_size()


class TestClients:
    def test_a_ready_client_stays_open(self, tmp_path):
        with chromadb.PersistentClient(tmp_path / "index") as client:
            with closing(StoreAccess(ChromaStore(client, "handbook"))) as access:
                access.create(INFO)
                assert not access.capabilities.many_writers
            assert client.count_collections() == 1

    def test_counting_fetches_no_content(self, filled, monkeypatch):
        """The metadata of 20,000 first chunks took 3.4 s of CPU to read."""
        fetched = []
        get = chromadb.Collection.get

        def noting(collection, *, include, **options):
            fetched.extend(include)
            return get(collection, include=include, **options)

        monkeypatch.setattr(chromadb.Collection, "get", noting)
        with accessing(filled) as access:
            assert access.count((AnyOf("chunk_index", (0,)),)) == 2
            assert access.count() == 6
        assert fetched == []

    def test_another_client_is_refused(self):
        with pytest.raises(InvalidInputError, match="object"):
            ChromaStore(object(), "handbook")

    def test_another_programs_collection_is_refused(self, tmp_path):
        with chromadb.PersistentClient(tmp_path / "index") as client:
            client.create_collection("theirs", metadata={"owner": "x"}, embedding_function=None)
            client.create_collection(
                "garbled", metadata={"jina_integrations": "{"}, embedding_function=None
            )
            access = StoreAccess(ChromaStore(client, "theirs"))
            with pytest.raises(CollectionNotFoundError, match="another collection name"):
                access.describe()
            with pytest.raises(CollectionNotFoundError, match="another collection name"):
                access.create(INFO)
            with pytest.raises(StoreCorruptError, match="new collection"):
                StoreAccess(ChromaStore(client, "garbled")).describe()

    def test_reading_a_missing_folder_makes_nothing(self, tmp_path):
        with accessing(f"chroma:{tmp_path}/typo#handbook") as access:
            assert access.describe() is None
            access.drop()
            with pytest.raises(CollectionNotFoundError):
                access.search(dense_vectors(1)[0], k=1)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["x", "-abc", "a b c", "x" * 513, "handbook.", "käse"])
    def test_a_name_that_chroma_refuses(self, tmp_path, name):
        """Ours is its rule: what we refuse, it refuses."""
        with pytest.raises(InvalidSettingError, match="3 to 512"):
            open_store(f"chroma:{tmp_path}/index#{name}")
        with chromadb.EphemeralClient() as client, pytest.raises(Exception, match="3-512"):
            client.create_collection(name, embedding_function=None)

    def test_two_make_the_same_collection(self, port):
        address = f"chroma+http://127.0.0.1:{port}/{uuid.uuid4().hex}"
        with accessing(address) as first, accessing(address) as second:
            assert first.describe() is None
            assert second.describe() is None
            first.create(INFO)
            second.create(INFO)
            second.write(records("a", "v1", 1))
            assert first.count() == 1

    def test_a_collection_dropped_under_us(self, port):
        name = uuid.uuid4().hex
        with accessing(f"chroma+http://127.0.0.1:{port}/{name}") as access:
            access.create(INFO)
            chromadb.HttpClient("127.0.0.1", port).delete_collection(name)
            with pytest.raises(CollectionNotFoundError, match="does not exist"):
                access.count((AnyOf("document_id", ("a",)),))


_OTHER_WRITER = """
import sys
from jina_integrations.stores import open_store
from jina_integrations.stores.access import StoreAccess
from jina_integrations.testing import INFO, records
access = StoreAccess(open_store(sys.argv[1]))
access.create(INFO)
access.write(records(sys.argv[2], "v1", int(sys.argv[3]), seed=7))
print("written", flush=True)
sys.stdin.read()
access.close()
"""


def other_writer(address, document, count):
    """A process that writes a document of seed 7, says so, and holds the folder until it is
    told to end."""
    return subprocess.Popen(
        [sys.executable, "-c", _OTHER_WRITER, address, document, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


class TestTwoProcesses:
    def test_two_that_make_a_folder(self, folder):
        """Both finish, or the second is told who has it; it was "table collections exists"."""
        with other_writer(folder, "a", 10) as first, other_writer(folder, "b", 10) as second:
            outputs = [process.stdout.readline() for process in (first, second)]
            for process in (first, second):
                process.stdin.close()
        assert sorted(outputs) == ["", "written\n"]
        with accessing(folder) as access:
            assert access.count() == 10

    def test_a_second_writer_is_told_who_holds_it(self, filled):
        """Chroma itself lets both write, and the last index to be saved lacks vectors."""
        with other_writer(filled, "other", 3) as process, accessing(filled) as access:
            assert process.stdout.readline() == "written\n"
            assert access.count() == 9
            for change in (
                lambda: access.write(records("c", "v1", 1)),
                lambda: access.delete(()),
                lambda: access.remember(INFO),
                access.drop,
            ):
                with pytest.raises(StoreLockedError, match=f"process {process.pid} on "):
                    change()
            process.stdin.close()
            process.wait()
            access.write(records("c", "v1", 1))
            assert access.count() == 10

    def test_releasing_lets_others_write(self, filled):
        with accessing(filled) as first, accessing(filled) as second:
            first.write(records("c", "v1", 1))
            with pytest.raises(StoreLockedError, match=f"process {os.getpid()} on "):
                second.write(records("d", "v1", 1))
            first.release()
            second.write(records("d", "v1", 1))
            second.release()
            first.write(records("e", "v1", 1))
            assert first.count() == second.count() == 9

    def test_a_folder_that_is_gone_can_be_closed(self, filled, tmp_path):
        with accessing(filled) as access:
            access.write(records("c", "v1", 1))
            shutil.rmtree(tmp_path / "index")
            access.release()

    def test_a_few_chunks_of_another_process_are_found(self, filled):
        """Too few to be saved in the index: the engine keeps them in its database only."""
        vectors = dense_vectors(3, seed=7)
        with accessing(filled) as access:
            assert len(access.search(vectors[0], k=99)) == 6
            for number in range(2):
                with other_writer(filled, f"new {number}", 3) as process:
                    assert process.stdout.readline() == "written\n"
                    process.stdin.close()
                assert len(access.search(vectors[0], k=99)) == 6 + 3 * (number + 1)
                assert len(list(access.scan(vectors=True))) == 6 + 3 * (number + 1)

    @pytest.mark.parametrize("count", [3, 2500])
    def test_what_a_killed_process_wrote_is_found(self, filled, count):
        """Nobody tells that it has written, and the engine finds that its own index lacks ids."""
        with accessing(filled) as access, other_writer(filled, "new", count) as process:
            assert process.stdout.readline() == "written\n"
            assert access.count() == 6 + count  # as one who has looked before the end
            process.kill()
            process.wait()
            assert len(list(access.scan(vectors=True))) == 6 + count
            assert len(access.search(dense_vectors(1)[0], k=9999)) == 6 + count

    def test_chunks_of_another_program_are_found(self, filled, tmp_path):
        """Which takes no lock of ours, and tells nobody."""
        with accessing(filled) as access:
            assert len(access.search(dense_vectors(1)[0], k=99)) == 6
            with closing(chromadb.PersistentClient(tmp_path / "index")) as client:
                store = ChromaStore(client, "handbook")
                store.write(records("new", "v1", 3))
            assert len(list(access.scan(vectors=True))) == 9

    def test_readers_do_not_disturb_each_other(self, filled):
        """An engine is started anew where somebody has written, not where somebody has read."""
        with accessing(filled) as first, accessing(filled) as second:
            query = dense_vectors(1)[0]
            engines = set()
            for access in (first, second) * 3:
                assert len(access.search(query, k=99)) == 6
                engines.add(id(access.store._connection.opened()))
            assert len(engines) == 2

    def test_dropping_lets_others_write(self, filled):
        with accessing(filled) as first, accessing(filled) as second:
            first.drop()
            second.create(INFO)
            second.write(records("d", "v1", 1))
            assert second.count() == 1

    def test_what_another_process_wrote_is_found(self, filled):
        """An engine that is open keeps its old index, and would save it over the new one."""
        vectors = dense_vectors(2500, seed=7)
        with accessing(filled) as access:
            assert len(access.search(vectors[0], k=1)) == 1
            with other_writer(filled, "new", 2500) as process:
                assert process.stdout.readline() == "written\n"
                process.stdin.close()
            for row in (0, 1200, 2499):
                assert access.search(vectors[row], k=1)[0].chunk.index == row
            access.write(records("mine", "v1", 1500, seed=8))
        with accessing(filled) as access:
            found = [access.search(vector, k=1)[0].chunk for vector in vectors[::100]]
            assert [(chunk.document_id, chunk.index) for chunk in found] == [
                ("new", row) for row in range(0, 2500, 100)
            ]


class TestFolderFailures:
    def test_a_garbled_database(self, filled, tmp_path):
        (tmp_path / "index/chroma.sqlite3").write_bytes(b"garbage" * 1000)
        for _ in range(2):
            with accessing(filled) as access, pytest.raises(StoreCorruptError):
                access.describe()

    def test_a_cut_database(self, filled, tmp_path):
        with (tmp_path / "index/chroma.sqlite3").open("r+b") as database:
            database.truncate(5000)
        with accessing(filled) as access, pytest.raises(StoreCorruptError):
            access.describe()

    def test_a_garbled_vector_index(self, indexed, tmp_path):
        (pickled,) = (tmp_path / "index").glob("*/index_metadata.pickle")
        pickled.write_bytes(b"garbage")
        with accessing(indexed) as access, pytest.raises(StoreCorruptError):
            access.search(dense_vectors(1)[0], k=1)

    def test_a_lost_vector_index(self, indexed, tmp_path):
        """SQLite counts the chunks all the same; the core looks at a few vectors to notice."""
        for index in (tmp_path / "index").glob("*/"):
            shutil.rmtree(index)
        with accessing(indexed) as access:
            assert access.count() == 1200
            with pytest.raises(StoreCorruptError, match="ingest again"):
                list(access.scan((AnyOf("chunk_index", (0, 5)),), content=False, vectors=True))
            with pytest.raises(StoreCorruptError, match="ingest again"):
                access.search(dense_vectors(1)[0], k=1, where=(AnyOf("chunk_index", (0, 5)),))

    def test_a_run_over_a_lost_vector_index(self, folder, tmp_path):
        """It took all documents for unchanged, and searches missed 93 % of their chunks."""
        documents = [
            document(f"d{number}", *(f"Part {part} of {number}." for part in range(100)))
            for number in range(12)
        ]
        embedder = Embedder("echo", dimensions=8)
        with collection(folder, embedder) as handbook:
            handbook.ingest(documents)
        for index in (tmp_path / "index").glob("*/"):
            shutil.rmtree(index)
        with collection(folder, embedder) as handbook:
            with pytest.raises(StoreCorruptError, match="ingest again"):
                handbook.ingest(documents)
            lost = handbook.verify(repair=True).to_ingest
            assert handbook.ingest(documents).documents_embedded == len(lost) >= 10
            assert handbook.verify().ok

    def test_a_lost_vector_index_is_mended_by_writing_again(self, indexed, tmp_path):
        for index in (tmp_path / "index").glob("*/"):
            shutil.rmtree(index)
        with accessing(indexed) as access:
            access.write(records("a", "v1", 1200))
            where = (AnyOf("document_id", ("a",)),)
            assert len(list(access.scan(where, vectors=True))) == 1200
            first = access.search(dense_vectors(1200)[700], k=1)[0].chunk
            assert (first.document_id, first.index) == ("a", 700)

    def test_what_is_still_lost_is_no_other_process(self, folder, tmp_path):
        with accessing(folder) as access:
            access.create(INFO)
            access.write(records("lost", "v1", 1200))
        for index in (tmp_path / "index").glob("*/"):
            shutil.rmtree(index)
        with accessing(folder) as access:
            access.write(records("new", "v1", 1200))  # which writes the index anew
            where = (AnyOf("document_id", ("lost",)), AnyOf("chunk_index", (0, 5)))
            with pytest.raises(StoreCorruptError, match="ingest again"):
                list(access.scan(where, vectors=True))

    def test_a_file_in_the_folders_place(self, tmp_path):
        (tmp_path / "index").write_text("a file")
        with accessing(f"chroma:{tmp_path}/index#handbook") as access:
            for call in (access.describe, lambda: access.create(INFO)):
                with pytest.raises(StoreError, match="check the path"):
                    call()

    @pytest.mark.parametrize(
        ("words", "kind"),
        [
            ("(code: 13) database or disk is full", StoreFullError),
            ("(code: 5) database is locked", StoreUnavailableError),
            ("(code: 14) unable to open database file", StoreAccessDeniedError),
            ("(code: 11) database disk image is malformed", StoreCorruptError),
            ("(code: 1032) attempt to write a readonly database", StoreAccessDeniedError),
            ("No space left on device (os error 28)", StoreFullError),
        ],
    )
    def test_codes_of_sqlite_and_the_system(self, folder, words, kind):
        error = chromadb.errors.InternalError(f"error returned from database: {words}")
        assert type(open_store(folder).explain(error)) is kind

    def test_a_cause_that_chroma_hides(self, folder, tmp_path, monkeypatch):
        """Only where it gives no cause, and the disk is full, is that taken for the cause."""
        (tmp_path / "index").mkdir()
        hidden = chromadb.errors.InternalError("Error in compaction: Failed to apply logs")
        known = chromadb.errors.InternalError("error returned from database: (code: 11) malformed")
        store = open_store(folder)
        assert type(store.explain(hidden)) is StoreError
        usage = shutil.disk_usage(tmp_path)._replace(free=2**20)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        assert type(store.explain(hidden)) is StoreFullError
        assert type(store.explain(known)) is StoreCorruptError
        assert type(store.explain(ValueError("wrong value"))) is StoreError

    def test_a_filename_is_no_wrong_setting(self, folder):
        """Any error with "name" in it ended a run as a wrong setting."""
        error = open_store(folder).explain(chromadb.errors.InvalidArgumentError("bad filename"))
        assert type(error) is StoreError


_SEARCHER = """
import sys
from jina_integrations.errors import JinaIntegrationsError
from jina_integrations.stores import open_store
from jina_integrations.stores.access import StoreAccess
from jina_integrations.testing import dense_vectors, records
try:
    access = StoreAccess(open_store(sys.argv[1]))
    print("found", len(access.search(dense_vectors(1)[0], k=9)), access.count())
    access.write(records("c", "v1", 1))
except JinaIntegrationsError as exc:
    print(type(exc).__name__, exc)
access.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mounts and users are Linux's")
class TestFoldersThatMayOnlyBeRead:
    def run(self, address, *prefix):
        command = [*prefix, sys.executable, "-c", _SEARCHER, address]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 77 or done.stderr.startswith("unshare"):
            pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()[-200:]}")
        assert done.returncode == 0, done.stderr
        return done

    def test_a_read_only_mount_is_searched(self, filled, tmp_path):
        folder = tmp_path / "index"
        before = sorted(folder.rglob("*"))
        mount = f'mount --bind "{folder}" "{folder}" && mount -o remount,bind,ro "{folder}" || '
        unshare = shutil.which("unshare") or pytest.skip("needs unshare(1)")
        done = self.run(filled, unshare, "-Urm", "sh", "-c", mount + 'exit 77; exec "$@"', "sh")
        assert "found 6 6" in done.stdout
        assert "StoreAccessDeniedError" in done.stdout
        assert "searching a copy" in done.stderr
        assert sorted(folder.rglob("*")) == before

    def test_another_users_folder(self, filled, tmp_path):
        if os.geteuid() != 0:
            pytest.skip("needs root, to be somebody else")
        folder = tmp_path / "index"
        for path in (tmp_path, *tmp_path.parents[:-2]):
            path.chmod(path.stat().st_mode | 0o055)
        somebody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
        shutil.which("setpriv") or pytest.skip("needs setpriv(1)")
        done = self.run(filled, *somebody)
        assert "found 6 6" in done.stdout
        assert "StoreAccessDeniedError" in done.stdout
        folder.chmod(0o700)
        done = self.run(filled, *somebody)
        assert done.stdout.startswith("StoreAccessDeniedError")
        assert "permissions" in done.stdout


class Gate(BaseHTTPRequestHandler):
    """A proxy's gate, as people put one before Chroma, whose own server checks no key."""

    seen: ClassVar[list[str | None]] = []

    def do_GET(self):
        self.seen.append(self.headers.get("x-chroma-token"))
        self.send_response(403)
        self.end_headers()
        self.wfile.write(f"no entry for {self.seen[-1]}".encode())

    def log_message(self, *_):
        pass


class TestServerFailures:
    def test_nobody_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        access = StoreAccess(open_store(f"chroma+http://127.0.0.1:{port}/handbook"))
        with pytest.raises(StoreUnavailableError, match=f"{port}.*is it up"):
            access.describe()

    def test_a_server_that_never_answers(self):
        """chromadb's client waits without end, and has no setting for it."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            store = open_store(f"chroma+http://127.0.0.1:{server.getsockname()[1]}/handbook")
            assert store.capabilities.time_limit_s == 60.0
            store.capabilities = replace(store.capabilities, time_limit_s=0.2)
            with pytest.raises(StoreUnavailableError, match=r"no answer within 0\.2 s"):
                StoreAccess(store).describe()

    def test_a_server_that_dies_and_comes_back(self, tmp_path, chroma_serving):
        """Calls in between are made again until it answers; without it they say what is wrong."""
        with chroma_serving(tmp_path / "server") as (port, server):
            access = StoreAccess(
                open_store(f"chroma+http://127.0.0.1:{port}/handbook"), total_timeout_s=0.2
            )
            access.create(INFO)
            access.write(records("a", "v1", 2))
            server.kill()
            server.wait()
            for call in (
                lambda: access.write(records("b", "v1", 2)),
                lambda: access.delete((AnyOf("document_id", ("a",)),)),
                lambda: access.search(dense_vectors(1)[0], k=1),
                lambda: list(access.scan()),
                access.count,
            ):
                with pytest.raises(StoreUnavailableError, match="is it up"):
                    call()
        patient = StoreAccess(access.store)
        done = threading.Event()

        def write():
            patient.describe()
            patient.write(records("b", "v1", 2))
            done.set()

        patient._has_answered = True
        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.3)
        assert not done.is_set()
        with chroma_serving(tmp_path / "server", port=port):
            thread.join(60)
            assert patient.count() == 4
        patient.close()

    def test_the_key_is_sent_and_never_shown(self, monkeypatch):
        with HTTPServer(("127.0.0.1", 0), Gate) as gate:
            threading.Thread(target=gate.serve_forever, daemon=True).start()
            address = f"chroma+http://127.0.0.1:{gate.server_port}/handbook"
            monkeypatch.setenv("CHROMA_API_KEY", KEY)
            access = StoreAccess(open_store(address))
            with pytest.raises(StoreAccessDeniedError, match="check CHROMA_API_KEY") as wrong:
                access.describe()
            assert Gate.seen == [KEY]
            assert KEY not in f"{wrong.value!r} {vars(access.store)!r}"
            monkeypatch.delenv("CHROMA_API_KEY")
            with pytest.raises(StoreAccessDeniedError, match="set CHROMA_API_KEY"):
                StoreAccess(open_store(address)).describe()
            assert Gate.seen == [KEY, None]
            gate.shutdown()

    @pytest.mark.parametrize("key", ["secret\n", " secret", "sécret"])
    def test_a_key_that_no_header_takes(self, monkeypatch, key):
        monkeypatch.setenv("CHROMA_API_KEY", key)
        with pytest.raises(InvalidSettingError, match="CHROMA_API_KEY") as caught:
            StoreAccess(open_store("chroma+http://127.0.0.1:9/handbook")).describe()
        assert "ret" not in str(caught.value)

    def test_something_else_answers(self, tmp_path):
        command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as server:
            port = int(server.stdout.readline().split("port ")[1].split()[0])
            access = StoreAccess(open_store(f"chroma+http://127.0.0.1:{port}/handbook"))
            try:
                with pytest.raises(StoreError, match="another server answers"):
                    access.describe()
            finally:
                server.kill()
