"""The sliding window: strict, per client, and told in headers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_integrations.errors import InvalidSettingError, RateLimitError, RequestRefusedError
from jina_integrations.server.rate_limit import RateLimiter
from jina_integrations.server.settings import RateLimit


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 40)), max_size=80))
def test_no_60_seconds_have_more_than_the_limit(arrivals) -> None:
    clock = Clock()
    limiter = RateLimiter(RateLimit(5, 100), clock)
    admitted: list[tuple[float, int]] = []
    for pause, tokens in arrivals:
        clock.now += pause
        recent = [n for at, n in admitted if at > clock.now - 60]
        refusal = attempt(limiter, tokens)
        if refusal is None:
            admitted.append((clock.now, tokens))
            recent.append(tokens)
        else:  # nothing is refused that would have fitted
            assert len(recent) == 5 or sum(recent) + tokens > 100
        assert len(recent) <= 5
        assert sum(recent) <= 100
        assert limiter.remaining("client") == (5 - len(recent), 100 - sum(recent))


@given(st.lists(st.tuples(st.floats(0.01, 20), st.integers(1, 40)), min_size=1, max_size=40))
def test_retry_after_is_long_enough(arrivals) -> None:
    clock = Clock()
    limiter = RateLimiter(RateLimit(5, 100), clock)
    for pause, tokens in arrivals:
        clock.now += pause
        refusal = attempt(limiter, tokens)
        if refusal is not None:
            wait_s = refusal.retry_after_s
            assert wait_s is not None
            assert 1 <= wait_s == int(wait_s)
            clock.now += wait_s
            limiter.admit("client", tokens)


def attempt(limiter: RateLimiter, tokens: int) -> RateLimitError | None:
    try:
        limiter.admit("client", tokens)
    except RateLimitError as exc:
        return exc
    return None


def test_clients_have_windows_of_their_own_and_idle_ones_are_forgotten() -> None:
    clock = Clock()
    limiter = RateLimiter(RateLimit(1, 10), clock)
    for client in range(3000):
        limiter.admit(str(client), 10)
        clock.now += 0.1

    with pytest.raises(RateLimitError):
        limiter.admit("2999", 1)
    assert len(limiter._windows) < 1300


def test_refused_requests_count_for_nothing() -> None:
    clock = Clock()
    limiter = RateLimiter(RateLimit(2, 10), clock)
    limiter.admit("client", 8)
    for _ in range(10):
        with pytest.raises(RateLimitError) as caught:
            limiter.admit("client", 3)
        assert caught.value.code == "RATE_TOKEN_LIMIT_EXCEEDED"

    limiter.admit("client", 2)
    with pytest.raises(RateLimitError) as caught:
        limiter.check_requests("client")
    assert caught.value.code == "RATE_REQUEST_LIMIT_EXCEEDED"
    clock.now += 60
    limiter.admit("client", 10)


def test_tokens_of_failed_requests_are_given_back() -> None:
    clock = Clock()
    limiter = RateLimiter(RateLimit(5, 10), clock)
    admission = limiter.admit("client", 10)

    limiter.give_back("client", admission)

    assert limiter.remaining("client") == (4, 10)
    clock.now += 61
    limiter.give_back("client", admission)
    assert limiter.remaining("client") == (5, 10)


def test_more_than_a_minute_has_is_no_matter_of_waiting() -> None:
    with pytest.raises(RequestRefusedError) as caught:
        RateLimiter(RateLimit(5, 10)).admit("client", 11)

    assert caught.value.code == "INPUT_TOKEN_LIMIT_EXCEEDED"


@pytest.mark.parametrize("text", ["", "5", "5,", "a,b", "0,5", "5,0", "5,6,7"])
def test_only_two_counts_are_a_limit(text) -> None:
    with pytest.raises(InvalidSettingError):
        RateLimit.parse(text)


def test_limit_is_parsed() -> None:
    assert RateLimit.parse("500,1000000") == RateLimit(500, 1_000_000)


def test_server_answers_429_and_tells_what_is_left(serve) -> None:
    server = serve(rate_limit=RateLimit(3, 10))

    first = server.post(input="one two three")
    by_tokens = server.post(input="a b c d e f g h")
    others = [server.post(input="a") for _ in range(3)]

    assert left(first) == (2, 7)
    assert (by_tokens.status_code, by_tokens.json()["code"]) == (429, "RATE_TOKEN_LIMIT_EXCEEDED")
    assert 1 <= int(by_tokens.headers["retry-after"]) <= 60
    assert left(by_tokens) == (2, 7)
    assert [answer.status_code for answer in others] == [200, 200, 429]
    assert others[-1].json()["code"] == "RATE_REQUEST_LIMIT_EXCEEDED"
    assert left(others[-1]) == (0, 5)


def test_each_key_has_its_own_limit(serve) -> None:
    server = serve(rate_limit=RateLimit(1, 10))

    statuses = [
        server.post(input="a", headers={"Authorization": f"Bearer {key}"}).status_code
        for key in ("one", "one", "two")
    ]

    assert statuses == [200, 429, 200]


def test_requests_that_fail_cost_no_tokens(words, serve) -> None:
    server = serve("words", rate_limit=RateLimit(5, 100))

    assert server.post(input="nan").status_code == 500
    answer = server.post(input=["a", "a " * 51])
    assert answer.status_code == 400
    assert left(server.post(input="a"))[1] == 99


def left(answer) -> tuple[int, int]:
    counts = [answer.headers[f"x-ratelimit-remaining-{name}"] for name in ("requests", "tokens")]
    return tuple(np.array(counts, int).tolist())
