"""What is refused, with the status, code and shape of the service."""

from __future__ import annotations

import socket

import pytest

from jina_integrations import MODEL_CARDS
from jina_integrations.errors import InvalidSettingError, UnsupportedTaskError
from jina_integrations.server import ServerSettings, create_app
from jina_integrations.server.tasks import task_names
from jina_integrations.settings import EmbedderSettings

KEY = "jina_" + "x" * 60


def refused(answer, status: int, code: str) -> str:
    """The detail of an error, once it is known to have the service's shape."""
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), answer.text
    assert set(body) == {"detail", "code", "request_id"}
    assert body["request_id"] == answer.headers["x-request-id"]
    return body["detail"]


def invalid(answer, field: str) -> dict:
    """The field's entry of a 422."""
    body = answer.json()
    assert answer.status_code == 422, answer.text
    assert set(body) == {"detail", "request_id", "errors"}
    (error,) = (error for error in body["errors"] if error["field"] == f"body -> {field}")
    assert set(error) == {"field", "message", "type", "input"}
    return error


def test_unknown_model(echo) -> None:
    detail = refused(echo.post(model="gpt", input="a"), 400, "INPUT_MODEL_NOT_FOUND")

    assert "'gpt'" in detail
    assert "echo" in detail


def test_text_over_the_limit_is_named(echo) -> None:
    inputs = ["short", "word " * 8193, "short"]

    detail = refused(echo.post(input=inputs), 400, "INPUT_TOKEN_LIMIT_EXCEEDED")

    assert detail.startswith("input[1] has 8,193 tokens, and echo takes 8,192")


def test_no_input_and_too_many(echo) -> None:
    assert "1 to 512" in invalid(echo.post(input=[]), "input")["message"]
    assert "not 513" in invalid(echo.post(input=["a"] * 513), "input")["message"]


@pytest.mark.parametrize(("text", "reason"), [("", "empty"), (" \n", "whitespace"), ("a\0", "NUL")])
def test_text_that_cannot_be_embedded_is_named(echo, text, reason) -> None:
    detail = refused(echo.post(input=["a", text]), 400, "INPUT_INVALID")

    assert "input[1]" in detail
    assert reason in detail


def test_lone_surrogate_is_no_json(echo) -> None:
    answer = echo.http.post("/v1/embeddings", content=b'{"model": "echo", "input": ["\\ud800"]}')

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["type"] == "json_invalid"


def test_unknown_task_tells_those_that_there_are(echo) -> None:
    error = invalid(echo.post(input="a", task="{poetry}"), "task")

    assert "retrieval.query" in error["message"]
    assert error["input"] == "{poetry}"


@pytest.mark.parametrize(
    ("model", "has", "lacks"),
    [
        ("jina-embeddings-v3", {"separation", "retrieval.query"}, {"nl2code.query"}),
        ("jina-clip-v2", {"retrieval.query"}, {"text-matching", "code.query"}),
        ("jina-code-embeddings-0.5b", {"nl2code.query", "nl2code.passage"}, {"qa.query"}),
        ("jina-embeddings-v5-text-small", {"retrieval.passage"}, {"classification"}),
    ],
)
def test_tasks_of_models_with_instructions(model, has, lacks) -> None:
    names = task_names(MODEL_CARDS[model])

    assert has <= names.keys()
    assert lacks.isdisjoint(names)


@pytest.mark.parametrize("dimensions", [4, 1025, 0])
def test_dimensions_that_the_model_lacks(echo, dimensions) -> None:
    assert invalid(echo.post(input="a", dimensions=dimensions), "dimensions")["input"] == dimensions


def test_binary_needs_whole_bytes(echo) -> None:
    answer = echo.post(input="a", dimensions=12, embedding_type="binary")

    assert "multiple of 8" in invalid(answer, "dimensions")["message"]


def test_shorter_vectors_of_a_model_that_has_none(minilm) -> None:
    error = invalid(minilm.post(input="a", dimensions=128), "dimensions")

    assert "not trained for shorter vectors" in error["message"]


def test_unknown_embedding_type(echo) -> None:
    assert invalid(echo.post(input="a", embedding_type="int4"), "embedding_type")["input"] == "int4"


def test_body_that_is_no_json(echo) -> None:
    answer = echo.http.post("/v1/embeddings", content=b"{model")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body"


def test_wrong_types_do_not_come_back_whole(echo) -> None:
    secret = "s3cret" * 100
    answer = echo.post(input=[{"pdf": secret}] * 100)

    assert answer.status_code == 422
    assert len(answer.text) < 4000
    assert secret not in answer.text


def test_token_ids_are_refused(echo) -> None:
    assert echo.post(input=[[1, 2, 3]]).status_code == 422


def test_late_chunking_of_pictures_is_refused(echo) -> None:
    answer = echo.post(input=["a", {"image": "aGk="}], late_chunking=True)

    assert "picture" in invalid(answer, "late_chunking")["message"]


def test_late_chunking_of_a_span_without_tokens_names_the_input(minilm) -> None:
    answer = minilm.post(input=["First.", "\u200b", "Last."], late_chunking=True)

    detail = refused(answer, 400, "INPUT_INVALID")
    assert "input[1]" in detail
    assert "texts[" not in detail


def test_late_chunking_of_a_model_that_has_none(words, serve, monkeypatch) -> None:
    from dataclasses import replace

    card = replace(words.card.fget(None), pooling="last", late_chunking=None)
    monkeypatch.setattr(words, "card", property(lambda _: card))
    server = serve("words")

    error = invalid(server.post(input=["a", "b"], late_chunking=True), "late_chunking")

    assert "words has no late chunking" in error["message"]


def test_picture_for_a_text_model(minilm) -> None:
    detail = refused(minilm.post(input=[{"image": "aGk="}]), 400, "INPUT_INVALID")

    assert detail == "input[0] is a picture, and minilm takes none"


def test_body_over_the_limit(serve) -> None:
    server = serve(max_body_bytes=1000)

    def parts():
        for _ in range(20):
            yield b" " * 100

    refused(server.post(input="a" * 1000), 413, "INPUT_INVALID")
    chunked = server.http.post("/v1/embeddings", content=parts())
    refused(chunked, 413, "INPUT_INVALID")
    assert server.post(input="a").status_code == 200


def test_unknown_path_and_method(echo) -> None:
    missing = echo.http.get("/v2/embeddings")
    method = echo.http.get("/v1/embeddings")

    assert (missing.status_code, missing.json()["code"]) == (404, "RESOURCE_NOT_FOUND")
    assert (method.status_code, method.headers["allow"]) == (405, "POST")
    assert set(method.json()) == {"detail", "code", "request_id"}


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "AUTH_MISSING_API_KEY"),
        ("", "AUTH_INVALID_FORMAT"),
        (KEY, "AUTH_INVALID_FORMAT"),
        ("Basic eDp5", "AUTH_INVALID_FORMAT"),
        ("Bearer", "AUTH_INVALID_FORMAT"),
        ("Bearer jina_wrong", "AUTH_INVALID_API_KEY"),
        ("Bearer schl\u00fcssel", "AUTH_INVALID_API_KEY"),
        (f"Bearer {KEY}x", "AUTH_INVALID_API_KEY"),
    ],
)
def test_key_is_asked_for(keyed, header, code) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}

    answer = keyed.post(input="a", headers=headers)

    refused(answer, 401, code)
    assert KEY not in answer.text


def test_right_key_is_let_in(keyed) -> None:
    assert keyed.post(input="a", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
    assert keyed.post(input="a", headers={"Authorization": f"bearer  {KEY}"}).status_code == 200


def test_models_and_health_need_no_key(keyed) -> None:
    assert keyed.http.get("/v1/models").status_code == 200
    assert keyed.http.get("/healthz").status_code == 200


def test_garbage_on_the_socket_harms_nobody(echo) -> None:
    with socket.create_connection(("127.0.0.1", echo.port)) as raw:
        raw.sendall(b"\x00\xff GARBAGE\r\n\r\n")
        raw.recv(1000)

    assert echo.post(input="a").status_code == 200


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"host": "0.0.0.0"}, "--insecure"),
        ({"host": "::"}, "--insecure"),
        ({"host": ""}, "--insecure"),
        ({"port": 70000}, "port"),
        ({"max_inputs": 4096}, "max inputs"),
        ({"queue_tokens": 0}, "queue tokens"),
        ({"request_timeout_s": 0}, "request timeout"),
        ({"default_task": "poetry"}, "default task"),
        ({"image_hosts": frozenset({"http://x"})}, "image host"),
        ({"model_names": (" ",)}, "model name"),
        ({"embedder": EmbedderSettings(model="echo", backend="api")}, "this machine"),
        ({"embedder": EmbedderSettings(model="echo", dimensions=8)}, "dimensions"),
        ({"embedder": EmbedderSettings(model="echo", truncate=True)}, "truncate"),
    ],
)
def test_settings_are_checked_at_once(options, named) -> None:
    with pytest.raises(InvalidSettingError, match=named):
        ServerSettings(**{"embedder": EmbedderSettings(model="echo")} | options)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_no_key(host) -> None:
    assert ServerSettings(embedder=EmbedderSettings(model="echo"), host=host).host == host


def test_key_is_not_shown() -> None:
    from pydantic import SecretStr

    settings = ServerSettings(
        embedder=EmbedderSettings(model="echo"), host="0.0.0.0", api_key=SecretStr(KEY)
    )

    assert KEY not in repr(settings)


def test_default_task_must_be_the_models(words) -> None:
    settings = ServerSettings(
        embedder=EmbedderSettings(model="words"), default_task="classification"
    )

    with pytest.raises(UnsupportedTaskError):
        create_app(settings)
