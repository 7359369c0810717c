"""The rate limiter against services that count strictly, on a clock that jumps."""

from __future__ import annotations

import asyncio
import gc
import heapq
import random
import selectors
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jina_integrations.backends.api.limits import Grant, Limiter
from jina_integrations.settings import ApiSettings
from jina_integrations.wire import ErrorCode

Result = TypeVar("Result")
MINUTE = 60.0


class JumpingLoop(asyncio.SelectorEventLoop):
    """Where all tasks wait, time jumps to the next timer."""

    def __init__(self) -> None:
        self.now = 1000.0
        selector = selectors.DefaultSelector()
        select = selector.select

        def jump(timeout: float | None = None) -> list[Any]:
            assert timeout is not None, "every task waits for something that never comes"
            self.now += timeout
            return select(0)

        selector.select = jump  # type: ignore[method-assign]
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, Result]) -> Result:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(work)


def now() -> float:
    return asyncio.get_running_loop().time()


class Owner:
    pass


OWNER = Owner()


def limiter_of(**limits: Any) -> Limiter:
    chosen: dict[str, Any] = dict.fromkeys(("requests_per_minute", "tokens_per_minute"))
    chosen |= {"concurrent_requests": 1000} | limits
    limiter = Limiter()
    limiter.join(OWNER, ApiSettings(**chosen))
    return limiter


def answered(
    grant: Grant, tokens: int, requests: int | None = None, left: int | None = None
) -> None:
    grant.settle(tokens, remaining_requests=requests, remaining_tokens=left)


def refused(grant: Grant, code: str | None, retry_after_s: float | None = None) -> float:
    return grant.refuse(code, retry_after_s, remaining_requests=None, remaining_tokens=None)


async def send(limiter: Limiter, expected: int, tokens: int, took_s: float = 0.0) -> float:
    """One answered request; when it was sent."""
    async with limiter.admit(expected) as grant:
        sent_at = now()
        await asyncio.sleep(took_s)
        answered(grant, tokens)
    return sent_at


@dataclass
class Service:
    """Counts the accepted requests and tokens of the last 60 s, as strictly as can be."""

    requests_per_minute: int
    tokens_per_minute: int
    concurrent: int = 1000
    headers: bool = True
    retry_after: bool = True
    late_headers: bool = False
    seed: int = 0
    taken: deque[tuple[float, int]] = field(default_factory=deque)
    codes: list[str] = field(default_factory=list)
    sent: int = 0
    accepted_tokens: int = 0
    under_way: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def counted(self) -> tuple[int, int]:
        while self.taken and self.taken[0][0] <= now() - MINUTE:
            self.taken.popleft()
        return len(self.taken), sum(tokens for _, tokens in self.taken)

    def remaining(self) -> dict[str, int | None]:
        if not self.headers:
            return {"remaining_requests": None, "remaining_tokens": None}
        requests, tokens = self.counted()
        return {
            "remaining_requests": self.requests_per_minute - requests,
            "remaining_tokens": self.tokens_per_minute - tokens,
        }

    async def answer(self, grant: Grant, tokens: int, took_s: float) -> bool:
        self.sent += 1
        await asyncio.sleep(self.random.uniform(0.0, 0.2))  # the way there
        requests, counted = self.counted()
        code = None
        if self.under_way >= self.concurrent:
            code = ErrorCode.CONCURRENCY
        elif requests + 1 > self.requests_per_minute:
            code = ErrorCode.REQUEST_RATE
        elif counted + tokens > self.tokens_per_minute:
            code = ErrorCode.TOKEN_RATE
        if code is not None:
            self.codes.append(code)
            oldest_s = self.taken[0][0] + MINUTE - now() if self.taken else 1.0
            grant.refuse(code, oldest_s if self.retry_after else None, **self.remaining())
            return False
        self.taken.append((now(), tokens))
        self.accepted_tokens += tokens
        remaining = self.remaining()
        self.under_way += 1
        try:
            await asyncio.sleep(took_s * self.random.uniform(0.5, 1.5))
        finally:
            self.under_way -= 1
        grant.settle(tokens, **(self.remaining() if self.late_headers else remaining))
        return True


async def ingest(
    limiter: Limiter,
    service: Service,
    *,
    workers: int,
    minutes: float,
    most: int = 20_000,
    guess: Callable[[random.Random], float] = lambda _: 1.0,
    took_s: float = 0.4,
) -> tuple[float, float]:
    """Share of the service's tokens a minute that went through, and share of requests refused."""
    chance = random.Random(service.seed)
    start = now()
    end = start + minutes * MINUTE

    async def work() -> None:
        while now() < end:
            batch = limiter.request_tokens(most)
            tokens = chance.randint(int(0.8 * batch), batch)
            while True:
                async with limiter.admit(int(tokens * guess(chance))) as grant:
                    done = now() >= end or await service.answer(grant, tokens, took_s)
                if done:
                    break

    await asyncio.gather(*(work() for _ in range(workers)))
    allowed = service.tokens_per_minute * minutes
    return service.accepted_tokens / allowed, len(service.codes) / service.sent


FREE: dict[str, Any] = {"requests_per_minute": 500, "tokens_per_minute": 1_000_000}


@settings(max_examples=60, deadline=None)
@given(
    requests=st.one_of(st.none(), st.integers(1, 100)),
    tokens=st.one_of(st.none(), st.integers(500, 20_000)),
    work=st.lists(
        st.tuples(
            st.floats(0.0, 20.0),  # seconds since the one before
            st.integers(1, 3000),  # tokens
            st.floats(1.0, 1.5),  # times as many expected
            st.floats(0.0, 30.0),  # seconds until it is answered
            st.booleans(),  # or fails
        ),
        min_size=1,
        max_size=120,
    ),
)
def test_no_minute_has_more_than_the_limits(
    requests: int | None, tokens: int | None, work: Sequence[tuple[float, int, float, float, bool]]
) -> None:
    limiter = limiter_of(requests_per_minute=requests, tokens_per_minute=tokens)
    sent: list[tuple[float, int]] = []

    async def one(tokens: int, share: float, took_s: float, fails: bool) -> None:
        async with limiter.admit(int(tokens * share)) as grant:
            if not fails:
                sent.append((now(), tokens))
            await asyncio.sleep(took_s)
            if not fails:
                answered(grant, tokens)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for after_s, tokens, share, took_s, fails in work:
                await asyncio.sleep(after_s)
                group.create_task(one(tokens, share, took_s, fails))

    run(main())
    assert len(sent) == sum(not fails for *_, fails in work)
    for at, (end, _) in enumerate(sent):
        minute = [cost for time, cost in sent[: at + 1] if time > end - MINUTE]
        assert requests is None or len(minute) <= requests
        # One request larger than the limit goes, alone.
        assert tokens is None or sum(minute) <= tokens or len(minute) == 1


@pytest.mark.parametrize("headers", ["none", "on arrival", "on answer"])
@pytest.mark.parametrize(("workers", "took_s"), [(4, 0.5), (20, 6.0)])
def test_nearly_all_of_the_limit_is_used_and_next_to_nothing_refused(
    headers: str, workers: int, took_s: float
) -> None:
    service = Service(**FREE, headers=headers != "none", late_headers=headers == "on answer")
    limiter = limiter_of(**FREE)
    used, refusals = run(ingest(limiter, service, workers=workers, minutes=10, took_s=took_s))
    assert 0.96 <= used <= 1.01
    assert refusals <= 0.01


def test_the_limit_of_requests_is_used_too() -> None:
    service = Service(60, 10**9)
    limiter = limiter_of(requests_per_minute=60)
    run(ingest(limiter, service, workers=4, minutes=10, most=100))
    assert 0.96 * 600 <= service.sent <= 1.01 * 600
    assert service.codes == []


def test_expecting_too_much_costs_no_throughput() -> None:
    used, refusals = run(
        ingest(
            limiter_of(**FREE),
            Service(**FREE),
            workers=4,
            minutes=10,
            guess=lambda chance: chance.uniform(1.0, 1.5),
        )
    )
    assert used >= 0.96
    assert refusals == 0


def test_expecting_too_little_is_made_up_for() -> None:
    used, refusals = run(
        ingest(
            limiter_of(**FREE),
            Service(**FREE, headers=False),
            workers=4,
            minutes=10,
            guess=lambda chance: chance.uniform(0.5, 0.9),
        )
    )
    assert used >= 0.96
    assert refusals <= 0.01


@pytest.mark.parametrize("headers", [True, False])
@pytest.mark.parametrize("lacks", ["tokens_per_minute", "requests_per_minute"])
def test_a_real_limit_of_a_tenth_is_found_with_few_refusals(headers: bool, lacks: str) -> None:
    real = {**FREE, lacks: FREE[lacks] // 10}
    service = Service(**real, headers=headers)
    limiter = limiter_of(**FREE)
    used, refusals = run(ingest(limiter, service, workers=4, minutes=20, most=2000))
    taken = service.sent - len(service.codes)
    assert max(used, taken / (20 * real["requests_per_minute"])) >= 0.93
    assert refusals <= 0.02


def test_no_limit_in_the_settings_is_not_the_end_of_it() -> None:
    service = Service(500, 100_000)
    used, refusals = run(ingest(limiter_of(), service, workers=4, minutes=20, most=2000))
    assert used >= 0.9
    assert refusals <= 0.02


def test_what_was_learned_is_unlearned_when_nothing_is_refused() -> None:
    async def main() -> list[int]:
        limiter = limiter_of(tokens_per_minute=1_000_000)
        for _ in range(10):
            await send(limiter, 1000, 1000)
        async with limiter.admit(10_000) as grant:
            refused(grant, ErrorCode.TOKEN_RATE, 0.0)
        limits = []
        for minutes in (0, 2.5, 2.5, 30):
            await asyncio.sleep(minutes * MINUTE)
            limits.append(limiter.request_tokens(10**6))
        return limits

    # A tenth at first; doubled after five minutes; at last as configured.
    assert run(main()) == [1000, 1250, 2000, 10_000]


def test_many_refusals_of_one_moment_teach_once() -> None:
    async def main() -> int:
        limiter = limiter_of(tokens_per_minute=1_000_000)
        for _ in range(40):
            await send(limiter, 10_000, 10_000)
        async with asyncio.TaskGroup() as group:

            async def refuse() -> None:
                async with limiter.admit(10_000) as grant:
                    await asyncio.sleep(5.0)
                    refused(grant, ErrorCode.TOKEN_RATE, 0.0)

            for _ in range(4):
                group.create_task(refuse())
        return limiter.request_tokens(10**6)

    # What is under way counts as taken until it is refused as well: 400,000 in the end.
    assert run(main()) == 4000


def test_others_who_use_the_key_are_left_their_share() -> None:
    async def main() -> tuple[float, Service]:
        service = Service(**FREE)
        shares = await asyncio.gather(
            *(ingest(limiter_of(**FREE), service, workers=4, minutes=10) for _ in range(2))
        )
        return shares[0][0], service

    used, service = run(main())
    assert used >= 0.93
    assert len(service.codes) / service.sent <= 0.02


def test_what_remains_at_the_service_bounds_what_is_sent() -> None:
    async def main() -> list[float]:
        limiter = limiter_of(tokens_per_minute=1_000_000)
        start = now()
        times: list[float] = []
        for left in (4000, 3000, 2000, 1000, 0, 0):  # others have had nearly all
            async with limiter.admit(1000) as grant:
                times.append(now() - start)
                answered(grant, 1000, left=left)
        return times

    *at_once, last = run(main())
    assert at_once == [0.0] * 5
    assert 1.0 < last < 5.0  # tried a little later: others may have stopped


def test_the_strictest_of_the_living_owners_counts() -> None:
    async def main() -> list[int]:
        limiter = limiter_of(tokens_per_minute=1_000_000)
        strict = Owner()
        sizes = [limiter.request_tokens(10**6)]
        limiter.join(strict, ApiSettings(tokens_per_minute=200_000))
        sizes.append(limiter.request_tokens(10**6))
        limiter.join(strict, ApiSettings(tokens_per_minute=400_000))  # in place of its first
        sizes.append(limiter.request_tokens(10**6))
        del strict
        gc.collect()
        sizes.append(limiter.request_tokens(10**6))
        return sizes

    assert run(main()) == [10_000, 2000, 4000, 10_000]


def test_request_tokens_are_never_below_a_thousand_nor_above_the_asked_for() -> None:
    async def main() -> list[int]:
        small, none = limiter_of(tokens_per_minute=20_000), limiter_of()
        return [small.request_tokens(5000), small.request_tokens(500), none.request_tokens(5000)]

    assert run(main()) == [1000, 500, 5000]


def test_a_request_larger_than_the_limit_goes_alone() -> None:
    async def main() -> list[float]:
        limiter = limiter_of(tokens_per_minute=1000)
        start = now()
        return [await send(limiter, tokens, tokens) - start for tokens in (10, 5000, 10)]

    first, large, after = run(main())
    assert first == 0.0
    assert MINUTE < large < MINUTE + 2
    assert after >= large + 4 * MINUTE  # the service has had five minutes' worth


def test_requests_go_in_the_order_in_which_they_came() -> None:
    async def main() -> list[int]:
        limiter = limiter_of(tokens_per_minute=1000, concurrent_requests=3)
        order: list[int] = []

        async def one(number: int) -> None:
            async with limiter.admit(900 if number % 3 == 0 else 1) as grant:
                order.append(number)
                await asyncio.sleep(10.0)
                answered(grant, 1)

        async with asyncio.TaskGroup() as group:
            for number in range(12):
                group.create_task(one(number))
        return order

    assert run(main()) == list(range(12))


def test_no_more_are_under_way_than_allowed() -> None:
    async def main() -> tuple[int, float]:
        limiter = limiter_of(concurrent_requests=3)
        most = under_way = 0

        async def one() -> None:
            nonlocal most, under_way
            async with limiter.admit(1) as grant:
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(1.5)
                under_way -= 1
                answered(grant, 1)

        start = now()
        await asyncio.gather(*(one() for _ in range(30)))
        return most, now() - start

    most, took_s = run(main())
    assert most == 3
    assert took_s == pytest.approx(15.0, abs=0.1)  # each starts as soon as one ends


def test_a_refused_connection_count_is_learned_exactly_and_recovers() -> None:
    async def main() -> list[int]:
        service = Service(10**6, 10**9, concurrent=3, retry_after=False, headers=False)
        limiter = limiter_of(concurrent_requests=20)
        at_once: list[int] = []

        async def work(end: float) -> None:
            while now() < end:
                async with limiter.admit(1) as grant:
                    at_once.append(service.under_way)
                    await service.answer(grant, 1, 2.0)

        await asyncio.gather(*(work(now() + 5 * MINUTE) for _ in range(20)))
        first = len(service.codes)
        service.concurrent = 20
        at_once.clear()
        await asyncio.gather(*(work(now() + 40 * MINUTE) for _ in range(20)))
        return [first, len(service.codes), max(at_once) + 1]

    first, in_all, most = run(main())
    assert 17 <= first <= 20  # those that were sent at the start, and a probe now and then
    assert in_all == first
    assert most == 20


def test_a_failed_request_gives_its_tokens_back() -> None:
    async def main() -> float:
        limiter = limiter_of(tokens_per_minute=1000)
        start = now()
        with pytest.raises(ConnectionError):
            async with limiter.admit(900):
                raise ConnectionError
        await send(limiter, 900, 900)
        return now() - start

    assert run(main()) == 0.0


def test_a_request_that_cost_less_makes_room_and_one_that_cost_more_takes_it() -> None:
    async def main(actual: int) -> float:
        limiter = limiter_of(tokens_per_minute=1000)
        start = now()
        await send(limiter, 500, actual)
        return await send(limiter, 500, 500) - start

    assert run(main(10)) == pytest.approx(0.0, abs=0.01)
    assert run(main(400)) == pytest.approx(400 * 61 / 1000 - 2, abs=1.1)  # even pace, 2 s at once
    assert run(main(501)) == pytest.approx(61.0, abs=1.1)  # no room in this minute


def test_the_pause_is_what_the_service_asks_for() -> None:
    async def main() -> tuple[float, float]:
        limiter = limiter_of(**FREE)
        async with limiter.admit(10) as grant:
            told_s = refused(grant, ErrorCode.REQUEST_RATE, 7.0)
        start = now()
        return told_s, await send(limiter, 10, 10) - start

    assert run(main()) == (7.0, pytest.approx(7.0))


def test_without_retry_after_pauses_double_and_a_token_limit_is_a_minute() -> None:
    async def main() -> list[float]:
        limiter = limiter_of()
        pauses: list[float] = []
        for code in [None] * 7 + [ErrorCode.TOKEN_RATE]:
            async with limiter.admit(1) as grant:
                pauses.append(refused(grant, code))
        await send(limiter, 1, 1)
        async with limiter.admit(1) as grant:
            pauses.append(refused(grant, "QUEUE_FULL"))
        return pauses

    assert run(main()) == [1, 2, 4, 8, 16, 30, 30, 60, 1]


def test_refusals_that_were_under_way_together_do_not_lengthen_the_pause() -> None:
    async def main() -> float:
        limiter = limiter_of()

        async def one() -> float:
            async with limiter.admit(1) as grant:
                await asyncio.sleep(0.5)
                return refused(grant, None)

        return max(await asyncio.gather(*(one() for _ in range(10))))

    assert run(main()) == 1.0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 8.0), st.integers(1, 600)),
        min_size=1,
        max_size=40,
    )
)
def test_cancelling_leaves_nothing_behind(work: Sequence[tuple[float, float, int]]) -> None:
    async def main() -> None:
        limiter = limiter_of(tokens_per_minute=6000, concurrent_requests=2)

        async def one(tokens: int) -> None:
            async with limiter.admit(tokens) as grant:
                await asyncio.sleep(2.0)
                answered(grant, tokens)

        ends: list[tuple[float, int, asyncio.Task[None]]] = []
        for number, (after_s, lives_s, tokens) in enumerate(work):
            await asyncio.sleep(after_s)
            heapq.heappush(ends, (now() + lives_s, number, asyncio.create_task(one(tokens))))
            while ends and ends[0][0] <= now():
                heapq.heappop(ends)[2].cancel()
        tasks = [task for *_, task in ends]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(MINUTE + 2)
        start = now()
        # Both slots and the whole burst are free again, and the line is empty.
        await asyncio.gather(send(limiter, 100, 100, 1.0), send(limiter, 100, 100, 1.0))
        assert now() - start == pytest.approx(1.0)

    run(main())


def test_a_cancelled_waiter_does_not_hold_up_those_behind_it() -> None:
    async def main() -> float:
        limiter = limiter_of(tokens_per_minute=1000)
        await send(limiter, 500, 500)
        start = now()
        large = asyncio.create_task(send(limiter, 900, 900))
        small = asyncio.create_task(send(limiter, 10, 10))
        await asyncio.sleep(0.1)
        large.cancel()
        await small
        return now() - start

    assert run(main()) == pytest.approx(500 * 61 / 1000 - 2, abs=1.1)


def test_a_429_out_of_nothing_only_pauses() -> None:
    async def main() -> tuple[int, float]:
        limiter = limiter_of(tokens_per_minute=None, requests_per_minute=None)
        async with limiter.admit(10) as grant:
            refused(grant, ErrorCode.REQUEST_RATE, 3.0)
        start = now()
        await send(limiter, 10, 10)
        return limiter.request_tokens(10**6), now() - start

    most, waited_s = run(main())
    assert most == 10**6
    assert 3.0 <= waited_s < 4.0


def test_a_lesson_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        limiter = limiter_of(**FREE)
        for _ in range(10):
            await send(limiter, 10, 10)
        async with limiter.admit(10) as first, limiter.admit(10) as second:
            refused(first, ErrorCode.TOKEN_RATE, 1.0)
            refused(second, ErrorCode.TOKEN_RATE, 1.0)

    with caplog.at_level("WARNING", logger="jina_integrations"):
        run(main())
    assert [record.getMessage() for record in caplog.records] == [
        "the API takes fewer tokens a minute than ApiSettings say: about 100000"
    ]
