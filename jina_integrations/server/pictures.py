"""Pictures of a request: base64, or URLs of the hosts that the server was told it may ask."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ..errors import InvalidImageError
from ..images import MAX_IMAGE_BYTES, read_image
from ..wire import ImageInput

if TYPE_CHECKING:
    import httpx2

__all__ = ["Picture", "read_pictures"]

_FETCH_TIMEOUT_S: Final = 20.0
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture that can be read.

    Attributes:
        data: The encoded file.
        pixels: Width and height.
    """

    data: bytes
    pixels: tuple[int, int]


async def read_pictures(
    inputs: Sequence[str | ImageInput], hosts: Set[str], max_bytes: int
) -> list[Picture]:
    """The pictures among the inputs, in their order.

    Args:
        inputs: Of a request.
        hosts: Where pictures may be fetched, see `ServerSettings`.
        max_bytes: Bytes of all that are fetched.

    Raises:
        InvalidImageError: bad base64, no picture, too large, or a URL that is not fetched.
        MissingExtraError: Pillow is not installed.
    """
    sources = [
        (index, item.image) for index, item in enumerate(inputs) if isinstance(item, ImageInput)
    ]
    urls = [(index, url) for index, url in sources if _is_url(url)]
    for index, url in urls:
        _check_url(url, index, hosts)
    if not sources:
        return []
    fetched = await _fetch(urls, max_bytes) if urls else {}
    return await asyncio.to_thread(
        lambda: [
            _read(fetched[index] if index in fetched else _decode(text, index), index)
            for index, text in sources
        ]
    )


def _is_url(text: str) -> bool:
    return text[:8].lower().startswith(("http://", "https://"))


def _check_url(url: str, index: int, hosts: Set[str]) -> None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        plain = parts.username is None and parts.password is None
    except ValueError as exc:
        raise _bad(index, "its URL cannot be read") from exc
    shown = f"[{host}]" if ":" in host else host
    named = f"{shown}:{port}" in hosts or (shown in hosts and port == _PORTS[parts.scheme])
    if not (plain and named):
        raise _bad(
            index, "this server fetches no picture from there: send it as base64 instead of a URL"
        )


async def _fetch(urls: Sequence[tuple[int, str]], max_bytes: int) -> dict[int, bytes]:
    import httpx2

    # Neither proxies nor a netrc of the environment: the server asks the named host itself.
    async with httpx2.AsyncClient(
        timeout=_FETCH_TIMEOUT_S, follow_redirects=False, trust_env=False
    ) as client:
        fetched: dict[int, bytes] = {}
        for index, url in urls:
            fetched[index] = await _fetch_one(client, url, index, min(MAX_IMAGE_BYTES, max_bytes))
            max_bytes -= len(fetched[index])
        return fetched


async def _fetch_one(client: httpx2.AsyncClient, url: str, index: int, max_bytes: int) -> bytes:
    import httpx2

    body = bytearray()
    try:
        async with asyncio.timeout(_FETCH_TIMEOUT_S), client.stream("GET", url) as answer:
            if answer.status_code != 200:
                raise _bad(index, f"its host answered {answer.status_code}")
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > max_bytes:
                    raise _bad(index, f"it has more than the {max_bytes:,} bytes that are left")
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as exc:
        raise _bad(index, f"it could not be fetched ({type(exc).__name__})") from exc
    return bytes(body)


def _decode(text: str, index: int) -> bytes:
    head, comma, body = text[:64].partition(",")
    if head.startswith("data:") and comma and head.endswith(";base64"):
        text = body + text[64:]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _bad(index, "it is neither base64 nor a URL") from exc


def _read(data: bytes, index: int) -> Picture:
    try:
        image = read_image(data, index=index)
    except InvalidImageError as exc:
        exc.argument = "input"
        raise
    if image.pixels is None:
        raise _bad(index, "its size is not known")
    return Picture(data, image.pixels)


def _bad(index: int, reason: str) -> InvalidImageError:
    return InvalidImageError(f"cannot be used: {reason}", argument="input", index=index)
