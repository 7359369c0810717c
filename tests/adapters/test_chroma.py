"""The Chroma store: the shared contract, what others read, and every way to fail."""

import socket
import subprocess
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import numpy as np
import pytest

pytest.importorskip("chromadb")

import chromadb

from jina_adapters.chroma import ChromaStore, connection
from jina_integrations.errors import (
    CollectionNotFoundError,
    InvalidInputError,
    InvalidSettingError,
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    StoreUnavailableError,
)
from jina_integrations.stores import open_store as open_location
from jina_integrations.testing import (
    INFO,
    FullDiskContract,
    KilledWriterContract,
    StoreContract,
    embedded,
    vectors,
)

KEY = "a-secret-key"


@pytest.fixture(scope="module")
def port(tmp_path_factory, chroma_serving):
    with chroma_serving(tmp_path_factory.mktemp("server")) as (port, _):
        yield port


@pytest.fixture
def folder(tmp_path):
    return f"chroma:{tmp_path}/index#handbook"


@pytest.fixture
def filled(folder):
    with open_location(folder) as store:
        store.create(INFO)
        store.write(embedded("a", "v1", 3, metadata={"lang": "en"}))
        store.write(embedded("b", "v1", 3, seed=1, metadata={"lang": "fr"}))
    return folder


class TestFolder(StoreContract):
    @pytest.fixture
    def open_store(self, folder):
        return lambda: open_location(folder)


class TestServer(StoreContract):
    @pytest.fixture
    def open_store(self, port):
        name = uuid.uuid4().hex
        return lambda: open_location(f"chroma+http://127.0.0.1:{port}/{name}")


class TestKilled(KilledWriterContract):
    @pytest.fixture
    def location(self, folder):
        return folder


class TestKilledClient(KilledWriterContract):
    @pytest.fixture
    def location(self, port):
        return f"chroma+http://127.0.0.1:{port}/{uuid.uuid4().hex}"


class TestFullDisk(FullDiskContract):
    kind = "chroma"


class TestLayout:
    def test_records_are_langchains(self, filled, tmp_path):
        with chromadb.PersistentClient(tmp_path / "index") as client:
            collection = client.get_collection("handbook", embedding_function=None)
            assert collection.configuration_json["hnsw"]["space"] == "cosine"
            found = collection.get(
                where={"$and": [{"document_id": "b"}, {"chunk_index": 1}]},
                include=["documents", "metadatas", "embeddings"],
            )
        assert uuid.UUID(found["ids"][0]).version == 5
        assert found["documents"] == ["chunk 1 of b at v1"]
        assert found["metadatas"] == [
            {
                "lang": "fr",
                "document_id": "b",
                "document_version": "v1",
                "chunk_index": 1,
                "chunk_count": 3,
                "start": 40,
                "end": 58,
            }
        ]
        np.testing.assert_allclose(found["embeddings"][0], vectors(3, seed=1)[1], atol=1e-6)

    def test_langchain_reads_it(self, filled, tmp_path):
        pytest.importorskip("langchain_chroma")
        from langchain_chroma import Chroma
        from langchain_core.embeddings import Embeddings

        class Known(Embeddings):
            def embed_documents(self, texts):
                return [self.embed_query(text) for text in texts]

            def embed_query(self, text):
                return vectors(3, seed=1)[2].tolist()

        theirs = Chroma("handbook", Known(), persist_directory=str(tmp_path / "index"))
        ((document, distance),) = theirs.similarity_search_with_score("anything", k=1)
        assert document.page_content == "chunk 2 of b at v1"
        assert document.metadata["start"] == 80
        assert distance == pytest.approx(0.0, abs=1e-5)
        found = theirs.similarity_search("anything", k=9, filter={"lang": "en"})
        assert [hit.metadata["document_id"] for hit in found] == ["a", "a", "a"]
        with open_location(filled) as ours:  # their opening left our settings alone
            assert ours.read_info() == INFO
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
            query = vectors(3, seed=1)[2].tolist()
            found = store.query(VectorStoreQuery(query_embedding=query, similarity_top_k=1))
            assert found.nodes[0].text == "chunk 2 of b at v1"
            assert found.nodes[0].metadata["document_id"] == "b"
            english = MetadataFilters(filters=[MetadataFilter(key="lang", value="en")])
            found = store.query(
                VectorStoreQuery(query_embedding=query, similarity_top_k=9, filters=english)
            )
            assert [node.metadata["document_id"] for node in found.nodes] == ["a", "a", "a"]

    @pytest.mark.parametrize("key", ["$and", "#document", "chroma:document"])
    def test_keys_that_chroma_keeps_for_itself(self, folder, key):
        with open_location(folder) as store:
            store.create(INFO)
            chunks = embedded("good", "v1", 1) + embedded("bad", "v1", 1, metadata={key: 1})
            with pytest.raises(InvalidInputError, match="'bad'") as caught:
                store.write(chunks)
            assert caught.value.index == 1
            with pytest.raises(InvalidInputError, match="begins with"):
                store.search(vectors(1)[0], k=1, filters={key: 1})
            assert store.counts().chunks == 0

    def test_a_float_filter_finds_no_integer(self, folder):
        """chromadb 1.5.9 by itself finds 5 for 5.5, and the largest integer for 1e300."""
        values = [5, 5.5, -5, -5.5, 0, 0.5, 2**63 - 1, -(2**63), 1e300, -1e300]
        with open_location(folder) as store:
            store.create(INFO)
            for value in values:
                store.write(embedded(repr(value), "v1", 1, metadata={"key": value}))
            for value in values:
                hits = store.search(vectors(1)[0], k=99, filters={"key": value})
                assert [hit.chunk.document_id for hit in hits] == [repr(value)]

    def test_more_than_one_batch(self, folder):
        """Chroma itself refuses more than `get_max_batch_size` records, 5461 here."""
        with open_location(folder) as store:
            store.create(INFO)
            store.write(embedded("a", "v1", 6000))
            assert store.find_complete({"a": "v1"}) == {"a"}


class TestClients:
    def test_a_ready_client_stays_open(self, tmp_path):
        with chromadb.PersistentClient(tmp_path / "index") as client:
            with ChromaStore(client, "handbook") as store:
                store.create(INFO)
            assert client.count_collections() == 1

    def test_another_client_is_refused(self):
        with pytest.raises(InvalidInputError, match="object"):
            ChromaStore(object(), "handbook")

    def test_another_programs_collection_is_refused(self, tmp_path):
        with chromadb.PersistentClient(tmp_path / "index") as client:
            client.create_collection("theirs", metadata={"owner": "x"}, embedding_function=None)
            client.create_collection(
                "garbled", metadata={"jina_integrations": "{"}, embedding_function=None
            )
            store = ChromaStore(client, "theirs")
            with pytest.raises(CollectionNotFoundError, match="another collection name"):
                store.read_info()
            with pytest.raises(CollectionNotFoundError, match="another collection name"):
                store.create(INFO)
            with pytest.raises(StoreCorruptError, match="new collection"):
                ChromaStore(client, "garbled").read_info()

    def test_reading_a_missing_folder_makes_nothing(self, tmp_path):
        with open_location(f"chroma:{tmp_path}/typo#handbook") as store:
            assert store.read_info() is None
            with pytest.raises(CollectionNotFoundError):
                store.search(vectors(1)[0], k=1)
        assert list(tmp_path.iterdir()) == []

    def test_a_name_that_chroma_refuses(self, tmp_path):
        store = open_location(f"chroma:{tmp_path}/index#x")
        with pytest.raises(InvalidSettingError, match="3-512"):
            store.create(INFO)

    def test_two_make_the_same_collection(self, port):
        location = f"chroma+http://127.0.0.1:{port}/{uuid.uuid4().hex}"
        with open_location(location) as first, open_location(location) as second:
            assert first.read_info() is None
            assert second.read_info() is None
            first.create(INFO)
            second.create(INFO)
            second.write(embedded("a", "v1", 1))
            assert first.find_complete({"a": "v1"}) == {"a"}

    def test_a_collection_dropped_under_us(self, port):
        name = uuid.uuid4().hex
        with open_location(f"chroma+http://127.0.0.1:{port}/{name}") as store:
            store.create(INFO)
            chromadb.HttpClient("127.0.0.1", port).delete_collection(name)
            with pytest.raises(CollectionNotFoundError, match="does not exist"):
                store.find_complete({"a": "v1"})


class TestFolderFailures:
    def test_a_garbled_database(self, filled, tmp_path):
        (tmp_path / "index/chroma.sqlite3").write_bytes(b"garbage" * 1000)
        for _ in range(2):
            with open_location(filled) as store, pytest.raises(StoreCorruptError):
                store.read_info()

    def test_a_cut_database(self, filled, tmp_path):
        with (tmp_path / "index/chroma.sqlite3").open("r+b") as database:
            database.truncate(5000)
        with open_location(filled) as store, pytest.raises(StoreCorruptError):
            store.read_info()

    def test_a_garbled_vector_index(self, folder, tmp_path):
        with open_location(folder) as store:
            store.create(INFO)
            store.write(embedded("a", "v1", 1200))  # above Chroma's sync_threshold
        (pickled,) = (tmp_path / "index").glob("*/index_metadata.pickle")
        pickled.write_bytes(b"garbage")
        with open_location(folder) as store, pytest.raises(StoreCorruptError):
            store.search(vectors(1)[0], k=1)

    def test_a_file_in_the_folders_place(self, tmp_path):
        (tmp_path / "index").write_text("a file")
        store = open_location(f"chroma:{tmp_path}/index#handbook")
        with pytest.raises(StoreError, match="exists"):
            store.create(INFO)

    def test_a_locked_database_is_named(self):
        from jina_adapters.chroma.failures import translated

        with pytest.raises(StoreLockedError, match="another process"), translated("here", None):
            raise chromadb.errors.InternalError("(code: 5) database is locked")


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
        store = open_location(f"chroma+http://127.0.0.1:{port}/handbook")
        with pytest.raises(StoreUnavailableError, match=f"{port}.*is it up"):
            store.read_info()

    def test_a_server_that_never_answers(self, monkeypatch):
        monkeypatch.setattr(connection, "_CONNECT_TIMEOUT_S", 0.5)
        with socket.create_server(("127.0.0.1", 0)) as server:
            location = f"chroma+http://127.0.0.1:{server.getsockname()[1]}/handbook"
            store = open_location(location)
            with pytest.raises(StoreUnavailableError, match="timed out"):
                store.read_info()

    def test_a_server_that_stops_answering(self, port, monkeypatch, caplog):
        """The session has a timeout, although chromadb sets none."""
        monkeypatch.setattr(connection, "_REQUEST_TIMEOUT_S", 17.0)
        with open_location(f"chroma+http://127.0.0.1:{port}/handbook") as store:
            assert store.read_info() is None
            assert store._client._server._session.timeout.read == 17.0
        assert not caplog.records or "timeout" not in caplog.text

    def test_a_server_that_dies(self, tmp_path, chroma_serving):
        with (
            chroma_serving(tmp_path / "server") as (port, server),
            open_location(f"chroma+http://127.0.0.1:{port}/handbook") as store,
        ):
            store.create(INFO)
            store.write(embedded("a", "v1", 2))
            server.kill()
            server.wait()
            for call in (
                lambda: store.write(embedded("b", "v1", 2)),
                lambda: store.find_complete({"a": "v1"}),
                lambda: store.drop_stale({"a": "v2"}),
                lambda: store.search(vectors(1)[0], k=1),
                store.counts,
            ):
                with pytest.raises(StoreUnavailableError, match="is it up"):
                    call()

    def test_the_key_is_sent_and_never_shown(self, monkeypatch):
        with HTTPServer(("127.0.0.1", 0), Gate) as gate:
            threading.Thread(target=gate.serve_forever, daemon=True).start()
            location = f"chroma+http://127.0.0.1:{gate.server_port}/handbook"
            monkeypatch.setenv("CHROMA_API_KEY", KEY)
            store = open_location(location)
            with pytest.raises(StoreUnavailableError, match="check CHROMA_API_KEY") as wrong:
                store.read_info()
            assert Gate.seen == [KEY]
            assert KEY not in f"{wrong.value!r} {wrong.value.__cause__!r} {vars(store)!r}"
            monkeypatch.delenv("CHROMA_API_KEY")
            store = open_location(location)
            with pytest.raises(StoreUnavailableError, match="set CHROMA_API_KEY"):
                store.read_info()
            assert Gate.seen == [KEY, None]
            gate.shutdown()

    @pytest.mark.parametrize("key", ["secret\n", " secret", "sécret"])
    def test_a_key_that_no_header_takes(self, monkeypatch, key):
        monkeypatch.setenv("CHROMA_API_KEY", key)
        store = open_location("chroma+http://127.0.0.1:9/handbook")
        with pytest.raises(InvalidSettingError, match="CHROMA_API_KEY") as caught:
            store.read_info()
        assert "ret" not in str(caught.value)

    def test_something_else_answers(self, tmp_path):
        command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as server:
            port = int(server.stdout.readline().split("port ")[1].split()[0])
            store = open_location(f"chroma+http://127.0.0.1:{port}/handbook")
            with pytest.raises(StoreUnavailableError, match="no Chroma server"):
                store.read_info()
            server.kill()
