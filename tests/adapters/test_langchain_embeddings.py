"""`JinaEmbeddings`: LangChain's contract, the community package's names, and no key anywhere."""

import copy
import pickle
import re
import warnings

import numpy as np
import pytest

pytest.importorskip("langchain_core")

from jina_adapters.langchain import JinaEmbeddings
from jina_integrations import Embedder
from jina_integrations.adapting import warn_once
from jina_integrations.errors import InvalidSettingError, InvalidTextError

KEY = "a-secret-key"
TEXTS = ["Rye bread is sold out.", "The lamp was lit at dusk."]
QUESTION = "Is there bread left?"


class TestVectors:
    async def test_documents_are_passages_and_queries_are_queries(self, service):
        options = {"base_url": service.url, "dimensions": 64}
        held = JinaEmbeddings("jina-embeddings-v3", api_key=KEY, **options)
        held.embed_documents(TEXTS)
        held.embed_query(QUESTION)
        await held.aembed_documents(TEXTS)
        await held.aembed_query(QUESTION)
        tasks = ["retrieval.passage", "retrieval.query"] * 2
        assert [body["task"] for body in service.bodies] == tasks
        assert [len(body["input"]) for body in service.bodies] == [2, 1, 2, 1]

    async def test_they_are_the_embedders_as_python_floats(self):
        embedder = Embedder("minilm")
        held = JinaEmbeddings(embedder)
        passages, query = held.embed_documents(TEXTS), held.embed_query(QUESTION)
        assert {type(value) for row in [*passages, query] for value in row} == {float}
        np.testing.assert_allclose(passages, embedder.embed_documents(TEXTS), atol=1e-6)
        np.testing.assert_allclose(query, embedder.embed_queries([QUESTION])[0], atol=1e-6)
        assert await held.aembed_documents(TEXTS) == passages
        assert await held.aembed_query(QUESTION) == query

    async def test_no_texts_no_vectors(self):
        held = JinaEmbeddings("echo")
        assert held.embed_documents([]) == await held.aembed_documents([]) == []

    async def test_pictures(self):
        held = JinaEmbeddings("echo")
        uris = ["https://example.com/lamp.png", "https://example.com/bread.png"]
        rows = held.embed_images(uris)
        assert rows == held.embedder.embed_images(uris).tolist() == await held.aembed_images(uris)

    def test_an_error_names_the_text(self):
        with pytest.raises(InvalidTextError) as caught:
            JinaEmbeddings("echo").embed_documents(["bread", ""])
        assert caught.value.index == 1

    def test_usage_can_be_seen(self):
        spent = []
        held = JinaEmbeddings(Embedder("echo", on_usage=spent.append))
        held.embed_query(QUESTION)
        assert held.embedder.usage.tokens == spent[0].tokens == 4


class TestSettings:
    def test_an_embedder_and_its_arguments_are_the_same(self):
        embedder = Embedder("echo", dimensions=64, context_weight=0.5, window_tokens=128)
        held = JinaEmbeddings("echo", dimensions=64, context_weight=0.5, window_tokens=128)
        assert held == JinaEmbeddings(embedder)
        assert held != JinaEmbeddings("echo", dimensions=32)
        assert held.embedder == embedder
        assert JinaEmbeddings(embedder).embedder is embedder

    def test_settings_beside_a_ready_embedder_are_refused(self):
        with pytest.raises(InvalidSettingError, match=r"^You passed an Embedder and dimensions, "):
            JinaEmbeddings(Embedder("echo"), dimensions=64, api_key=KEY)

    def test_a_bad_setting_is_the_embedders_own_error(self):
        with pytest.raises(
            InvalidSettingError, match="dimensions must be greater than or equal to 1"
        ):
            JinaEmbeddings("echo", dimensions=0)
        with pytest.raises(InvalidSettingError, match=r"unknown settings \['dimension'\]"):
            JinaEmbeddings("echo", dimension=64)
        with pytest.raises(InvalidSettingError, match="session belongs to langchain_community"):
            JinaEmbeddings("echo", session=object())

    def test_the_key_is_nowhere_and_is_sent(self, service):
        options = {"base_url": service.url, "dimensions": 64}
        held = JinaEmbeddings("jina-embeddings-v3", api_key=KEY, **options)
        held.embed_query(QUESTION)
        assert service.keys[0] == f"Bearer {KEY}"
        shown = [repr(held), str(held), str(held.model_dump()), held.model_dump_json()]
        assert KEY not in "".join(shown)
        assert KEY.encode() not in pickle.dumps(held)
        assert KEY not in str(vars(held))

    def test_it_pickles_and_copies(self):
        held = JinaEmbeddings("echo", dimensions=64)
        for copied in (pickle.loads(pickle.dumps(held)), copy.deepcopy(held), held.model_copy()):
            assert copied == held
            assert copied.embed_query(QUESTION) == held.embed_query(QUESTION)

    def test_a_dump_makes_an_equal_one(self):
        held = JinaEmbeddings("echo", dimensions=64, context_weight=0.5)
        assert JinaEmbeddings(**held.model_dump()) == held


class TestLateChunking:
    async def test_embed_documents_refuses_its_settings_and_says_what_to_use(self):
        held = JinaEmbeddings("echo")
        says = r"does not say which document.*add_late_chunks\(.*late_chunk_documents\("
        with pytest.raises(InvalidSettingError, match=says):
            held.embed_documents(TEXTS, late_chunking=True)
        with pytest.raises(InvalidSettingError, match=says):
            await held.aembed_documents(TEXTS, context_weight=0.5)
        with pytest.raises(InvalidSettingError, match=says):
            JinaEmbeddings("echo", late_chunking=True)

    def test_an_embedder_that_ingest_uses_too_is_accepted(self):
        held = JinaEmbeddings(Embedder("echo", late_chunking=True))
        assert held.embed_documents(TEXTS) == JinaEmbeddings("echo").embed_documents(TEXTS)


class TestCommunityNames:
    """The constructor of ``langchain_community.embeddings.JinaEmbeddings``."""

    @pytest.fixture(autouse=True)
    def untold(self):
        warn_once.cache_clear()

    def test_they_work_and_say_once_what_is_put_right(self, service):
        options = {"base_url": service.url, "dimensions": 64}
        with pytest.warns(UserWarning, match=r"each is embedded for its own.*made anew") as warned:
            held, _ = (
                JinaEmbeddings(model_name="jina-embeddings-v3", jina_api_key=KEY, **options),
                JinaEmbeddings(model_name="echo"),
            )
        assert len(warned) == 1
        assert warned[0].filename == __file__
        held.embed_documents(TEXTS)
        assert (held.model, held.model_name) == ("jina-embeddings-v3", "jina-embeddings-v3")
        assert service.keys[0] == f"Bearer {KEY}"

    def test_theirs_are_the_community_packages(self):
        community = pytest.importorskip("langchain_community.embeddings").JinaEmbeddings
        fields = community.model_fields
        assert fields.keys() == {"session", "model_name", "jina_api_key"}
        assert JinaEmbeddings().model == fields["model_name"].default

    def test_our_names_say_nothing(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            JinaEmbeddings("echo")
            JinaEmbeddings(api_key=KEY)

    def test_two_names_of_one_setting_are_refused(self):
        with (
            pytest.warns(UserWarning, match="langchain_community"),
            pytest.raises(InvalidSettingError, match="model and model_name are the same setting"),
        ):
            JinaEmbeddings("echo", model_name="echo")
        with pytest.raises(
            InvalidSettingError, match=re.escape("api_key and jina_api_key are the same setting")
        ):
            JinaEmbeddings("jina-embeddings-v3", api_key=KEY, jina_api_key=KEY)
