"""One request to ``/embeddings``, and what its answer holds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx2
import numpy as np
from pydantic import SecretStr, ValidationError

from ...errors import ApiResponseError, ApiTimeoutError, RateLimitError, WrongDimensionsError
from ...settings import ApiSettings
from ...types import FloatArray
from ...wire import EmbeddingItem, EmbeddingRequest, EmbeddingResponse, OpenAIRequest, decode_base64
from ..keys import find_key
from .bridge import shared_bridge
from .limits import Grant, Limiter
from .retrying import status_error, transport_error

__all__ = ["JINA_URL", "Answer", "ApiClient"]

JINA_URL: Final = "https://api.jina.ai/v1"


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a request gave.

    Attributes:
        positions: Of the inputs in the request that have a vector without NaN.
        vectors: Theirs, shape (len(positions), width).
        tokens: What it cost, as the server says.
    """

    positions: list[int]
    vectors: FloatArray
    tokens: int


class ApiClient:
    """Sends single requests with a key, within the limits of the key."""

    def __init__(self, base_url: str | None, key: SecretStr | None, settings: ApiSettings) -> None:
        self._base_url = (base_url or JINA_URL).rstrip("/")
        self._is_jina = self._base_url == JINA_URL
        self._given_key = key
        self._settings = settings
        self._url = f"{self._base_url}/embeddings"
        self._has_answered = False

    @property
    def settings(self) -> ApiSettings:
        """Limits and timeouts."""
        return self._settings

    @property
    def has_answered(self) -> bool:
        """Whether the server has given any answer to this client."""
        return self._has_answered

    def limiter(self) -> Limiter:
        """The limiter of the key.

        Raises:
            MissingKeyError: there is no key, and Jina's API needs one.
        """
        limiter = shared_bridge().limiter(self._base_url, self._key())
        limiter.join(self, self._settings)
        return limiter

    async def post(
        self, request: EmbeddingRequest | OpenAIRequest, grant: Grant, *, tokens: int, width: int
    ) -> Answer:
        """Send one request, for which the limiter gave a grant, and read its answer.

        Args:
            request: The body.
            grant: Is told what the request cost, or that it was refused.
            tokens: What it was expected to cost.
            width: Length of the vectors; 0 takes any.

        Raises:
            ApiError: there was no answer with vectors; nothing was tried again.
        """
        key = self._key()
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        secret = ""
        if key is not None:
            secret = key.get_secret_value().strip()
            headers["Authorization"] = f"Bearer {secret}"
        body = request.model_dump_json(exclude_none=True, by_alias=False).encode()
        status, answered, content = await self._exchange(headers, body)
        remaining = {
            "remaining_requests": _number(answered, "x-ratelimit-remaining-requests"),
            "remaining_tokens": _number(answered, "x-ratelimit-remaining-tokens"),
        }
        if status != 200:
            error = status_error(status, answered, content, where=self._url, secret=secret)
            if isinstance(error, RateLimitError):
                grant.refuse(error.code, error.retry_after_s, **remaining)
            raise error
        try:
            parsed = EmbeddingResponse.model_validate_json(content)
        except ValidationError as exc:
            grant.settle(tokens, **remaining)
            raise ApiResponseError(
                f"{self._url} answered {len(content):,} bytes that are no list of vectors"
            ) from exc
        cost = parsed.usage.total_tokens or parsed.usage.prompt_tokens or 0
        grant.settle(cost or tokens, **remaining)
        return Answer(*_rows(parsed, _count(request), width, self._url), cost)

    async def _exchange(
        self, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        settings = self._settings
        timeout = httpx2.Timeout(settings.read_timeout_s, connect=settings.connect_timeout_s)
        longest_s = settings.connect_timeout_s + settings.read_timeout_s
        session = shared_bridge().session(self._base_url)
        try:
            async with asyncio.timeout(longest_s):
                response = await session.post(
                    self._url, headers=headers, content=body, timeout=timeout
                )
        except TimeoutError as exc:
            raise ApiTimeoutError(
                f"no whole answer from {self._url} within {longest_s:g} s: raise read_timeout_s"
            ) from exc
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as exc:
            raise transport_error(exc, where=self._url) from exc
        self._has_answered = True
        return response.status_code, response.headers, response.content

    def _key(self) -> SecretStr | None:
        variable = self._settings.api_key_env_var
        return find_key(self._given_key, needed=self._is_jina, variable=variable)


def _count(request: EmbeddingRequest | OpenAIRequest) -> int:
    return len(request.input) if isinstance(request.input, list) else 1


def _rows(
    response: EmbeddingResponse, count: int, width: int, where: str
) -> tuple[list[int], FloatArray]:
    """The positions and vectors that can be used.

    Raises:
        ApiResponseError: the indices are not those of the request, so none can be trusted.
        WrongDimensionsError: a vector has another length than `width`.
    """
    indices = [item.index for item in response.data]
    if len(set(indices)) != len(indices) or not all(0 <= index < count for index in indices):
        raise ApiResponseError(
            f"{where} answered {len(indices)} vectors whose indices do not fit {count} inputs"
        )
    rows = [_row(item, where) for item in response.data]
    width = width or max(map(len, rows), default=0)
    lengths = {len(row) for row in rows} - {width}
    if lengths:
        raise WrongDimensionsError(
            f"{where} answered vectors of {min(lengths)} values instead of {width}: set dimensions "
            "to what this server gives for this model, or leave it out"
        )
    if not rows or not width:
        return [], np.empty((0, width), np.float32)
    vectors = np.stack(rows)
    finite = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    return [indices[row] for row in finite], vectors[finite]


def _row(item: EmbeddingItem, where: str) -> FloatArray:
    if not isinstance(item.embedding, str):
        return np.array(item.embedding, np.float32)
    try:
        return decode_base64(item.embedding)
    except ValueError as exc:
        raise ApiResponseError(f"{where} answered a vector that is {exc}") from exc


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else None
