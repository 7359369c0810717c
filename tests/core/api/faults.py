"""Every way in which the fault server can fail, and plans of which requests do."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Body = dict[str, Any]
"""What was parsed from JSON."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to fail; `FAULTS` has all of them by name.

    Attributes:
        how: ``error`` is an answer with `status` and a body; ``redirect`` goes to `location`. The
            connection can fail: ``reset_before``, ``reset_mid_body``, ``drip`` (a body that takes
            `seconds`), ``stall`` (no answer for `seconds`, then a reset). All others are answers
            with status 200 that hold something wrong.
        shape: Of an error's body: ``flat``, ``nested``, ``fields`` (the 422 one), or ``html``.
        retry_after_s: Value of ``Retry-After``; None leaves it out.
        retry_after_date: Give it as an HTTP date, which has whole seconds.
    """

    how: str
    status: int = 200
    code: str = ""
    message: str = "This is a test of faults."
    shape: Literal["flat", "nested", "fields", "html"] = "flat"
    retry_after_s: float | None = None
    retry_after_date: bool = False
    seconds: float = 30.0
    location: str = ""

    @property
    def answers(self) -> bool:
        """Whether at least a status is sent."""
        return self.how not in ("reset_before", "stall")

    @property
    def bills(self) -> bool:
        """Whether the texts were embedded: the answer is no error, even if not all of it comes."""
        return self.status == 200 and self.answers


def _error(status: int, code: str, **options: Any) -> Fault:
    return Fault(how="error", status=status, code=code, **options)


FAULTS: Mapping[str, Fault] = {
    "429": _error(429, "RATE_REQUEST_LIMIT_EXCEEDED"),
    "429_seconds": _error(429, "RATE_REQUEST_LIMIT_EXCEEDED", shape="nested", retry_after_s=1),
    "429_date": _error(429, "RATE_REQUEST_LIMIT_EXCEEDED", retry_after_s=1, retry_after_date=True),
    "429_tokens": _error(429, "RATE_TOKEN_LIMIT_EXCEEDED", shape="nested"),
    "429_concurrency": _error(429, "RATE_CONCURRENCY_LIMIT_EXCEEDED"),
    "429_fields": _error(429, "RATE_REQUEST_LIMIT_EXCEEDED", shape="fields"),
    "500": _error(500, "INTERNAL_ERROR"),
    "500_nested": _error(500, "INTERNAL_ERROR", shape="nested"),
    "502": _error(502, "", shape="html"),
    "503": _error(503, "SERVICE_UNAVAILABLE"),
    "503_seconds": _error(503, "SERVICE_UNAVAILABLE", retry_after_s=1),
    "504": _error(504, "SERVICE_TIMEOUT", shape="nested"),
    "408": _error(408, "REQUEST_TIMEOUT"),
    "409": _error(409, "CONFLICT_RESOURCE_BUSY"),
    "413": _error(413, "", shape="html"),
    "400": _error(400, "INPUT_INVALID"),
    "400_tokens": _error(400, "INPUT_TOKEN_LIMIT_EXCEEDED", shape="nested"),
    "400_model": _error(400, "INPUT_MODEL_NOT_FOUND"),
    "401": _error(401, "AUTH_INVALID_API_KEY"),
    "402": _error(402, "AUTHZ_INSUFFICIENT_BALANCE"),
    "403": _error(403, "AUTHZ_INSUFFICIENT_BALANCE", shape="nested"),
    "404": _error(404, "", shape="html"),
    "422": _error(422, "", shape="fields"),
    "redirect": Fault(how="redirect", status=307, location="http://127.0.0.1:1"),
    "drip": Fault(how="drip", seconds=1.0),
    **{
        how: Fault(how=how)
        for how in (
            *("reset_before", "reset_mid_body", "stall", "truncated_json"),
            *("fewer_items", "more_items", "duplicate_index", "index_out_of_range", "shuffled"),
            *("nan", "wrong_length", "zero", "null"),
        )
    },
}
"""Every fault by name. ``dataclasses.replace`` makes others, with other seconds or shapes."""

NO_FAULT = Fault(how="none")
"""A right answer."""

FaultPlan = Callable[[int, Body], Fault | None]
"""From a request's number, from 0 in order of arrival, and its body to the fault, or None."""


def texts_of(body: Body) -> list[str]:
    """The inputs of a request; of a picture what stands for it."""
    given = body["input"]
    items = given if isinstance(given, list) else [given]
    return [item if isinstance(item, str) else next(iter(item.values())) for item in items]


def _fault(fault: Fault | str) -> Fault:
    return FAULTS[fault] if isinstance(fault, str) else fault


def random_faults(kinds: Sequence[Fault | str], *, rate: float, seed: int) -> FaultPlan:
    """Each request fails with probability `rate`, in one of these ways."""

    def plan(number: int, body: Body) -> Fault | None:
        chance = random.Random(f"{seed}:{number}")
        return _fault(chance.choice(kinds)) if chance.random() < rate else None

    return plan


def first(count: int, fault: Fault | str) -> FaultPlan:
    """The first `count` requests fail."""
    return lambda number, body: _fault(fault) if number < count else None


def after(count: int, fault: Fault | str) -> FaultPlan:
    """`count` requests are answered, and every later one fails: with ``"401"`` a revoked key."""
    return lambda number, body: _fault(fault) if number >= count else None


def when(holds: Callable[[Body], bool], fault: Fault | str) -> FaultPlan:
    """Every request whose body is such a one fails."""
    return lambda number, body: _fault(fault) if holds(body) else None


def when_holding(text: str, fault: Fault | str) -> FaultPlan:
    """Every request that has this text among its inputs fails."""
    return when(lambda body: text in texts_of(body), fault)


def first_of(*plans: FaultPlan) -> FaultPlan:
    """The fault of the first plan that has one."""
    return lambda number, body: next((f for plan in plans if (f := plan(number, body))), None)
