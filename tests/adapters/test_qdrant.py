"""`QdrantStore`: the shared contract in four ways, what others read, and every way to fail."""

import contextlib
import json
import re
import socket
import sqlite3
import subprocess
import sys
import uuid
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("qdrant_client")

from qdrant_client import AsyncQdrantClient, QdrantClient, models

from jina_adapters.qdrant import QdrantStore
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
from jina_integrations.stores import AnyOf, NoneOf
from jina_integrations.stores import open_store as open_address
from jina_integrations.stores.access import StoreAccess
from jina_integrations.stores.failures import explain_error
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
from jina_integrations.types import Vectors

KEY = "a-secret-key"


@contextlib.contextmanager
def serving(script, *arguments):
    command = [sys.executable, str(Path(__file__).with_name(script)), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield int(server.stdout.readline()), server
        finally:
            server.kill()


@contextlib.contextmanager
def opened(address, **options):
    with contextlib.closing(StoreAccess(open_address(address), **options)) as access:
        yield access


def selected(filters):
    return parse_filters(filters)


@pytest.fixture(scope="module")
def rest():
    with serving("qdrant_rest.py") as (port, _):
        yield f"qdrant+http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def grpc():
    with serving("qdrant_grpc.py") as (port, _):
        yield f"qdrant+grpc://127.0.0.1:{port}"


@pytest.fixture
def folder(tmp_path):
    return f"qdrant:{tmp_path}/index#handbook"


@pytest.fixture
def filled(folder):
    with opened(folder) as access:
        access.create(INFO)
        access.write(records("a", "v1", 3, metadata={"lang": "en"}))
        access.write(records("b", "v1", 3, seed=1, metadata={"lang": "fr"}))
    return folder


class TestFolder(StoreContract):
    @pytest.fixture
    def open_store(self, folder):
        return lambda: open_address(folder)


class TestMemory(StoreContract):
    @pytest.fixture
    def open_store(self):
        with contextlib.closing(QdrantClient(":memory:")) as client:
            yield lambda: QdrantStore(client, "handbook")


class TestRest(StoreContract):
    @pytest.fixture
    def open_store(self, rest):
        name = uuid.uuid4().hex
        return lambda: open_address(f"{rest}/{name}")


class TestGrpc(StoreContract):
    @pytest.fixture
    def open_store(self, grpc):
        name = uuid.uuid4().hex
        return lambda: open_address(f"{grpc}/{name}")


class TestKilled(KilledWriterContract):
    is_shared = False

    @pytest.fixture
    def address(self, folder):
        return folder


class TestFullDisk(FullDiskContract):
    kind = "qdrant"


class TestLayout:
    def test_points_are_langchains(self, folder, tmp_path):
        record = records("b", "v1", 2, metadata={"lang": "fr", "updated": "2024-05-01"})[1]
        chunk = replace(record.chunk, headings=("Sails", "Jib"), page=3, page_end=4)
        with opened(folder) as access:
            access.create(INFO)
            access.write([replace(record, chunk=chunk, root="docs")])
        with contextlib.closing(QdrantClient(path=str(tmp_path / "index"))) as client:
            (point,), _ = client.scroll("handbook", with_vectors=True)
            params = client.get_collection("handbook").config.params.vectors
        assert params == models.VectorParams(size=DIMENSIONS, distance=models.Distance.COSINE)
        assert uuid.UUID(point.id).version == 5
        assert point.payload == {
            "page_content": "chunk 1 of b at v1",
            "metadata": {
                "lang": "fr",
                "updated": "2024-05-01",
                "document_id": "b",
                "document_version": "v1",
                "document_root": "docs",
                "chunk_index": 1,
                "chunk_count": 2,
                "start": 40,
                "end": 58,
                "headings": ["Sails", "Jib"],
                "page": 3,
                "page_end": 4,
            },
            "tags": ['["lang", "fr"]', '["updated", "2024-05-01"]'],
            "dates": {"updated": "2024-05-01T00:00:00+00:00"},
        }
        np.testing.assert_allclose(point.vector, dense_vectors(2)[1], atol=1e-6)

    def test_langchain_reads_it(self, filled, tmp_path):
        pytest.importorskip("langchain_qdrant")
        from langchain_core.embeddings import Embeddings
        from langchain_qdrant import QdrantVectorStore

        class Known(Embeddings):
            def embed_documents(self, texts):
                return [self.embed_query(text) for text in texts]

            def embed_query(self, text):
                return dense_vectors(3, seed=1)[2].tolist()

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
            documents = store.similarity_search("anything", k=9, filter=english)
            assert [document.metadata["document_id"] for document in documents] == ["a"] * 3

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
            query = dense_vectors(3, seed=1)[2].tolist()
            result = store.query(VectorStoreQuery(query_embedding=query, similarity_top_k=1))
            assert result.nodes[0].text == "chunk 2 of b at v1"
            assert result.nodes[0].metadata["metadata"]["document_id"] == "b"
            assert result.similarities[0] == pytest.approx(1.0, abs=1e-5)
            english = MetadataFilters(filters=[MetadataFilter(key="metadata.lang", value="en")])
            result = store.query(
                VectorStoreQuery(query_embedding=query, similarity_top_k=9, filters=english)
            )
            assert {node.metadata["metadata"]["document_id"] for node in result.nodes} == {"a"}

    def test_a_server_gets_its_payload_indexes(self, rest):
        name = uuid.uuid4().hex
        with opened(f"{rest}/{name}") as access:
            access.create(INFO)
            access.write(records("a", "v1", 1))
        port = int(rest.rpartition(":")[2])
        with contextlib.closing(QdrantClient(port=port, host="127.0.0.1")) as client:
            assert set(client.get_collection(name).payload_schema) == {
                "tags",
                "metadata.document_id",
                "metadata.chunk_index",
            }

    def test_large_chunks_are_split_by_bytes(self, rest):
        with opened(f"{rest}/{uuid.uuid4().hex}") as access:
            access.create(INFO)
            access.write(
                [
                    replace(record, chunk=replace(record.chunk, text="é" * 5 * 2**20))  # 10 MB
                    for record in records("a", "v1", 4)
                ]
            )
            assert access.count() == 4

    def test_a_chunk_over_the_servers_limit_says_so(self, rest):
        with opened(f"{rest}/{uuid.uuid4().hex}") as access:
            access.create(INFO)
            (record,) = records("a", "v1", 1)
            with pytest.raises(StoreError, match="413"):
                access.write([replace(record, chunk=replace(record.chunk, text="x" * 33 * 2**20))])
            assert access.count() == 0


class TestClients:
    def test_a_ready_client_stays_open(self):
        with contextlib.closing(QdrantClient(":memory:")) as client:
            with contextlib.closing(QdrantStore(client, "handbook")) as store:
                store.create(INFO)
            assert client.collection_exists("handbook")

    def test_two_stores_of_a_client_see_each_others_writes(self):
        """What is remembered of a folder's documents is not remembered of a caller's client."""
        with contextlib.closing(QdrantClient(":memory:")) as client:
            first, second = QdrantStore(client, "handbook"), QdrantStore(client, "handbook")
            first.create(INFO)
            where = (AnyOf("document_id", ("a",)),)
            assert (first.count(where), second.count(where)) == (0, 0)
            first.write(records("a", "v1", 2))
            assert (first.count(where), second.count(where)) == (2, 2)

    def test_the_asynchronous_client_is_refused(self):
        with pytest.raises(InvalidInputError, match="AsyncQdrantClient"):
            QdrantStore(AsyncQdrantClient(":memory:"), "handbook")

    def test_memory_is_no_address(self):
        with pytest.raises(InvalidSettingError, match="lost"):
            open_address("qdrant::memory:#handbook")

    def test_another_programs_collection_is_refused(self):
        with contextlib.closing(QdrantClient(":memory:")) as client:
            client.create_collection(
                "theirs",
                vectors_config=models.VectorParams(
                    size=DIMENSIONS, distance=models.Distance.COSINE
                ),
                metadata={"owner": "somebody"},
            )
            access = StoreAccess(QdrantStore(client, "theirs"))
            with pytest.raises(CollectionNotFoundError, match="another collection name"):
                access.describe()
            with pytest.raises(CollectionNotFoundError, match="another collection name"):
                access.create(INFO)

    def test_reading_a_missing_folder_makes_nothing(self, tmp_path):
        with opened(f"qdrant:{tmp_path}/typo#handbook") as access:
            assert access.describe() is None
            access.drop()
        assert list(tmp_path.iterdir()) == []

    def test_the_way_out_of_local_mode_is_told_once_and_by_us(self, folder, monkeypatch):
        from qdrant_client.local.local_collection import LocalCollection

        monkeypatch.setattr(LocalCollection, "LARGE_DATA_THRESHOLD", 5)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with opened(folder) as access:
                access.create(INFO)
                access.write(records("a", "v1", 6))
                assert access.capabilities.advised_chunks == 20_000
                assert "qdrant-edge" in access.capabilities.advice
            with opened(folder) as access:
                assert access.count() == 6
        assert open_address("qdrant+http://127.0.0.1:9/c").capabilities.advised_chunks is None

    @pytest.mark.parametrize(
        ("address", "name"),
        [
            ("qdrant+grpc://localhost/c", "grpc://localhost"),
            ("qdrant+grpcs://example.com:6334/c", "grpcs://example.com:6334"),
            ("qdrant+https://[::1]:1/c", r"https://\[::1\]:1"),
            ("qdrant:~/index#c", "~/index"),
        ],
    )
    def test_addresses(self, address, name):
        assert re.fullmatch(f"Qdrant collection 'c' at {name}", open_address(address).name)

    def test_an_address_of_another_scheme_is_refused(self):
        with pytest.raises(InvalidSettingError, match="grpcs"):
            open_address("qdrant+ftp://localhost/c")


class TestDocumentsOfAFolder:
    """Which points a document has is remembered, so that asking for all takes no square."""

    def test_no_selection_of_documents_looks_at_every_point(self, filled, monkeypatch):
        from qdrant_client.local import local_collection

        with opened(filled) as access:
            where = (AnyOf("document_id", ("a", "b", "a", 5)), NoneOf("lang", ("en",)))
            assert access.count(where) == 3
            monkeypatch.setattr(local_collection, "calculate_payload_mask", None)
            assert access.count(where) == 3
            assert access.count((AnyOf("document_id", ("a",)), AnyOf("chunk_index", (0,)))) == 1
            assert len(list(access.scan((AnyOf("document_id", ("b",)),)))) == 3
            access.write(records("c", "v1", 2))
            assert access.delete((AnyOf("document_id", ("c",)), AnyOf("chunk_index", (0,)))) == 1
            assert access.count((AnyOf("document_id", ("c",)),)) == 1
            assert access.delete((AnyOf("document_id", ("a", "c")),)) == 4

    def test_a_deletion_by_something_else_is_noticed(self, filled):
        with opened(filled) as access:
            documents = (AnyOf("document_id", ("a", "b")),)
            assert access.count(documents) == 6
            assert access.delete((AnyOf("lang", ("en",)),)) == 3
            assert access.count(documents) == 3

    def test_a_failed_write_is_not_taken_for_done(self, filled):
        with opened(filled) as access:
            where = (AnyOf("document_id", ("b", "c")),)
            assert access.count(where) == 3
            wrong = replace(records("c", "v1", 1)[0], vectors=Vectors(dense=np.ones(3, np.float32)))
            with pytest.raises(ValueError, match=r"dimension|shape|broadcast"):
                access.store.write([wrong])
            assert access.count(where) == 3


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
            with opened(filled) as access, pytest.raises(StoreLockedError, match="wait for it"):
                access.describe()
            other.kill()
        with opened(filled) as access:
            assert access.count() == 6

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
        with opened(filled) as access, pytest.raises(StoreCorruptError, match="backup"):
            access.describe()

    def test_a_lost_meta_file(self, filled, tmp_path):
        """qdrant-client would make another, and the collections would be gone."""
        (tmp_path / "index/meta.json").unlink()
        with opened(filled) as access, pytest.raises(StoreCorruptError, match=r"meta\.json"):
            access.describe()

    def test_a_garbled_database(self, filled, tmp_path):
        database = tmp_path / "index/collection/handbook/storage.sqlite"
        database.write_bytes(b"garbage" * 1000)
        with opened(filled) as access, pytest.raises(StoreCorruptError, match="backup"):
            access.describe()

    @pytest.mark.parametrize("loss", ["file", "folder", "content"])
    def test_a_lost_database(self, filled, tmp_path, loss):
        """qdrant-client would make another, and every search would find nothing."""
        database = tmp_path / "index/collection/handbook/storage.sqlite"
        if loss == "content":
            database.write_bytes(b"")
        else:
            database.unlink()
        if loss == "folder":
            database.parent.rmdir()
        with opened(filled) as access, pytest.raises(StoreCorruptError, match=r"storage\.sqlite"):
            access.search(dense_vectors(1)[0], k=1)

    def test_a_garbled_point(self, filled, tmp_path):
        database = tmp_path / "index/collection/handbook/storage.sqlite"
        with contextlib.closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE points SET point = x'00ff00'")
        with opened(filled) as access, pytest.raises(StoreCorruptError, match="backup"):
            access.describe()

    def test_a_file_in_the_folders_place(self, tmp_path):
        (tmp_path / "index").write_text("a file")
        with opened(f"qdrant:{tmp_path}/index#handbook") as access:
            with pytest.raises(StoreError, match="path"):
                access.describe()
            with pytest.raises(StoreError, match="path"):
                access.create(INFO)

    def test_a_name_that_qdrant_refuses(self, tmp_path):
        with (
            opened(f"qdrant:{tmp_path}/index#{'x' * 300}") as access,
            pytest.raises(StoreError, match="long"),
        ):
            access.create(INFO)

    def test_a_read_only_folder_is_searched_in_a_copy(self, filled, tmp_path, another_user):
        files = {path: path.stat().st_mtime_ns for path in (tmp_path / "index").rglob("*")}
        (info, count, hits, *writes), log = another_user(filled)
        assert info == str(INFO)
        assert (count, hits) == ("6", "6")
        assert "searching a copy" in log
        refused = [line for line in writes if line != "None"]  # which is what settling gives
        assert len(refused) == 4
        assert all("StoreAccessDeniedError" in line for line in refused)
        assert {path: path.stat().st_mtime_ns for path in (tmp_path / "index").rglob("*")} == files

    def test_a_folder_of_another_user(self, filled, tmp_path, another_user):
        (tmp_path / "index").chmod(0o700)
        lines, _ = another_user(filled)
        assert all("check the permissions" in line for line in lines if line != "None")
        assert "StoreAccessDeniedError" in lines[0]


class TestServerFailures:
    def test_nobody_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        for scheme in ("http", "grpc"):
            address = f"qdrant+{scheme}://127.0.0.1:{port}/handbook"
            store = open_address(address)
            with pytest.raises(StoreUnavailableError, match=f"{port}.*does not answer"):
                raised(store, store.describe)

    def test_a_server_that_never_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = QdrantClient(
                host="127.0.0.1", port=server.getsockname()[1], timeout=1, check_compatibility=False
            )
            with contextlib.closing(client):
                store = QdrantStore(client, "handbook")
                with pytest.raises(StoreUnavailableError, match="Timeout"):
                    raised(store, store.describe)

    @pytest.mark.parametrize("scheme", ["http", "grpc"])
    def test_a_server_that_dies(self, scheme):
        script = {"http": "qdrant_rest.py", "grpc": "qdrant_grpc.py"}[scheme]
        with serving(script) as (port, server):
            store = open_address(f"qdrant+{scheme}://127.0.0.1:{port}/handbook")
            store.create(INFO)
            store.write(records("a", "v1", 2))
            server.kill()
            server.wait()
            for call in (
                lambda: store.write(records("b", "v1", 2)),
                lambda: store.delete((AnyOf("document_id", ("a",)),)),
                lambda: list(store.scan((), content=True, vectors=False)),
                lambda: store.search(dense_vectors(1)[0], kind="dense", k=1, where=()),
                lambda: store.count(()),
                lambda: store.create(INFO),
                lambda: store.remember(INFO),
            ):
                with pytest.raises(StoreUnavailableError, match="does not answer"):
                    raised(store, call)
            store.close()

    @pytest.mark.parametrize("scheme", ["http", "grpc"])
    def test_the_key_is_sent_and_never_shown(self, monkeypatch, caplog, scheme):
        script = {"http": "qdrant_rest.py", "grpc": "qdrant_grpc.py"}[scheme]
        with (
            serving(script, "--api-key", KEY) as (port, _),
            warnings.catch_warnings(record=True) as shown,
        ):
            address = f"qdrant+{scheme}://127.0.0.1:{port}/handbook"
            monkeypatch.setenv("QDRANT_API_KEY", KEY)
            with opened(address) as access:
                assert access.create(INFO) == INFO
                assert KEY not in repr(vars(access.store))
            monkeypatch.setenv("QDRANT_API_KEY", "another-secret")
            with (
                opened(address) as access,
                pytest.raises(StoreAccessDeniedError, match="check QDRANT_API_KEY") as wrong,
            ):
                access.describe()
            monkeypatch.delenv("QDRANT_API_KEY")
            with (
                opened(address) as access,
                pytest.raises(StoreAccessDeniedError, match="set QDRANT_API_KEY"),
            ):
                access.describe()
        seen = f"{wrong.value!r} {wrong.value.__cause__!r} {caplog.text} {[*map(str, shown)]}"
        assert "secret" not in seen

    @pytest.mark.parametrize("key", ["secret\n", " secret", "sécret"])
    def test_a_key_that_no_header_takes(self, monkeypatch, key):
        monkeypatch.setenv("QDRANT_API_KEY", key)
        store = open_address("qdrant+http://127.0.0.1:9/handbook")
        with pytest.raises(InvalidSettingError, match="QDRANT_API_KEY") as caught:
            store.describe()
        assert "ret" not in str(caught.value)

    def test_something_else_answers(self, tmp_path):
        command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as server:
            port = int(server.stdout.readline().split("port ")[1].split()[0])
            with (
                opened(f"qdrant+http://127.0.0.1:{port}/handbook") as access,
                pytest.raises(StoreError, match="404"),
            ):
                access.describe()
            server.kill()

    def test_an_old_server_is_named(self):
        with serving("qdrant_rest.py", "--no-metadata") as (port, _):
            address = f"qdrant+http://127.0.0.1:{port}/handbook"
            with opened(address) as access:
                with pytest.raises(StoreError, match=r"1\.16"):
                    access.create(INFO)
                assert access.describe() is None

    def test_two_make_the_same_collection(self, rest, grpc):
        for server in (rest, grpc):
            address = f"{server}/{uuid.uuid4().hex}"
            with opened(address) as first, opened(address) as second:
                assert first.describe() is None
                assert second.describe() is None
                first.create(INFO)
                second.create(INFO)
                second.write(records("a", "v1", 1))
                assert first.count() == 1

    def test_a_collection_dropped_under_us(self, rest, grpc):
        for server in (rest, grpc):
            address = f"{server}/{uuid.uuid4().hex}"
            with opened(address) as first, opened(address) as second:
                first.create(INFO)
                assert second.count() == 0
                first.drop()
                with pytest.raises(StoreError, match="exist"):
                    second.write(records("a", "v1", 1))


def raised(store, call):
    """The library's failure as the core would raise it, without its repetitions."""
    try:
        call()
    except Exception as exc:
        raise (store.explain(exc) or explain_error(exc, store)) from exc


def test_keys_that_qdrants_paths_cannot_name():
    with contextlib.closing(QdrantClient(":memory:")) as client:
        access = StoreAccess(QdrantStore(client, "handbook"))
        access.create(INFO)
        access.write(records("a", "v1", 2, metadata={'a"b': 1}))
        query = dense_vectors(1)[0]
        assert len(access.search(query, k=9, where=selected({'a"b': 1}))) == 2
        for filters in ({'a"b': {"gte": 1}}, {"a\\b": {"exists": True}}):
            with pytest.raises(UnsupportedByStoreError, match="quote"):
                access.search(query, k=9, where=selected(filters))


def test_collection_info_is_readable(filled, tmp_path):
    meta = json.loads((tmp_path / "index/meta.json").read_text())
    stored = meta["collections"]["handbook"]["metadata"]["jina_integrations"]
    assert json.loads(stored) == {"recipe": INFO.recipe, "dimensions": {"dense": DIMENSIONS}}


def test_a_full_database_is_named(filled):
    """By the code that SQLite gives."""
    store = open_address(filled)
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA max_page_count=1")
        with pytest.raises(StoreFullError, match="space"):
            raised(store, lambda: connection.execute("CREATE TABLE a (b)"))
