"""`JinaEmbedding` meets LlamaIndex's contract, and the key stays where it is."""

from __future__ import annotations

import asyncio
import importlib
import json
import pickle
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("llama_index.core")

from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.callbacks.schema import EventPayload
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.schema import MetadataMode, TextNode

from jina_adapters.llama_index import JinaEmbedding, JinaMultiModalEmbedding
from jina_integrations import ApiSettings, Embedder
from jina_integrations.adapting import warn_once
from jina_integrations.errors import (
    InvalidSettingError,
    InvalidTextError,
    MissingExtraError,
    UnsupportedTaskError,
)

TEXTS = ["The bakery opens at six.", "The keeper writes down the weather.", "Bread comes by boat."]
KEY = "jina_a-secret-key"


@pytest.fixture(autouse=True)
def _nothing_said_yet():
    warn_once.cache_clear()


@pytest.fixture
def v3(monkeypatch):
    """Vectors that tell the tasks apart: the first value is the task's number."""
    tasks = ["query", "passage", "text-matching", "classification", "clustering"]

    def embed(self, texts, *, task, on_error="raise"):
        return np.array([[tasks.index(task), len(text)] for text in texts], np.float32)

    async def aembed(self, texts, *, task, on_error="raise"):
        return embed(self, texts, task=task)

    monkeypatch.setattr(Embedder, "embed", embed)
    monkeypatch.setattr(Embedder, "aembed", aembed)
    return lambda **options: JinaEmbedding(api_key=KEY, **options)


async def all_sides(model: JinaEmbedding) -> dict[str, list[float]]:
    """The first values of the vectors of queries and of texts, in every form."""
    queries = [model.get_query_embedding("abc"), await model.aget_query_embedding("abc")]
    texts = [model.get_text_embedding("abc"), await model.aget_text_embedding("abc")]
    texts += model.get_text_embedding_batch(["abc", "abc"])
    texts += await model.aget_text_embedding_batch(["abc", "abc"])
    nodes = [TextNode(text="abc"), TextNode(text="abc")]
    texts += [node.embedding for node in model(nodes[:1]) + await model.acall(nodes[1:])]
    return {
        "queries": sorted({vector[0] for vector in queries}),
        "texts": sorted({vector[0] for vector in texts}),
    }


class TestVectors:
    async def test_are_the_embedders_in_every_form_and_plain_floats(self):
        embedder = Embedder("minilm")
        model = JinaEmbedding(embedder, embed_batch_size=2)
        expected = embedder.embed_documents(TEXTS)
        nodes = [TextNode(text=text, metadata={"page": 1}) for text in TEXTS]

        forms = [
            model.get_text_embedding_batch(TEXTS),
            await model.aget_text_embedding_batch(TEXTS),
            [model.get_text_embedding(text) for text in TEXTS],
            [await model.aget_text_embedding(text) for text in TEXTS],
        ]
        for form in forms:
            assert {type(value) for vector in form for value in vector} == {float}
            np.testing.assert_allclose(form, expected, atol=1e-6)
        query = embedder.embed_queries(["Where is bread?"])[0]
        np.testing.assert_allclose(model.get_query_embedding("Where is bread?"), query, atol=1e-6)
        vector = await model.aget_query_embedding("Where is bread?")
        np.testing.assert_allclose(vector, query, atol=1e-6)
        assert {type(value) for value in vector} == {float}
        as_embedded = [node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
        np.testing.assert_allclose(
            [node.embedding for node in model(nodes)],
            embedder.embed_documents(as_embedded),
            atol=1e-6,
        )

    async def test_queries_and_texts_are_embedded_each_for_their_own(self, v3):
        assert await all_sides(v3()) == {"queries": [0], "texts": [1]}

    async def test_async_forms_do_not_block_the_loop(self):
        model, beats = JinaEmbedding("minilm"), 0

        async def beat():
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0.001)

        heart = asyncio.create_task(beat())
        await model.aget_text_embedding_batch([f"{text} {n}" for n in range(100) for text in TEXTS])
        heart.cancel()
        assert beats > 10

    def test_a_text_that_cannot_be_embedded_is_an_error(self):
        with pytest.raises(InvalidTextError, match=r"texts\[1\] is empty"):
            JinaEmbedding("echo").get_text_embedding_batch(["a", ""])

    def test_a_rate_limiter_is_asked_for_each_batch(self):
        pytest.importorskip("llama_index.core.rate_limiter")
        from llama_index.core.rate_limiter import TokenBucketRateLimiter

        class Counting(TokenBucketRateLimiter):
            asked: int = 0

            def acquire(self, num_tokens: int = 0) -> None:
                self.asked += 1

        limiter = Counting()
        model = JinaEmbedding("echo", rate_limiter=limiter, embed_batch_size=2)
        model.get_text_embedding_batch(TEXTS)
        assert limiter.asked == 2

    def test_it_is_llama_indexs_embedding_model_everywhere(self, monkeypatch):
        monkeypatch.setattr(Settings, "_embed_model", None)
        Settings.embed_model = model = JinaEmbedding("echo")
        assert Settings.embed_model is model

    def test_vectors_that_are_replaced_are_said(self):
        model = JinaEmbedding("echo")
        nodes = [TextNode(text="a", embedding=[1.0])]
        with pytest.warns(UserWarning, match="After LateChunking leave the embedding model out"):
            model(nodes)
        assert nodes[0].embedding == model.get_text_embedding("a")


class TestSettings:
    def test_every_one_is_a_public_field(self):
        model = JinaEmbedding("echo", dimensions=64, context_weight=0.5, api=ApiSettings())
        assert model.embedder == Embedder(
            "echo", dimensions=64, context_weight=0.5, api=ApiSettings()
        )
        for name, value in model.embedder.to_dict().items():
            assert model.to_dict()[name] == value
        assert (model.model, model.model_name, model.embed_batch_size) == ("echo", "echo", 512)

    def test_a_dict_has_all_of_them_and_makes_the_same_model(self):
        model = JinaEmbedding(
            "echo", dimensions=64, task="clustering", api=ApiSettings(request_inputs=7)
        )
        values = json.loads(model.to_json())
        again = JinaEmbedding.from_dict(values)
        assert again.to_dict() == model.to_dict() == values
        assert again.embedder == model.embedder
        assert again.api == ApiSettings(request_inputs=7)
        assert values["class_name"] == JinaEmbedding.class_name() == "JinaEmbedding"

    @pytest.mark.parametrize(
        "change",
        [{"dimensions": 32}, {"model": "minilm"}, {"normalize": False}, {"task": "clustering"}],
    )
    def test_a_dict_changes_with_what_changes_vectors(self, change):
        options = {"model": "echo", "dimensions": 64}
        assert JinaEmbedding(**options).to_dict() != JinaEmbedding(**options | change).to_dict()

    def test_a_pickle_is_the_same_model(self):
        handlers = CallbackManager([LlamaDebugHandler(print_trace_on_end=False)])
        model = JinaEmbedding("echo", dimensions=64, callback_manager=handlers, num_workers=3)
        again = pickle.loads(pickle.dumps(model))
        assert again.to_dict() == model.to_dict()
        assert again.embedder == model.embedder
        assert again.get_query_embedding("a") == model.get_query_embedding("a")

    def test_none_can_drift_from_the_embedder(self):
        model = JinaEmbedding("echo", dimensions=64)
        for name in ("model", "model_name", "dimensions", "task"):
            with pytest.raises(ValueError, match=r"cannot be changed|frozen"):
                setattr(model, name, "clustering")
            with pytest.raises(InvalidSettingError, match=f"{name}.*construct a new"):
                model.model_copy(update={name: "clustering"})
        assert model.model_copy(update={"embed_batch_size": 3}).embed_batch_size == 3

    def test_model_name_is_another_name_of_model(self):
        assert JinaEmbedding(model_name="echo").embedder == Embedder("echo")
        assert JinaEmbedding("echo", model_name="echo").model == "echo"

    def test_a_ready_embedder_is_taken_as_it_is(self):
        embedder = Embedder("echo", dimensions=64)
        assert JinaEmbedding(embedder).embedder is embedder
        with pytest.raises(
            InvalidSettingError, match=r"^You passed an Embedder and dimensions, api_key"
        ):
            JinaEmbedding(embedder, dimensions=32, api_key=KEY)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"dimension": 64}, r"unknown settings \['dimension'\]"),
            ({"dimensions": 0}, "dimensions must be greater than or equal to 1"),
            ({"api": {"request_input": 1}}, "request_input"),
            ({"model_name": "minilm"}, "name two models"),
            ({"task": "code2code.query"}, "task must be one of .*separation"),
            ({"embeddings_cache": {}}, "must be a BaseKVStore .* not dict"),
        ],
    )
    def test_a_bad_one_is_our_own_error(self, options, message):
        with pytest.raises(InvalidSettingError, match=message):
            JinaEmbedding("echo", **options)


def test_without_llama_index_the_error_names_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("jina_adapters.llama_index")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "llama_index.core", None)
    with pytest.raises(MissingExtraError, match=r'pip install "jina-integrations\[llama-index\]"'):
        importlib.import_module("jina_adapters.llama_index")


class TestKey:
    def test_it_is_nowhere(self):
        model = JinaEmbedding(api_key=KEY)
        shown = [repr(model), str(model.to_dict()), model.to_json(), str(model.to_payload())]
        shown += [str(model.model_dump()), model.model_dump_json(), str(model.__dict__)]
        shown.append(pickle.dumps(model).decode("latin-1"))
        assert not [text for text in shown if KEY in text]
        assert model.embedder.backend == "api"  # so it was taken

    def test_a_copy_in_this_process_keeps_it_with_the_embedder(self):
        model = JinaEmbedding(api_key=KEY)
        assert model.model_copy(deep=True).embedder is model.embedder

    def test_events_do_not_have_it(self, events, v3):
        model = v3(callback_manager=CallbackManager([LlamaDebugHandler(print_trace_on_end=False)]))
        model.get_query_embedding("abc")
        assert KEY not in repr([event.model_dump() for event in events])
        pairs = model.callback_manager.handlers[0].get_event_pairs(CBEventType.EMBEDDING)
        assert KEY not in repr([event.payload for pair in pairs for event in pair])


@pytest.fixture
def events():
    """Every instrumentation event of the test, in order."""

    class Recorder(BaseEventHandler):
        seen: list = []  # noqa: RUF012 - a pydantic field

        def handle(self, event, **kwargs):
            self.seen.append(event)

    recorder, dispatcher = Recorder(), get_dispatcher()
    dispatcher.add_event_handler(recorder)
    yield recorder.seen
    dispatcher.event_handlers.remove(recorder)


class TestEvents:
    async def test_of_instrumentation_are_seen(self, events):
        model = JinaEmbedding("echo", dimensions=64)
        vector = model.get_query_embedding("abc")
        await model.aget_text_embedding_batch(TEXTS)
        assert [event.class_name() for event in events] == [
            "EmbeddingStartEvent",
            "EmbeddingEndEvent",
        ] * 2
        assert events[0].model_dict["model_name"] == "echo"
        assert events[1].chunks == ["abc"]
        assert events[1].embeddings == [vector]
        assert events[3].chunks == TEXTS

    def test_of_the_callback_manager_are_seen(self):
        handler = LlamaDebugHandler(print_trace_on_end=False)
        model = JinaEmbedding("echo", callback_manager=CallbackManager([handler]))
        vectors = model.get_text_embedding_batch(TEXTS)
        [(_, end)] = handler.get_event_pairs(CBEventType.EMBEDDING)
        assert end.payload[EventPayload.EMBEDDINGS] == vectors

    def test_a_payload_says_what_is_safe(self):
        assert JinaEmbedding(
            "echo", dimensions=64, base_url="http://127.0.0.1:1/v1"
        ).to_payload() == {
            "class_name": "JinaEmbedding",
            "model_name": "echo",
            "embed_batch_size": 512,
            "dimensions": 64,
            "task": None,
        }


class TestComingFromTheirPackage:
    """Code for llama-index-embeddings-jinaai 0.7 in which the import was changed."""

    def test_its_model_is_the_default(self):
        theirs = pytest.importorskip("llama_index.embeddings.jinaai").JinaEmbedding(api_key=KEY)
        assert JinaEmbedding(api_key=KEY).model == theirs.model == "jina-embeddings-v3"

    def test_api_key(self):
        model = JinaEmbedding(api_key=KEY)
        assert model.embedder.backend == "api"
        assert "api_key" not in model.to_dict()

    def test_model(self):
        assert JinaEmbedding(model="echo").embedder == Embedder("echo")

    def test_dimensions(self):
        assert len(JinaEmbedding(model="echo", dimensions=64).get_query_embedding("a")) == 64

    def test_embed_batch_size_and_callback_manager(self):
        manager = CallbackManager([])
        model = JinaEmbedding(model="echo", embed_batch_size=16, callback_manager=manager)
        assert (model.embed_batch_size, model.callback_manager) == (16, manager)

    @pytest.mark.parametrize("task", ["retrieval.query", "retrieval.passage", "nl2code.query"])
    async def test_a_task_of_one_side_is_put_right_and_said_once(self, v3, task):
        with pytest.warns(UserWarning, match=f"task='{task}' is for one side only") as said:
            model = v3(task=task)
        assert said[0].filename == __file__
        assert model.task is None
        assert await all_sides(model) == {"queries": [0], "texts": [1]}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            v3(task=task)

    @pytest.mark.parametrize(
        ("task", "side"),
        [
            ("text-matching", "text-matching"),
            ("classification", "classification"),
            ("clustering", "clustering"),
            ("separation", "clustering"),
        ],
    )
    async def test_a_task_of_both_sides_is_used_for_both(self, v3, task, side):
        model = v3(task=task)
        number = ["query", "passage", "text-matching", "classification", "clustering"].index(side)
        assert model.task == side
        assert await all_sides(model) == {"queries": [number], "texts": [number]}

    def test_a_task_that_the_model_lacks_is_an_error(self):
        model = JinaEmbedding("jina-code-embeddings-0.5b", api_key=KEY, task="clustering")
        with pytest.raises(UnsupportedTaskError, match="has no task 'clustering'"):
            model.get_query_embedding("a")

    def test_late_chunking_is_kept_from_mixing_documents_and_said_once(self):
        with pytest.warns(UserWarning, match="whole documents are encoded by LateChunking") as said:
            model = JinaEmbedding("minilm", late_chunking=True)
        assert said[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            JinaEmbedding("minilm", late_chunking=True)
            JinaEmbedding("minilm", late_chunking=False)
        alone = [model.get_text_embedding(text) for text in TEXTS]
        np.testing.assert_allclose(model.get_text_embedding_batch(TEXTS), alone, atol=1e-6)

    def test_encodings(self):
        plain = JinaEmbedding("echo")
        said = JinaEmbedding("echo", encoding_queries="float", encoding_documents="float")
        assert said.to_dict() == plain.to_dict()
        for name in ("encoding_queries", "encoding_documents"):
            with pytest.raises(InvalidSettingError, match=f"{name} .* 'binary'.*embed_binary"):
                JinaEmbedding("echo", **{name: "binary"})

    def test_pictures(self):
        model = JinaMultiModalEmbedding(model="jina-clip-v2", api_key=KEY, embed_batch_size=8)
        assert "image" in model.embedder.card.modalities
