"""The fault server itself, seen by a client that is not ours."""

from __future__ import annotations

import base64
import http.client
import json
from collections import Counter
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from tests.core.api.fault_server import FaultServer, tokens_of, vector_of
from tests.core.api.faults import FAULTS, after, first, first_of, random_faults, when_holding

TEXTS = ["one", "two", "three"]
BROKEN = ("reset_before", "reset_mid_body", "stall")


def ask(server: FaultServer, texts: list[str] = TEXTS, **fields: Any) -> tuple[int, Any, Any]:
    address = urlsplit(server.base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        connection.request(
            "POST",
            f"{address.path}/embeddings",
            json.dumps({"model": "m", "input": texts} | fields),
        )
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_answers_are_a_function_of_the_text_and_are_counted() -> None:
    with FaultServer() as server:
        status, _, body = ask(server)
        _, _, packed = ask(server, ["one"], embedding_type="base64", dimensions=48)
    answer = json.loads(body)

    assert status == 200
    assert [item["index"] for item in answer["data"]] == [0, 1, 2]
    rows = np.array([item["embedding"] for item in answer["data"]], np.float32)
    np.testing.assert_array_equal(rows, [vector_of(text) for text in TEXTS])
    assert answer["usage"] == {"total_tokens": sum(map(tokens_of, TEXTS))}
    row = np.frombuffer(base64.b64decode(json.loads(packed)["data"][0]["embedding"]), "<f4")
    np.testing.assert_array_equal(row, vector_of("one", dimensions=48))
    assert server.billed == server.delivered == Counter({"one": 2, "two": 1, "three": 1})
    assert [request.texts for request in server.requests] == [TEXTS, ["one"]]
    assert server.statuses == {200: 2}


def test_late_chunking_vectors_tell_of_the_whole_document() -> None:
    with FaultServer() as server:
        answer = json.loads(ask(server, ["a b", " c"], late_chunking=True)[2])

    for item, text in zip(answer["data"], ["a b", " c"], strict=True):
        expected = vector_of(text, document="a b c")
        np.testing.assert_array_equal(np.float32(item["embedding"]), expected)
    assert answer["usage"] == {"total_tokens": tokens_of("a b c")}


@pytest.mark.parametrize("name", [n for n, fault in FAULTS.items() if fault.how == "error"])
def test_an_error_has_its_status_and_bills_nothing(name: str) -> None:
    with FaultServer(first(1, name)) as server:
        status, headers, body = ask(server)

    fault = FAULTS[name]
    assert status == fault.status
    assert ("Retry-After" in headers) == (fault.retry_after_s is not None)
    assert (fault.code.encode() in body) or fault.shape == "fields"
    assert not server.billed


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_connection_is_seen_as_one(name: str) -> None:
    with FaultServer(first(1, replace(FAULTS[name], seconds=0.05))) as server:
        with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
            ask(server)
        assert ask(server)[0] == 200

    assert server.delivered == Counter(TEXTS)
    assert sum(server.billed.values()) == (6 if name == "reset_mid_body" else 3)


def test_a_stall_ends_with_the_server() -> None:
    with FaultServer(first(1, "stall")) as server:
        address = urlsplit(server.base_url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=0.1)
        connection.request("POST", "/v1/embeddings", json.dumps({"input": TEXTS}))
        with pytest.raises(TimeoutError):
            connection.getresponse()
        connection.close()

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "name", [n for n, fault in FAULTS.items() if fault.status == 200 and n not in BROKEN]
)
def test_an_answer_that_is_wrong_differs_from_the_right_one(name: str) -> None:
    with FaultServer(first(1, replace(FAULTS[name], seconds=0.05))) as server:
        wrong, right = ask(server)[2], ask(server)[2]

    assert (wrong == right) == (name == "drip")
    assert sum(server.billed.values()) == 6
    assert sum(server.delivered.values()) == (6 if name in ("drip", "shuffled") else 3)


def test_plans_choose_by_number_and_by_text() -> None:
    plan = first_of(when_holding("bad", "400"), after(2, "401"))
    with FaultServer(plan) as server:
        statuses = [ask(server, texts)[0] for texts in (["bad"], ["good"], ["good"], ["bad"])]

    assert statuses == [400, 200, 401, 400]


def test_random_faults_come_at_their_rate_and_again_with_the_same_seed() -> None:
    plan = random_faults(["429", "zero"], rate=0.05, seed=3)
    drawn = [plan(number, {}) for number in range(4000)]
    again = random_faults(["429", "zero"], rate=0.05, seed=3)

    assert drawn == [again(number, {}) for number in range(4000)]
    counts = Counter(fault.how for fault in drawn if fault)
    assert 60 < counts["error"] < 140
    assert 60 < counts["zero"] < 140
