"""The Qdrant store: the shared contract, what others read, and every way to fail."""

import contextlib
import socket
import subprocess
import sys
import uuid
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("qdrant_client")

from qdrant_client import AsyncQdrantClient, QdrantClient, models

from jina_adapters.qdrant import QdrantStore
from jina_adapters.qdrant.local import local_collection
from jina_integrations.errors import (
    CollectionNotFoundError,
    InvalidInputError,
    InvalidSettingError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    StoreUnavailableError,
)
from jina_integrations.stores import open_store as open_location
from jina_integrations.testing import (
    DIMENSIONS,
    INFO,
    FullDiskContract,
    KilledWriterContract,
    StoreContract,
    embedded,
    vectors,
)

KEY = "a-secret-key"


@contextlib.contextmanager
def serving(*arguments):
    command = [sys.executable, str(Path(__file__).with_name("qdrant_rest.py")), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield int(server.stdout.readline()), server
        finally:
            server.kill()


@pytest.fixture(scope="module")
def port():
    with serving() as (port, _):
        yield port


@pytest.fixture
def folder(tmp_path):
    return f"qdrant:{tmp_path}/index#handbook"


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


class TestMemory(StoreContract):
    @pytest.fixture
    def open_store(self):
        with contextlib.closing(QdrantClient(":memory:")) as client:
            yield lambda: QdrantStore(client, "handbook")


class TestServer(StoreContract):
    @pytest.fixture
    def open_store(self, port):
        name = uuid.uuid4().hex
        return lambda: open_location(f"qdrant+http://127.0.0.1:{port}/{name}")


class TestKilled(KilledWriterContract):
    @pytest.fixture
    def location(self, folder):
        return folder


class TestFullDisk(FullDiskContract):
    kind = "qdrant"


class TestLayout:
    def test_points_are_langchains(self, filled, tmp_path):
        with contextlib.closing(QdrantClient(path=str(tmp_path / "index"))) as client:
            points, _ = client.scroll("handbook", limit=99, with_vectors=True)
            params = client.get_collection("handbook").config.params.vectors
        assert params == models.VectorParams(size=DIMENSIONS, distance=models.Distance.COSINE)
        (point,) = (
            point for point in points if point.payload["page_content"].startswith("chunk 1 of b")
        )
        assert uuid.UUID(point.id).version == 5
        assert point.payload == {
            "page_content": "chunk 1 of b at v1",
            "metadata": {
                "lang": "fr",
                "document_id": "b",
                "document_version": "v1",
                "chunk_index": 1,
                "chunk_count": 3,
                "start": 40,
                "end": 58,
            },
        }
        np.testing.assert_allclose(point.vector, vectors(3, seed=1)[1], atol=1e-6)

    def test_langchain_reads_it(self, filled, tmp_path):
        pytest.importorskip("langchain_qdrant")
        from langchain_core.embeddings import Embeddings
        from langchain_qdrant import QdrantVectorStore

        class Known(Embeddings):
            def embed_documents(self, texts):
                return [self.embed_query(text) for text in texts]

            def embed_query(self, text):
                return vectors(3, seed=1)[2].tolist()

        with contextlib.closing(QdrantClient(path=str(tmp_path / "index"))) as client:
            store = QdrantVectorStore(client, "handbook", embedding=Known())
            ((document, score),) = store.similarity_search_with_score("anything", k=1)
            assert document.page_content == "chunk 2 of b at v1"
            assert document.metadata["start"] == 80
            assert document.metadata["lang"] == "fr"
            assert score == pytest.approx(1.0, abs=1e-5)
            english = models.Filter(
                must=[
                    models.FieldCondition(key="metadata.lang", match=models.MatchValue(value="en"))
                ]
            )
            found = store.similarity_search("anything", k=9, filter=english)
            assert {hit.metadata["document_id"] for hit in found} == {"a"}
            assert len(found) == 3

    def test_llama_index_reads_it(self, filled, tmp_path):
        pytest.importorskip("llama_index.vector_stores.qdrant")
        from llama_index.core.vector_stores import (
            MetadataFilter,
            MetadataFilters,
            VectorStoreQuery,
        )
        from llama_index.vector_stores.qdrant import QdrantVectorStore

        with contextlib.closing(QdrantClient(path=str(tmp_path / "index"))) as client:
            store = QdrantVectorStore(
                "handbook", client=client, text_key="page_content", dense_vector_name=""
            )
            query = vectors(3, seed=1)[2].tolist()
            found = store.query(VectorStoreQuery(query_embedding=query, similarity_top_k=1))
            assert found.nodes[0].text == "chunk 2 of b at v1"
            assert found.nodes[0].metadata["metadata"]["document_id"] == "b"
            assert found.similarities[0] == pytest.approx(1.0, abs=1e-5)
            english = MetadataFilters(filters=[MetadataFilter(key="metadata.lang", value="en")])
            found = store.query(
                VectorStoreQuery(query_embedding=query, similarity_top_k=9, filters=english)
            )
            assert {node.metadata["metadata"]["document_id"] for node in found.nodes} == {"a"}

    def test_a_server_gets_its_payload_indexes(self, port):
        name = uuid.uuid4().hex
        with open_location(f"qdrant+http://127.0.0.1:{port}/{name}") as store:
            store.create(INFO)
            store.write(embedded("a", "v1", 1))
        with contextlib.closing(QdrantClient(port=port, host="127.0.0.1")) as client:
            assert set(client.get_collection(name).payload_schema) == {
                "metadata.document_id",
                "metadata.document_version",
            }

    def test_large_chunks_are_split_by_bytes(self, port):
        with open_location(f"qdrant+http://127.0.0.1:{port}/{uuid.uuid4().hex}") as store:
            store.create(INFO)
            chunks = embedded("a", "v1", 5)
            for item in chunks:
                object.__setattr__(item.chunk, "text", "é" * 5 * 2**20)  # 10 MB each
            store.write(chunks)
            assert store.find_complete({"a": "v1"}) == {"a"}

    def test_a_chunk_over_the_servers_limit_says_so(self, port):
        with open_location(f"qdrant+http://127.0.0.1:{port}/{uuid.uuid4().hex}") as store:
            store.create(INFO)
            chunks = embedded("a", "v1", 1)
            object.__setattr__(chunks[0].chunk, "text", "x" * 33 * 2**20)
            with pytest.raises(StoreError, match="413"):
                store.write(chunks)
            assert store.find_complete({"a": "v1"}) == set()


class TestClients:
    def test_a_ready_client_stays_open(self):
        with contextlib.closing(QdrantClient(":memory:")) as client:
            with QdrantStore(client, "handbook") as store:
                store.create(INFO)
            assert client.collection_exists("handbook")

    def test_the_asynchronous_client_is_refused(self):
        with pytest.raises(InvalidInputError, match="AsyncQdrantClient"):
            QdrantStore(AsyncQdrantClient(":memory:"), "handbook")

    def test_memory_is_no_location(self):
        with pytest.raises(InvalidSettingError, match="lost"):
            open_location("qdrant::memory:#handbook")

    def test_another_programs_collection_is_refused(self):
        with contextlib.closing(QdrantClient(":memory:")) as client:
            client.create_collection(
                "theirs",
                vectors_config=models.VectorParams(
                    size=DIMENSIONS, distance=models.Distance.COSINE
                ),
                metadata={"owner": "somebody"},
            )
            store = QdrantStore(client, "theirs")
            with pytest.raises(CollectionNotFoundError, match="another collection name"):
                store.read_info()
            with pytest.raises(CollectionNotFoundError, match="another collection name"):
                store.create(INFO)

    def test_reading_a_missing_folder_makes_nothing(self, tmp_path):
        with open_location(f"qdrant:{tmp_path}/typo#handbook") as store:
            assert store.read_info() is None
            with pytest.raises(CollectionNotFoundError):
                store.search(vectors(1)[0], k=1)
        assert list(tmp_path.iterdir()) == []

    def test_the_librarys_warning_about_size_is_shown(self, monkeypatch):
        from qdrant_client.local.local_collection import LocalCollection

        monkeypatch.setattr(LocalCollection, "LARGE_DATA_THRESHOLD", 5)
        with contextlib.closing(QdrantClient(":memory:")) as client:
            store = QdrantStore(client, "handbook")
            store.create(INFO)
            with pytest.warns(UserWarning, match="not recommended"):
                store.write(embedded("a", "v1", 6))

    def test_local_mode_is_recognised(self, filled, tmp_path):
        """Else writes and deletes were correct and slow, and the docs' figures wrong."""
        with contextlib.closing(QdrantClient(path=str(tmp_path / "index"))) as client:
            collection = local_collection(client, "handbook")
            assert collection is not None
            connection = collection.storage.storage
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            QdrantStore(client, "handbook").write(embedded("c", "v1", 2))
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL again
            # Nothing is left in the log that the database file does not have, synced.
            busy, pages, moved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            assert (busy, pages) == (0, moved)


class TestFolderFailures:
    def test_a_folder_in_use(self, filled, tmp_path):
        script = (
            "import sys; from qdrant_client import QdrantClient\n"
            "client = QdrantClient(path=sys.argv[1]); print('open', flush=True); sys.stdin.read()"
        )
        command = [sys.executable, "-c", script, str(tmp_path / "index")]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout.readline() == "open\n"
            with open_location(filled) as store, pytest.raises(StoreLockedError, match="close it"):
                store.read_info()
            other.kill()
        with open_location(filled) as store:
            assert store.counts().chunks == 6

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"garbage",
            b"[]",
            b'{"collections": 5}',
            b"\xff\xfe",
            b'{"collections": {"x": {"vectors": 3}}}',
        ],
    )
    def test_a_garbled_meta_file(self, filled, tmp_path, content):
        (tmp_path / "index/meta.json").write_bytes(content)
        with open_location(filled) as store, pytest.raises(StoreCorruptError, match="backup"):
            store.read_info()

    def test_a_garbled_database(self, filled, tmp_path):
        database = tmp_path / "index/collection/handbook/storage.sqlite"
        database.write_bytes(b"garbage" * 1000)
        with open_location(filled) as store, pytest.raises(StoreCorruptError, match="backup"):
            store.read_info()

    def test_a_garbled_point(self, filled, tmp_path):
        import sqlite3

        database = tmp_path / "index/collection/handbook/storage.sqlite"
        with contextlib.closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE points SET point = x'00ff00'")
        with open_location(filled) as store, pytest.raises(StoreCorruptError, match="backup"):
            store.read_info()

    def test_a_file_in_the_folders_place(self, tmp_path):
        (tmp_path / "index").write_text("a file")
        store = open_location(f"qdrant:{tmp_path}/index#handbook")
        with pytest.raises(StoreError, match="path"):
            store.create(INFO)

    def test_a_name_that_qdrant_refuses(self, tmp_path):
        store = open_location(f"qdrant:{tmp_path}/index#{'x' * 300}")
        with pytest.raises(StoreError, match="long"):
            store.create(INFO)

    def test_a_full_database(self, filled):
        """SQLite itself refuses to grow the file, with the code that a full disk gives."""
        with open_location(filled) as store:
            assert store.counts().chunks == 6
            storage = local_collection(store._client, "handbook").storage.storage
            (pages,) = storage.execute("PRAGMA page_count").fetchone()
            storage.execute(f"PRAGMA max_page_count={pages + 10}")
            with pytest.raises(StoreFullError, match="space"):  # noqa: PT012 - until it is full
                for number in range(100):
                    store.write(embedded(f"d{number}", "v1", 40))
            assert store.find_complete({"a": "v1", f"d{number}": "v1"}) == {"a"}
        with open_location(filled) as store:
            assert store.find_complete({"a": "v1", f"d{number}": "v1"}) == {"a"}
            store.write(embedded(f"d{number}", "v1", 40))
            assert store.find_complete({f"d{number}": "v1"}) == {f"d{number}"}


class TestServerFailures:
    def test_nobody_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        store = open_location(f"qdrant+http://127.0.0.1:{port}/handbook")
        with pytest.raises(StoreUnavailableError, match=f"{port}.*is it up"):
            store.read_info()

    def test_a_server_that_never_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = QdrantClient(
                host="127.0.0.1", port=server.getsockname()[1], timeout=1, check_compatibility=False
            )
            with contextlib.closing(client), pytest.raises(StoreUnavailableError, match="Timeout"):
                QdrantStore(client, "handbook").read_info()

    def test_a_server_that_dies(self):
        with (
            serving() as (port, server),
            open_location(f"qdrant+http://127.0.0.1:{port}/handbook") as store,
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

    def test_the_key_is_sent_and_never_shown(self, monkeypatch, caplog):
        with serving("--api-key", KEY) as (port, _), warnings.catch_warnings(record=True) as shown:
            location = f"qdrant+http://127.0.0.1:{port}/handbook"
            monkeypatch.setenv("QDRANT_API_KEY", KEY)
            with open_location(location) as store:
                store.create(INFO)
                assert store.read_info() == INFO
                assert KEY not in repr(vars(store))
            monkeypatch.setenv("QDRANT_API_KEY", "another-secret")
            store = open_location(location)
            with pytest.raises(StoreUnavailableError, match="check QDRANT_API_KEY") as wrong:
                store.read_info()
            monkeypatch.delenv("QDRANT_API_KEY")
            store = open_location(location)
            with pytest.raises(StoreUnavailableError, match="set QDRANT_API_KEY"):
                store.read_info()
        seen = f"{wrong.value!r} {wrong.value.__cause__!r} {caplog.text} {[*map(str, shown)]}"
        assert "secret" not in seen

    @pytest.mark.parametrize("key", ["secret\n", " secret", "sécret"])
    def test_a_key_that_no_header_takes(self, monkeypatch, key):
        monkeypatch.setenv("QDRANT_API_KEY", key)
        store = open_location("qdrant+http://127.0.0.1:9/handbook")
        with pytest.raises(InvalidSettingError, match="QDRANT_API_KEY") as caught:
            store.read_info()
        assert "ret" not in str(caught.value)

    def test_something_else_answers(self, tmp_path):
        command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as server:
            port = int(server.stdout.readline().split("port ")[1].split()[0])
            store = open_location(f"qdrant+http://127.0.0.1:{port}/handbook")
            with pytest.raises(StoreError, match="404"):
                store.read_info()
            server.kill()

    def test_two_make_the_same_collection(self, port):
        location = f"qdrant+http://127.0.0.1:{port}/{uuid.uuid4().hex}"
        with open_location(location) as first, open_location(location) as second:
            assert first.read_info() is None
            assert second.read_info() is None
            first.create(INFO)
            second.create(INFO)
            second.write(embedded("a", "v1", 1))
            assert first.find_complete({"a": "v1"}) == {"a"}

    def test_a_collection_dropped_under_us(self, port):
        name = uuid.uuid4().hex
        with open_location(f"qdrant+http://127.0.0.1:{port}/{name}") as store:
            store.create(INFO)
            object.__setattr__(store, "_collection", name + "x")
            with pytest.raises(CollectionNotFoundError, match="does not exist"):
                store.find_complete({"a": "v1"})


def test_filter_keys_with_a_quote_are_refused():
    with contextlib.closing(QdrantClient(":memory:")) as client:
        store = QdrantStore(client, "handbook")
        store.create(INFO)
        with pytest.raises(InvalidInputError, match="quote"):
            store.search(vectors(1)[0], k=1, filters={'a"b': 1})
