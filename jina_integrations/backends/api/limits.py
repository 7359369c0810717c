"""How much may be sent to an API now: paced below the limits of a key, and adapted to its answers.

Three bounds hold for every request. In any 61 s no more is sent than a minute's limit, by a log of
what was sent: exact for a service that counts over a sliding minute, with a second for the way.
Within that time requests are spaced evenly, with at most two seconds' worth at once. And no more
requests are under way than allowed.

Answers correct all three. What a request has cost replaces what it was expected to cost. A service
that tells what remains and counts more than the log has other users, or a lower limit: they are
left room. A 429 teaches the limit that it broke, which is then raised again step by step.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from ...settings import ApiSettings
from ...wire import ErrorCode

__all__ = ["Grant", "Limiter"]

_MINUTE_S: Final = 60.0
_LOG_S: Final = 61.0
_BURST_S: Final = 2.0
_DOUBLING_S: Final = 300.0
_LEAST_SHARE: Final = 0.1
"""Of a limit, kept at one go whatever a 429 or a header says."""

_LEAST_EVIDENCE: Final = 10
"""Requests within a minute, below which a 429 only pauses."""

_MAX_BACKOFF_S: Final = 30.0
_CHECK_S: Final = 1.0
_LEAST_SLEEP_S: Final = 0.001

_log = logging.getLogger("jina_integrations")


class _Limit:
    """A limit as configured, or a lower one that was learned and doubles in five minutes."""

    def __init__(self, name: str) -> None:
        self.configured = math.inf
        self._name = name
        self._learned = math.inf
        self._learned_at = -math.inf
        self._least = 1.0

    def current(self, now: float) -> float:
        """The limit at present. It grows slowly at first: what was learned is likely true."""
        if self._learned == math.inf:
            return self.configured
        growth = 1.0 + ((now - self._learned_at) / _DOUBLING_S) ** 2
        return min(self.configured, self._learned * growth)

    def learn(self, accepted: float, *, cost: int, sent_at: float, now: float) -> None:
        """The service refused a request.

        Args:
            accepted: What it had accepted before, counting all that is under way.
            cost: What the refused request would have added.
            sent_at: When it was sent. Requests that were sent before the last lesson are part of
                it: they make it exact, not harder.
            now: Loop time.
        """
        before = self.current(now)
        is_new = sent_at > self._learned_at
        if is_new:
            self._least = max(cost, 0.0 if before == math.inf else _LEAST_SHARE * before)
        self._learned = max(self._least, min(accepted, before))
        self._learned_at = now
        if is_new:
            _log.warning(
                "the API takes fewer %s than ApiSettings say: about %.0f", self._name, self._learned
            )


@dataclass(slots=True, eq=False)
class _Sent:
    """One request in the log of one resource.

    Attributes:
        cost: Requests or tokens: expected, and later actual.
        sent_at: Loop time.
        level: What was sent in the minute up to it, itself included.
        counted: Whether it is in the log still.
    """

    cost: int
    sent_at: float
    level: int
    counted: bool = True


class _Pace:
    """One resource that is limited by the minute: requests, or tokens."""

    def __init__(self, name: str) -> None:
        self.limit = _Limit(name)
        self._log: deque[_Sent] = deque()
        self._level = 0
        self._free_at = -math.inf
        self._others = 0.0
        self._others_at = -math.inf
        self._others_sent_at = -math.inf

    def wait_s(self, cost: int, now: float) -> float:
        """Seconds until it is worth asking again; 0 if `cost` may be sent.

        More than the whole limit goes when nothing else was sent for a minute.
        """
        while self._log and self._log[0].sent_at + _LOG_S <= now:
            gone = self._log.popleft()
            gone.counted = False
            self._level -= gone.cost
        others = self._others_now(now)
        if (self._level or others) and self._level + others + cost > self.limit.current(now):
            oldest_s = self._log[0].sent_at + _LOG_S - now if self._log else _CHECK_S
            return max(oldest_s, self._free_at - now)
        return max(0.0, self._free_at - now)

    def take(self, cost: int, now: float) -> _Sent:
        """Send `cost` now."""
        self._level += cost
        older = takewhile(lambda sent: sent.sent_at + _MINUTE_S <= now, self._log)
        sent = _Sent(cost, now, self._level - sum(sent.cost for sent in older))
        self._log.append(sent)
        self._free_at = max(self._free_at, now - _BURST_S) + cost / self._rate(now)
        return sent

    def correct(self, sent: _Sent, cost: int, now: float) -> None:
        """It has cost something else than was expected."""
        change = cost - sent.cost
        sent.cost = cost
        sent.level += change
        if sent.counted:
            self._level += change
        self._free_at += change / self._rate(now)

    def hear(self, sent: _Sent, remaining: int | None, now: float) -> None:
        """What the service had left after this request. Only the latest request sent counts."""
        limit = self.limit.current(now)
        if remaining is None or limit == math.inf or sent.sent_at < self._others_sent_at:
            return
        self._others = max(0.0, limit - remaining - sent.level)
        self._others_at = now
        self._others_sent_at = sent.sent_at

    def learn(self, sent: _Sent, now: float) -> None:
        """The service refused this request: the limit is about what was sent besides.

        A few requests teach nothing: others, or a run before this one, have used up the minute.
        """
        if len(self._log) < _LEAST_EVIDENCE:
            return
        accepted = self._level - (sent.cost if sent.counted else 0)
        self.limit.learn(accepted, cost=sent.cost, sent_at=sent.sent_at, now=now)

    def _others_now(self, now: float) -> float:
        """What others have sent within a minute, fading until nothing is known of it."""
        age = (now - self._others_at) / _MINUTE_S
        return self._others * (1.0 - age**2) if age < 1.0 else 0.0

    def _rate(self, now: float) -> float:
        limit = self.limit.current(now)
        return max(limit - self._others_now(now), _LEAST_SHARE * limit) / _LOG_S


class Grant:
    """Leave to send one request; told what became of it. Made by `Limiter.admit`."""

    def __init__(self, limiter: Limiter, request: _Sent, tokens: _Sent, under_way: int) -> None:
        self._limiter = limiter
        self.request = request
        self.tokens = tokens
        self.under_way = under_way
        self.answered = False

    def settle(
        self, tokens: int, *, remaining_requests: int | None, remaining_tokens: int | None
    ) -> None:
        """The request was answered.

        Args:
            tokens: What it has cost.
            remaining_requests: What the service says is left of the minute; None if it does not.
            remaining_tokens: Likewise.
        """
        self.answered = True
        self._limiter.settle(self, tokens, remaining_requests, remaining_tokens)

    def refuse(
        self,
        code: str | None,
        retry_after_s: float | None,
        *,
        remaining_requests: int | None,
        remaining_tokens: int | None,
    ) -> float:
        """The request was answered with 429, and cost no tokens.

        Args:
            code: The service's own code, see `wire.ErrorCode`.
            retry_after_s: What the service asks to wait.
            remaining_requests: What the service says is left of the minute; None if it does not.
            remaining_tokens: Likewise.

        Returns:
            Seconds for which nothing is sent now.
        """
        self.answered = True
        return self._limiter.refuse(self, code, retry_after_s, remaining_requests, remaining_tokens)


class Limiter:
    """The limits of one key at one server. Belongs to one event loop, but for `join`."""

    def __init__(self) -> None:
        self._members: list[tuple[weakref.ref[object], ApiSettings]] = []
        self._members_lock = threading.Lock()
        self._requests = _Pace("requests a minute")
        self._tokens = _Pace("tokens a minute")
        self._slots = _Limit("concurrent requests")
        self._under_way = 0
        self._paused_until = -math.inf
        self._refused_at = -math.inf
        self._refusals = 0
        self._line = asyncio.Lock()
        self._freed = asyncio.Event()

    def join(self, owner: object, settings: ApiSettings) -> None:
        """Let the limits of `settings` count for as long as `owner` lives. From any thread."""
        with self._members_lock:
            others = [
                (ref, s) for ref, s in self._members if ref() is not None and ref() is not owner
            ]
            self._members = [*others, (weakref.ref(owner), settings)]

    def request_tokens(self, max_tokens: int) -> int:
        """Tokens that one request should have: a hundredth of the limit, but at least 1,000.

        Small requests keep the pace even and the last of the limit in use.
        """
        self._read_settings()
        limit = self._tokens.limit.current(_now())
        return max_tokens if limit == math.inf else min(max_tokens, max(1000, int(limit) // 100))

    @asynccontextmanager
    async def admit(self, tokens: int) -> AsyncGenerator[Grant]:
        """Wait until a request may be sent, first come first served; it is under way inside.

        A request that leaves without `Grant.settle` or `Grant.refuse` has failed, and cost no
        tokens.

        Args:
            tokens: What it is expected to cost.
        """
        async with self._line:
            while (wait_s := self._wait_s(tokens)) > 0.0:
                self._freed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(max(wait_s, _LEAST_SLEEP_S), _CHECK_S)):
                        await self._freed.wait()
            now = _now()
            self._under_way += 1
            request, cost = self._requests.take(1, now), self._tokens.take(tokens, now)
            grant = Grant(self, request, cost, self._under_way)
        try:
            yield grant
        finally:
            self._under_way -= 1
            if not grant.answered:
                self._tokens.correct(grant.tokens, 0, _now())
            self._freed.set()

    def settle(
        self,
        grant: Grant,
        tokens: int,
        remaining_requests: int | None,
        remaining_tokens: int | None,
    ) -> None:
        """See `Grant.settle`."""
        now = _now()
        self._tokens.correct(grant.tokens, tokens, now)
        self._requests.hear(grant.request, remaining_requests, now)
        self._tokens.hear(grant.tokens, remaining_tokens, now)
        if grant.request.sent_at > self._refused_at:
            self._refusals = 0

    def refuse(
        self,
        grant: Grant,
        code: str | None,
        retry_after_s: float | None,
        remaining_requests: int | None,
        remaining_tokens: int | None,
    ) -> float:
        """See `Grant.refuse`."""
        now = _now()
        sent_at = grant.request.sent_at
        match code:
            case ErrorCode.REQUEST_RATE:
                self._requests.learn(grant.request, now)
            case ErrorCode.TOKEN_RATE:
                self._tokens.learn(grant.tokens, now)
            case ErrorCode.CONCURRENCY:
                self._slots.learn(grant.under_way - 1, cost=1, sent_at=sent_at, now=now)
            case _:  # not known to be one of these limits: the pause is all
                pass
        self._tokens.correct(grant.tokens, 0, now)
        self._requests.hear(grant.request, remaining_requests, now)
        self._tokens.hear(grant.tokens, remaining_tokens, now)
        if sent_at > self._refused_at:
            self._refusals += 1
            self._refused_at = now
        if retry_after_s is None:
            backoff_s = min(_MAX_BACKOFF_S, 2.0 ** (self._refusals - 1))
            retry_after_s = _MINUTE_S if code == ErrorCode.TOKEN_RATE else backoff_s
        self._paused_until = max(self._paused_until, now + retry_after_s)
        return self._paused_until - now

    def _wait_s(self, tokens: int) -> float:
        self._read_settings()
        now = _now()
        return max(
            self._paused_until - now,
            self._requests.wait_s(1, now),
            self._tokens.wait_s(tokens, now),
            _CHECK_S if self._under_way + 1 > self._slots.current(now) else 0.0,
        )

    def _read_settings(self) -> None:
        """The strictest of the living owners; with none left, what was before."""
        living = [settings for ref, settings in self._members if ref() is not None]
        if living:
            self._requests.limit.configured = _least(s.requests_per_minute for s in living)
            self._tokens.limit.configured = _least(s.tokens_per_minute for s in living)
            self._slots.configured = _least(s.concurrent_requests for s in living)


def _least(limits: Iterable[int | None]) -> float:
    return min(math.inf if limit is None else limit for limit in limits)


def _now() -> float:
    return asyncio.get_running_loop().time()
