"""The embedding function for plain Chroma: its protocol, its settings, drift, restarts, servers."""

import json
import os
import pickle
import subprocess
import sys
import uuid
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("chromadb")

import chromadb
from chromadb.api.collection_configuration import load_collection_configuration_from_json
from chromadb.api.types import Schema, VectorIndexConfig, validate_embedding_function
from chromadb.utils.embedding_functions import JinaEmbeddingFunction, known_embedding_functions

from jina_adapters.chroma import ChromaStore
from jina_adapters.chroma import JinaIntegrationsEmbeddingFunction as Function
from jina_integrations import ApiSettings, Collection, Document, Embedder, SentenceChunker
from jina_integrations.adapting import warn_once
from jina_integrations.errors import (
    CollectionNotFoundError,
    InvalidImageError,
    InvalidInputError,
    InvalidSettingError,
    InvalidTextError,
    MissingKeyError,
    ModelLoadError,
    ModelNotFoundError,
    RecipeMismatchError,
    StoreCorruptError,
    UnsupportedModalityError,
    UnsupportedTaskError,
)
from jina_integrations.stores import AnyOf
from jina_integrations.stores.access import StoreAccess

ROOT = Path(__file__).parents[2]
LICENCE = (ROOT / "LICENSE").read_text(encoding="utf-8")
LICENCE = LICENCE[LICENCE.index("3. Grant of Patent") : LICENCE.index("END OF TERMS")]
KEY = "a-secret-key"
KEY_VARIABLES = ("JINA_API_KEY", "JINAAI_API_KEY", "CHROMA_JINA_API_KEY")
REVISION = "0" * 40
TEAM = ApiSettings(api_key_env_var="TEAM_KEY")


@pytest.fixture(autouse=True)
def _no_keys_and_fresh_warnings(monkeypatch):
    for name in KEY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    warn_once.cache_clear()


@pytest.fixture
def client(tmp_path):
    with chromadb.PersistentClient(tmp_path / "index") as client:
        yield client


@pytest.fixture(scope="module")
def port(tmp_path_factory, chroma_serving):
    with chroma_serving(tmp_path_factory.mktemp("server")) as (port, _):
        yield port


def run_python(source, *arguments, **variables):
    """What another process prints, without any key but those given."""
    environment = {k: v for k, v in os.environ.items() if k not in KEY_VARIABLES}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    done = subprocess.run(
        [sys.executable, "-c", source, *map(str, arguments)],
        env={**environment, **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class TestProtocol:
    def test_chroma_knows_it_by_its_name(self):
        assert known_embedding_functions["jina_integrations"] is Function
        assert known_embedding_functions["jina"] is JinaEmbeddingFunction  # theirs is still there
        function = Function("echo")
        validate_embedding_function(function)
        assert not function.is_legacy()
        assert function.default_space() == "cosine"

    def test_vectors_are_the_embedders(self):
        function, embedder = Function("minilm"), Embedder("minilm")
        texts = ["Rye bread is sold out.", "The lamp was lit at dusk."]
        passages, queries = function(texts), function.embed_query(texts)
        assert all(row.dtype == np.float32 for row in passages + queries)
        np.testing.assert_array_equal(passages, embedder.embed_documents(texts))
        np.testing.assert_array_equal(queries, embedder.embed_queries(texts))
        assert function.embedder == embedder

    def test_documents_are_passages_and_questions_are_queries(self, service):
        function = Function("jina-embeddings-v3", base_url=service.url)
        function(["bread"])
        function.embed_query(["bread?"])
        sent = [(body["task"], body["input"]) for body in service.bodies]
        assert sent == [("retrieval.passage", ["bread"]), ("retrieval.query", ["bread?"])]

    def test_construction_is_free(self):
        source = """if True:
            import sys, threading
            from jina_adapters.chroma import JinaIntegrationsEmbeddingFunction as Function
            from jina_integrations import ApiSettings
            KEYED = ApiSettings(api_key_env_var="NOT_SET")
            Function("minilm"), Function("jina-embeddings-v3", api=KEYED)
            opened, threads, modules = [], threading.active_count(), set(sys.modules)
            sys.addaudithook(lambda event, _: opened.append(event) if event in WATCHED else None)
            WATCHED = {"socket.__new__", "socket.connect", "socket.getaddrinfo", "open"}
            for _ in range(500):
                for function in (
                    Function("minilm"),
                    Function("jina-embeddings-v3", api=KEYED),
                ):
                    rebuilt = Function.build_from_config(function.get_config())
                    assert rebuilt == function
            assert threading.active_count() == threads
            assert set(sys.modules) == modules
            heavy = {"torch", "transformers", "tokenizers", "safetensors", "huggingface_hub"}
            print(opened, heavy & modules)
        """
        assert run_python(source) == "[] set()"

    @pytest.mark.parametrize(
        "function",
        [
            Function("echo"),
            Function(Embedder("echo", dimensions=64, normalize=False), task="clustering"),
            Function("minilm", late_chunking=True, window_tokens=64, context_weight=0.5),
            Function("echo", api=ApiSettings(max_retries=1), backend="auto"),
            Function("any", precision="bfloat16", truncate=True, revision=REVISION, batch_tokens=9),
            Function("jina-embeddings-v3", api_key=KEY, api=ApiSettings(max_retries=1)),
            Function("any", base_url="http://127.0.0.1:9/v1", api=TEAM),
        ],
        ids=str,
    )
    def test_config_comes_back_from_json(self, function):
        config = json.loads(json.dumps(function.get_config()))
        Function.validate_config(config)
        rebuilt = Function.build_from_config(config)
        assert rebuilt == function
        assert hash(rebuilt) == hash(function)
        assert rebuilt.get_config() == config == function.get_config()
        assert pickle.loads(pickle.dumps(function)) == function

    def test_functions_with_other_settings_are_unequal(self):
        assert Function("echo") != Function("echo", dimensions=64)
        assert Function("echo") != Function("echo", task="clustering")
        assert Function("echo") != "echo"
        assert repr(Function("echo", dimensions=64, task="separation")) == (
            "JinaIntegrationsEmbeddingFunction(Embedder('echo', dimensions=64), task='clustering')"
        )

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({}, "model is missing"),
            ({"model": "echo", "colour": 1}, "colour"),
            ({"model": "echo", "task": "retrieval.query"}, "task must be"),
            ({"model": "echo", "dimensions": "8"}, "dimensions"),
        ],
    )
    def test_a_bad_config_is_refused(self, config, message):
        with pytest.raises(InvalidSettingError, match=message):
            Function.validate_config(config)
        with pytest.raises(InvalidSettingError, match=message):
            Function.build_from_config(config)

    def test_engine_and_device_are_a_matter_of_the_machine(self):
        function = Function("minilm", device="cuda:7", engine="torch")
        assert function.embedder.settings.device == "cuda:7"
        assert {"engine", "device"}.isdisjoint(function.get_config())
        stored = {**function.get_config(), "device": "cuda:8", "engine": "onnx"}
        rebuilt = Function.build_from_config(stored).embedder.settings
        assert (rebuilt.device, rebuilt.engine) == ("auto", "auto")

    @pytest.mark.parametrize(
        ("function", "spaces"),
        [
            (Function("minilm"), ["cosine", "l2", "ip"]),
            (Function("minilm", normalize=False), ["cosine"]),
            (Function("./my-model"), ["cosine"]),  # nothing is known before it is loaded
            (Function("./my-model", normalize=True), ["cosine", "l2", "ip"]),
        ],
        ids=str,
    )
    def test_spaces_follow_from_the_norm(self, function, spaces):
        assert function.supported_spaces() == spaces


class TestBackend:
    def test_another_process_does_not_take_another_one(self, monkeypatch):
        assert Function("jina-embeddings-v3").get_config()["backend"] == "local"
        monkeypatch.setenv("JINA_API_KEY", KEY)
        config = Function("jina-embeddings-v3").get_config()
        assert config["backend"] == "api"
        monkeypatch.delenv("JINA_API_KEY")
        rebuilt = Function.build_from_config(config)
        assert rebuilt.embedder.backend == "api"
        with pytest.raises(MissingKeyError, match="JINA_API_KEY"):
            rebuilt.embed_query(["bread?"])

    def test_a_model_that_the_service_lacks_is_refused_at_once(self, client):
        """Later, chromadb would make a collection without a function, and only warn."""
        with pytest.raises(ModelNotFoundError, match="not known to be served"):
            client.create_collection("handbook", embedding_function=Function("x", backend="api"))
        assert client.count_collections() == 0


class TestKey:
    def test_only_the_variables_name_is_stored(self, client, service, monkeypatch, tmp_path):
        monkeypatch.setenv("TEAM_KEY", KEY)
        function = Function("jina-embeddings-v3", base_url=service.url, api=TEAM)
        collection = client.create_collection("handbook", embedding_function=function)
        collection.add(ids=["1"], documents=["bread"])
        assert service.keys == [f"Bearer {KEY}"]
        stored = collection.configuration_json["embedding_function"]["config"]
        assert stored["api"]["api_key_env_var"] == "TEAM_KEY"
        files = [path for path in (tmp_path / "index").rglob("*") if path.is_file()]
        assert not any(KEY.encode() in path.read_bytes() for path in files)

    def test_a_key_that_was_passed_is_used_and_not_stored(self, service):
        function = Function("jina-embeddings-v3", base_url=service.url, api_key=KEY)
        function(["bread"])
        assert service.keys == [f"Bearer {KEY}"]
        shown = f"{function!r} {function.get_config()} {pickle.dumps(function)!r}"
        assert KEY not in shown

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # by which chromadb tells
    def test_with_a_passed_key_alone_ours_is_stored_and_theirs_is_not(self, client):
        theirs = client.create_collection(
            "theirs", embedding_function=JinaEmbeddingFunction(api_key=KEY)
        ).configuration_json
        assert (theirs["embedding_function"], theirs["hnsw"]["space"]) == ({"type": "legacy"}, "l2")
        function = Function("jina-embeddings-v3", api_key=KEY)
        ours = client.create_collection("ours", embedding_function=function).configuration_json
        assert ours["embedding_function"]["config"]["backend"] == "api"
        assert ours["hnsw"]["space"] == "cosine"

    def test_a_key_in_the_models_place_is_not_shown(self):
        """Theirs takes the key as its first argument; as a model's name it would be stored."""
        key = "jina_0123456789abcdef0123456789abcdef"
        with pytest.raises(InvalidSettingError, match="api_key=") as caught:
            Function(key)
        assert key not in str(caught.value)


class TestArguments:
    @pytest.mark.parametrize(
        "name",
        ["model_name", "api_key_env_var", "normalized", "embedding_type", "query_config", "colour"],
    )
    def test_what_it_does_not_know_is_refused_by_name(self, name):
        """Among them the arguments of chromadb's own JinaEmbeddingFunction."""
        with pytest.raises(InvalidSettingError, match=name):
            Function("echo", **{name: "x"})

    @pytest.mark.parametrize("task", ["retrieval.passage", "retrieval.query", "query", "passage"])
    def test_one_task_of_retrieval_for_both_sides_is_refused(self, task):
        with pytest.raises(InvalidSettingError, match="leave it out"):
            Function("jina-embeddings-v3", task=task)

    @pytest.mark.parametrize(
        ("task", "sent"), [("text-matching", "text-matching"), ("separation", "separation")]
    )
    def test_a_symmetric_task_is_for_both_sides(self, service, task, sent):
        with warnings.catch_warnings(action="error"):
            function = Function("jina-embeddings-v3", base_url=service.url, task=task)
            same = Function("jina-embeddings-v3", base_url=service.url, task=task)
        function(["bread"])
        same.embed_query(["bread"])
        assert [body["task"] for body in service.bodies] == [sent, sent]

    def test_an_unknown_task_is_refused(self):
        with pytest.raises(InvalidSettingError, match="task must be one of"):
            Function("echo", task="nonsense")

    def test_a_task_that_the_model_lacks_is_refused_at_use(self):
        function = Function("jina-code-embeddings-0.5b", backend="api", task="clustering")
        with pytest.raises(UnsupportedTaskError, match="clustering"):
            function(["bread"])

    def test_late_chunking_of_a_call_is_refused_and_said_once(self):
        with warnings.catch_warnings(action="error"):
            function = Function("echo", late_chunking=True)
            function.embed_query(["questions know nothing of it"])
        with pytest.warns(UserWarning, match="ingest documents by"):
            vectors = function(["Berlin is large.", "It lies on the Spree."])
        with warnings.catch_warnings(action="error"):
            function(["again"])
        plain = Function("echo")(["Berlin is large.", "It lies on the Spree."])
        np.testing.assert_array_equal(vectors, plain)

    @pytest.mark.parametrize(
        "extra",
        [{"dimensions": 64}, {"api_key": KEY}],
        ids=str,
    )
    def test_a_ready_embedder_takes_no_more_settings(self, extra):
        with pytest.raises(InvalidSettingError, match=r"to Embedder\(\.\.\.\)"):
            Function(Embedder("echo"), **extra)


DRIFT = [
    ({"model": "other"}, "model='base' (here 'other')"),
    ({"revision": REVISION}, f"revision=None (here '{REVISION}')"),
    ({"dimensions": 64}, "dimensions=None (here 64)"),
    ({"normalize": False}, "normalize=None (here False)"),
    ({"precision": "bfloat16"}, "precision='float32' (here 'bfloat16')"),
    ({"truncate": True}, "truncate=False (here True)"),
    ({"long": "windows"}, "long='error' (here 'windows')"),
    ({"task": "clustering"}, "task=None (here 'clustering')"),
    ({"base_url": "http://127.0.0.1:9/v1"}, "backend='local' (here 'api')"),
]
HARMLESS = [
    {"batch_tokens": 512},
    {"device": "cuda:7"},
    {"engine": "torch"},
    {"precision": "float32"},
    {"late_chunking": False},
    {"context_weight": 0.5},
    {"window_tokens": 64, "overlap_tokens": 8},
    {"trust_remote_code": True},
]


class TestDrift:
    @pytest.mark.parametrize(("changed", "message"), DRIFT, ids=str)
    def test_what_changes_vectors_is_refused(self, changed, message):
        old = Function("base")
        new = Function(**{"model": "base", **changed})
        with pytest.raises(RecipeMismatchError) as caught:
            new.validate_config_update(old.get_config(), new.get_config())
        assert message in str(caught.value)

    @pytest.mark.parametrize("changed", HARMLESS, ids=str)
    def test_what_changes_none_is_allowed(self, changed):
        old = Function("base", revision=REVISION)
        new = Function("base", revision=REVISION, **changed)
        assert new.validate_config_update(old.get_config(), new.get_config()) is None

    def test_windows_count_where_long_texts_are_cut_into_them(self):
        old = Function("minilm", long="windows")
        new = Function("minilm", long="windows", window_tokens=64)
        with pytest.raises(RecipeMismatchError, match="window_tokens"):
            new.validate_config_update(old.get_config(), new.get_config())

    def test_a_default_that_is_spelt_out_is_no_drift(self):
        old = Function("minilm")
        new = Function("minilm", dimensions=384, normalize=True)
        assert new.validate_config_update(old.get_config(), new.get_config()) is None

    def test_how_the_service_is_reached_may_change(self):
        old = Function("jina-embeddings-v3", api=TEAM)
        api = ApiSettings(requests_per_minute=None, read_timeout_s=5)
        new = Function("jina-embeddings-v3", base_url="http://127.0.0.1:9/v1", api=api)
        assert new.validate_config_update(old.get_config(), new.get_config()) is None

    def test_the_server_of_an_unknown_model_may_move(self):
        old = Function("theirs", base_url="http://127.0.0.1:8/v1")
        new = Function("theirs", base_url="http://127.0.0.1:9/v1")
        assert new.validate_config_update(old.get_config(), new.get_config()) is None

    @pytest.mark.parametrize("kind", ["folder", "server"])
    def test_modify_asks_but_stores_before_it_asks(self, kind, request):
        """chromadb 1.5.9: what is refused is stored all the same; the way back works."""
        client = (
            request.getfixturevalue("client")
            if kind == "folder"
            else chromadb.HttpClient("127.0.0.1", request.getfixturevalue("port"))
        )
        name = uuid.uuid4().hex

        def stored_dimensions():
            function = client.get_collection(name).configuration_json["embedding_function"]
            return function["config"]["dimensions"]

        collection = client.create_collection(name, embedding_function=Function("echo"))
        drifted = Function("echo", dimensions=64)
        with pytest.raises(RecipeMismatchError, match="put the old function back"):
            collection.modify(configuration={"embedding_function": drifted})
        assert stored_dimensions() == 64
        collection.modify(configuration={"embedding_function": Function("echo")})
        assert stored_dimensions() is None
        collection.modify(configuration={"embedding_function": Function("echo", batch_tokens=9)})
        found = client.get_collection(name).configuration["embedding_function"]
        assert found.embedder.settings.batch_tokens == 9

    def test_get_collection_never_asks_but_check_does(self, client):
        client.create_collection("handbook", embedding_function=Function("echo"))
        drifted = Function("echo", normalize=False)
        for collection in (
            client.get_collection("handbook", embedding_function=drifted),
            client.get_or_create_collection("handbook", embedding_function=drifted),
        ):
            with pytest.raises(RecipeMismatchError, match=r"'handbook'.*normalize=True"):
                drifted.check(collection)
            assert Function("echo", batch_tokens=9).check(collection) is None
            collection = client.get_collection("handbook")
            assert collection.configuration["embedding_function"] == Function("echo")

    def test_chromas_own_is_another_function(self, client, monkeypatch):
        monkeypatch.setenv("CHROMA_JINA_API_KEY", KEY)
        theirs = JinaEmbeddingFunction()
        client.create_collection("theirs", embedding_function=theirs)
        client.create_collection("ours", embedding_function=Function("echo"))
        with pytest.raises(ValueError, match="function conflict: new: jina vs persisted: jina_int"):
            client.get_collection("ours", embedding_function=theirs)
        with pytest.raises(ValueError, match="function conflict: new: jina_integrations"):
            client.get_collection("theirs", embedding_function=Function("echo"))

    def test_a_collection_that_says_nothing_cannot_be_checked(self, client):
        plain = client.create_collection("plain", embedding_function=None)
        with pytest.raises(CollectionNotFoundError, match="does not say"):
            Function("echo").check(plain)
        metadata = {"jina_integrations": "{"}
        garbled = client.create_collection("bad", metadata=metadata, embedding_function=None)
        with pytest.raises(StoreCorruptError, match="cannot be read"):
            Function("echo").check(garbled)

    def test_chroma_itself_refuses_other_dimensions(self, client):
        collection = client.create_collection("handbook", embedding_function=Function("echo"))
        collection.add(ids=["1"], documents=["bread"])
        other = client.get_collection("handbook", embedding_function=Function("echo", dimensions=8))
        with pytest.raises(chromadb.errors.InvalidArgumentError, match="1024, got 8"):
            other.query(query_texts=["bread"])


class TestTrust:
    """A collection is written by whoever may write to the server."""

    def test_a_collection_cannot_say_where_texts_are_sent(self, client, service, monkeypatch):
        monkeypatch.setenv("JINA_API_KEY", KEY)
        mine = Function("jina-embeddings-v3", base_url=service.url)
        collection = client.create_collection("handbook", embedding_function=mine)
        collection.add(ids=["1"], documents=["bread"])
        sent = len(service.bodies)
        stored = client.get_collection("handbook")
        for use in (
            lambda: stored.query(query_texts=["bread?"]),
            lambda: stored.add(ids=["2"], documents=["bread"]),
            lambda: stored.configuration["embedding_function"].embedder,
        ):
            with pytest.raises(ModelLoadError, match=f"sends texts and a key to {service.url}"):
                use()
        assert len(service.bodies) == sent
        given = client.get_collection("handbook", embedding_function=mine)
        assert given.query(query_texts=["bread?"])["ids"] == [["1"]]
        given.add(ids=["2"], documents=["more bread"])
        assert len(service.bodies) == sent + 2

    def test_the_function_that_was_passed_is_the_one_that_is_used(self, client, service):
        """Also where the collection names another server."""
        stored = Function("jina-embeddings-v3", base_url="http://127.0.0.1:9/v1")
        client.create_collection("handbook", embedding_function=stored)
        mine = Function("jina-embeddings-v3", base_url=service.url)
        collection = client.get_collection("handbook", embedding_function=mine)
        collection.add(ids=["1"], documents=["bread"])
        collection.update(ids=["1"], documents=["rye bread"])
        collection.upsert(ids=["2"], documents=["bread"])
        collection.query(query_texts=["bread"])
        assert len(service.bodies) == 4

    def test_a_collection_cannot_let_code_run(self):
        mine = Function("org/model", trust_remote_code=True, revision=REVISION)
        rebuilt = Function.build_from_config(mine.get_config())
        assert rebuilt == mine
        for use in (rebuilt, rebuilt.embed_query):
            with pytest.raises(ModelLoadError, match=r"code from the repository of 'org/model'"):
                use(["bread"])
        copied = pickle.loads(pickle.dumps(rebuilt))
        with pytest.raises(ModelLoadError, match="pass it to get_collection"):
            copied.embed_query(["bread"])


LICENCE_QUESTIONS = {
    "What happens to my patent licence if I sue somebody over patents?": "patent litigation",
    "May I charge a fee for offering support or a warranty?": "charge a fee for",
    "Am I allowed to use the trademarks of the licensor?": "trademarks",
}


def licence_chunks():
    document, tokenizer = Document("licence", LICENCE), Embedder("minilm").tokenizer
    return [chunk.text for chunk in SentenceChunker(max_tokens=96).chunk(document, tokenizer)]


ASK = """if True:
    import json, sys
    import chromadb
    import jina_adapters.chroma
    with chromadb.PersistentClient(sys.argv[1]) as client:
        found = client.get_collection("licence").query(query_texts=sys.argv[2:], n_results=1)
    print(json.dumps(found["documents"]))
"""


class TestRestart:
    def test_a_process_that_did_not_create_the_collection(self, tmp_path):
        texts = licence_chunks()
        with chromadb.PersistentClient(tmp_path / "index") as client:
            collection = client.create_collection("licence", embedding_function=Function("minilm"))
            collection.add(ids=[str(row) for row in range(len(texts))], documents=texts)
        found = json.loads(run_python(ASK, tmp_path / "index", *LICENCE_QUESTIONS))
        for (text,), words in zip(found, LICENCE_QUESTIONS.values(), strict=True):
            assert words in " ".join(text.split())

    def test_a_process_that_did_not_import_us_is_told(self, client, monkeypatch):
        collection = client.create_collection("handbook", embedding_function=Function("echo"))
        collection.add(ids=["1"], documents=["bread"])
        vectors = np.array(Function("echo")(["bread"]))
        monkeypatch.delitem(known_embedding_functions, "jina_integrations")
        stored = client.get_collection("handbook")
        with pytest.raises(ValueError, match="jina_integrations not found"):
            stored.query(query_texts=["bread"])
        with pytest.raises(ValueError, match="jina_integrations not found"):
            stored.add(ids=["2"], documents=["bread"])
        assert stored.query(query_embeddings=vectors)["ids"] == [["1"]]


class TestCollections:
    def test_cosine_unless_another_space_is_asked_for(self, client):
        made = client.create_collection("one", embedding_function=Function("echo"))
        assert made.configuration_json["hnsw"]["space"] == "cosine"
        with warnings.catch_warnings(action="error"):
            made = client.create_collection(
                "two",
                configuration={"hnsw": {"space": "ip"}},
                embedding_function=Function("echo"),
            )
        assert made.configuration_json["hnsw"]["space"] == "ip"
        with pytest.warns(UserWarning, match="space l2 is not supported"):
            client.create_collection(
                "three",
                configuration={"hnsw": {"space": "l2"}},
                embedding_function=Function("echo", normalize=False),
            )

    def test_a_schema_holds_it(self, client):
        schema = Schema()
        schema.create_index(config=VectorIndexConfig(embedding_function=Function("echo")))
        client.create_collection("handbook", schema=schema)
        collection = client.get_collection("handbook")
        collection.add(ids=["1", "2"], documents=["bread", "lamp"])
        assert collection.query(query_texts=["lamp"], n_results=1)["ids"] == [["2"]]
        assert Function("echo").check(collection) is None

    @pytest.mark.parametrize(
        ("texts", "error", "message"),
        [
            (["good", ""], InvalidTextError, r"texts\[1\] is empty"),
            (["good", "\0"], InvalidTextError, r"texts\[1\] has a NUL"),
            (["good", 5], ValueError, "Expected document to be a str"),  # chromadb's own
        ],
    )
    def test_bad_texts_are_refused_and_nothing_is_added(self, client, texts, error, message):
        collection = client.create_collection("handbook", embedding_function=Function("echo"))
        with pytest.raises(error, match=message) as caught:
            collection.add(ids=["1", "2"], documents=texts)
        assert getattr(caught.value, "index", 1) == 1
        assert collection.count() == 0
        with pytest.raises(error, match=message):
            collection.query(query_texts=texts)

    @pytest.mark.parametrize("bad", [[5], [None], "bread", None])
    def test_bad_input_of_a_direct_call_is_refused(self, bad):
        for use in (Function("echo"), Function("echo").embed_query):
            with pytest.raises(InvalidInputError, match="must be a"):
                use(bad)


class TestPictures:
    def test_they_are_stored_and_found(self, client):
        pytest.importorskip("PIL")
        red, blue = (np.full((8, 8, 3), color, np.uint8) for color in ((255, 0, 0), (0, 0, 255)))
        collection = client.create_collection("pictures", embedding_function=Function("echo"))
        collection.add(ids=["red", "blue"], images=[red, blue])
        found = collection.query(query_images=[blue, red], n_results=1)
        assert found["ids"] == [["blue"], ["red"]]
        np.testing.assert_allclose(found["distances"], 0, atol=1e-5)

    def test_a_model_without_eyes_refuses_them(self):
        pytest.importorskip("PIL")
        with pytest.raises(UnsupportedModalityError, match="minilm takes no pictures"):
            Function("minilm")([np.zeros((8, 8, 3), np.uint8)])

    @pytest.mark.parametrize(
        ("shape", "dtype"),
        [((8, 8, 3), np.int64), ((8, 8, 3), float), ((8, 8, 7), np.uint8), ((8,), np.uint8)],
    )
    def test_arrays_that_are_no_pictures_are_refused(self, shape, dtype):
        pytest.importorskip("PIL")
        good = np.zeros((8, 8), np.uint8)
        with pytest.raises(InvalidImageError, match=r"input\[1\] has shape") as caught:
            Function("echo")([good, np.zeros(shape, dtype)])
        assert caught.value.index == 1

    def test_texts_go_in_a_call_of_their_own(self):
        pytest.importorskip("PIL")
        with pytest.raises(InvalidInputError, match=r"input\[1\] is a str") as caught:
            Function("echo").embed_query([np.zeros((8, 8), np.uint8), "bread"])
        assert caught.value.index == 1


class TestServer:
    def test_a_question_finds_the_right_chunk_before_and_after_a_restart(
        self, tmp_path, chroma_serving
    ):
        texts = licence_chunks()
        question, words = next(iter(LICENCE_QUESTIONS.items()))

        def answer(collection):
            ((text,),) = collection.query(query_texts=[question], n_results=1)["documents"]
            return " ".join(text.split())

        with chroma_serving(tmp_path / "server") as (port, _):
            client = chromadb.HttpClient("127.0.0.1", port)
            made = client.create_collection("licence", embedding_function=Function("minilm"))
            made.add(ids=[str(row) for row in range(len(texts))], documents=texts)
            assert words in answer(made)
        with chroma_serving(tmp_path / "server") as (port, _):
            client = chromadb.HttpClient("127.0.0.1", port)
            found = client.get_or_create_collection(
                "licence", embedding_function=Function("minilm", batch_tokens=512)
            )
            assert found.count() == len(texts)
            assert words in answer(found)
            assert words in answer(client.get_collection("licence"))

    def test_more_than_a_batch_is_chromas_error(self, port):
        client = chromadb.HttpClient("127.0.0.1", port)
        collection = client.create_collection(
            uuid.uuid4().hex, embedding_function=Function("echo", dimensions=8)
        )
        too_many = [str(row) for row in range(client.get_max_batch_size() + 1)]
        with pytest.raises(ValueError, match="exceeds maximum batch size"):
            collection.upsert(ids=too_many, documents=too_many)
        assert collection.count() == 0

    def test_the_stored_config_is_the_functions_own(self, port):
        client = chromadb.HttpClient("127.0.0.1", port)
        name = uuid.uuid4().hex
        function = Function(
            "jina-embeddings-v3",
            api=TEAM,
            context_weight=1.0,
            dimensions=64,
        )
        client.create_collection(name, embedding_function=function)
        stored = client.get_collection(name).configuration_json
        assert stored["embedding_function"]["config"] == function.get_config()
        rebuilt = load_collection_configuration_from_json(stored)["embedding_function"]
        assert rebuilt == function

    def test_bad_text_is_refused(self, port):
        client = chromadb.HttpClient("127.0.0.1", port)
        made = client.create_collection(uuid.uuid4().hex, embedding_function=Function("echo"))
        with pytest.raises(InvalidTextError, match=r"texts\[1\] is only whitespace"):
            made.add(ids=["1", "2"], documents=["bread", " "])
        assert made.count() == 0

    async def test_the_asynchronous_client(self, port):
        client = await chromadb.AsyncHttpClient("127.0.0.1", port)
        name = uuid.uuid4().hex
        made = await client.create_collection(name, embedding_function=Function("echo"))
        await made.add(ids=["1", "2"], documents=["bread", "lamp"])
        found = await (await client.get_collection(name)).query(query_texts=["lamp"], n_results=1)
        assert found["ids"] == [["2"]]
        assert Function("echo").check(made) is None


@pytest.fixture(scope="module")
def ingested(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ingested") / "index"
    documents = [
        Document("licence", LICENCE),
        Document("bakery", "The bakery in Mill Lane sells rye bread. It opens at six."),
    ]
    with Collection(
        f"chroma:{folder}#handbook",
        embedder=Embedder("minilm", late_chunking=True, context_weight=0.3),
        chunker=SentenceChunker(max_tokens=96),
    ) as collection:
        report = collection.ingest(documents)
    assert report.documents_embedded == 2
    return folder


class TestIngested:
    """Late-chunked vectors, written by `Collection.ingest`, are asked by plain chromadb."""

    @pytest.fixture
    def filled(self, ingested):
        with chromadb.PersistentClient(ingested) as client:
            yield client

    def test_a_question_finds_the_right_chunk(self, filled):
        function = Function("minilm")
        collection = filled.get_collection("handbook", embedding_function=function)
        function.check(collection)
        found = collection.query(query_texts=list(LICENCE_QUESTIONS), n_results=1)
        for (text,), words in zip(found["documents"], LICENCE_QUESTIONS.values(), strict=True):
            assert words in " ".join(text.split())
        found = collection.query(
            query_texts=["When can I buy bread?"], n_results=1, where={"document_id": "bakery"}
        )
        assert "rye bread" in found["documents"][0][0]

    def test_other_settings_are_refused_by_check(self, filled):
        collection = filled.get_collection("handbook", embedding_function=None)
        with pytest.raises(RecipeMismatchError, match="normalize=True"):
            Function("minilm", normalize=False).check(collection)
        assert Function("minilm", context_weight=0.3, late_chunking=True).check(collection) is None

    def test_the_function_can_be_stored_with_it(self, filled):
        collection = filled.get_collection("handbook", embedding_function=None)
        with pytest.warns(DeprecationWarning, match="legacy"):  # chromadb's word for none
            collection.modify(configuration={"embedding_function": Function("minilm")})
        found = filled.get_collection("handbook").query(query_texts=["bread?"], n_results=1)
        assert "rye bread" in found["documents"][0][0]
        access = StoreAccess(ChromaStore(filled, "handbook"))  # which is as good as before
        assert access.describe() is not None
        assert access.count((AnyOf("chunk_index", (0,)),)) == 2
